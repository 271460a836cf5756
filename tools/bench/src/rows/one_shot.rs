//! One command on an open connection: from sending `process/start` to receiving `process/closed`.

use std::time::Instant;

use serde_json::Value;

use super::{Plan, TRUE};
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::RawOneShot;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, Message, StartParams};

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut lanes = vec![Lane::new(RAW, RawOneShot::open(&TRUE))];
    lanes.extend(plan.with_limit().map(|spec| Lane::new(&spec.name, OneShot::open(spec))));
    alternate(
        &mut lanes,
        Turns { warm_up: 10, rounds: plan.choose(/*thorough*/ 100, /*quick*/ 15), batch: 10 },
    );
    let p50 = lanes.iter().map(|lane| lane.measure("p50", "µs", Summary::median));
    let p99 = lanes.iter().map(|lane| lane.percentile("p99", "µs", /*percent*/ 99.0));
    Ok(p50.chain(p99).collect())
}

struct OneShot {
    commands: Commands,
    /// Stopped after the connection is gone.
    _target: Target,
}

impl OneShot {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        let target = spec.start()?;
        Ok(Self { commands: Commands::open(&target.url)?, _target: target })
    }
}

impl Probe for OneShot {
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.commands.run()
    }
}

/// A connection on which one command is run again and again.
pub(super) struct Commands {
    connection: Connection,
    argv: Vec<String>,
    sandbox: Option<Value>,
    count: usize,
}

impl Commands {
    /// `true`, unconfined, on a connection of its own.
    pub(super) fn open(url: &str) -> Result<Self, BenchError> {
        Ok(Self::on(Connection::open(url)?, &TRUE, /*sandbox*/ None))
    }

    /// `argv`, confined where `sandbox` is given.
    pub(super) fn on(connection: Connection, argv: &[&str], sandbox: Option<Value>) -> Self {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        Self { connection, argv, sandbox, count: 0 }
    }

    /// Runs it once; microseconds until its close has come.
    pub(super) fn run(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let name = format!("command-{}", self.count);
        let argv: Vec<&str> = self.argv.iter().map(String::as_str).collect();
        let started = Instant::now();
        let params = StartParams::new(&name, &argv).with_sandbox(self.sandbox.as_ref());
        self.connection.request("process/start", params)?;
        let (mut taken, mut replied) = (None, false);
        while taken.is_none() || !replied {
            match self.connection.next()? {
                Message::Closed { process_id, .. } if process_id == name => taken = Some(started.elapsed()),
                Message::Reply { .. } => replied = true,
                Message::Refused { code, message, .. } => {
                    return Err(BenchError::Refused { code, message });
                }
                Message::Exited { exit_code, .. } if exit_code != 0 => {
                    let program = self.argv.first().map_or("nothing", String::as_str);
                    return Err(BenchError::Protocol(format!("{program} exited with {exit_code}")));
                }
                _ => {}
            }
        }
        Ok(taken.unwrap_or_default().as_secs_f64() * 1e6)
    }
}
