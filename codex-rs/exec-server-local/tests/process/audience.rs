//! Readers on this machine: many at their own pace, and what becomes of a process that nobody reads.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use codex_exec_server_core::process_event::{ExecProcessEvent, Proof};
use codex_exec_server_core::service::{ExecBackend, ExecError, ExecEvents, ExecProcess};
use codex_exec_server_local::LocalBackend;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{ExitReason, ProcessStartParams};
use tokio::runtime::Builder;

use crate::support::{RETAIN_BYTES, numbers, shell, small};

fn backend() -> LocalBackend {
    LocalBackend::new(
        [("PATH".into(), "/usr/bin:/bin".into())].into(),
        small(),
        /*state_directory*/ None,
    )
}

async fn start(backend: &LocalBackend, params: ProcessStartParams) -> Arc<dyn ExecProcess> {
    backend.start(params).await.expect("it starts")
}

pub(crate) async fn next(events: &mut Box<dyn ExecEvents>) -> ExecProcessEvent {
    events.next().await.expect("there is more").expect("the log is in order")
}

/// Output and gaps up to the close: bytes, bytes that are gone, and the proof.
pub(crate) async fn drain(events: &mut Box<dyn ExecEvents>) -> (Vec<u8>, u64, Proof) {
    let (mut output, mut gone) = (Vec::new(), 0);
    loop {
        match next(events).await {
            ExecProcessEvent::Output { bytes, .. } => output.extend_from_slice(&bytes),
            ExecProcessEvent::Gap { bytes, .. } => gone += bytes.expect("a log counts"),
            ExecProcessEvent::Exited { .. } => {}
            ExecProcessEvent::Closed { proof, .. } => {
                assert!(events.next().await.is_none());
                return (output, gone, proof);
            }
        }
    }
}

/// Far more than a small log retains.
const FLOOD: &str = "seq 200000";

#[tokio::test]
async fn a_reader_that_keeps_up_has_everything_and_one_that_stalls_is_told_exactly_what_it_missed() {
    let backend = backend();
    let process = start(&backend, shell("p", FLOOD)).await;
    let (mut quick, mut stalled) = (process.subscribe(Seq::START), process.subscribe(Seq::START));
    let ExecProcessEvent::Output { bytes: first, .. } = next(&mut stalled).await else { panic!("output") };
    let all = numbers(200_000);
    // Which shows that the stalled one does not hold up the process.
    let (output, gone, proof) = drain(&mut quick).await;
    assert!(output == all);
    assert_eq!((gone, proof), (0, Proof::Checksum));

    let (output, gone, proof) = drain(&mut stalled).await;
    assert_eq!(first.len() as u64 + gone + output.len() as u64, all.len() as u64);
    assert!(output == all[all.len() - output.len()..]);
    assert!(output.len() > RETAIN_BYTES / 2 && gone > 0);
    assert_eq!(proof, Proof::Gap);

    // As is one that comes when all is over.
    let (late, gone, proof) = drain(&mut process.subscribe(Seq::START)).await;
    assert!(late == output);
    assert_eq!((gone + late.len() as u64, proof), (all.len() as u64, Proof::Gap));
}

#[tokio::test]
async fn a_process_waits_for_its_only_reader_and_loses_nothing() {
    let backend = backend();
    let process = start(&backend, shell("p", FLOOD)).await;
    let mut events = process.subscribe(Seq::START);
    // Nothing comes any more once the bound on unread output is reached, so this is where it waits.
    let mut before = 0;
    loop {
        let page =
            process.read(Seq::START, /*max_bytes*/ None, Duration::ZERO).await.expect("it is readable");
        let written = page.output_bytes.expect("a log counts");
        if written >= 16 << 10 && written == before {
            assert!(written < RETAIN_BYTES as u64 * 3 && !page.exited);
            break;
        }
        before = written;
        tokio::task::yield_now().await;
    }
    let (output, gone, proof) = drain(&mut events).await;
    assert!(output == numbers(200_000));
    assert_eq!((gone, proof), (0, Proof::Checksum));
}

#[tokio::test]
async fn a_process_whose_handles_are_all_gone_runs_on_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("done");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let backend = backend();
    let process = start(&backend, shell("p", &format!("{FLOOD}; echo x > {}", fifo.display()))).await;
    let mut events = process.subscribe(Seq::START);
    next(&mut events).await;
    drop(process);
    drop(events);
    // Its flood is far more than anything would hold for a reader; opening the pipe waits for it to get there.
    let text = tokio::task::spawn_blocking(move || std::fs::read(fifo));
    assert_eq!(text.await.expect("no panic").expect("it was written"), b"x\n");
}

#[tokio::test]
async fn reading_alone_lets_a_process_go_on_and_loses_nothing() {
    let backend = backend();
    let process = start(&backend, shell("p", FLOOD)).await;
    let (mut after, mut output) = (Seq::START, Vec::new());
    loop {
        let page = process.read(after, Some(4 << 10), Duration::from_secs(60)).await.expect("it is readable");
        for chunk in &page.chunks {
            output.extend_from_slice(&chunk.chunk);
        }
        after = Seq(page.next_seq.0 - 1);
        if page.closed && page.chunks.is_empty() {
            break;
        }
    }
    assert!(output == numbers(200_000));
}

/// Holds the one thread that may block, so that what is started meanwhile stays under way until this is dropped.
fn hold_starts() -> mpsc::Sender<()> {
    let (hold, held) = mpsc::channel();
    tokio::task::spawn_blocking(move || held.recv());
    hold
}

/// Polls a start for the first time.
async fn under_way(start: &mut (impl Future + Unpin)) {
    assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut *start).poll(cx).is_pending())).await, "it is held");
}

#[test]
fn a_start_that_nobody_waits_for_any_more_ends_its_process() {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.expect("there is one").block_on(async {
        let backend = backend();
        let mut params = shell("p", "echo started; sleep 1000");
        params.request_key = Some("key".into());
        let hold = hold_starts();
        let mut given_up = backend.start(params.clone());
        under_way(&mut given_up).await;
        // Somebody else who waits for the same start keeps it alive.
        let mut joined = backend.start(params.clone());
        under_way(&mut joined).await;
        drop((given_up, hold));
        let process = joined.await.expect("it starts");
        assert!(matches!(next(&mut process.subscribe(Seq::START)).await, ExecProcessEvent::Output { .. }));

        let mut params = shell("q", "sleep 1000");
        params.request_key = Some("other".into());
        let hold = hold_starts();
        let mut given_up = backend.start(params.clone());
        under_way(&mut given_up).await;
        drop((given_up, hold));
        // The same start asked for again is given the same process, which tells how it went.
        let process = backend.start(params).await.expect("it did start");
        let mut events = process.subscribe(Seq::START);
        let ExecProcessEvent::Exited { exit, .. } = next(&mut events).await else {
            panic!("it said nothing")
        };
        assert_eq!(exit.reason, Some(ExitReason::Terminated));
        backend.shut_down().await;
    });
}

#[tokio::test]
async fn shutting_down_ends_everything_tells_those_who_follow_and_starts_nothing_more() {
    let backend = backend();
    let process = start(&backend, shell("p", "setsid sleep 1000 & echo $!; sleep 1000")).await;
    let mut events = process.subscribe(Seq::START);
    let ExecProcessEvent::Output { bytes, .. } = next(&mut events).await else { panic!("output") };
    let descendant = String::from_utf8(bytes.to_vec()).expect("a number");
    backend.shut_down().await;
    let (_, _, proof) = drain(&mut events).await;
    assert_eq!(proof, Proof::Checksum);
    let status = std::fs::read_to_string(format!("/proc/{}/stat", descendant.trim()));
    // If init has not collected it yet it is a zombie.
    assert!(status.is_err() || status.is_ok_and(|status| status.contains(") Z ")));
    let refused = backend.start(shell("q", "exit 0")).await.expect_err("it has ended");
    assert!(
        matches!(&refused, ExecError::Refused(error) if error.message == "session has ended"),
        "{refused}"
    );
}
