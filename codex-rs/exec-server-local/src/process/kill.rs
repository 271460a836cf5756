//! Ends a process: with notice, and with everything that descends from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_exec_server_protocol::process::ExitReason;

use super::Process;
use crate::os;

/// Asks a process to end, and gives it time to.
pub(super) async fn give_notice(process: &Process, grace: Duration) {
    process.set_ending(ExitReason::Terminated);
    if let Some(child) = process.child()
        && child.signal_group(os::Signal::TERM).is_ok()
    {
        // Whether it used its time or not, what is left is killed next.
        let _ = tokio::time::timeout(grace, process.exited()).await;
    }
}

/// Kills a process and all its descendants.
pub(super) async fn end(process: Arc<Process>, reason: ExitReason) -> os::KillReport {
    process.set_ending(reason);
    let Some(child) = process.child() else { return os::KillReport::default() };
    let wait = process.host.limits.kill_wait;
    let killed = tokio::task::spawn_blocking(move || os::kill_tree(&child, Instant::now() + wait)).await;
    let report = match killed {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => {
            tracing::error!(process = %process.id, %error, "descendants can't be listed; the process group was killed");
            os::KillReport::default()
        }
        Err(panic) => {
            tracing::error!(process = %process.id, %panic, "kill failed");
            os::KillReport::default()
        }
    };
    if !report.survivors.is_empty() {
        tracing::warn!(process = %process.id, survivors = ?report.survivors, "descendants could not be killed");
    }
    let _ = process.killed.set(());
    report
}
