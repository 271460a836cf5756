//! How far a copy is, for the person at the terminal.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cli::teller::Teller;

/// What takes no longer is not talked about.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is told anew.
const TICK: Duration = Duration::from_millis(250);
/// One MiB, as progress is told.
const MIB: f64 = 1_048_576.0;

/// See the module. Counted by whoever copies, shown by [`Progress::show`].
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes of files that went over.
    pub(super) moved_bytes: Cell<u64>,
    /// Bytes of files that are under way or done, what was there already included.
    pub(super) known_bytes: Cell<u64>,
    /// Of these, what was there already.
    pub(super) resumed_bytes: Cell<u64>,
    /// Files that are done.
    pub(super) files: Cell<u64>,
}

impl Progress {
    pub(super) fn add(counter: &Cell<u64>, by: u64) {
        counter.set(counter.get() + by);
    }

    /// Shows it in one line that is written again and again, where standard error is a terminal. Never resolves.
    pub(super) async fn show(&self) -> Infallible {
        if !Teller::is_terminal() {
            return std::future::pending().await;
        }
        let begun = Instant::now();
        sleep(PATIENCE).await;
        loop {
            Teller::default().show(format_args!("{}", self.line(begun.elapsed())));
            sleep(TICK).await;
        }
    }

    /// Takes back what was shown.
    pub(super) fn clear(&self) {
        Teller::default().clear();
    }

    #[expect(clippy::cast_precision_loss, reason = "one decimal is told")]
    fn line(&self, elapsed: Duration) -> String {
        let mib = |bytes: u64| bytes as f64 / MIB;
        let moved = self.moved_bytes.get();
        let there = moved + self.resumed_bytes.get();
        let rate = mib(moved) / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let files = match self.files.get() {
            0 => String::new(),
            1 => ", 1 file done".to_owned(),
            files => format!(", {files} files done"),
        };
        format!("{:.1} of {:.1} MiB, {rate:.1} MiB/s{files}", mib(there), mib(self.known_bytes.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_already_counts_as_done_and_not_as_speed() {
        let progress = Progress::default();
        Progress::add(&progress.known_bytes, 10 << 20);
        Progress::add(&progress.resumed_bytes, 4 << 20);
        Progress::add(&progress.moved_bytes, 3 << 20);
        assert_eq!(progress.line(Duration::from_secs(2)), "7.0 of 10.0 MiB, 1.5 MiB/s");
        Progress::add(&progress.files, /*by*/ 2);
        assert_eq!(progress.line(Duration::from_secs(2)), "7.0 of 10.0 MiB, 1.5 MiB/s, 2 files done");
    }
}
