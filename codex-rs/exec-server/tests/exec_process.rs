//! One list of cases for whatever runs processes: this machine, a server over a WebSocket, and the reference's server
//! where it is at hand. A caller of the traits must not be able to tell which it holds.

#[macro_use]
mod support;

#[path = "exec_process/place.rs"]
mod place;

#[path = "exec_process/ending.rs"]
mod ending;
#[path = "exec_process/environment.rs"]
mod environment;
#[path = "exec_process/environment_policy.rs"]
mod environment_policy;
#[path = "exec_process/events.rs"]
mod events;
#[path = "exec_process/handles.rs"]
mod handles;
#[path = "exec_process/input.rs"]
mod input;
#[path = "exec_process/limits.rs"]
mod limits;
#[path = "exec_process/read.rs"]
mod read;
#[path = "exec_process/refusals.rs"]
mod refusals;
#[path = "exec_process/shells.rs"]
mod shells;
#[path = "exec_process/steps.rs"]
mod steps;
#[path = "exec_process/terminal.rs"]
mod terminal;
