//! Who is told of news, and when.

use std::sync::Arc;

use codex_exec_server_core::event_log::Event;
use codex_exec_server_protocol::process::ProcessState;

use crate::support::{Recorder, close_stdin, output, read_until, shell, small, start_followed, table, write};

#[tokio::test]
async fn nothing_is_told_before_the_start_is_announced_and_then_everything() {
    let table = table(small());
    let (recorder, follow) = Recorder::follow(&table);
    table.start(shell("p", "echo x; exit 2")).await.expect("it starts");
    read_until(&table, "p", |page| page.closed).await;
    assert!(recorder.try_next().is_none());
    table.announce(&"p".into(), follow);
    let events = recorder.draw_to_close(follow).await;
    assert_eq!((output(&events), events.len()), (b"x\n".to_vec(), 3));
    // A second announcement, after a start that was repeated, tells nothing twice.
    table.announce(&"p".into(), follow);
    assert!(recorder.try_next().is_none());
}

#[tokio::test]
async fn a_follower_is_told_once_until_it_has_drawn_everything() {
    let table = table(small());
    let (recorder, follow) = Recorder::follow(&table);
    start_followed(&table, follow, shell("p", "echo a; read line; echo b >&2; read line; echo c; read line"))
        .await;
    let process = recorder.next().await;
    write(&table, "p", "1", "\n").await;
    read_until(&table, "p", |page| page.output_bytes == Some(4)).await;
    write(&table, "p", "2", "\n").await;
    read_until(&table, "p", |page| page.output_bytes == Some(6)).await;
    assert!(recorder.try_next().is_none(), "it knows already");
    // One byte is asked for, one event is given, and there is more.
    let draw = process.draw(follow, /*max_bytes*/ 1);
    assert_eq!((draw.events.len(), draw.more), (1, true));
    let mut drawn = output(&draw.events);
    let draw = process.draw(follow, usize::MAX);
    assert!(!draw.more);
    for event in &draw.events {
        let Event::Output(chunk) = event else { panic!("{event:?}") };
        drawn.extend_from_slice(&chunk.bytes);
    }
    assert_eq!(drawn, b"a\nb\nc\n");
    assert!(recorder.try_next().is_none());
    close_stdin(&table, "p").await;
    assert_eq!(recorder.next().await.id.as_str(), "p");
}

#[tokio::test]
async fn a_follower_that_was_replaced_draws_nothing() {
    let table = table(small());
    let (first, first_id) = Recorder::follow(&table);
    start_followed(&table, first_id, shell("p", "echo a; read line; echo b")).await;
    let process = first.next().await;
    let (second, second_id) = Recorder::follow(&table);
    assert!(process.draw(first_id, usize::MAX).events.is_empty());
    // Late words of the first change nothing for the second.
    table.unfollow(first_id);
    table.announce(&"p".into(), first_id);
    assert!(second.try_next().is_none(), "what is there already is to be read");
    close_stdin(&table, "p").await;
    let events = second.draw_to_close(second_id).await;
    assert_eq!(output(&events), b"b\n");
    assert!(first.try_next().is_none());
}

#[tokio::test]
async fn a_table_without_a_follower_runs_its_processes_all_the_same() {
    let table = table(small());
    let (recorder, follow) = Recorder::follow(&table);
    table.unfollow(follow);
    start_followed(&table, follow, shell("p", "echo x")).await;
    read_until(&table, "p", |page| page.closed).await;
    assert_eq!(table.list().processes[0].state, ProcessState::Closed);
    assert!(recorder.try_next().is_none());
    assert_eq!(Arc::strong_count(&recorder), 1, "the table has let go of it");
}
