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
    mod launcher;
    mod login;
    mod managed;
    mod network;
    mod networks;
    mod policy;
    mod processes;
    mod project;
    mod resources;
    pub(crate) mod runner;
    pub(crate) mod scene;
    mod secrets;
    mod standby;
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
            launcher::attempts(),
            managed::attempts(),
            policy::attempts(),
            resources::attempts(),
        ]
        .concat()
    }

    /// Numbers that no attempt here has, and where they are tried or why they are not.
    pub(crate) const ELSEWHERE: &[(std::ops::RangeInclusive<u16>, &str)] = &[
        (
            26..=26,
            "a process reads what begins to match a glob after its start: a limit that is told; file calls don't",
        ),
        (68..=69, "tried with a server, where its environments are tested"),
        (73..=75, "the server runs no proxy: 72 tries that one is refused"),
        (93..=100, "tried where file calls are tested"),
        (105..=105, "tried with the reports of refusals"),
        (107..=109, "tried with the reports of refusals"),
    ];
}

use escape::{ELSEWHERE, attempts, runner};

#[test]
fn every_attempt_is_blocked_and_honest_work_goes_on() {
    runner::run_all(&attempts(), runner::backend);
}

#[test]
fn the_same_holds_for_an_ordinary_user() {
    runner::run_all_as_ordinary_user("every_attempt_is_blocked_and_honest_work_goes_on");
}

#[test]
fn every_attempt_is_blocked_where_launchers_stand_by() {
    runner::run_all(&attempts(), || runner::backend_standing_by().0);
}

#[test]
fn the_same_holds_for_an_ordinary_users_launchers_that_stand_by() {
    runner::run_all_as_ordinary_user("every_attempt_is_blocked_where_launchers_stand_by");
}

#[test]
fn every_number_is_an_attempt_or_says_where_it_is_tried() {
    for number in 1..=110 {
        let places = ELSEWHERE.iter().filter(|(numbers, _)| numbers.contains(&number));
        let here = attempts().iter().filter(|attempt| attempt.number == number).count();
        assert_eq!(here + places.count(), 1, "{number}");
    }
    for (numbers, why) in ELSEWHERE {
        println!("skipped: {}–{}: {why}", numbers.start(), numbers.end());
    }
}

/// Not a test by itself: this is what runs inside the sandbox.
#[test]
fn inside() {
    runner::try_inside(&attempts());
}
