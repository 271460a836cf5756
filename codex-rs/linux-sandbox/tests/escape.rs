//! Attempts to get out of a sandbox. Each is tried inside by this same program, and checked from outside; beside each
//! stands honest work that must succeed. Numbers and groups are those of `docs/sandbox.md`.
//!
//! The whole suite runs as whoever runs the tests and, where that is root, once more as an ordinary user.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "attempts make system calls that no safe interface offers")]

mod escape {
    pub(crate) mod attempt;
    mod environment;
    mod files;
    mod kernel;
    mod network;
    mod policy;
    mod processes;
    mod project;
    pub(crate) mod runner;
    pub(crate) mod scene;
    mod secrets;
    mod work;

    use attempt::Attempt;

    /// All of them.
    pub(crate) fn attempts() -> Vec<Attempt> {
        [
            files::attempts(),
            project::attempts(),
            secrets::attempts(),
            kernel::attempts(),
            processes::attempts(),
            network::attempts(),
            environment::attempts(),
            policy::attempts(),
        ]
        .concat()
    }
}

use escape::{attempts, runner};

#[test]
fn every_attempt_is_blocked_and_honest_work_goes_on() {
    runner::run_all(&attempts());
}

#[test]
fn the_same_holds_for_an_ordinary_user() {
    runner::run_all_as_ordinary_user("every_attempt_is_blocked_and_honest_work_goes_on");
}

/// Not a test by itself: this is what runs inside the sandbox.
#[test]
fn inside() {
    runner::try_inside(&attempts());
}
