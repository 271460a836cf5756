//! Those who only watch, beside whoever follows: each at its own pace, and nobody waits for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_exec_server_core::event_log::Event;
use codex_exec_server_local::process::{Acknowledgement, FollowId, Follower, ProcessTable};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{OutputBudget, WhenFull};

use crate::spool::{FLOOD, flood, folder, host, read_all, spooling};
use crate::support::{Recorder, output, read_params, read_until, shell, start_followed, write};

fn watch(table: &ProcessTable, window_bytes: Option<u64>) -> (Arc<Recorder>, FollowId) {
    let recorder = Arc::new(Recorder::default());
    let watch = table.watch(Arc::clone(&recorder) as Arc<dyn Follower>, window_bytes);
    (recorder, watch)
}

#[tokio::test]
async fn each_has_everything_at_its_own_pace_and_one_that_stands_still_costs_a_place_in_the_file() {
    let folder = folder();
    let host = host(spooling(), folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    let (still, still_id) = watch(&table, /*window_bytes*/ None);
    let (follower, follow) = Recorder::follow(&table);
    start_followed(&table, follow, shell("p", FLOOD)).await;
    let (late, late_id) = watch(&table, /*window_bytes*/ None);
    assert!(output(&follower.draw_to_close(follow).await) == flood());
    // Nobody waited for it, and what it has still to take is not in memory.
    assert!(host.spooled_bytes() > 1 << 20);
    assert!(host.output_memory_bytes() <= 256 << 10, "{}", host.output_memory_bytes());
    assert!(output(&still.draw_to_close(still_id).await) == flood());
    let seen = late.draw_to_close(late_id).await;
    assert!(flood().ends_with(&output(&seen)));
    for id in [still_id, late_id] {
        table.unwatch(id);
    }
}

#[tokio::test]
async fn what_was_kept_for_one_that_is_gone_is_given_back() {
    let folder = folder();
    let host = host(spooling(), folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    let (_still, still_id) = watch(&table, /*window_bytes*/ None);
    // It acknowledges, so that nothing is kept for the case that its connection breaks.
    let (follower, follow) = Recorder::follow_within(&table, 32 << 10);
    start_followed(&table, follow, shell("p", FLOOD)).await;
    let mut events: Vec<Event> = Vec::new();
    while !matches!(events.last(), Some(Event::Closed(..))) {
        let process = follower.next().await;
        loop {
            let draw = process.draw(follow, 8 << 10);
            events.extend(draw.events);
            if !draw.more {
                break;
            }
        }
        let through = events.last().map(Event::seq);
        let word = Acknowledgement { through, after: None };
        table.acknowledge(follow, &"p".into(), word);
    }
    assert!(output(&events) == flood() && host.spooled_bytes() > 0);
    table.unwatch(still_id);
    while host.spooled_bytes() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn beyond_the_budget_nothing_is_kept_for_who_stands_still_and_the_process_does_not_wait() {
    let folder = folder();
    let table = ProcessTable::new(host(spooling(), folder.path()));
    let (still, still_id) = watch(&table, /*window_bytes*/ None);
    let (follower, follow) = Recorder::follow(&table);
    let mut params = shell("p", FLOOD);
    params.output = Some(OutputBudget { retain_bytes: Some(200 << 10), when_full: Some(WhenFull::Wait) });
    start_followed(&table, follow, params).await;
    assert!(output(&follower.draw_to_close(follow).await) == flood());
    // What is left, and how it ended; what came between shows as a jump, which a read accounts for.
    let seen = still.draw_to_close(still_id).await;
    // The exit may come before the last of the output.
    assert!(seen.iter().any(|event| matches!(event, Event::Exited(_, exit) if exit.code == 0)));
    let Some(Event::Closed(_, totals)) = seen.last() else { panic!("it does not end with the close") };
    assert_eq!(totals.output_bytes, flood().len() as u64);
    let (gone, all) = read_all(&table, "p").await;
    assert!(gone > 500 << 10 && flood().ends_with(&all), "{gone} bytes are gone");
}

#[tokio::test]
async fn what_one_of_them_reads_says_nothing_of_what_the_others_have() {
    let folder = folder();
    let table = ProcessTable::new(host(spooling(), folder.path()));
    let (_first, follow) = Recorder::follow_within(&table, 32 << 10);
    start_followed(&table, follow, shell("p", "echo one; read line; echo two; exec sleep 1000")).await;
    read_until(&table, "p", |page| page.output_bytes == Some(4)).await;
    table.unfollow(follow);
    let began = Instant::now();
    let (holder, _) = Recorder::follow_within(&table, 32 << 10);
    let (_watcher, watcher_id) = watch(&table, Some(32 << 10));
    write(&table, "p", "1", "\n").await;
    // Everything, to the end.
    let mut reading = read_params("p", /*after*/ 0);
    loop {
        let page = table.read_by(watcher_id, reading.clone()).await.expect("it is known");
        if page.output_bytes == Some(8) {
            break;
        }
        reading.after_seq = Some(Seq(page.next_seq.0 - 1));
    }
    // The holder has not said what it has, nor read; it has ten seconds to.
    assert!(holder.try_next().is_none() || began.elapsed() > Duration::from_secs(9));
    table.shut_down().await;
}
