//! The machine whose files a command is about: this one, or one with a server.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::service::FileSystem;
use codex_exec_server_local::fs::LocalFileSystem;
use codex_exec_server_protocol::path_uri::PathUri;
use tokio::time::timeout;

use crate::cli::Failure;
use crate::cli::console::tell_status;
use crate::cli::reach::{Goal, ReachArgs, Reached};
use crate::cli::teller::Teller;

/// How long a server may take to say good-bye; nothing depends on it.
const FAREWELL: Duration = Duration::from_secs(1);

/// See the module. Ends with [`Host::close`].
pub(in crate::cli) struct Host {
    pub(in crate::cli) files: Arc<dyn FileSystem>,
    /// `None` when it is this machine.
    server: Option<Reached>,
}

impl Host {
    /// Connects to the machine that `args` name; `command` is for the server's log.
    pub(in crate::cli) async fn find(args: &ReachArgs, command: &str) -> Result<Self, Failure> {
        match args.find()? {
            Goal::Here => Ok(Self::here()),
            goal @ Goal::There(_) => {
                let reached = Reached::open(&goal, command, |_| {}, Teller::default()).await?;
                Ok(Self { files: Arc::new(reached.client.clone()), server: Some(reached) })
            }
        }
    }

    /// This machine.
    pub(in crate::cli) fn here() -> Self {
        Self { files: Arc::new(LocalFileSystem::with_defaults()), server: None }
    }

    /// The path as the machine knows it. A relative one begins where its programs would run: in this folder if the
    /// machine is this one, otherwise in the server's own.
    pub(in crate::cli) fn path(&self, path: &Path) -> Result<std::path::PathBuf, Failure> {
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        let Some(reached) = &self.server else { return Ok(std::env::current_dir()?.join(path)) };
        match &reached.client.peer().environment.cwd {
            Some(cwd) => Ok(cwd.to_path()?.join(path)),
            None => Err(format!(
                "{}: the server does not tell its working directory; write the whole path, from / on",
                path.display()
            )
            .into()),
        }
    }

    /// Tells people when the connection is lost. Never resolves.
    pub(in crate::cli) async fn tell_status(&self) -> Infallible {
        match &self.server {
            Some(reached) => tell_status(reached.client.status(), Teller::default()).await,
            None => std::future::pending().await,
        }
    }

    /// Does `work`, and meanwhile tells people when the connection is lost.
    pub(in crate::cli) async fn attend<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = self.tell_status() => match never {},
        }
    }

    /// Lets go of a server in good order.
    pub(in crate::cli) async fn close(self) {
        let Some(reached) = self.server else { return };
        let _ = timeout(FAREWELL, async {
            reached.client.close().await;
            reached.close().await;
        })
        .await;
    }
}

/// A machine's path for the wire.
pub(in crate::cli) fn uri(path: &Path) -> Result<PathUri, Failure> {
    PathUri::try_from(path).map_err(|error| format!("{}: {error}", path.display()).into())
}
