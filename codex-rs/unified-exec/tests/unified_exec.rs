//! Commands as an agent runs them: on this machine and over a connection, and on a backend that does what a test says
//! where no real one can.

#[path = "unified_exec/approval.rs"]
mod approval;
#[path = "unified_exec/commands.rs"]
mod commands;
#[path = "unified_exec/cuts.rs"]
mod cuts;
#[path = "unified_exec/fake.rs"]
mod fake;
#[path = "unified_exec/input.rs"]
mod input;
#[path = "unified_exec/many.rs"]
mod many;
#[path = "unified_exec/output.rs"]
mod output;
#[path = "unified_exec/support.rs"]
mod support;
#[path = "unified_exec/timers.rs"]
mod timers;
