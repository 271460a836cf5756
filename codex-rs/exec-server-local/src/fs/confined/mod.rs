//! File operations under a policy: each is done by a process that can touch no more than the policy allows.
//!
//! ```text
//! SandboxContext → policy → Helpers: one process per policy → a connection → request → the same functions, inside
//! ```
//!
//! Such a process (`helper`) is this very program in a sandbox (`serve`), and lives on for the next request. What was
//! opened inside comes out as a descriptor, so content is read by the server itself, from a file that was found to be
//! allowed.

mod frame;
mod helper;
mod helpers;
mod request;
mod search;
mod serve;

pub(super) use self::helpers::Helpers;
pub(super) use self::request::{Answer, Opened, Request};
pub(super) use self::search::Search;
pub use self::serve::serve;
