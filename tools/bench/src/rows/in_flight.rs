//! Many commands at once: as each closes the next is started. On one connection, on many, and what a command costs
//! the server in CPU time, with everything that was its child.

use std::time::Instant;

use super::{Plan, TRUE};
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::machine;
use crate::raw::RawInFlight;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{self, Connection, Message, StartParams};

/// How many commands, and where.
#[derive(Clone, Copy)]
struct Load {
    connections: usize,
    /// In flight on each.
    width: usize,
    /// Commands per sample, on all together.
    count: usize,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let count = plan.choose(/*thorough*/ 1024, /*quick*/ 512);
    let turns = Turns { warm_up: 1, rounds: plan.choose(/*thorough*/ 9, /*quick*/ 3), batch: 1 };
    let mut measures = Vec::new();
    for (metric, connections, width) in
        [("64 in flight", 1, 64), ("256 in flight", 1, 256), ("16 × 16 connections", 16, 16)]
    {
        let load = Load { connections, width, count };
        let raw = RawInFlight::open(&TRUE, connections * width, count);
        let mut lanes = vec![Lane::new(RAW, raw)];
        let probe = |spec: &TargetSpec| Ok(Rate(InFlight::open(spec, load)?));
        lanes.extend(plan.with_limit().map(|spec| Lane::new(&spec.name, probe(spec))));
        eprintln!("  {metric}");
        alternate(&mut lanes, turns);
        measures.extend(lanes.iter().map(|lane| lane.measure(metric, "/s", Summary::median)));
    }

    let load = Load { connections: 1, width: 64, count: plan.choose(/*thorough*/ 2048, /*quick*/ 1024) };
    let raw = RawInFlight::open(&TRUE, load.width, load.count);
    let mut lanes = vec![Lane::new(RAW, raw.map(|raw| RawCpu { raw, count: load.count }))];
    let probe = |spec: &TargetSpec| Ok(Cpu(InFlight::open(spec, load)?));
    lanes.extend(plan.with_limit().map(|spec| Lane::new(&spec.name, probe(spec))));
    alternate(&mut lanes, Turns { rounds: plan.choose(/*thorough*/ 5, /*quick*/ 2), ..turns });
    measures.extend(lanes.iter().map(|lane| lane.measure("cpu per command", "ms", Summary::median)));
    Ok(measures)
}

struct InFlight {
    target: Target,
    load: Load,
}

/// Commands per second.
struct Rate(InFlight);

/// CPU milliseconds per command: the server's own and those of its children, the command itself included.
struct Cpu(InFlight);

/// The same without a server.
struct RawCpu {
    raw: RawInFlight,
    count: usize,
}

/// One connection's share of the commands.
#[derive(Default)]
struct Share {
    begun: usize,
    closed: usize,
}

impl InFlight {
    fn open(spec: &TargetSpec, load: Load) -> Result<Self, BenchError> {
        Ok(Self { target: spec.start()?, load })
    }

    /// Connections of its own, so that one sample does not pay for what the one before left to be remembered.
    fn connect(&self) -> Result<Vec<Connection>, BenchError> {
        (0..self.load.connections).map(|_| Connection::open(&self.target.url)).collect()
    }

    fn run(&self, connections: &mut [Connection]) -> Result<(), BenchError> {
        let each = self.load.count / self.load.connections;
        let mut shares: Vec<Share> = connections.iter().map(|_| Share::default()).collect();
        let mut closed = 0;
        loop {
            for (connection, share) in connections.iter_mut().zip(&mut shares) {
                while let Some(message) = connection.try_next()? {
                    match message {
                        Message::Closed { .. } => {
                            share.closed += 1;
                            closed += 1;
                        }
                        Message::Refused { code, message, .. } => {
                            return Err(BenchError::Refused { code, message });
                        }
                        _ => {}
                    }
                }
                while share.begun < each && share.begun - share.closed < self.load.width {
                    share.begun += 1;
                    let name = format!("true-{}", share.begun);
                    connection.queue("process/start", StartParams::new(&name, &TRUE))?;
                }
                connection.flush()?;
            }
            if closed == each * self.load.connections {
                return Ok(());
            }
            wire::wait(connections, /*room*/ false)?;
        }
    }
}

impl Probe for Rate {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let mut connections = self.0.connect()?;
        let started = Instant::now();
        self.0.run(&mut connections)?;
        Ok(self.0.load.count as f64 / started.elapsed().as_secs_f64())
    }
}

impl Probe for Cpu {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let mut connections = self.0.connect()?;
        let before = machine::cpu_time(self.0.target.pid())?.total();
        self.0.run(&mut connections)?;
        let used = machine::cpu_time(self.0.target.pid())?.total() - before;
        Ok(used * 1e3 / self.0.load.count as f64)
    }
}

impl Probe for RawCpu {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let before = machine::cpu_time(std::process::id())?.total();
        self.raw.sample()?;
        Ok((machine::cpu_time(std::process::id())?.total() - before) * 1e3 / self.count as f64)
    }
}
