//! Login files that misbehave while a snapshot is taken of what they leave: the start is made even so, in bounded time, and
//! nothing stays behind.
//!
//! The login files here tell by their stdin whether they are being asked: nobody feeds the shell that is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::limits::{Limits, ShellLimits};
use codex_exec_server_local::process::ProcessTable;
use codex_exec_server_protocol::environment::ShellInfo;
use codex_exec_server_protocol::process::{
    ProcessReadResponse, ProcessSignal, ProcessSignalParams, ProcessStartParams, ProcessTerminateParams,
    ShellSnapshot,
};
use rustix::fs::Mode;
use tokio::task::JoinSet;

use crate::support::{read_until, shell, table, usual};

/// So long that a test ends by something else, or not at all.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// A home whose login files run `asked` while they are being asked, and leave a line in `ran` in any case.
struct Home(tempfile::TempDir);

impl Home {
    fn with(asked: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display();
        let profile = format!(
            "echo ran >> {path}/ran\nhello() {{ echo hello; }}\nif ! [ -p /dev/stdin ]; then\n{asked}\n:\nfi\n"
        );
        std::fs::write(folder.path().join(".profile"), profile).expect("it is written");
        Self(folder)
    }

    fn ran(&self) -> usize {
        std::fs::read_to_string(self.0.path().join("ran")).map_or(0, |text| text.lines().count())
    }

    fn fifo(&self) -> PathBuf {
        let path = self.0.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RWXU).expect("a pipe");
        path
    }

    /// A function that only login files can have brought.
    fn start(&self, id: &str) -> ProcessStartParams {
        let shell_info = ShellInfo { name: "bash".into(), path: "/bin/bash".into() };
        ProcessStartParams {
            argv: ["/bin/bash", "-lc", "hello; tr '\\0' ' ' < /proc/$$/cmdline"].map(str::to_owned).to_vec(),
            env: BTreeMap::from([("HOME".to_owned(), self.0.path().display().to_string())]),
            shell_snapshot: Some(ShellSnapshot { scope_id: "s".into(), shell: shell_info }),
            ..shell(id, "")
        }
    }
}

fn with(change: impl FnOnce(&mut ShellLimits)) -> Arc<ProcessTable> {
    let mut shell = ShellLimits { snapshot_wait: NEVER, ..ShellLimits::default() };
    change(&mut shell);
    table(Limits { shell, ..usual() })
}

fn said(page: &ProcessReadResponse) -> String {
    page.chunks.iter().map(|chunk| String::from_utf8_lossy(&chunk.chunk.0).into_owned()).collect()
}

/// What a start says, and how its shell was started.
async fn started(table: &Arc<ProcessTable>, params: ProcessStartParams) -> (String, &'static str) {
    let id = params.process_id.clone();
    table.start(params).await.expect("it starts");
    let text = said(&read_until(table, id.as_str(), |page| page.closed).await);
    let (greeting, words) = text.split_once('\n').expect("two lines");
    let flags = match words.split(' ').nth(1) {
        Some("-lc") => "as it is",
        Some("-c") => "from a snapshot",
        other => panic!("{other:?}"),
    };
    (greeting.to_owned(), flags)
}

#[tokio::test]
async fn files_that_do_no_harm_are_read_once() {
    let (home, table) = (Home::with(""), with(|_| {}));
    for id in ["a", "b"] {
        assert_eq!(started(&table, home.start(id)).await, ("hello".to_owned(), "from a snapshot"));
    }
    assert_eq!(home.ran(), 1);
    table.shut_down().await;
}

#[tokio::test]
async fn files_that_hang_are_ended_in_time_and_read_at_each_start() {
    let (home, table) =
        (Home::with("sleep 100000"), with(|shell| shell.snapshot_wait = Duration::from_millis(200)));
    for id in ["a", "b"] {
        assert_eq!(started(&table, home.start(id)).await, ("hello".to_owned(), "as it is"));
    }
    table.shut_down().await;
}

#[tokio::test]
async fn files_that_end_the_shell_or_break_it_are_read_at_each_start() {
    for asked in [
        "exit 0",
        "exit 7",
        "kill -9 $$",
        "exec true",
        "exec > /dev/null",
        "printf() { echo gotcha; }; builtin() { echo gotcha; }",
        "set -n",
    ] {
        let (home, table) = (Home::with(asked), with(|_| {}));
        for id in ["a", "b"] {
            assert_eq!(started(&table, home.start(id)).await, ("hello".to_owned(), "as it is"), "{asked}");
        }
        assert_eq!(home.ran(), 3, "{asked}");
        table.shut_down().await;
    }
}

#[tokio::test]
async fn files_that_print_much_are_read_once() {
    let (home, table) =
        (Home::with("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"), with(|_| {}));
    for id in ["a", "b"] {
        assert_eq!(started(&table, home.start(id)).await, ("hello".to_owned(), "from a snapshot"));
    }
    assert_eq!(home.ran(), 1);
    table.shut_down().await;
}

#[tokio::test]
async fn files_that_leave_too_much_are_read_at_each_start() {
    let much = "eval \"much() { : $(head -c 20000 /dev/zero | tr '\\0' x); }\"";
    for (bytes, flags) in [(16 << 10, "as it is"), (64 << 10, "from a snapshot")] {
        let (home, table) = (Home::with(much), with(|shell| shell.snapshot_bytes = bytes));
        for id in ["a", "b"] {
            assert_eq!(started(&table, home.start(id)).await, ("hello".to_owned(), flags));
        }
        table.shut_down().await;
    }
}

#[tokio::test]
async fn what_is_kept_has_a_bound_and_may_be_nothing() {
    let (home, table) = (Home::with(""), with(|shell| shell.snapshots_per_session = 1));
    let scope = |id: &str, scope: &str| {
        let mut params = home.start(id);
        params.shell_snapshot.as_mut().expect("it has one").scope_id = scope.to_owned();
        params
    };
    for (id, name) in [("a", "s"), ("b", "t"), ("c", "s")] {
        assert_eq!(started(&table, scope(id, name)).await.1, "from a snapshot");
    }
    assert_eq!(home.ran(), 3);
    table.shut_down().await;

    let (home, table) = (Home::with(""), with(|shell| shell.snapshots_per_session = 0));
    assert_eq!(started(&table, home.start("a")).await, ("hello".to_owned(), "as it is"));
    assert_eq!(home.ran(), 1);
    table.shut_down().await;
}

#[tokio::test]
async fn starts_at_the_same_time_wait_for_one_snapshot() {
    let (home, table) = (Home::with(""), with(|_| {}));
    let mut starts = JoinSet::new();
    for n in 0..8 {
        let (table, params) = (Arc::clone(&table), home.start(&format!("p{n}")));
        starts.spawn(async move { started(&table, params).await });
    }
    for outcome in starts.join_all().await {
        assert_eq!(outcome, ("hello".to_owned(), "from a snapshot"));
    }
    assert_eq!(home.ran(), 1);
    table.shut_down().await;
}

#[tokio::test]
async fn who_acts_on_a_process_need_not_wait_for_its_snapshot() {
    for acts in ["terminate", "signal"] {
        let (home, table) = (Home::with(""), with(|_| {}));
        let fifo = home.fifo();
        let profile =
            format!("if ! [ -p /dev/stdin ]; then echo asked > {}; sleep 100000; fi; cat", fifo.display());
        std::fs::write(home.0.path().join(".profile"), profile).expect("it is written");
        let (starting, params) = (Arc::clone(&table), home.start("p"));
        let start = tokio::spawn(async move { starting.start(params).await });
        // It is being asked, and will never answer.
        let asked =
            tokio::task::spawn_blocking(move || std::fs::read_to_string(fifo)).await.expect("no panic");
        assert_eq!(asked.expect("it was written to"), "asked\n");
        if acts == "signal" {
            let signal = ProcessSignal::Kill;
            table.signal(ProcessSignalParams { process_id: "p".into(), signal }).await.expect("it is told");
        } else {
            let params = ProcessTerminateParams { process_id: "p".into(), grace_ms: None, request_key: None };
            assert!(table.terminate(params).await.expect("it ends").running);
        }
        start.await.expect("no panic").expect("it started");
        assert_eq!(read_until(&table, "p", |page| page.closed).await.exit_code, Some(137));
        // Waits until whoever is asked has been ended, too.
        table.shut_down().await;
    }
}

#[tokio::test]
async fn the_end_of_a_session_ends_what_is_being_asked() {
    let (home, table) = (Home::with(""), with(|_| {}));
    let fifo = home.fifo();
    let profile = format!("echo $$ > {}; exec sleep 100000", fifo.display());
    std::fs::write(home.0.path().join(".profile"), profile).expect("it is written");
    let (starting, params) = (Arc::clone(&table), home.start("p"));
    let start = tokio::spawn(async move { starting.start(params).await });
    let told = tokio::task::spawn_blocking(move || std::fs::read_to_string(fifo)).await.expect("no panic");
    let os_pid = told.expect("it was written to").trim().to_owned();
    table.shut_down().await;
    // Whether it started or not is a matter of a moment.
    let _ = start.await.expect("no panic");
    let alive = std::fs::read_link(format!("/proc/{os_pid}/exe")).is_ok_and(|exe| exe.ends_with("sleep"));
    assert!(!alive, "{os_pid} is alive");
}
