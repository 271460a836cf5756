//! The rows of the benchmark: one file each, and the table that says what each is for and what it is to reach. A row
//! starts its targets afresh and stops them before it returns.

mod blocked_stdin;
mod connect;
mod cuts;
mod distant;
mod echo;
mod echo_flooded;
mod idle;
mod in_flight;
mod large_file;
mod local;
mod one_shot;
mod openssh;
mod output_binary;
mod output_json;
mod passes;
mod pipelined;
mod pty_output;
mod reasons;
mod sandbox;
mod scale;
mod small_file;
mod small_request;
mod stalled;
mod stdin;

use self::reasons::REASONS;
use crate::error::BenchError;
use crate::report::{Goal, Measure, Of};
use crate::target::TargetSpec;

/// The cheapest command there is: what it costs is the starting and ending.
pub(crate) const TRUE: [&str; 1] = ["/usr/bin/true"];

/// What to measure, and how thoroughly.
pub(crate) struct Plan {
    pub(crate) targets: Vec<TargetSpec>,
    /// The naive server.
    pub(crate) limit: TargetSpec,
    pub(crate) quick: bool,
}

impl Plan {
    /// A size that depends on how thorough the run is.
    fn choose<T>(&self, thorough: T, quick: T) -> T {
        if self.quick { quick } else { thorough }
    }

    /// The limit and the targets, in the order in which they take turns.
    fn with_limit(&self) -> impl Iterator<Item = &TargetSpec> {
        std::iter::once(&self.limit).chain(&self.targets)
    }
}

/// One row. What it measures of each target has names; those with a goal are listed here.
#[derive(Debug)]
pub(crate) struct Row {
    /// On the command line.
    pub(crate) name: &'static str,
    /// Earlier names.
    pub(crate) aliases: &'static [&'static str],
    /// In a line, for `--help` and the page.
    pub(crate) about: &'static str,
    pub(crate) goals: &'static [(&'static str, Goal)],
    run: fn(&Plan) -> Result<Vec<Measure>, BenchError>,
}

impl Row {
    pub(crate) fn run(&self, plan: &Plan) -> Result<Vec<Measure>, BenchError> {
        (self.run)(plan)
    }

    /// What the server is to reach by `metric`.
    pub(crate) fn goal(&self, metric: &str) -> Option<Goal> {
        self.goals.iter().find(|(name, _)| *name == metric).map(|(_, goal)| *goal)
    }

    /// Why it may not reach that, where that was found out; see [`reasons`].
    pub(crate) fn reason(&self, metric: &str) -> Option<&'static str> {
        let is_it = |(row, name, _): &&(&str, &str, &str)| (*row, *name) == (self.name, metric);
        REASONS.iter().find(is_it).map(|(.., reason)| *reason)
    }

    /// By its name or an earlier one.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name || row.aliases.contains(&name))
    }
}

/// Every row, in the order in which they run.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "connect",
        aliases: &[],
        about: "From dialling to an initialized session",
        goals: &[("p50", Goal::AtMost(1.2, Of::Limit))],
        run: connect::run,
    },
    Row {
        name: "one-shot",
        aliases: &[],
        about: "One command on an open connection, start to closed",
        goals: &[("p50", Goal::AtMost(1.45, Of::Raw)), ("p99", Goal::AtMost(2.0, Of::Raw))],
        run: one_shot::run,
    },
    Row {
        name: "in-flight",
        aliases: &["in-flight-64"],
        about: "Many commands at once, on one connection and on many; CPU per command",
        goals: &[
            ("64 in flight", Goal::AtLeast(0.72, Of::Raw)),
            ("256 in flight", Goal::AtLeast(0.72, Of::Raw)),
            ("16 × 16 connections", Goal::AtLeast(0.72, Of::Raw)),
            ("cpu per command", Goal::AtMost(0.34, Of::Unit("ms"))),
        ],
        run: in_flight::run,
    },
    Row {
        name: "output-json",
        aliases: &["output-json-1gib"],
        about: "1 GiB of output as JSON text: rate, server CPU, memory",
        goals: &[
            ("zeros rate", Goal::AtLeast(0.85, Of::Limit)),
            ("zeros server cpu", Goal::AtMost(0.4, Of::Unit("s/GiB"))),
            ("zeros peak above idle", Goal::Below(16.0, Of::Unit("MiB"))),
            ("text rate", Goal::AtLeast(0.85, Of::Limit)),
            ("text server cpu", Goal::AtMost(0.4, Of::Unit("s/GiB"))),
            ("text peak above idle", Goal::Below(16.0, Of::Unit("MiB"))),
        ],
        run: output_json::run,
    },
    Row {
        name: "output-binary",
        aliases: &[],
        about: "The same as binary messages, beside the JSON form",
        goals: &[
            ("zeros rate", Goal::AtLeast(0.8, Of::Raw)),
            ("zeros rate over JSON", Goal::AtLeast(1.3, Of::Unit("×"))),
            ("zeros server cpu", Goal::AtMost(0.25, Of::Unit("s/GiB"))),
            ("text rate", Goal::AtLeast(0.8, Of::Raw)),
            ("text rate over JSON", Goal::AtLeast(1.3, Of::Unit("×"))),
            ("text server cpu", Goal::AtMost(0.25, Of::Unit("s/GiB"))),
        ],
        run: output_binary::run,
    },
    Row {
        name: "passes",
        aliases: &[],
        about: "What it costs to touch a GiB of output once, by each of the ways that there are",
        goals: &[],
        run: passes::run,
    },
    Row {
        name: "pty-output",
        aliases: &[],
        about: "Bulk output of a program on a terminal",
        goals: &[("rate", Goal::AtLeast(0.9, Of::Raw))],
        run: pty_output::run,
    },
    Row {
        name: "echo",
        aliases: &[],
        about: "A keystroke through a terminal and back",
        goals: &[("p50", Goal::AtMost(1.3, Of::Limit))],
        run: echo::run,
    },
    Row {
        name: "echo-flooded",
        aliases: &[],
        about: "The same while another process floods the connection, to a fast client and to one that takes 20 MB/s",
        goals: &[
            ("p50", Goal::AtMost(120.0, Of::Unit("µs"))),
            ("p99", Goal::AtMost(1500.0, Of::Unit("µs"))),
            ("p50 at 20 MB/s", Goal::AtMost(60.0, Of::Unit("ms"))),
        ],
        run: echo_flooded::run,
    },
    Row {
        name: "stdin",
        aliases: &[],
        about: "256 MiB into a process, by many writes at once",
        goals: &[
            ("64 writes in flight", Goal::AtLeast(1.0, Of::Limit)),
            ("4,096 writes in flight", Goal::AtLeast(1.0, Of::Limit)),
        ],
        run: stdin::run,
    },
    Row {
        name: "blocked-stdin",
        aliases: &[],
        about: "A small request behind a process that never reads its stdin",
        goals: &[("p50", Goal::AtMost(1000.0, Of::Unit("µs")))],
        run: blocked_stdin::run,
    },
    Row {
        name: "small-request",
        aliases: &[],
        about: "A cheap request and its answer",
        goals: &[
            ("environment/status p50", Goal::AtMost(1.2, Of::Limit)),
            ("process/read p50", Goal::AtMost(1.2, Of::Limit)),
            ("fs/getMetadata p50", Goal::AtMost(1.2, Of::Limit)),
        ],
        run: small_request::run,
    },
    Row {
        name: "small-file",
        aliases: &[],
        about: "A kibibyte read and written, and a directory of 10,000 entries listed",
        goals: &[
            ("1 KiB read p50", Goal::AtMost(18.0, Of::Unit("µs"))),
            ("1 KiB write p50", Goal::AtMost(100.0, Of::Unit("µs"))),
            ("10,000-entry listing p50", Goal::AtMost(3000.0, Of::Unit("µs"))),
        ],
        run: small_file::run,
    },
    Row {
        name: "sandbox",
        aliases: &[],
        about: "What a sandbox costs: a command and a file read in one, and 5,000 files unpacked; beside bwrap where it \
                is installed",
        goals: &[
            ("confined over free", Goal::AtMost(1.2, Of::Unit("ms"))),
            ("confined over bwrap", Goal::AtMost(0.5, Of::Unit("×"))),
            ("1 KiB read p50, confined", Goal::Below(1000.0, Of::Unit("µs"))),
            ("5,000 files unpacked, confined over free", Goal::AtMost(1.1, Of::Unit("×"))),
        ],
        run: sandbox::run,
    },
    Row {
        name: "large-file",
        aliases: &[],
        about: "64 MiB read whole, read in blocks, and written; memory, and a keystroke meanwhile",
        goals: &[
            ("64 MiB read", Goal::AtLeast(600.0, Of::Unit("MB/s"))),
            ("64 blocks of 1 MiB", Goal::AtLeast(1500.0, Of::Unit("MB/s"))),
            ("64 MiB write", Goal::AtLeast(450.0, Of::Unit("MB/s"))),
            ("64 MiB read, growth", Goal::AtMost(100.0, Of::Unit("MiB"))),
            ("512 MiB read in binary blocks, growth", Goal::AtMost(64.0, Of::Unit("MiB"))),
            ("echo p50 during a 64 MiB read", Goal::AtMost(5.0, Of::Unit("ms"))),
        ],
        run: large_file::run,
    },
    Row {
        name: "pipelined",
        aliases: &[],
        about: "Bursts of requests sent at once on one connection",
        goals: &[
            ("256 starts", Goal::Words("all answered")),
            ("4,000 small requests", Goal::Words("all answered")),
            ("4,096 fs/getMetadata", Goal::Words("all answered")),
            ("4,096 writes", Goal::Words("all answered")),
        ],
        run: pipelined::run,
    },
    Row {
        name: "scale",
        aliases: &[],
        about: "5,000 processes, 500 connections, 10,000 sessions: memory of each, and a command among the processes",
        goals: &[
            ("memory per idle process", Goal::AtMost(8.0, Of::Unit("KiB"))),
            ("memory per idle connection", Goal::AtMost(24.0, Of::Unit("KiB"))),
            ("one-shot p50 among processes, over alone", Goal::AtMost(1.3, Of::Unit("×"))),
        ],
        run: scale::run,
    },
    Row {
        name: "stalled",
        aliases: &[],
        about: "A client that stops reading while its process floods: memory, and what other connections feel",
        goals: &[
            ("server growth", Goal::AtMost(4.0, Of::Unit("MiB"))),
            ("other connection's one-shot, over alone", Goal::AtMost(1.1, Of::Unit("×"))),
        ],
        run: stalled::run,
    },
    Row {
        name: "cuts",
        aliases: &[],
        about: "Connections that are cut: from dialling again to having what was missed, and what a flood has lost",
        goals: &[
            ("catch-up p50", Goal::AtMost(300.0, Of::Unit("µs"))),
            ("lost of a trickle", Goal::AtMost(0.0, Of::Unit("bytes"))),
            ("lost of a flood", Goal::AtMost(0.0, Of::Unit("bytes"))),
        ],
        run: cuts::run,
    },
    Row {
        name: "idle",
        aliases: &[],
        about: "Start time, resident memory and size of a server that does nothing",
        goals: &[
            ("start to URL", Goal::AtMost(3.0, Of::Unit("ms"))),
            ("resident", Goal::AtMost(8.0, Of::Unit("MiB"))),
            ("program size", Goal::AtMost(12.0, Of::Unit("MiB"))),
        ],
        run: idle::run,
    },
    Row {
        name: "local",
        aliases: &[],
        about: "One command on this machine through the local backend, without a server",
        goals: &[("p50", Goal::AtMost(1.2, Of::Raw))],
        run: local::run,
    },
    Row {
        name: "openssh",
        aliases: &[],
        about: "The command line, `run --connect`, beside `ssh` over an open connection, where OpenSSH is installed",
        goals: &[],
        run: openssh::run,
    },
    Row {
        name: "distant",
        aliases: &[],
        about: "Round trips to a server 80 ms away: on an open connection, cold, resuming; over the wire and with our \
                client",
        goals: &[
            ("open connection", Goal::AtMost(1.03, Of::Raw)),
            ("cold, dial included", Goal::AtMost(2.05, Of::Raw)),
            ("resume, after the dial", Goal::AtMost(2.05, Of::Raw)),
        ],
        run: distant::run,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::lanes::{LIMIT, RAW};
    use crate::raw::Pass;
    use crate::report::page::numbers_in;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let names = ROWS.iter().flat_map(|row| row.aliases.iter().chain(std::iter::once(&row.name)));
        let mut seen = HashSet::new();
        for name in names {
            assert!(seen.insert(name), "{name}");
            assert!(Row::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn no_metric_has_two_goals() {
        for row in ROWS {
            let metrics: HashSet<_> = row.goals.iter().map(|(metric, _)| metric).collect();
            assert_eq!(metrics.len(), row.goals.len(), "{}", row.name);
        }
    }

    #[test]
    fn a_reason_is_for_one_goal_and_takes_its_numbers_from_where_there_are_some() {
        let mut seen = HashSet::new();
        for (name, metric, reason) in REASONS {
            let row = Row::named(name).expect("it is a row");
            assert!(row.goal(metric).is_some() && seen.insert((name, metric)), "{name}: {metric}");
            assert_eq!(row.reason(metric), Some(*reason));
            for number in numbers_in(reason) {
                let is_known = match number.split_once(": ") {
                    Some(("passes", metric)) => Pass::ALL.iter().any(|pass| pass.name() == metric),
                    Some((row, metric)) => Row::named(row).and_then(|row| row.goal(metric)).is_some(),
                    None => [RAW, LIMIT].contains(&number),
                };
                assert!(is_known, "{name}: {metric}: {number}");
            }
        }
    }
}
