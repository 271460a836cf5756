//! The one task that moves a process's output from the operating system into its log, and sees it end.
//!
//! Exit is not close: the log is closed when every stream has ended, which a descendant that inherited one may put
//! off long after the process itself is gone. Only a kill that has reached everything it could ends that wait.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::event_log::Exit;
use codex_exec_server_protocol::process::{ExitReason, ProcessUsage};
use tokio::time::{Instant, sleep_until};

use super::Process;
use super::denial;
use super::kill::end;
use super::stdin::StdinPipe;
use super::tap::{Beside, Stopped, Tap};
use super::watch::watch_child;
use crate::os;

const KILLED: os::Status = os::Status::Signalled(os::Signal::KILL.as_raw());

/// See the module. Returns when the log is closed and nothing is left of the process. Time is counted from `started`, which is before the process ran: on a busy
/// machine it may have run for a while before this does.
pub(super) async fn supervise(
    started: Instant,
    process: Arc<Process>,
    child: Arc<os::Child>,
    taps: Vec<Tap>,
    stdin: Option<Arc<StdinPipe>>,
) {
    let exit = async {
        match watch_child(Arc::clone(&child)) {
            Ok(watched) => loop {
                match watched.readable().await {
                    Ok(mut ready) => match child.try_wait() {
                        Ok(Some(exit)) => return exit,
                        Ok(None) => ready.clear_ready(),
                        Err(error) => return lost(&process, &error),
                    },
                    Err(error) => return lost(&process, &error),
                }
            },
            Err(error) => lost(&process, &error),
        }
    };
    let pump = async {
        if let Some(stdin) = &stdin {
            stdin.pump().await;
        }
    };
    let timeout = async {
        match process.about.timeout.and_then(|timeout| started.checked_add(timeout)) {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
    };
    let ending = async {
        tokio::select! {
            _ = process.unwanted.wait() => {
                end(Arc::clone(&process), ExitReason::Terminated).await;
            }
            () = timeout => {
                if !process.is_exited() {
                    end(Arc::clone(&process), ExitReason::TimedOut).await;
                }
            }
        }
    };
    let give_up = async {
        process.killed.wait().await;
        tokio::time::sleep(process.host.limits.close_grace).await;
    };
    tokio::pin!(exit, pump, ending, give_up);

    let mut taps = Taps { process: &process, taps, second_next: false };
    let (mut exited, mut pumped, mut ended) = (false, false, false);
    while !(exited && taps.taps.is_empty()) {
        tokio::select! {
            biased;
            () = taps.read() => {}
            status = &mut exit, if !exited => {
                // The kernel closes a dying process's files before it reports the death, so what it wrote is here.
                taps.read_what_is_there();
                exited = true;
                process.push_exited(exit_event(&process, &status, started.elapsed().as_millis()));
            }
            () = &mut pump, if !pumped => pumped = true,
            () = &mut ending, if !ended => ended = true,
            () = &mut give_up, if exited => {
                taps.read_what_is_there();
                taps.taps.clear();
            }
        }
    }
    if let Some(stdin) = &stdin {
        stdin.abandon();
    }
    let Some(held) = process.take_held() else { return process.push_closed() };
    // A launcher waits for everybody inside before it ends; one that was killed could not, and they may be dying.
    let was_killed = child.try_wait().is_ok_and(|exit| exit.is_some_and(|exit| exit.status == KILLED));
    let leaves_traces = was_killed || held.has_placeholders();
    let (wait, child) = (process.host.limits.kill_wait, Arc::clone(&child));
    let released = tokio::task::spawn_blocking(move || {
        if was_killed {
            let _ = os::kill_tree(&child, std::time::Instant::now() + wait);
        }
        drop(held);
    });
    // Where nothing is left that anybody could find, nobody waits for the kernel to take the sandbox apart.
    if !leaves_traces {
        process.push_closed();
    }
    // It only tidies up; a panic there is told by the runtime and changes nothing here.
    let _ = released.await;
    if leaves_traces {
        process.push_closed();
    }
}

/// The kernel would not tell how the process ended. Can't happen while nobody else waits for our children.
fn lost(process: &Process, error: &io::Error) -> os::Exit {
    tracing::error!(process = %process.id, %error, "exit status was lost");
    let usage = os::Usage { user: Duration::ZERO, system: Duration::ZERO, max_rss_bytes: None };
    os::Exit { status: os::Status::Exited(255), usage }
}

fn exit_event(process: &Process, exit: &os::Exit, wall_ms: u128) -> Exit {
    let signal = match exit.status {
        os::Status::Exited(_) => None,
        os::Status::Signalled(signal) => Some(signal),
    };
    let asked = *process.ending.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let own = if signal.is_some() { ExitReason::Signalled } else { ExitReason::Exited };
    let denials = process.denials();
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Exit {
        code: exit.code(),
        reason: asked.unwrap_or(own),
        signal,
        usage: ProcessUsage {
            wall_ms: u64::try_from(wall_ms).unwrap_or(u64::MAX),
            user_ms: ms(exit.usage.user),
            system_ms: ms(exit.usage.system),
            max_rss_bytes: exit.usage.max_rss_bytes,
        },
        sandbox_denied: match &denials {
            Some(denials) => denial::is_shown(denials, exit.code()),
            None => process.is_confined() && denial::is_suspected(&mut process.reading().log, exit.code()),
        },
        denials: denials.map(|denials| denials.into_iter().map(denial::told).collect()),
    }
}

struct Taps<'a> {
    process: &'a Arc<Process>,
    taps: Vec<Tap>,
    /// Streams take turns when both have something; stdout begins.
    second_next: bool,
}

impl Taps<'_> {
    /// Waits until some stream has something and the log has room, and reads it. Never returns without streams.
    async fn read(&mut self) {
        let process = self.process;
        loop {
            // Registered before the log is asked, so that room made in between is not missed.
            let drained = process.drained.notified();
            match process.must_wait() {
                None => break,
                Some(None) => drained.await,
                Some(Some(until)) => {
                    // Either is a reason to ask again.
                    let _ = tokio::time::timeout_at(until, drained).await;
                }
            }
        }
        let (index, ready) = match &self.taps[..] {
            [] => return pending().await,
            [only] => (0, only.ready().await),
            [first, second, ..] if self.second_next => tokio::select! {
                biased;
                ready = second.ready() => (1, ready),
                ready = first.ready() => (0, ready),
            },
            [first, second, ..] => tokio::select! {
                biased;
                ready = first.ready() => (0, ready),
                ready = second.ready() => (1, ready),
            },
        };
        self.second_next = index == 0;
        let Ok(mut ready) = ready else {
            self.taps.remove(index);
            return;
        };
        let beside = if process.reading().is_beside_others() { Beside::Others } else { Beside::Nobody };
        if self.taps[index].comes_last(beside) {
            // Losing this wait loses nothing: what told that it is time still says so.
            tokio::task::yield_now().await;
        }
        let (stopped, bytes) = self.taps[index].read_turn(process, beside);
        if self.taps[index].is_to_rest(stopped, beside)
            && let Some(ready) = &mut ready
        {
            ready.clear_ready();
        }
        if stopped == Stopped::End {
            self.taps.remove(index);
            return;
        }
        let tap = &mut self.taps[index];
        tap.settle(stopped, bytes, beside);
        if stopped == Stopped::Turn || tap.is_due() {
            tokio::task::yield_now().await;
        }
    }

    /// Reads what the streams hold at this moment, as far as the log has room.
    fn read_what_is_there(&mut self) {
        let process = self.process;
        self.taps.retain(|tap| tap.read_all(process) != Stopped::End);
    }
}
