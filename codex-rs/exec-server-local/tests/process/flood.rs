//! Much output in small pieces: it is read in larger ones, and nothing of it is kept waiting.

use std::sync::Arc;

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

#[tokio::test]
async fn a_flood_arrives_whole_and_neither_its_end_nor_what_comes_later_waits_for_more() {
    let table = table(usual());
    let (recorder, follow) = Recorder::follow(&table);
    start_followed(&table, follow, shell("p", SCRIPT)).await;
    let mut events = Vec::new();
    while output(&events).len() < PIECES * PIECE_BYTES {
        draw(&recorder.next().await, follow, &mut events);
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
