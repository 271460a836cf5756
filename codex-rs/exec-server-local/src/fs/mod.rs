//! Files and directories of this machine.
//!
//! ```text
//! params → place (path bytes → where in the system) → one idea per file: read, write, list, … → FsFault
//! ```
//!
//! [`LocalFileSystem`] is the service: it takes what the wire takes and answers what the wire answers. Whatever may wait
//! for a disk or a network runs on threads of its own, a bounded number of them ([`FsHost`]); a question that the kernel
//! can answer from memory is answered in place (`quick`). [`FileHandles`] are the open files of one caller. What is asked
//! under a policy is done by the same functions in a process that can touch no more than the policy allows (`confined`).

mod backend;
mod beside;
mod block;
mod confined;
mod copy;
mod digest;
mod directory;
mod globs;
mod guard;
mod halves;
mod handle;
mod handles;
mod host;
mod keys;
mod link;
mod listing;
mod metadata;
mod open;
mod place;
mod quick;
mod read;
mod remove;
mod rename;
mod replace;
mod sandbox;
mod search;
mod walk;
mod watch;
mod write;

pub use self::backend::LocalFileSystem;
pub use self::block::Block;
pub use self::confined::serve;
pub use self::handles::FileHandles;
pub use self::host::FsHost;
pub(crate) use self::place::native;
pub use self::read::WholeFile;
pub use self::search::LocalSearch;
pub use self::watch::{LocalWatch, MissingWatch};
