//! The rows of the benchmark: one file each. A row starts its targets afresh and stops them before it
//! returns.

mod distant;
mod echo;
mod idle;
mod in_flight;
mod local;
mod one_shot;
mod output;
mod pipelined;
mod small_request;

use clap::ValueEnum;

use crate::error::BenchError;
use crate::report::Measure;
use crate::target::TargetSpec;

/// The cheapest command there is: what it costs is the starting and ending.
const TRUE: [&str; 1] = ["/usr/bin/true"];

/// What to measure, and how thoroughly.
pub(crate) struct Plan {
    pub(crate) targets: Vec<TargetSpec>,
    pub(crate) quick: bool,
}

impl Plan {
    /// A size that depends on how thorough the run is.
    fn choose<T>(&self, thorough: T, quick: T) -> T {
        if self.quick { quick } else { thorough }
    }
}

/// A row by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// One command on an open connection, start to closed
    #[value(name = "one-shot")]
    OneShot,
    /// 64 commands in flight on one connection
    #[value(name = "in-flight-64")]
    InFlight,
    /// 1 GiB of output as JSON text: rate, server CPU, memory
    #[value(name = "output-json-1gib")]
    Output,
    /// A keystroke through a terminal and back
    #[value(name = "echo")]
    Echo,
    /// Start time, resident memory and size of a server that does nothing
    #[value(name = "idle")]
    Idle,
    /// A cheap request and its answer
    #[value(name = "small-request")]
    SmallRequest,
    /// Bursts of requests sent at once on one connection
    #[value(name = "pipelined")]
    Pipelined,
    /// One command on this machine through the local backend, without a server
    #[value(name = "local")]
    Local,
    /// Round trips to a server 80 ms away: on an open connection, cold, resuming; over the wire and with our client
    #[value(name = "distant")]
    Distant,
}

impl Row {
    pub(crate) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneShot => "one-shot",
            Self::InFlight => "in-flight-64",
            Self::Output => "output-json-1gib",
            Self::Echo => "echo",
            Self::Idle => "idle",
            Self::SmallRequest => "small-request",
            Self::Pipelined => "pipelined",
            Self::Local => "local",
            Self::Distant => "distant",
        }
    }

    pub(crate) fn run(self, plan: &Plan) -> Result<Vec<Measure>, BenchError> {
        match self {
            Self::OneShot => Ok(one_shot::run(plan)),
            Self::InFlight => Ok(in_flight::run(plan)),
            Self::Output => output::run(plan),
            Self::Echo => Ok(echo::run(plan)),
            Self::Idle => Ok(idle::run(plan)),
            Self::SmallRequest => Ok(small_request::run(plan)),
            Self::Pipelined => Ok(pipelined::run(plan)),
            Self::Local => Ok(local::run(plan)),
            Self::Distant => Ok(distant::run(plan)),
        }
    }
}
