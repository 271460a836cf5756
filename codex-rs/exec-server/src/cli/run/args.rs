//! What `run` can be asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use codex_exec_server_protocol::process::WhenFull;

use crate::cli::duration;
use crate::cli::target::Address;

/// How long a server is asked to keep a command that was left to itself. Servers grant less, if they allow less.
const KEEP: Duration = Duration::from_hours(24);

/// What `--help` says below the flags.
const HELP: &str = "\
The command's standard streams, signals and exit code are those of this command; 128 + n after signal n. \
Exit codes of our own: 124 after --timeout, 125 when something other than the command failed, 126 when the command \
can't be run, 127 when it is not there.

With --connect the command gets the server's basic environment (such as HOME, LANG, PATH, SHELL, USER, TMPDIR) and \
--env, and a lost connection is resumed without loss. If it does not come back in time, the answer says how to attach \
again. Without --connect the command gets the environment of this command, and everything that it started ends with it.

Ctrl-C interrupts the command; a second one within two seconds ends it. With --tty all keys go to the command. With \
--keep, whatever would end the command (a second Ctrl-C, SIGTERM, SIGHUP, SIGQUIT; on a terminal also the keys Ctrl-] d) \
leaves it running instead.

Examples:
  codex-exec-server run -- uname -a                                    right here, without a server
  codex-exec-server run --connect ws://127.0.0.1:8765 -- make test     on a server
  codex-exec-server run --connect ws://127.0.0.1:8765 --tty -- htop    on a terminal there
  codex-exec-server run --connect ws://127.0.0.1:8765 --detach -- make left to itself; see ps, logs, attach, kill";

/// Flags of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(in crate::cli) struct RunArgs {
    /// Server to run on: ws://HOST:PORT or unix:///PATH. Without it the command runs on this machine, in this process
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
    /// File that holds the token to show to the server
    #[arg(long, value_name = "PATH", requires = "connect")]
    token_file: Option<PathBuf>,
    /// Run on a terminal: line editing, colors, programs that fill the screen
    #[arg(long)]
    pub(super) tty: bool,
    /// Working directory; a relative one starts from where the command would run without [default: the server's own
    /// directory, or this one]
    #[arg(long, value_name = "DIR")]
    pub(super) cwd: Option<PathBuf>,
    /// NAME=VALUE: variable to add to the environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_env)]
    env: Vec<Env>,
    /// End the command when it still runs after this long, such as 1.5 (seconds), 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(super) timeout: Option<Duration>,
    /// Start the command, print its id, and leave it running; `ps`, `logs`, `attach` and `kill` find it again. It gets no
    /// standard input, unless it runs on a terminal
    #[arg(long, short)]
    pub(super) detach: bool,
    /// Have the server keep the command this long while nobody is attached, such as 10m or 24h, and leave it running
    /// when this command is ended [default with --detach: 24h]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(super) keep: Option<Duration>,
    /// What happens when the command has written more than the server keeps and nobody reads: it waits, or the oldest
    /// output is dropped, which `logs` tells [default: wait; with --detach: drop-oldest]
    #[arg(long, value_enum, value_name = "WHAT")]
    when_full: Option<WhenFullArg>,
    /// Write events as lines of JSON instead of the command's output
    #[arg(long)]
    pub(super) json: bool,
    /// The command and its arguments; no shell is involved unless it is the command
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) command: Vec<String>,
}

/// What `--env` says.
#[derive(Debug, Clone)]
enum Env {
    Variable(String, String),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WhenFullArg {
    Wait,
    DropOldest,
}

/// Flags that contradict each other.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunFlagError {
    #[error("{0} needs a server, as a command that runs in this process ends with it: add --connect URL")]
    NeedsServer(&'static str),
}

fn parse_env(text: &str) -> Result<Env, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Env::Variable(name.to_owned(), value.to_owned())),
        _ => Err("write it as --env NAME=VALUE".to_owned()),
    }
}

impl RunArgs {
    /// Refuses flags that contradict each other.
    pub(super) fn check(&self) -> Result<(), RunFlagError> {
        let needs_server = [("--detach", self.detach), ("--keep", self.keep.is_some())];
        match needs_server.into_iter().find(|(_, given)| *given && self.connect.is_none()) {
            Some((flag, _)) => Err(RunFlagError::NeedsServer(flag)),
            None => Ok(()),
        }
    }

    /// The server that was named, if one was.
    pub(super) fn address(&self) -> Option<Address> {
        Some(Address::url(self.connect.clone()?, self.token_file.clone()))
    }

    /// Whether the command may outlive this one.
    pub(super) const fn is_kept(&self) -> bool {
        self.detach || self.keep.is_some()
    }

    /// How long the server is to keep the command while nobody is attached; `None` for as long as it does by itself.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        self.keep.or_else(|| self.detach.then_some(KEEP))
    }

    /// A job that nobody watches is better off without its oldest output than waiting for a reader.
    pub(super) fn when_full(&self) -> Option<WhenFull> {
        match self.when_full {
            Some(WhenFullArg::Wait) => Some(WhenFull::Wait),
            Some(WhenFullArg::DropOldest) => Some(WhenFull::DropOldest),
            None => self.detach.then_some(WhenFull::DropOldest),
        }
    }

    /// Variables to add.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        self.env.iter().map(|Env::Variable(name, value)| (name.clone(), value.clone()))
    }
}
