//! A process in front of a person: its output, its input, signals, the terminal; until it ends, or is left alone.

mod input;
mod keys;
mod output;
mod signals;
mod status;
mod terminal;

use std::io;

use codex_exec_server_client::{Client, Events, Exit, ProcessError, RemoteProcess};

pub(super) use self::input::is_wanted as input_is_wanted;
use self::keys::DetachKeys;
pub(super) use self::output::{Screen, Sink, Target, play};
pub(super) use self::signals::Signals;
pub(super) use self::status::tell_status;
use self::terminal::RawMode;
pub(super) use self::terminal::window_size;
use super::teller::Teller;

/// What becomes of the process when this command is told to end first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnQuit {
    /// It is ended, with its descendants.
    End,
    /// It runs on.
    Leave,
}

/// How a process is attended to.
pub(super) struct Console {
    /// Where its output goes.
    pub(super) screen: Screen,
    /// Whether it runs on a terminal, and so takes keys as they are.
    pub(super) tty: bool,
    /// See there.
    pub(super) on_quit: OnQuit,
}

/// How it went.
pub(super) enum Outcome {
    /// The process ended and everything that was delivered is written. `complete`: nothing is missing.
    Ended { exit: Option<Exit>, complete: bool },
    /// This command was told to end; its exit code. The process was ended, or did not end although it was told to.
    Quit(u8),
    /// This command was told to end, or the person wants to go; its exit code. The process runs on.
    Left(u8),
    /// Nobody reads what we write. The process runs on.
    BrokenPipe,
    /// Output can't be written. The process runs on.
    OutputFailed(io::Error),
    /// The process can't be followed any more.
    Lost(ProcessError),
}

impl Console {
    /// Sees the process through to its end, or to ours.
    pub(super) async fn attend(
        &self,
        client: &Client,
        process: &RemoteProcess,
        events: Events,
        signals: Signals,
    ) -> io::Result<Outcome> {
        let raw = if self.tty { RawMode::enter()? } else { None };
        let teller = Teller { raw: raw.is_some() };
        let keys = (raw.is_some() && self.on_quit == OnQuit::Leave).then(DetachKeys::default);
        let flags = client.peer().environment.capabilities.clone();
        Ok(tokio::select! {
            outcome = play(events, self.screen, None, teller) => outcome,
            code = signals.pass_on(process, &flags, self.tty, self.on_quit, teller) => match self.on_quit {
                OnQuit::End => Outcome::Quit(code),
                OnQuit::Leave => Outcome::Left(code),
            },
            () = input::forward(process, &flags, self.tty, keys, teller) => Outcome::Left(0),
            never = tell_status(client.status(), teller) => match never {},
        })
    }
}
