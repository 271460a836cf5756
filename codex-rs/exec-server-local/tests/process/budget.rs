//! What happens when a log is full: the process waits, or the oldest output goes.

use std::time::Duration;

use codex_exec_server_core::event_log::Event;
use codex_exec_server_core::limits::Limits;
use codex_exec_server_protocol::process::{
    OutputBudget, OutputStream, ProcessReadParams, ProcessStartParams, ProcessState, WhenFull,
};

use crate::support::{
    RETAIN_BYTES, Recorder, bytes, numbers, output, pass, read, read_params, read_until, shell, small,
    start_followed, table,
};

/// A pipe's worth of output per stream can be read beyond the budget, never more.
const SLACK_BYTES: u64 = 2 * (64 << 10);

const FLOOD: &str = "seq 200000";

fn flood() -> Vec<u8> {
    numbers(200_000)
}

fn when_full(when_full: WhenFull, mut params: ProcessStartParams) -> ProcessStartParams {
    params.output = Some(OutputBudget { retain_bytes: None, when_full: Some(when_full) });
    params
}

fn drop_oldest(params: ProcessStartParams) -> ProcessStartParams {
    when_full(WhenFull::DropOldest, params)
}

fn wait(params: ProcessStartParams) -> ProcessStartParams {
    when_full(WhenFull::Wait, params)
}

fn is_full(page: &codex_exec_server_protocol::process::ProcessReadResponse) -> bool {
    page.output_bytes.is_some_and(|bytes| bytes >= RETAIN_BYTES as u64)
}

#[tokio::test]
async fn a_process_that_nobody_follows_stops_at_its_budget_and_goes_on_when_it_is_followed_and_read() {
    let table = table(small());
    table.start(wait(shell("p", FLOOD))).await.expect("it starts");
    let page = read_until(&table, "p", is_full).await;
    let stopped_at = page.output_bytes.expect("told");
    assert!(stopped_at <= RETAIN_BYTES as u64 + SLACK_BYTES);
    // Reading without following lets nothing go: whoever comes next shall have it all.
    for n in 0..3 {
        let other = format!("other{n}");
        table.start(shell(&other, "exit 0")).await.expect("it starts");
        read_until(&table, &other, |page| page.closed).await;
        let page = read(&table, "p", /*after*/ 0).await;
        assert!(page.output_bytes.expect("told") <= RETAIN_BYTES as u64 + SLACK_BYTES);
        assert_eq!((page.dropped, page.exited), (None, false));
    }
    assert_eq!(table.list().processes[0].state, ProcessState::Running);

    let (recorder, follow) = Recorder::follow(&table);
    let missed = read(&table, "p", /*after*/ 0).await;
    assert_eq!(missed.dropped, None);
    // Having read beyond it lets the process go on.
    let tip = missed.next_seq.0 - 1;
    let reading = async { read(&table, "p", tip).await };
    let (events, _) = tokio::join!(recorder.draw_to_close(follow), reading);
    let pushed_from = events[0].seq().0;
    let mut all: Vec<u8> = missed
        .chunks
        .iter()
        .filter(|chunk| chunk.seq.0 < pushed_from)
        .flat_map(|chunk| chunk.chunk.to_vec())
        .collect();
    all.extend(output(&events));
    assert!(all == flood());
}

#[tokio::test]
async fn what_was_missed_is_held_for_ten_seconds_and_then_may_go() {
    let table = table(small());
    table.start(wait(shell("p", FLOOD))).await.expect("it starts");
    read_until(&table, "p", is_full).await;
    let (recorder, follow) = Recorder::follow(&table);
    // Not the whole ten seconds: real ones pass as well while another process runs and this one could go on.
    pass(Duration::from_secs(1)).await;
    table.start(shell("other", "exit 0")).await.expect("it starts");
    read_until(&table, "other", |page| page.closed).await;
    assert_eq!(table.list().processes[0].dropped, None, "the client that came back may still read it");
    pass(Duration::from_secs(10)).await;
    // Nobody read it. The process goes on, for the follower, and the oldest is dropped and accounted for.
    let events = recorder.draw_to_close(follow).await;
    let pushed = output(&events);
    let all = flood();
    assert!(pushed.len() < all.len() && pushed == all[all.len() - pushed.len()..]);
    let page = read(&table, "p", /*after*/ 0).await;
    let dropped = page.dropped.expect("something was dropped");
    assert!(bytes(&page) == all[usize::try_from(dropped.bytes).expect("it fits")..]);
    assert_eq!(page.chunks[0].seq, dropped.through_seq.next());
}

#[tokio::test]
async fn what_was_missed_is_held_for_as_long_as_it_is_being_read() {
    let table = table(small());
    table.start(wait(shell("p", FLOOD))).await.expect("it starts");
    read_until(&table, "p", is_full).await;
    let (recorder, follow) = Recorder::follow(&table);
    let tip = table.list().processes[0].last_seq.0;
    let (mut missed, mut after) = (Vec::new(), 0);
    while after < tip {
        // More than ten seconds in all, and far less between two reads, as real ones pass as well.
        pass(Duration::from_secs(2)).await;
        let page = ProcessReadParams { max_bytes: Some(1), ..read_params("p", after) };
        let page = table.read(page).await.expect("the process is known");
        // What was read may go by now; what comes next may not.
        assert_eq!(page.chunks[0].seq.0, after + 1);
        missed.extend(bytes(&page));
        after = page.next_seq.0 - 1;
    }
    missed.extend(output(&recorder.draw_to_close(follow).await));
    assert!(missed == flood());
}

#[tokio::test]
async fn a_process_that_drops_its_oldest_output_ends_without_any_reader() {
    let table = table(small());
    table.start(drop_oldest(shell("p", FLOOD))).await.expect("it starts");
    let mut seen = 0;
    let page = loop {
        let page = read(&table, "p", seen).await;
        seen = page.next_seq.0 - 1;
        if page.closed {
            break read(&table, "p", /*after*/ 0).await;
        }
    };
    let all = flood();
    let dropped = page.dropped.expect("it wrote more than is retained");
    assert_eq!(page.output_bytes, Some(all.len() as u64));
    assert!(bytes(&page) == all[usize::try_from(dropped.bytes).expect("it fits")..]);
    assert!(bytes(&page).len() <= RETAIN_BYTES);
}

#[tokio::test]
async fn a_follower_that_does_not_draw_stops_a_process_that_waits_and_not_one_that_drops() {
    let table = table(small());
    let (recorder, follow) = Recorder::follow(&table);
    start_followed(&table, follow, shell("waits", FLOOD)).await;
    start_followed(&table, follow, drop_oldest(shell("drops", FLOOD))).await;
    let mut seen = 0;
    while !{
        let page = read(&table, "drops", seen).await;
        seen = page.next_seq.0 - 1;
        page.closed
    } {}
    let waits =
        table.list().processes.into_iter().find(|row| row.process_id.as_str() == "waits").expect("known");
    assert_eq!((waits.state, waits.dropped), (ProcessState::Running, None));
    assert!(waits.output_bytes <= (16 << 10) + SLACK_BYTES, "{} bytes were taken", waits.output_bytes);
    drop(recorder);
    table.shut_down().await;
}

#[tokio::test]
async fn a_follower_that_draws_gets_everything_in_order() {
    let table = table(small());
    let (recorder, follow) = Recorder::follow(&table);
    start_followed(&table, follow, shell("p", &format!("{FLOOD}; seq 3 >&2; exit 9"))).await;
    let events = recorder.draw_to_close(follow).await;
    // Two pipes have no order between them; the log has one.
    let of = |wanted: OutputStream| -> Vec<u8> {
        let chunks = events.iter().filter_map(|event| match event {
            Event::Output(chunk) if chunk.stream == wanted => Some(chunk.bytes.to_vec()),
            Event::Output(_) | Event::Exited(..) | Event::Closed(..) => None,
        });
        chunks.flatten().collect()
    };
    assert!(of(OutputStream::Stdout) == flood() && of(OutputStream::Stderr) == numbers(3));
    let all = output(&events);
    let totals = events.iter().find_map(|event| match event {
        Event::Closed(_, totals) => Some(*totals),
        Event::Output(_) | Event::Exited(..) => None,
    });
    assert_eq!(totals.expect("it closed").output_bytes, all.len() as u64);
    assert!(events.iter().all(|event| !matches!(event, Event::Output(chunk) if chunk.bytes.len() > 8 << 10)));
}

#[tokio::test]
async fn a_crowded_server_keeps_less_of_each_process_and_loses_nothing_on_the_way() {
    let table = table(Limits { output_memory_total_bytes: 20 << 10, ..small() });
    let (recorder, follow) = Recorder::follow(&table);
    for name in ["one", "two", "three"] {
        start_followed(&table, follow, shell(name, FLOOD)).await;
        assert!(output(&recorder.draw_to_close(follow).await) == flood());
    }
    let kept: usize = ["one", "two", "three"].len() * (16 << 10);
    let mut bytes_kept = 0;
    for name in ["one", "two", "three"] {
        bytes_kept += bytes(&read(&table, name, /*after*/ 0).await).len();
    }
    assert!(bytes_kept <= kept + (20 << 10), "{bytes_kept} bytes are kept");
}
