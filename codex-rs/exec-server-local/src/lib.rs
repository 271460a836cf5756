//! The services on this machine. Knows nothing of connections or messages.
//!
//! [`LocalBackend`] is this machine as an [`ExecBackend`](codex_exec_server_core::service::ExecBackend), for callers in the
//! same program. [`process`] is the process service: tables of processes, their logs and supervisors. [`os`] is what it stands on,
//! every call into the kernel that makes, watches or ends a child. [`env`](mod@env) decides what a child inherits;
//! [`environment`] describes the machine; [`Sandbox`] says what it can enforce; [`fs`] is the file service; [`discovery`]
//! finds plugins and skills; [`http`] sends requests from it.

mod backend;
pub mod discovery;
pub mod env;
pub mod environment;
pub mod fs;
pub mod http;
mod orphans;
pub mod os;
pub mod process;
mod sandbox;
mod state;

pub use backend::LocalBackend;
pub use orphans::Orphans;
pub use sandbox::{Sandbox, Standing, Support};
pub use state::{StateDirectoryError, check_state_directory, default_state_directory};
