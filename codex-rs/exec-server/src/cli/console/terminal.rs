//! The terminal in front of a person: its size, and raw mode while it is connected to a remote one.
//!
//! Knows nothing of connections. Everything is about this process's own standard streams.

use std::io;

use codex_exec_server_protocol::process::PtySize;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// The size of the terminal that any of the standard streams is; `None` without one, or when it tells none.
#[must_use]
pub(in crate::cli) fn window_size() -> Option<PtySize> {
    let size = [stdin(), stdout(), stderr()].into_iter().find_map(|stream| tcgetwinsize(stream).ok())?;
    (size.ws_row > 0 && size.ws_col > 0).then_some(PtySize { rows: size.ws_row, cols: size.ws_col })
}

/// While it lives, the terminal on standard input hands over every key as it is and interprets none. Dropping it restores
/// what was before, also when a panic unwinds.
#[must_use = "dropping it ends raw mode"]
pub(super) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Enters raw mode. `None` when standard input is no terminal.
    ///
    /// # Errors
    /// What the operating system said.
    pub(super) fn enter() -> io::Result<Option<Self>> {
        if !isatty(stdin()) {
            return Ok(None);
        }
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Without waiting for output: it may be held up by the very terminal that is being left. A failure means that the
        // terminal is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}
