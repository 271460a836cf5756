//! Processes of this machine: started, followed, fed, signalled and ended.
//!
//! [`ProcessTable`] is the service: one namespace of process ids, which a session owns. Behind each id stands a
//! [`Process`], whose log any number of readers may look at, and a supervisor task that alone moves bytes from the
//! operating system into that log. How a process is made and found again by the kernel is [`crate::os`]'s matter.

mod audience;
mod bridge;
mod denial;
mod follow;
mod followers;
mod handle;
mod host;
mod input;
mod kill;
mod limits;
mod managed;
mod reading;
mod shell;
mod signal;
mod spool;
mod start;
mod stdin;
mod supervise;
mod table;
mod tap;
mod tend;
mod watch;

pub(crate) use audience::{Held, Subscription};
pub use follow::{Acknowledgement, Draw, FollowId, Follower};
pub use handle::Process;
pub use host::ProcessHost;
pub(crate) use input::Input;
pub(crate) use signal::os_signal;
pub use table::ProcessTable;
