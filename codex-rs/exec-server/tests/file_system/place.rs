//! Where cases run: a file service of each kind, made for one case and ended after it, and a folder for the case alone.

use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_exec_server::ServerConfig;
use codex_exec_server_core::service::{FileSystem, FsError};
use codex_exec_server_local::fs::LocalFileSystem;
use codex_exec_server_protocol::fs::FsErrorData;
use codex_exec_server_protocol::path_uri::PathUri;
use tempfile::TempDir;

use crate::support::places::{behind_reference, behind_server};

/// What a case is given.
#[derive(Clone)]
pub(crate) struct Place {
    files: Arc<dyn FileSystem>,
    folder: Arc<TempDir>,
}

impl Deref for Place {
    type Target = dyn FileSystem;

    fn deref(&self) -> &Self::Target {
        &*self.files
    }
}

impl Place {
    fn new(files: Arc<dyn FileSystem>) -> Self {
        Self { files, folder: Arc::new(tempfile::tempdir().expect("a folder")) }
    }

    /// The service itself.
    pub(crate) fn files(&self) -> &Arc<dyn FileSystem> {
        &self.files
    }

    /// The native path of something in the case's folder.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same for the wire.
    pub(crate) fn uri(&self, name: impl AsRef<Path>) -> PathUri {
        uri(self.path(name))
    }

    /// Makes a file.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathUri {
        std::fs::write(self.path(name), content).expect("it can be written");
        self.uri(name)
    }

    /// What a file holds.
    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("it can be read")
    }

    /// Makes a directory.
    pub(crate) fn folder(&self, name: &str) -> PathUri {
        std::fs::create_dir_all(self.path(name)).expect("it can be made");
        self.uri(name)
    }

    /// Makes a link.
    pub(crate) fn link(&self, target: &str, name: &str) -> PathUri {
        std::os::unix::fs::symlink(target, self.path(name)).expect("it can be made");
        self.uri(name)
    }
}

pub(crate) fn uri(path: impl AsRef<Path>) -> PathUri {
    PathUri::from_path_bytes(path.as_ref().as_os_str().as_bytes()).expect("a path")
}

/// The code of a refusal and what it tells programs.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, FsError>) -> (i64, Option<FsErrorData>) {
    let error = outcome.expect_err("it is refused");
    let code = error.refusal().unwrap_or_else(|| panic!("not by the service: {error}")).code;
    (code, error.data())
}

/// The code alone.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(outcome: Result<T, FsError>) -> i64 {
    refusal(outcome).0
}

/// The code, and the name of the system's error.
#[track_caller]
pub(crate) fn errno<T: std::fmt::Debug>(outcome: Result<T, FsError>) -> (i64, String) {
    let (code, data) = refusal(outcome);
    (code, data.and_then(|data| data.errno).unwrap_or_default())
}

/// Runs `case` on this machine.
pub(crate) async fn on_local<C: Future<Output = ()>>(case: impl FnOnce(Place) -> C) {
    case(Place::new(Arc::new(LocalFileSystem::with_defaults()))).await;
}

/// Runs `case` on this machine, under a policy that allows what it asks for.
pub(crate) async fn on_sandboxed<C: Future<Output = ()>>(case: impl FnOnce(Place) -> C) {
    case(Place::new(crate::sandboxed::Sandboxed::new())).await;
}

/// Runs `case` over a WebSocket to a server of its own.
pub(crate) async fn on_remote<C: Future<Output = ()>>(case: impl FnOnce(Place) -> C) {
    behind_server(ServerConfig::from_process(), |client| case(Place::new(Arc::new(client)))).await;
}

/// Runs `case` on the reference's server.
pub(crate) async fn on_reference<C: Future<Output = ()>>(case: impl FnOnce(Place) -> C) {
    behind_reference(/*environment*/ None, |client| case(Place::new(Arc::new(client)))).await;
}

/// The same as `cases!`, and each once more under a policy. What no policy allows says so there.
macro_rules! file_cases {
    (
        everywhere { $($case:ident)* }
        not_on_reference { $($ours:ident: $reason:literal)* }
        $(not_sandboxed { $($open:ident: $why:literal)* })?
    ) => {
        cases! {
            everywhere { $($case)* }
            not_on_reference {
                $($ours: $reason)*
                $($($open: "it has no answer to compare with")*)?
            }
        }
        mod sandboxed {
            cases_at!(@run place on_sandboxed $($case)* $($ours)*);
            $($(
                #[test]
                fn $open() {
                    println!("skipped under a policy: {}", $why);
                }
            )*)?
        }
    };
}
