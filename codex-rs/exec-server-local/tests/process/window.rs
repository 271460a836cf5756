//! A follower that says what it has: how far it is pushed, and what is kept for it.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::event_log::Event;
use codex_exec_server_core::output_window::{acknowledge_every, cost};
use codex_exec_server_local::process::{Acknowledgement, FollowId, ProcessTable};
use codex_exec_server_protocol::ids::Seq;

use crate::spool::{FLOOD, flood, folder, host, read_all, spooling};
use crate::support::{
    Recorder, bytes, output, pass, read, read_until, shell, small, start_followed, table, write,
};

/// Less than what these logs grant.
const WINDOW_BYTES: u64 = 32 << 10;

fn word(through: u64) -> Acknowledgement {
    Acknowledgement { through: Some(Seq(through)), after: None }
}

const NOBODY_READS: Acknowledgement = Acknowledgement { through: None, after: None };

/// What events cost, as the window counts.
fn cost_of(events: &[Event]) -> u64 {
    let bytes = |event: &Event| if let Event::Output(chunk) = event { chunk.bytes.len() } else { 0 };
    events.iter().map(|event| cost(bytes(event) as u64)).sum()
}

/// What the window lets through at least once everything was acknowledged, which is known to a part of it.
const MOST: u64 = WINDOW_BYTES / 8 * 7;

/// Draws until `enough` is drawn, or the process closed.
async fn fill(recorder: &Recorder, follow: FollowId, enough: u64) -> Vec<Event> {
    let mut events = Vec::new();
    while cost_of(&events) < enough && !matches!(events.last(), Some(Event::Closed(..))) {
        let process = recorder.next().await;
        loop {
            let draw = process.draw(follow, 8 << 10);
            events.extend(draw.events);
            if !draw.more {
                break;
            }
        }
    }
    events
}

/// Acknowledges each window, and draws the next one, to the close. Returns all that was drawn.
async fn drain(
    table: &ProcessTable,
    recorder: &Recorder,
    follow: FollowId,
    mut events: Vec<Event>,
) -> Vec<Event> {
    while !matches!(events.last(), Some(Event::Closed(..))) {
        let last = events.last().expect("it was filled").seq();
        table.acknowledge(follow, &"p".into(), word(last.0));
        events.extend(fill(recorder, follow, MOST).await);
    }
    events
}

#[tokio::test]
async fn a_follower_is_pushed_as_far_as_its_window_reaches_and_the_rest_waits_in_the_file() {
    let folder = folder();
    let host = host(spooling(), folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    let (recorder, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    start_followed(&table, follow, shell("p", FLOOD)).await;
    // Nobody draws, and the process does not wait.
    read_until(&table, "p", |page| page.output_bytes == Some(flood().len() as u64)).await;
    let events = fill(&recorder, follow, WINDOW_BYTES).await;
    let drawn = cost_of(&events);
    assert!((WINDOW_BYTES..WINDOW_BYTES + cost(8 << 10)).contains(&drawn), "{drawn}");
    assert!(recorder.try_next().is_none(), "there is no more for it");
    assert!(host.spooled_bytes() > 1 << 20 && host.output_memory_bytes() <= 256 << 10);

    let events = drain(&table, &recorder, follow, events).await;
    assert!(output(&events) == flood());
    table.acknowledge(follow, &"p".into(), word(u64::MAX));
    // What was acknowledged is certain, so nothing is kept for the case that it was lost. A write may be under way.
    while host.spooled_bytes() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_is_there_for_whoever_comes_next_and_exactly_that_is_certain() {
    let folder = folder();
    let table = ProcessTable::new(host(spooling(), folder.path()));
    let (recorder, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    start_followed(&table, follow, shell("p", FLOOD)).await;
    read_until(&table, "p", |page| page.output_bytes == Some(flood().len() as u64)).await;
    let events = fill(&recorder, follow, WINDOW_BYTES).await;
    let had = &events[..events.len() / 2];
    let last = had.last().expect("half of something").seq();
    table.acknowledge(follow, &"p".into(), word(last.0));
    table.unfollow(follow);
    let (recorder, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    table.acknowledge(follow, &"p".into(), word(last.0));
    let page = read(&table, "p", last.0).await;
    assert_eq!(page.chunks[0].seq, last.next());
    // It has the answer as well, says so, and is pushed what comes behind that.
    let tip = page.next_seq.0 - 1;
    table.acknowledge(follow, &"p".into(), word(tip));
    let first = fill(&recorder, follow, MOST).await;
    assert_eq!(first[0].seq(), Seq(tip + 1));
    let rest = drain(&table, &recorder, follow, first).await;
    let all = [output(had), bytes(&page), output(&rest)].concat();
    assert!(all == flood());
}

#[tokio::test]
async fn one_that_comes_back_is_pushed_what_comes_behind_what_it_says_it_has_and_nothing_before_that() {
    let folder = folder();
    let table = ProcessTable::new(host(spooling(), folder.path()));
    let (recorder, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    start_followed(&table, follow, shell("p", FLOOD)).await;
    read_until(&table, "p", |page| page.output_bytes == Some(flood().len() as u64)).await;
    let mut events = fill(&recorder, follow, WINDOW_BYTES).await;
    let said = events[events.len() / 8].seq();
    table.acknowledge(follow, &"p".into(), word(said.0));
    // Of what it was sent without a word it has a part; how much varies from loss to loss.
    for share in 1..=4 {
        table.unfollow(follow);
        events.truncate(events.len() * share / 4);
        let had = events.last().expect("a part of something").seq();
        let (recorder, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
        assert!(recorder.try_next().is_none(), "it has not said what it has");
        table.acknowledge(follow, &"p".into(), Acknowledgement { through: Some(said), after: Some(had) });
        let first = fill(&recorder, follow, WINDOW_BYTES).await;
        assert_eq!(first[0].seq(), had.next());
        events.extend(first);
        table.unfollow(follow);
    }
    let had = events.last().expect("some").seq();
    let (recorder, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    table.acknowledge(follow, &"p".into(), word(had.0));
    events.extend(fill(&recorder, follow, MOST).await);
    assert!(output(&drain(&table, &recorder, follow, events).await) == flood());
}

#[tokio::test]
async fn one_that_comes_back_and_says_nothing_is_pushed_on_when_it_has_read_or_had_time_to() {
    let table = table(small());
    let (_first, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    start_followed(&table, follow, shell("p", "echo one; read line; echo two; read line; echo three")).await;
    read_until(&table, "p", |page| page.output_bytes == Some(4)).await;
    table.unfollow(follow);
    let (reading, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    write(&table, "p", "1", "\n").await;
    read_until(&table, "p", |page| page.output_bytes == Some(8)).await;
    // Reading to the end told it that there is nothing before this.
    assert_eq!(output(&fill_some(&reading, follow).await), b"two\n");
    table.unfollow(follow);
    let (waiting, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    assert!(waiting.try_next().is_none());
    write(&table, "p", "2", "\n").await;
    pass(Duration::from_secs(11)).await;
    let events = waiting.draw_to_close(follow).await;
    assert!(output(&events).ends_with(b"three\n"));
}

#[tokio::test]
async fn a_budget_smaller_than_what_goes_without_a_word_holds_up_nobody_who_reads() {
    // Logs of 64 KiB, and a word after 256 KiB.
    let mut limits = small();
    limits.log.in_flight_bytes = 1 << 20;
    let table = table(limits);
    let (recorder, follow) = Recorder::follow_within(&table, 1 << 20);
    start_followed(&table, follow, shell("p", FLOOD)).await;
    let (mut events, mut said) = (Vec::new(), 0);
    while !matches!(events.last(), Some(Event::Closed(..))) {
        let process = recorder.next().await;
        loop {
            let draw = process.draw(follow, 8 << 10);
            events.extend(draw.events);
            if events.len() > said && cost_of(&events[said..]) >= acknowledge_every(1 << 20) {
                said = events.len();
                table.acknowledge(follow, &"p".into(), word(events[said - 1].seq().0));
            }
            if !draw.more {
                break;
            }
        }
    }
    assert!(output(&events) == flood());
}

#[tokio::test]
async fn a_follower_that_reads_nothing_holds_up_nothing_and_is_told_the_end() {
    let table = table(small());
    let (recorder, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    start_followed(&table, follow, shell("p", &format!("read line; {FLOOD}; exit 3"))).await;
    table.acknowledge(follow, &"p".into(), NOBODY_READS);
    write(&table, "p", "go", "\n").await;
    let events = recorder.draw_to_close(follow).await;
    let [Event::Exited(_, exit), Event::Closed(_, totals)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((exit.code, totals.output_bytes), (3, flood().len() as u64));
}

#[tokio::test]
async fn a_follower_that_reads_again_is_pushed_what_comes_behind_the_place_it_names() {
    let folder = folder();
    let table = ProcessTable::new(host(spooling(), folder.path()));
    let (recorder, follow) = Recorder::follow_within(&table, WINDOW_BYTES);
    start_followed(&table, follow, shell("p", "echo one; read line; echo two; read line; echo three")).await;
    let one = fill_some(&recorder, follow).await;
    assert_eq!(output(&one), b"one\n");
    table.acknowledge(follow, &"p".into(), NOBODY_READS);
    write(&table, "p", "1", "\n").await;
    read_until(&table, "p", |page| page.output_bytes == Some(8)).await;
    assert!(recorder.try_next().is_none());
    // From the first on, or behind it.
    for (after, expected) in [(0, "one\ntwo\n"), (1, "two\n")] {
        table.acknowledge(follow, &"p".into(), NOBODY_READS);
        let word = Acknowledgement { through: Some(Seq(0)), after: Some(Seq(after)) };
        table.acknowledge(follow, &"p".into(), word);
        let seen = fill_some(&recorder, follow).await;
        assert_eq!(String::from_utf8_lossy(&output(&seen)), expected);
    }
    write(&table, "p", "2", "\n").await;
    assert!(output(&recorder.draw_to_close(follow).await) == b"three\n");
    assert_eq!(read_all(&table, "p").await, (0, b"one\ntwo\nthree\n".to_vec()));
}

/// What there is, when there is something.
async fn fill_some(recorder: &Recorder, follow: FollowId) -> Vec<Event> {
    let process = recorder.next().await;
    process.draw(follow, usize::MAX).events
}
