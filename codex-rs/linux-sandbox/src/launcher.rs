//! The program that is started in place of the one that was asked for.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use crate::file_rules::FileRules;
use crate::job::{JOB, is_job};
use crate::launch;

/// What a launcher believes its name to be.
pub const NAME: &CStr = c"codex-linux-sandbox";

/// Serves files within a sandbox, by the rules and settings that it is given, to whoever has the other end of the socket: a
/// sequence of whole messages. When it returns, the process ends.
pub type Serve = fn(FileRules, &[u8], OwnedFd);

/// A program that calls [`Launcher::enter`] first of all, held open: replacing the file changes nothing, and no `PATH`
/// has a say.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: Arc<OwnedFd>,
}

impl Launcher {
    /// To be called first in `main`, before there is a second thread: if this program was started as a launcher it does
    /// that work and never returns. Otherwise the program has shown that it can be its own launcher.
    ///
    /// # Errors
    /// When `/proc/self/exe` can't be opened; then the program goes on without.
    pub fn enter() -> io::Result<Self> {
        Self::enter_as(/*serve*/ None)
    }

    /// The same, for a program that can serve files as well.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub fn enter_serving(serve: Serve) -> io::Result<Self> {
        Self::enter_as(Some(serve))
    }

    fn enter_as(serve: Option<Serve>) -> io::Result<Self> {
        if is_launch() {
            launch::run(serve);
        }
        Self::open(Path::new("/proc/self/exe"))
    }

    /// Another program that begins with [`enter`](Self::enter).
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { program: Arc::new(File::open(path)?.into()) })
    }
}

impl AsFd for Launcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

/// Whether the name is the launcher's and a sealed job lies where it must: neither happens by accident.
fn is_launch() -> bool {
    let named = std::env::args_os().next().is_some_and(|name| name.as_encoded_bytes() == NAME.to_bytes());
    #[allow(unsafe_code)]
    // SAFETY: the number is only asked about, and nothing is done to it if it is something else.
    let job = unsafe { BorrowedFd::borrow_raw(JOB) };
    named && is_job(job)
}
