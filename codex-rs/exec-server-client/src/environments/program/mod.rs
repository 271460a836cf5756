//! A server behind a program's standard streams, such as `ssh host codex-exec-server --listen stdio`.
//!
//! [`child`] owns the program from its start to its end, `words` what it says on standard error, `pipes` notices when the
//! connection over its streams is over. Here they become a client, and its failures something that people can act on.
//!
//! The program runs in a process group of its own, so that a Ctrl-C at the terminal does not reach it. It ends with its
//! connection: its input ends, which is enough for most; what still runs a moment later gets SIGTERM, and SIGKILL 2 s
//! after that, with everything in its group. If this process is killed itself, only the end of the input remains. The
//! connection is never made again: a program that was started anew would not know the session.

mod child;
mod pipes;
mod words;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codex_exec_server_transport::Connection;
use tokio_util::task::TaskTracker;

use self::child::{Run, Started};
use super::config::ProgramConfig;
use crate::client::Client;
use crate::config::ClientConfig;
use crate::dial::{DialError, Dialer};
use crate::error::ClientError;

pub use self::child::Ending;

/// How long a program that lost its connection gets to tell how it ended, before that is reported without.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a program does not lead to a server. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProgramError {
    /// There is no such program.
    #[error("there is no program {0:?}; install it, or give its path in `program`")]
    NotFound(String),
    /// The directory that it should run in can't be used.
    #[error("{program} can't run in {cwd}: {reason}; correct `cwd`")]
    Directory {
        /// Which program.
        program: String,
        /// Where.
        cwd: String,
        /// What the system says.
        reason: Arc<str>,
    },
    /// It can't be started for another reason.
    #[error("{program} can't be started: {reason}")]
    NotStarted {
        /// Which program.
        program: String,
        /// What the system says.
        reason: Arc<str>,
    },
    /// It ended before there was a session, or its session with it.
    #[error("{program} ended with {ending}{}", said(words))]
    Ended {
        /// Which program.
        program: String,
        /// How it ended.
        ending: Ending,
        /// The last lines of its standard error.
        words: Arc<str>,
    },
    /// It closed its output and runs on.
    #[error("{program} closed its output{}", said(words))]
    HungUp {
        /// Which program.
        program: String,
        /// The last lines of its standard error.
        words: Arc<str>,
    },
    /// It speaks, but not as a server does.
    #[error(
        "{program} does not lead to a server: {reason}; its output began with {output:?}; it must run `codex-exec-server \
         --listen stdio` there, and nothing may be printed before{}",
        said(words)
    )]
    NotAServer {
        /// Which program.
        program: String,
        /// What is wrong with it.
        reason: Arc<str>,
        /// The start of what it wrote.
        output: Arc<str>,
        /// The last lines of its standard error.
        words: Arc<str>,
    },
    /// It says nothing.
    #[error(
        "{program} led to no answer within {} ms; it may wait for a password, which it can't be given here, or need a \
         longer `initialize_timeout_sec`{}", after.as_millis(), said(words)
    )]
    Silent {
        /// Which program.
        program: String,
        /// [`ClientConfig::initialize_timeout`].
        after: Duration,
        /// The last lines of its standard error.
        words: Arc<str>,
    },
    /// The server behind it answered otherwise.
    #[error("{program}: {source}")]
    Client {
        /// Which program.
        program: String,
        /// What the client makes of it.
        source: ClientError,
    },
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("; it said: {words}") }
}

/// The command in one line, for people. Variables may hold secrets and are left out.
pub(super) fn describe(config: &ProgramConfig) -> String {
    let quoted = |word: &String| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    std::iter::once(&config.program).chain(&config.args).map(quoted).collect::<Vec<_>>().join(" ")
}

/// Starts the program and opens a session with the server that it leads to. `tasks` are what the program needs as long as
/// it runs.
pub(super) async fn connect(
    config: &ProgramConfig,
    client: ClientConfig,
    tasks: &TaskTracker,
) -> Result<Client, ProgramError> {
    let Started { connection, run } = child::start(config, tasks).await?;
    let run = Arc::new(run);
    let dialer = once(connection, Arc::clone(&run));
    match Client::connect(dialer, client).await {
        Ok(client) => Ok(client),
        Err(error) => Err(explain(&run, error).await),
    }
}

/// Gives the one connection that there is, and afterwards says why there is no other.
fn once(connection: Connection, run: Arc<Run>) -> Dialer {
    let connection = Mutex::new(Some(connection));
    Dialer::new(move || {
        let connection = connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        let run = Arc::clone(&run);
        async move {
            match connection {
                Some(connection) => Ok(connection),
                None => Err(DialError::Gone(ended(&run).await.to_string())),
            }
        }
    })
}

/// What became of a program whose connection is lost.
async fn ended(run: &Run) -> ProgramError {
    let ending = tokio::time::timeout(LAST_WORDS, run.ended()).await.ok();
    let (program, words) = (run.program().to_owned(), run.words());
    match ending {
        // What it was stopped by says nothing about why.
        None | Some(Ending::Stopped) => ProgramError::HungUp { program, words },
        Some(ending) => ProgramError::Ended { program, ending, words },
    }
}

/// What an error of the client means for a program.
async fn explain(run: &Run, error: ClientError) -> ProgramError {
    let program = run.program().to_owned();
    match error {
        ClientError::Lost(_) => ended(run).await,
        ClientError::Protocol(reason) => {
            ProgramError::NotAServer { program, reason, output: run.output_start(), words: run.words() }
        }
        ClientError::InitializeTimedOut { after } => {
            ProgramError::Silent { program, after, words: run.words() }
        }
        source => ProgramError::Client { program, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_it_could_be_typed() {
        let config = ProgramConfig {
            program: "ssh".into(),
            args: vec!["-p".into(), "22".into(), "host".into(), "it's here".into(), String::new()],
            env: [("SECRET".to_owned(), "x".to_owned())].into(),
            cwd: None,
        };
        assert_eq!(describe(&config), "ssh -p 22 host 'it'\\''s here' ''");
    }
}
