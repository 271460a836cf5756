//! What `run` can be asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use codex_exec_server_client::ClientConfig;
use codex_exec_server_client::environments::EnvironmentId;
use codex_exec_server_protocol::process::WhenFull;

use super::confine::SandboxArg;
use crate::cli::reach::{Goal, ReachArgs};
use crate::cli::target::TargetArgs;
use crate::cli::{Failure, duration};

/// How long a server is asked to keep a command that was left to itself. Servers grant less, if they allow less.
const KEEP: Duration = Duration::from_hours(24);

/// What `--help` says below the flags.
const HELP: &str = "\
The command's standard streams, signals and exit code are those of this command; 128 + n after signal n. \
Exit codes of our own: 124 after --timeout, 125 when something other than the command failed, 126 when the command \
can't be run, 127 when it is not there.

On a server (--connect URL, or --env NAME from environments.toml) the command gets the server's basic environment (such as \
HOME, LANG, PATH, SHELL, USER, TMPDIR) and the variables given here, and a lost connection is resumed without loss. If it \
does not come back in time, the answer says how to attach again. On this machine (--env local, or neither flag while no \
other environment is the default) it gets the environment of this command, and everything that it started ends with it.

--env says two things, told apart by the equals sign: --env box is where to run, --env CC=clang is a variable.

Ctrl-C interrupts the command; a second one within two seconds ends it. With --tty all keys go to the command. With \
--keep, whatever would end the command (a second Ctrl-C, SIGTERM, SIGHUP, SIGQUIT; on a terminal also the keys Ctrl-] d) \
leaves it running instead.

Examples:
  codex-exec-server run -- uname -a                                    right here, without a server
  codex-exec-server run --connect ws://127.0.0.1:8765 -- make test     on a server
  codex-exec-server run --env box --env CC=clang -- make test          in an environment, with a variable
  codex-exec-server run --connect ws://127.0.0.1:8765 --tty -- htop    on a terminal there
  codex-exec-server run --connect ws://127.0.0.1:8765 --detach -- make left to itself; see ps, logs, attach, kill";

/// Flags of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(in crate::cli) struct RunArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// File of environments [default: environments.toml in the user's configuration]
    #[arg(long, value_name = "PATH", conflicts_with = "connect")]
    environments: Option<PathBuf>,
    /// Run on a terminal: line editing, colors, programs that fill the screen
    #[arg(long)]
    pub(super) tty: bool,
    /// Working directory; a relative one starts from where the command would run without [default: the server's own
    /// directory, or this one]
    #[arg(long, value_name = "DIR")]
    pub(super) cwd: Option<PathBuf>,
    /// NAME: environment to run in, by its name in environments.toml; `local` is this machine. NAME=VALUE: variable to add
    /// for the command; may be repeated
    #[arg(long, value_name = "NAME|NAME=VALUE", value_parser = parse_env)]
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
    /// How long a lost connection is sought before this command gives up, such as 10m for a laptop that sleeps; no longer
    /// than the server keeps the command [default: 45s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    resume_for: Option<Duration>,
    /// What happens when the command has written more than the server keeps and nobody reads: it waits, or the oldest
    /// output is dropped, which `logs` tells [default: wait; with --detach: drop-oldest]
    #[arg(long, value_enum, value_name = "WHAT")]
    when_full: Option<WhenFullArg>,
    /// Confine the command, or start nothing: read-only lets it read files, workspace-write also write below its working
    /// directory, in /tmp and in TMPDIR. Neither lets it use the network
    #[arg(long, value_enum, value_name = "PROFILE", default_value_t = SandboxArg::None, hide_default_value = true)]
    pub(super) sandbox: SandboxArg,
    /// With --sandbox: let the command use the network
    #[arg(long, requires = "sandbox")]
    pub(super) allow_net: bool,
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
    /// An environment: a name without an equals sign.
    In(String),
    /// A variable: a name, an equals sign, and whatever follows.
    Variable(String, String),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WhenFullArg {
    Wait,
    DropOldest,
}

/// Flags that contradict each other.
#[derive(Debug, thiserror::Error)]
enum RunFlagError {
    #[error(
        "{0} needs a server, as a command that runs in this process ends with it: add --connect URL or --env NAME"
    )]
    NeedsServer(&'static str),
    #[error("--env {0} and --env {1} both name an environment; a variable is written --env NAME=VALUE")]
    TwoEnvironments(String, String),
}

fn parse_env(text: &str) -> Result<Env, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Env::Variable(name.to_owned(), value.to_owned())),
        Some(_) => Err("write a variable as --env NAME=VALUE".to_owned()),
        None => match EnvironmentId::new(text) {
            Ok(id) => Ok(Env::In(id.as_str().to_owned())),
            Err(error) => {
                Err(format!("an environment's name {error}; a variable is written --env NAME=VALUE"))
            }
        },
    }
}

impl RunArgs {
    /// The machine to run on.
    pub(super) fn goal(&self) -> Result<Goal, Failure> {
        let mut named = self.env.iter().filter_map(|env| match env {
            Env::In(name) => Some(name.clone()),
            Env::Variable(..) => None,
        });
        let environment = named.next();
        if let (Some(first), Some(second)) = (&environment, named.next()) {
            return Err(RunFlagError::TwoEnvironments(first.clone(), second).into());
        }
        let is_named = environment.is_some();
        let reach = ReachArgs::new(environment, self.environments.clone(), self.target.clone());
        let goal = reach.find().map_err(|error| match is_named {
            true => format!("{error} (a variable is written --env NAME=VALUE)").into(),
            false => error,
        })?;
        let needs_server = [("--detach", self.detach), ("--keep", self.keep.is_some())];
        match needs_server.into_iter().find(|(_, given)| *given && goal == Goal::Here) {
            Some((flag, _)) => Err(RunFlagError::NeedsServer(flag).into()),
            None => Ok(goal),
        }
    }

    /// Whether the command may outlive this one.
    pub(super) const fn is_kept(&self) -> bool {
        self.detach || self.keep.is_some()
    }

    /// How long the server is to keep the command while nobody is attached; `None` for as long as it does by itself.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        self.keep.or_else(|| self.detach.then_some(KEEP))
    }

    /// Says to a client what the flags say about connections.
    pub(super) fn adjust(&self, config: &mut ClientConfig) {
        config.detached_lifetime = self.lifetime();
        config.recovery_deadline = self.resume_for.unwrap_or(config.recovery_deadline);
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
        self.env.iter().filter_map(|env| match env {
            Env::Variable(name, value) => Some((name.clone(), value.clone())),
            Env::In(_) => None,
        })
    }
}
