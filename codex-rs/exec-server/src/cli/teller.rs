//! Words for the person at the terminal, on standard error, beside a command's own output.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::sleep;

/// What takes longer than this is said to be under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Teller {
    /// A raw terminal does not return to the first column by itself.
    pub(super) raw: bool,
}

impl Teller {
    /// One line that stays.
    pub(super) fn tell(self, words: fmt::Arguments<'_>) {
        let end = if self.raw { "\r\n" } else { "\n" };
        write(&format!("codex-exec-server: {words}{end}"));
    }

    /// A line that the next one takes the place of, where standard error is a terminal; nothing elsewhere.
    pub(super) fn show(self, words: fmt::Arguments<'_>) {
        if Self::is_terminal() {
            write(&format!("\r\x1b[Kcodex-exec-server: {words}"));
        }
    }

    /// Takes back what [`Self::show`] wrote.
    pub(super) fn clear(self) {
        if Self::is_terminal() {
            write("\r\x1b[K");
        }
    }

    pub(super) fn is_terminal() -> bool {
        std::io::stderr().is_terminal()
    }

    /// Waits for `work`; from the second second on a line says what for.
    pub(super) async fn waiting<T>(self, what: fmt::Arguments<'_>, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep(PATIENCE) => {}
        }
        if !Self::is_terminal() {
            self.tell(format_args!("{what}…"));
            return work.await;
        }
        self.show(format_args!("{what}…"));
        let done = work.await;
        self.clear();
        done
    }
}

fn write(text: &str) {
    // In one piece, as the command's own words may be on their way from another thread. Without standard error there is
    // nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
