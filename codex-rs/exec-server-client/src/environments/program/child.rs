//! The life of a program: its start, its end, and what it leaves in its process group.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codex_exec_server_transport::{Connection, WireLimits, client::from_stdio};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal as ChildDeaths, SignalKind, signal};
use tokio::sync::SetOnce;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ProgramError;
use super::pipes::{Input, Output, OutputStart};
use super::words::{Words, listen};
use crate::environments::config::ProgramConfig;

/// How long a program may run on when its input has ended, before it is told to end. Most end by themselves, and then
/// their exit code is their own.
const END_OF_INPUT: Duration = Duration::from_millis(250);
/// How long it may take to end after SIGTERM. As with the reference.
const TERMINATION: Duration = Duration::from_secs(2);
/// How long the kernel may take to end it after SIGKILL, before nobody waits any longer.
const KILL: Duration = Duration::from_secs(2);
/// How long its last words may take to arrive when it has ended. They are there, unless something that it has left behind
/// holds its standard error open.
const WORDS: Duration = Duration::from_millis(100);

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It did not end when its connection did, so it was told to.
    Stopped,
    /// Somehow; somebody else in this process has taken the answer.
    Unknown,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Stopped => f.write_str("its connection"),
            Self::Unknown => f.write_str("an unknown exit code"),
        }
    }
}

/// A program that was started.
pub(super) struct Started {
    pub(super) connection: Connection,
    pub(super) run: Run,
}

/// What is known of a program while it runs and afterwards.
#[derive(Debug)]
pub(super) struct Run {
    program: String,
    words: Arc<Mutex<Words>>,
    output_start: Arc<OutputStart>,
    ending: Arc<SetOnce<Ending>>,
}

impl Run {
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Resolves when it has ended and its last words were heard.
    pub(super) async fn ended(&self) -> Ending {
        *self.ending.wait().await
    }

    /// The last lines of its standard error so far.
    pub(super) fn words(&self) -> Arc<str> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).last().into()
    }

    /// The first bytes of its standard output.
    pub(super) fn output_start(&self) -> Arc<str> {
        self.output_start.text().into()
    }
}

/// Starts the program that `config` describes.
pub(super) async fn start(config: &ProgramConfig, tasks: &TaskTracker) -> Result<Started, ProgramError> {
    let owned = config.clone();
    // Starting waits until the file system has delivered the program.
    let spawned = tokio::task::spawn_blocking(move || spawn(&owned)).await;
    let not_started = |error: &dyn fmt::Display| ProgramError::NotStarted {
        program: config.program.clone(),
        reason: error.to_string().into(),
    };
    let group = spawned.map_err(|error| not_started(&error))??;
    attach(group, config, tasks).map_err(|error| not_started(&error))
}

fn spawn(config: &ProgramConfig) -> Result<Group, ProgramError> {
    let program = config.program.clone();
    let mut command = Command::new(&program);
    command.args(&config.args).envs(&config.env).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(cwd) = &config.cwd {
        // Otherwise its absence would look like that of the program.
        if let Err(error) = directory(cwd) {
            let (cwd, reason) = (cwd.display().to_string(), error.to_string().into());
            return Err(ProgramError::Directory { program, cwd, reason });
        }
        command.current_dir(cwd);
    }
    match command.spawn() {
        Ok(child) => Ok(Group { child, is_reaped: false }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ProgramError::NotFound(program)),
        Err(error) => Err(ProgramError::NotStarted { program, reason: error.to_string().into() }),
    }
}

fn directory(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Makes a connection of the program's streams, and the tasks that look after it.
fn attach(mut group: Group, config: &ProgramConfig, tasks: &TaskTracker) -> io::Result<Started> {
    let pipe_is_there = "it was asked for";
    let stdin = OwnedFd::from(group.child.stdin.take().expect(pipe_is_there));
    let stdout = OwnedFd::from(group.child.stdout.take().expect(pipe_is_there));
    let stderr = OwnedFd::from(group.child.stderr.take().expect(pipe_is_there));
    // From before it is first asked for, so that no death is missed.
    let deaths = signal(SignalKind::child())?;

    let gone = CancellationToken::new();
    let output_start = Arc::new(OutputStart::default());
    let input = Input { stream: pipe::Sender::from_owned_fd(stdin)?, _gone: gone.clone().drop_guard() };
    let output = Output {
        stream: pipe::Receiver::from_owned_fd(stdout)?,
        start: Arc::clone(&output_start),
        _gone: gone.clone().drop_guard(),
    };
    let stderr = pipe::Receiver::from_owned_fd(stderr)?;

    let words = Arc::new(Mutex::new(Words::default()));
    let ending = Arc::new(SetOnce::new());
    let log = Log { program: config.program.clone(), words: Arc::clone(&words) };
    let (tend, settled) = (tend(group, deaths, gone, log, stderr), Arc::clone(&ending));
    tasks.spawn(async move {
        let ending = tend.await;
        // It is set here alone.
        let _ = settled.set(ending);
    });
    let run = Run { program: config.program.clone(), words, output_start, ending };
    Ok(Started { connection: from_stdio(input, output, &WireLimits::for_client()), run })
}

/// Where a program's words go.
struct Log {
    program: String,
    words: Arc<Mutex<Words>>,
}

impl Log {
    fn hear(&self, bytes: &[u8]) {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).push(bytes, |line| self.tell(line));
    }

    fn end(&self) {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).end_line(|line| self.tell(line));
    }

    fn tell(&self, line: &str) {
        tracing::info!(program = %self.program, "{line}");
    }
}

/// Looks after a program until it has ended.
async fn tend(
    mut group: Group,
    mut deaths: ChildDeaths,
    gone: CancellationToken,
    log: Log,
    stderr: pipe::Receiver,
) -> Ending {
    let listening = async {
        let heard = listen(stderr, |bytes| log.hear(bytes)).await;
        log.end();
        if let Err(error) = heard {
            tracing::debug!(program = %log.program, %error, "standard error can't be read");
        }
    };
    let ending = async {
        // Not its death: something that it has started may still hold the other ends of its streams and serve.
        gone.cancelled().await;
        let mut is_dead = async || {
            while group.is_alive() && deaths.recv().await.is_some() {}
        };
        let clings = timeout(END_OF_INPUT, is_dead()).await.is_err();
        if clings {
            group.signal(Signal::TERM);
            if timeout(TERMINATION, is_dead()).await.is_err() {
                group.signal(Signal::KILL);
                if timeout(KILL, is_dead()).await.is_err() {
                    tracing::warn!(program = %log.program, "program does not end although it was killed");
                }
            }
        }
        // Nobody is left who could be asked nicely. Before it is reaped, so that the number is certainly its own.
        group.signal(Signal::KILL);
        let ending = group.reap();
        if clings { Ending::Stopped } else { ending }
    };
    tokio::pin!(listening, ending);
    tokio::select! {
        ending = &mut ending => {
            let _ = timeout(WORDS, listening).await;
            ending
        }
        () = &mut listening => ending.await,
    }
}

/// A program and its process group. What still runs when it is dropped is killed.
struct Group {
    child: Child,
    is_reaped: bool,
}

impl Group {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Leaves its status where it is, so that its number stays its own.
    fn is_alive(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        matches!(waitid(WaitId::Pid(self.pid()), options), Ok(None))
    }

    fn signal(&self, signal: Signal) {
        // That nobody is left is what it is for.
        let _ = kill_process_group(self.pid(), signal);
    }

    fn reap(&mut self) -> Ending {
        let status = self.child.try_wait();
        self.is_reaped = !matches!(status, Ok(None));
        let code = |status: ExitStatus| match (status.code(), status.signal()) {
            (Some(code), _) => Ending::Code(code),
            (None, Some(signal)) => Ending::Signal(signal),
            (None, None) => Ending::Unknown,
        };
        status.ok().flatten().map_or(Ending::Unknown, code)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_reaped {
            // The runtime ends, or it was never attached to one.
            self.signal(Signal::KILL);
            self.reap();
        }
    }
}
