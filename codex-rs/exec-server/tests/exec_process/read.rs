//! Reading what is retained, beside and without following.

use std::time::Duration;

use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_protocol::ids::Seq;

use crate::place::Backend;
use crate::steps::{LONG, Seen, fed, next, numbers, page_bytes, shell, start, text};

cases! {
    everywhere {
        exec_process_retains_output_after_exit_until_streams_close
        a_read_that_finds_nothing_answers_when_its_time_is_over
        pages_follow_one_another_without_gap_or_overlap
        what_was_followed_can_be_read_again
    }
    not_on_reference {
        a_read_waits_for_the_next_output_and_no_longer: "it answers one request after the other, so a read that waits holds back the write that it waits for"
        a_read_says_where_its_output_stands_and_what_is_gone: "it does not count bytes"
    }
}

async fn exec_process_retains_output_after_exit_until_streams_close(backend: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let release = folder.path().join("release");
    let child = format!("while ! test -e {}; do sleep 0.01; done; echo late", release.display());
    let process = start(&backend, shell("p", &format!("echo early; ({child}) & exit 3"))).await;
    let mut events = process.subscribe(Seq::START);
    let mut early = Vec::new();
    let exited = loop {
        match next(&mut events).await {
            ExecProcessEvent::Output { bytes, .. } => early.extend_from_slice(&bytes),
            ExecProcessEvent::Exited { seq, exit } => {
                assert_eq!(exit.code, 3);
                break seq;
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(early, b"early\n");
    let page = process.read(Seq::START, /*max_bytes*/ None, Duration::ZERO).await.expect("it is readable");
    assert_eq!((page_bytes(&page), page.exited, page.closed), (b"early\n".to_vec(), true, false));
    assert_eq!(page.exit_code, Some(3));

    std::fs::write(&release, "").expect("it can be made");
    // The exit was seen, so the read waits for what comes behind it.
    let (mut after, mut late) = (exited, Vec::new());
    loop {
        let page = process.read(after, /*max_bytes*/ None, LONG).await.expect("it is readable");
        late.extend(page_bytes(&page));
        after = Seq(page.next_seq.0 - 1);
        if page.closed {
            break;
        }
    }
    assert_eq!(late, b"late\n");
    // Followers have it, too.
    let mut seen = Seen::default();
    seen.until_closed(&mut process.subscribe(Seq::START)).await;
    assert_eq!((text(&seen.stdout), seen.code()), ("early\nlate\n".into(), 3));
}

async fn a_read_waits_for_the_next_output_and_no_longer(backend: Backend) {
    let process = start(&backend, fed("p", "while read line; do echo $line; done")).await;
    let mut after = Seq::START;
    for n in 0..20 {
        let waiting = process.read(after, /*max_bytes*/ None, LONG);
        let writing = process.write(format!("{n}\n").into());
        let (page, written) = tokio::join!(waiting, writing);
        written.expect("it reads");
        let page = page.expect("it is readable");
        assert_eq!(text(&page_bytes(&page)), format!("{n}\n"));
        after = Seq(page.next_seq.0 - 1);
    }
    process.terminate(/*grace*/ None).await.expect("it runs");
}

async fn a_read_that_finds_nothing_answers_when_its_time_is_over(backend: Backend) {
    let process = start(&backend, shell("p", "exec sleep 1000")).await;
    for wait in [Duration::ZERO, Duration::from_millis(1)] {
        let page = process.read(Seq::START, /*max_bytes*/ None, wait).await.expect("it is readable");
        assert!(page.chunks.is_empty() && !page.exited && !page.closed);
        assert_eq!((page.next_seq, page.exit_code), (Seq(1), None));
    }
    process.terminate(/*grace*/ None).await.expect("it runs");
}

async fn pages_follow_one_another_without_gap_or_overlap(backend: Backend) {
    let process = start(&backend, shell("p", "seq 20000")).await;
    let (mut after, mut read, mut pages) = (Seq::START, Vec::new(), 0);
    loop {
        let page = process.read(after, Some(10_000), LONG).await.expect("it is readable");
        read.extend(page_bytes(&page));
        after = Seq(page.next_seq.0 - 1);
        pages += 1;
        if page.closed && page.chunks.is_empty() {
            break;
        }
    }
    assert!(read == numbers(20_000) && pages > 2, "{} bytes in {pages} pages", read.len());
}

async fn what_was_followed_can_be_read_again(backend: Backend) {
    let process = start(&backend, shell("p", "seq 1000; exit 2")).await;
    let seen = Seen::all(&process).await;
    let page = process.read(Seq::START, /*max_bytes*/ None, Duration::ZERO).await.expect("it is readable");
    assert_eq!((page_bytes(&page), page.closed, page.exit_code), (seen.stdout.clone(), true, Some(2)));
    let page = process
        .read(seen.last(), /*max_bytes*/ None, LONG)
        .await
        .expect("it does not wait for what can't come");
    assert!(page.chunks.is_empty() && page.closed);
}

async fn a_read_says_where_its_output_stands_and_what_is_gone(backend: Backend) {
    const BYTES: u64 = 16 << 20;
    let process = start(&backend, shell("p", &format!("head -c {BYTES} /dev/zero"))).await;
    let seen = Seen::all(&process).await;
    assert_eq!(seen.lost + seen.stdout.len() as u64, BYTES);
    let page = process.read(Seq::START, /*max_bytes*/ None, Duration::ZERO).await.expect("it is readable");
    let dropped = page.dropped.expect("more than is retained");
    assert_eq!(page.output_bytes, Some(BYTES));
    let mut expected = dropped.bytes;
    for chunk in &page.chunks {
        assert_eq!(chunk.offset, Some(expected));
        expected += chunk.chunk.len() as u64;
    }
    assert_eq!((expected, page.chunks[0].seq), (BYTES, dropped.through_seq.next()));
}
