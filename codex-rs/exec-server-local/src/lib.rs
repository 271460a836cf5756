//! The services on this machine. Knows nothing of connections or messages.
//!
//! [`process`] is the process service: tables of processes, their logs and supervisors. [`os`] is what it stands on,
//! every call into the kernel that makes, watches or ends a child. [`env`](mod@env) decides what a child inherits.

pub mod env;
pub mod os;
pub mod process;
