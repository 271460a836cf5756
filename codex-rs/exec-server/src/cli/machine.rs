//! The machine that a command runs processes on for as long as it lives itself: this one, or one with a server.
//!
//! Nothing is kept beyond the command: whatever still runs at its end is ended.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_client::Client;
use codex_exec_server_core::limits::Limits;
use codex_exec_server_core::service::{ExecBackend, FileSystem};
use codex_exec_server_local::fs::LocalFileSystem;
use codex_exec_server_local::{LocalBackend, Orphans, default_state_directory};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::EnvPolicy;
use tokio::time::timeout;

use super::Failure;
use super::console::tell_status;
use super::inherit;
use super::reach::{Goal, ReachArgs, Reached};
use super::sandbox::sandbox;
use super::teller::Teller;

/// How long a server, or processes that run here, may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(5);

/// See the module. Ends with [`Machine::close`].
pub(super) struct Machine {
    pub(super) backend: Arc<dyn ExecBackend>,
    place: Place,
}

enum Place {
    Here {
        local: Arc<LocalBackend>,
        /// Held for as long as there may be any.
        _orphans: Orphans,
    },
    There(Reached),
}

impl Machine {
    /// Connects to the machine that `args` name; `command` is for the server's log.
    pub(super) async fn find(args: &ReachArgs, command: &str) -> Result<Self, Failure> {
        match args.find()? {
            Goal::Here => {
                let environment = std::env::vars_os().collect();
                let state = default_state_directory(&environment);
                let limits = Limits::default();
                let local = Arc::new(LocalBackend::with_sandbox(environment, limits, state, sandbox()));
                let place = Place::Here { local: Arc::clone(&local), _orphans: Orphans::adopt()? };
                Ok(Self { backend: local, place })
            }
            goal @ Goal::There(_) => {
                let reached = Reached::open(&goal, command, |_| {}, Teller::default()).await?;
                Ok(Self { backend: Arc::new(reached.client.clone()), place: Place::There(reached) })
            }
        }
    }

    /// The connection to it; `None` when it is this one.
    pub(super) const fn client(&self) -> Option<&Client> {
        match &self.place {
            Place::Here { .. } => None,
            Place::There(reached) => Some(&reached.client),
        }
    }

    /// Its files.
    pub(super) fn files(&self) -> Arc<dyn FileSystem> {
        match &self.place {
            Place::Here { .. } => Arc::new(LocalFileSystem::with_defaults()),
            Place::There(reached) => Arc::new(reached.client.clone()),
        }
    }

    /// What a program gets of the machine's own environment.
    pub(super) fn env_policy(&self) -> EnvPolicy {
        inherit::env_policy(self.client().is_none())
    }

    /// Where a program runs; `None` when that is the server's to know.
    pub(super) fn cwd(&self, asked: Option<&Path>) -> Result<Option<PathUri>, Failure> {
        inherit::cwd(asked, self.client().is_none(), self.backend.environment().cwd.as_ref())
    }

    /// Tells people when the connection is lost.
    pub(super) async fn tell_status(&self) -> Infallible {
        match self.client() {
            Some(client) => tell_status(client.status(), Teller::default()).await,
            None => std::future::pending().await,
        }
    }

    /// Ends what runs here, and lets go of a server in good order.
    pub(super) async fn close(self) {
        let closing = async {
            match self.place {
                Place::Here { local, .. } => local.shut_down().await,
                Place::There(reached) => {
                    reached.client.close().await;
                    reached.close().await;
                }
            }
        };
        // Nothing depends on it any more.
        let _ = timeout(FAREWELL, closing).await;
    }
}
