//! The command line as a person meets it: what is left running and found again, in JSON, in manuals; and bad input.

#[path = "cli/attach.rs"]
mod attach;
#[path = "cli/cp.rs"]
mod cp;
#[path = "cli/detach.rs"]
mod detach;
#[path = "cli/edit.rs"]
mod edit;
#[path = "cli/envs.rs"]
mod envs;
#[path = "cli/fetch.rs"]
mod fetch;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/flags.rs"]
mod flags;
#[path = "cli/home.rs"]
mod home;
#[path = "cli/json.rs"]
mod json;
#[path = "cli/keep.rs"]
mod keep;
#[path = "cli/manual.rs"]
mod manual;
#[path = "cli/reference.rs"]
mod reference;
#[path = "cli/relay.rs"]
mod relay;
#[path = "run/support.rs"]
#[allow(dead_code, reason = "each test program takes the part that it needs")]
mod support;
#[path = "cli/terminal.rs"]
mod terminal;
