//! Signals that reach this command, passed on to the process; and the way out when that does not help.
//!
//! An interrupt is the process's to handle. A second one within two seconds, or any other signal to end, means this
//! command: then the process is left running where that was asked for, and ended by force elsewhere. A process that does
//! not end then is left alone after a while, or at the next signal at once: it must always be possible to get rid of this
//! command.

use std::io;
use std::time::Duration;

use codex_exec_server_client::{RemoteProcess, RequestError};
use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::process::ProcessSignal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::OnQuit;
use super::terminal::window_size;
use crate::cli::teller::Teller;

/// Two interrupts in this time mean it.
const TWICE_WITHIN: Duration = Duration::from_secs(2);
/// What a process gets between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long a process that was ended may take to show it.
const LEAVE_AFTER: Duration = Duration::from_secs(5);
/// Exit code after signal n, as shells say it.
const SIGNALLED: u8 = 128;

/// See the module. Signals that arrive are kept until they are asked for.
pub(in crate::cli) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    resize: Signal,
    /// Interrupts that came before there was a process.
    early: u32,
}

/// What a signal asks for.
enum Request {
    Interrupt,
    /// By this signal.
    End(u8),
    Resize,
}

impl Signals {
    /// From now on signals are ours to handle.
    pub(in crate::cli) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            resize: signal(SignalKind::window_change())?,
            early: 0,
        })
    }

    async fn next(&mut self) -> Request {
        let number = |kind: SignalKind| u8::try_from(kind.as_raw_value()).unwrap_or_default();
        // Streams of signals never end.
        tokio::select! {
            _ = self.interrupt.recv() => Request::Interrupt,
            _ = self.terminate.recv() => Request::End(number(SignalKind::terminate())),
            _ = self.hangup.recv() => Request::End(number(SignalKind::hangup())),
            _ = self.quit.recv() => Request::End(number(SignalKind::quit())),
            _ = self.resize.recv() => Request::Resize,
        }
    }

    /// Resolves, with the exit code, when someone does not want to wait any longer for the process to start. A single
    /// interrupt is kept for it.
    pub(in crate::cli) async fn insisted(&mut self) -> u8 {
        loop {
            match self.next().await {
                Request::Interrupt if self.early > 0 => return interrupted(),
                Request::Interrupt => self.early += 1,
                Request::End(number) => return SIGNALLED + number,
                Request::Resize => {}
            }
        }
    }

    /// Passes signals on for as long as it is polled. Resolves, with the exit code, when this command is told to end and
    /// the process is to be left running, or did not end although it was ended.
    pub(super) async fn pass_on(
        mut self,
        process: &RemoteProcess,
        flags: &EnvironmentCapabilities,
        tty: bool,
        on_quit: OnQuit,
        teller: Teller,
    ) -> u8 {
        let mut calls = Calls { process: process.clone(), teller, tasks: JoinSet::new() };
        let mut last_interrupt: Option<Instant> = None;
        let mut leaving: Option<(Instant, u8)> = None;
        if self.early > 0 {
            last_interrupt = Some(Instant::now());
            calls.interrupt();
        }
        loop {
            let leave = async {
                match leaving {
                    Some((at, _)) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let request = tokio::select! {
                request = self.next() => request,
                () = leave => break,
                // The tasks' outcomes were told where they arose.
                Some(_) = calls.tasks.join_next() => continue,
            };
            let (number, grace) = match request {
                Request::Resize => {
                    if tty && flags.process_resize {
                        calls.resize();
                    }
                    continue;
                }
                Request::Interrupt => {
                    let again = last_interrupt.is_some_and(|last| last.elapsed() < TWICE_WITHIN);
                    last_interrupt = Some(Instant::now());
                    if leaving.is_none() && !again {
                        calls.interrupt();
                        continue;
                    }
                    (interrupted() - SIGNALLED, None)
                }
                Request::End(number) => (number, flags.process_terminate_grace.then_some(GRACE)),
            };
            if on_quit == OnQuit::Leave {
                return SIGNALLED + number;
            }
            if leaving.is_some() {
                break;
            }
            leaving = Some((Instant::now() + grace.unwrap_or_default() + LEAVE_AFTER, SIGNALLED + number));
            calls.terminate(grace);
        }
        teller.tell(format_args!("the command did not end in time and is left alone"));
        leaving.map_or(SIGNALLED, |(_, code)| code)
    }
}

fn interrupted() -> u8 {
    SIGNALLED + u8::try_from(SignalKind::interrupt().as_raw_value()).unwrap_or_default()
}

/// Requests under way; few, as people don't type fast, and ended with this command.
struct Calls {
    process: RemoteProcess,
    teller: Teller,
    tasks: JoinSet<()>,
}

impl Calls {
    fn interrupt(&mut self) {
        let (process, teller) = (self.process.clone(), self.teller);
        self.tasks.spawn(async move {
            if let Err(error) = process.signal(ProcessSignal::Interrupt).await {
                tell(teller, "interrupt", &error);
            }
        });
    }

    fn terminate(&mut self, grace: Option<Duration>) {
        let (process, teller) = (self.process.clone(), self.teller);
        self.tasks.spawn(async move {
            if let Err(error) = process.terminate(grace).await {
                tell(teller, "request to end", &error);
            }
        });
    }

    fn resize(&mut self) {
        let process = self.process.clone();
        self.tasks.spawn(async move {
            if let Some(size) = window_size() {
                // The process may be gone by now, which the events tell.
                let _ = process.resize(size).await;
            }
        });
    }
}

fn tell(teller: Teller, what: &str, error: &RequestError) {
    teller.tell(format_args!("{what} did not get through: {error}"));
}
