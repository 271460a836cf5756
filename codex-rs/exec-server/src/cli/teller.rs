//! Words for the person at the terminal, on standard error, beside a command's own output.
//!
//! Standard error is one for the whole program, and so is what is known of it here: whether the command's output left a
//! line of it unfinished, and whether the person wants to be left alone.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// What takes longer than this is said to be under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether what the command wrote last does not end its line: words of ours begin on one of their own.
static WITHIN_LINE: AtomicBool = AtomicBool::new(false);

/// Whether only what fails is told.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on nothing is said of what goes on by itself: [`Teller::note`], [`Teller::show`], [`Teller::waiting`].
pub(super) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Output of the command's is being written to where words are told, and leaves its line unfinished or not.
pub(super) fn left_within_line(unfinished: bool) {
    WITHIN_LINE.store(unfinished, Ordering::Relaxed);
}

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Teller {
    /// A raw terminal does not return to the first column by itself.
    pub(super) raw: bool,
}

impl Teller {
    /// One line that stays.
    pub(super) fn tell(self, words: fmt::Arguments<'_>) {
        let (begin, end) = (self.line_start(), self.line_end());
        write(&format!("{begin}codex-exec-server: {words}{end}"));
    }

    /// The same of what goes on by itself, for whoever wants to know.
    pub(super) fn note(self, words: fmt::Arguments<'_>) {
        if !Self::is_quiet() {
            self.tell(words);
        }
    }

    /// A line that the next one takes the place of, where standard error is a terminal; nothing elsewhere.
    pub(super) fn show(self, words: fmt::Arguments<'_>) {
        if Self::is_terminal() && !Self::is_quiet() {
            let begin = self.line_start();
            write(&format!("{begin}\r\x1b[Kcodex-exec-server: {words}"));
        }
    }

    /// Takes back what [`Self::show`] wrote.
    pub(super) fn clear(self) {
        if Self::is_terminal() && !Self::is_quiet() {
            write("\r\x1b[K");
        }
    }

    const fn line_end(self) -> &'static str {
        if self.raw { "\r\n" } else { "\n" }
    }

    /// What ends a line of the command's that is not finished.
    fn line_start(self) -> &'static str {
        if WITHIN_LINE.swap(false, Ordering::Relaxed) { self.line_end() } else { "" }
    }

    fn is_quiet() -> bool {
        QUIET.load(Ordering::Relaxed)
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
            self.note(format_args!("{what}…"));
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
