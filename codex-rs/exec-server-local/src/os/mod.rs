//! Processes as the operating system sees them: birth, signals, death, terminals and whole trees.
//!
//! Owns every call into the kernel that starts, watches or ends a child, and all of this crate's `unsafe`
//! code for it. Leaves to others what the output means, who may ask, where bytes are kept, and async:
//! everything here is synchronous, and what a caller waits on is handed out as a descriptor that can be
//! polled.
//!
//! The layer is written for Linux 5.4 and later on 64-bit machines. It uses these kernel features on purpose:
//!
//! * `clone(CLONE_VM | CLONE_VFORK | CLONE_PIDFD)`: a child costs the same however much memory the server holds,
//!   an error of the child is a plain store in shared memory, and the child is never named by a bare number.
//! * `CLONE_FILES` with `close_range(CLOSE_RANGE_UNSHARE)`: it also costs the same however many descriptors the server
//!   holds.
//! * pidfds: no signal and no wait can hit a process that merely inherited a number.
//! * a resource limit as a brand on each tree ([`Mark`]), so that [`kill_tree`] finds descendants that have
//!   left the session, the process group and the ancestry.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("the process layer of codex-exec-server-local supports 64-bit Linux only");

mod birth;
mod carried;
mod census;
mod child;
mod command;
mod confined;
mod error;
mod groups;
mod heap;
mod image;
mod launch;
mod ledger;
mod low;
mod mark;
mod orphans;
mod proc_table;
mod pty;
mod sluice;
mod spawn;
mod spool_file;
mod standby;
mod sys;
mod text;
mod timer;
mod tree;
mod wiring;

pub use carried::Carried;
pub use child::{Child, Exit, Status, Usage};
pub use command::{Command, Limit, LimitKind, Stdin, Stdio};
pub use confined::{Confined, program_of, spawn_confined};
pub(crate) use confined::{spawn_file_server, try_sandbox, wait_for};
pub use error::{SpawnError, Stage};
pub use groups::{
    ControlGroups, Group, TreeLimits, claim_control_groups, control_groups, look_for_control_groups,
};
pub use heap::{Heap, share_heap, tidy_heap};
pub use low::expect_many;
pub use mark::Mark;
pub use orphans::{Sweep, become_subreaper, sweep};
pub use pty::{Size, append_output, read_output, resize};
pub use rustix::process::Signal;
pub use sluice::Sluice;
pub use spawn::{Spawned, spawn};
pub use spool_file::{nameless_file, read_cached, set_aside, write_parts};
pub(crate) use standby::{Standby, Zygote, spawn_confined_by};
pub use text::let_go_of_start;
pub use timer::{arm_timer, timer};
pub use tree::{KillReport, kill_tree};
pub use wiring::{Output, widen_pipe};
