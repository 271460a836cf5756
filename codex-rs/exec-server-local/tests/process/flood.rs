//! Much output in small pieces: it is read in larger ones, and nothing of it is kept waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use codex_exec_server_core::event_log::Event;
use codex_exec_server_local::process::{FollowId, Process};

use crate::support::{Recorder, close_stdin, output, shell, start_followed, table, usual, write};

/// Each is written by itself.
const PIECE_BYTES: usize = 512;
const PIECES: usize = 8_192;

/// Floods, waits for a line, says something small, waits for the end of its stdin.
const SCRIPT: &str = "dd if=/dev/zero bs=512 count=8192 status=none; read line; printf after; cat; exit 3";

/// Draws what the process has said so far.
fn draw(process: &Arc<Process>, follow: FollowId, events: &mut Vec<Event>) {
    loop {
        let draw = process.draw(follow, 64 << 10);
        events.extend(draw.events);
        if !draw.more {
            return;
        }
    }
}

/// Follows the flood to its end; `has_others` says of each draw whether others are listened to from then on.
async fn arrives_whole(has_others: impl Fn(usize) -> bool) {
    let table = table(usual());
    let (recorder, follow) = Recorder::follow(&table);
    start_followed(&table, follow, shell("p", SCRIPT)).await;
    let (mut events, mut draws) = (Vec::new(), 0);
    while output(&events).len() < PIECES * PIECE_BYTES {
        recorder.has_others.store(has_others(draws), Ordering::Relaxed);
        draw(&recorder.next().await, follow, &mut events);
        draws += 1;
    }

    // It is alive and silent, twice.
    write(&table, "p", "line", "\n").await;
    while !output(&events).ends_with(b"after") {
        draw(&recorder.next().await, follow, &mut events);
    }
    close_stdin(&table, "p").await;
    while !matches!(events.last(), Some(Event::Closed(..))) {
        draw(&recorder.next().await, follow, &mut events);
    }
    let mut expected = vec![0; PIECES * PIECE_BYTES];
    expected.extend(b"after");
    assert!(output(&events) == expected);
    assert!(matches!(&events[events.len() - 2], Event::Exited(_, exit) if exit.code == 3));
}

#[tokio::test]
async fn a_flood_arrives_whole_and_neither_its_end_nor_what_comes_later_waits_for_more() {
    arrives_whole(|_| false).await;
}

#[tokio::test]
async fn a_flood_beside_others_arrives_whole_whenever_they_come_and_go() {
    arrives_whole(|_| true).await;
    arrives_whole(|draws| draws % 2 == 0).await;
    arrives_whole(|draws| draws >= 8).await;
}
