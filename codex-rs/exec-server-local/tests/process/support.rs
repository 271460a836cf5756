//! What the tests of this folder share: a table with small bounds, and a follower that a test can look into.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codex_exec_server_core::event_log::Event;
use codex_exec_server_core::limits::{Limits, LogLimits};
use codex_exec_server_local::process::{FollowId, Follower, Process, ProcessHost, ProcessTable};
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{
    ProcessCloseStdinParams, ProcessReadParams, ProcessReadResponse, ProcessStartParams, ProcessWriteParams,
    WriteStatus,
};
use tokio::sync::Notify;

/// Far longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Output that each log keeps.
pub(crate) const RETAIN_BYTES: usize = 64 << 10;

/// The usual bounds, but for small logs.
pub(crate) fn small() -> Limits {
    Limits {
        log: LogLimits {
            retain_bytes: RETAIN_BYTES,
            memory_chunks: 1_000,
            crowded_memory_bytes: 8 << 10,
            chunk_bytes: 8 << 10,
            unread_bytes: 16 << 10,
            in_flight_bytes: 40 << 10,
            ..LogLimits::default()
        },
        ..usual()
    }
}

/// The usual bounds, but no clock decides whether a killed process is dead in time.
pub(crate) fn usual() -> Limits {
    Limits { kill_wait: PATIENCE, ..Limits::default() }
}

pub(crate) fn table(limits: Limits) -> Arc<ProcessTable> {
    ProcessTable::new(ProcessHost::new(BTreeMap::new(), limits, /*state_directory*/ None))
}

/// `script` run by `/bin/sh`, with a pipe as stdin.
pub(crate) fn shell(process_id: &str, script: &str) -> ProcessStartParams {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let cwd = PathUri::from_path_bytes(b"/").expect("a path");
    ProcessStartParams {
        env: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
        pipe_stdin: true,
        ..ProcessStartParams::new(process_id.into(), argv, cwd)
    }
}

/// The numbers up to `n`, as `seq` writes them.
pub(crate) fn numbers(n: u32) -> Vec<u8> {
    (1..=n).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

pub(crate) fn read_params(process: &str, after: u64) -> ProcessReadParams {
    ProcessReadParams {
        process_id: process.into(),
        after_seq: Some(Seq(after)),
        max_bytes: None,
        wait_ms: Some(60_000),
    }
}

/// Reads what there is, or waits for it.
pub(crate) async fn read(table: &ProcessTable, process: &str, after: u64) -> ProcessReadResponse {
    table.read(read_params(process, after)).await.expect("the process is known")
}

/// Reads until `enough`; returns the last page. Every page begins at `after`.
pub(crate) async fn read_until(
    table: &ProcessTable,
    process: &str,
    enough: impl Fn(&ProcessReadResponse) -> bool,
) -> ProcessReadResponse {
    let mut seen = 0;
    loop {
        read(table, process, seen).await;
        let page = read(table, process, /*after*/ 0).await;
        if enough(&page) {
            return page;
        }
        // The page may not have held everything.
        let rows = table.list().processes;
        let row = rows.iter().find(|row| row.process_id.as_str() == process);
        seen = row.expect("the process is known").last_seq.0;
    }
}

pub(crate) fn bytes(page: &ProcessReadResponse) -> Vec<u8> {
    page.chunks.iter().flat_map(|chunk| chunk.chunk.to_vec()).collect()
}

pub(crate) fn write_params(process: &str, write_id: &str, text: &str) -> ProcessWriteParams {
    ProcessWriteParams {
        process_id: process.into(),
        chunk: text.as_bytes().to_vec().into(),
        write_id: write_id.into(),
    }
}

pub(crate) async fn write(table: &ProcessTable, process: &str, write_id: &str, text: &str) -> WriteStatus {
    table.write(write_params(process, write_id, text)).await.expect("it is no failure").status
}

pub(crate) async fn close_stdin(table: &ProcessTable, process: &str) {
    let params = ProcessCloseStdinParams { process_id: process.into(), write_id: "close".into() };
    table.close_stdin(params).await.expect("it is no failure");
}

pub(crate) fn is_known(table: &ProcessTable, process: &str) -> bool {
    table.list().processes.iter().any(|row| row.process_id.as_str() == process)
}

/// Moves the clock on while nothing real is under way.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    // Whoever was woken by that gets to run.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
}

/// A follower that notes who has news.
#[derive(Default)]
pub(crate) struct Recorder {
    news: Mutex<VecDeque<Arc<Process>>>,
    came: Notify,
    /// What it says when it is asked whether it has others to listen to.
    pub(crate) has_others: AtomicBool,
}

impl Follower for Recorder {
    fn ready(&self, process: Arc<Process>, _waiting_bytes: u64) {
        self.news.lock().expect("no panic").push_back(process);
        self.came.notify_one();
    }

    fn has_others(&self) -> bool {
        self.has_others.load(Ordering::Relaxed)
    }
}

impl Recorder {
    /// Follows `table`.
    pub(crate) fn follow(table: &ProcessTable) -> (Arc<Self>, FollowId) {
        let recorder = Arc::new(Self::default());
        let follow = table.follow(Arc::clone(&recorder) as Arc<dyn Follower>, /*window_bytes*/ None);
        (recorder, follow)
    }

    /// The same, and acknowledges what it draws.
    pub(crate) fn follow_within(table: &ProcessTable, window_bytes: u64) -> (Arc<Self>, FollowId) {
        let recorder = Arc::new(Self::default());
        let follow = table.follow(Arc::clone(&recorder) as Arc<dyn Follower>, Some(window_bytes));
        (recorder, follow)
    }

    /// A process that has told of news.
    pub(crate) async fn next(&self) -> Arc<Process> {
        loop {
            let came = self.came.notified();
            if let Some(process) = self.try_next() {
                return process;
            }
            came.await;
        }
    }

    pub(crate) fn try_next(&self) -> Option<Arc<Process>> {
        self.news.lock().expect("no panic").pop_front()
    }

    /// Draws one process's events to its close. It has to be the only one with news.
    pub(crate) async fn draw_to_close(&self, follow: FollowId) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let process = self.next().await;
            loop {
                let draw = process.draw(follow, 4 << 10);
                events.extend(draw.events);
                if !draw.more {
                    break;
                }
            }
            if let Some(Event::Closed(..)) = events.last() {
                return events;
            }
        }
    }
}

/// Starts a process for a follower, as a connection does.
pub(crate) async fn start_followed(table: &Arc<ProcessTable>, follow: FollowId, params: ProcessStartParams) {
    let process: ProcessId = params.process_id.clone();
    table.start(params).await.expect("it starts");
    table.announce(&process, follow);
}

/// All output among `events`, which must be without gaps.
pub(crate) fn output(events: &[Event]) -> Vec<u8> {
    let mut output = Vec::new();
    let first = events.first().map_or(1, |event| event.seq().0);
    for (event, seq) in events.iter().zip(first..) {
        assert_eq!(event.seq(), Seq(seq), "no event is missing");
        if let Event::Output(chunk) = event {
            output.extend_from_slice(&chunk.bytes);
        }
    }
    output
}
