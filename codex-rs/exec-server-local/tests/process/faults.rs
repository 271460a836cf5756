//! Readers that hardly read, and processes that write byte by byte: what is kept, and what is given back.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_exec_server_core::event_log::Event;
use codex_exec_server_local::process::{Acknowledgement, ProcessTable};
use codex_exec_server_protocol::ids::Seq;

use crate::spool::{FLOOD, folder, host, spooling};
use crate::support::{Recorder, numbers, output, read_until, shell, small, start_followed, table};

/// Its readers have everything through `seq`.
fn word(seq: Seq) -> Acknowledgement {
    Acknowledgement { through: Some(seq), after: None }
}

#[tokio::test]
async fn a_reader_of_one_event_at_a_time_has_everything_and_nothing_before_it_asks() {
    let mut limits = small();
    limits.log.chunk_bytes = 16;
    let table = table(limits);
    let (recorder, follow) = Recorder::follow_within(&table, /*window_bytes*/ 1);
    start_followed(&table, follow, shell("p", "seq 300; exit 4")).await;
    // It does not hold up the process, which is over before it has read a word.
    read_until(&table, "p", |page| page.closed).await;
    let mut events = Vec::new();
    while !matches!(events.last(), Some(Event::Closed(..))) {
        let process = recorder.next().await;
        let draw = process.draw(follow, usize::MAX);
        assert_eq!((draw.events.len(), draw.more), (1, false));
        assert!(process.draw(follow, usize::MAX).events.is_empty());
        events.extend(draw.events);
        let last = events.last().expect("there is one").seq();
        table.acknowledge(follow, &"p".into(), word(last));
    }
    assert_eq!(output(&events), numbers(300));
    assert!(events.len() > 1_000 / 16, "it came in {} events", events.len());
}

/// What the nameless files in `folder` take of its disk.
fn blocks_in(folder: &Path) -> u64 {
    let fds = std::fs::read_dir("/proc/self/fd").expect("there is one");
    let in_folder = |fd: &PathBuf| std::fs::read_link(fd).is_ok_and(|link| link.starts_with(folder));
    let fds = fds.flatten().map(|entry| entry.path()).filter(in_folder);
    fds.filter_map(|fd| std::fs::metadata(fd).ok()).map(|file| file.blocks()).sum()
}

#[tokio::test]
async fn what_everybody_has_is_given_back_to_the_disk() {
    let folder = folder();
    let host = host(spooling(), folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    let (recorder, follow) = Recorder::follow_within(&table, /*window_bytes*/ 1);
    start_followed(&table, follow, shell("p", FLOOD)).await;
    read_until(&table, "p", |page| page.closed).await;
    assert!(blocks_in(folder.path()) > 0 && host.spooled_bytes() > 0);
    table.acknowledge(follow, &"p".into(), word(Seq(u64::MAX)));
    // It is cut down by a thread that may wait for the disk.
    while blocks_in(folder.path()) > 0 || host.spooled_bytes() > 0 {
        tokio::task::yield_now().await;
    }
    drop(recorder);
}

#[tokio::test]
#[ignore = "takes a minute: `just soak-output`"]
async fn soak_ten_million_single_bytes_arrive() {
    const BYTES: u64 = 10_000_000;
    let folder = folder();
    let table = ProcessTable::new(host(spooling(), folder.path()));
    let (recorder, follow) = Recorder::follow(&table);
    let script = format!("dd if=/dev/zero bs=1 count={BYTES} status=none");
    start_followed(&table, follow, shell("p", &script)).await;
    let (mut bytes, mut last) = (0, Seq::START);
    loop {
        let process = recorder.next().await;
        loop {
            let draw = process.draw(follow, 64 << 10);
            for event in &draw.events {
                assert_eq!(event.seq(), last.next());
                last = event.seq();
                match event {
                    Event::Output(chunk) => bytes += chunk.bytes.len() as u64,
                    Event::Closed(_, totals) => {
                        return assert_eq!((bytes, totals.output_bytes), (BYTES, BYTES));
                    }
                    Event::Exited(..) => {}
                }
            }
            if !draw.more {
                break;
            }
        }
    }
}
