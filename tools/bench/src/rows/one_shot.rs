//! One command on an open connection: from sending `process/start` to receiving `process/closed`.

use std::time::Instant;

use super::{Plan, TRUE};
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::RawOneShot;
use crate::report::{Goal, Measure, Of};
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, Message, StartParams};

const GOAL: Goal = Goal::AtMost(1.6, Of::Raw);

pub(super) fn run(plan: &Plan) -> Vec<Measure> {
    let mut lanes = vec![Lane::new(RAW, RawOneShot::open(&TRUE))];
    lanes.extend(plan.targets.iter().map(|spec| Lane::new(&spec.name, OneShot::open(spec))));
    alternate(
        &mut lanes,
        Turns { warm_up: 10, rounds: plan.choose(/*thorough*/ 100, /*quick*/ 15), batch: 10 },
    );
    let p50 = lanes.iter().map(|lane| lane.measure("p50", "µs", Summary::median).with_goal(GOAL));
    let p99 = lanes.iter().map(|lane| {
        let measure = lane.measure("p99", "µs", |summary| summary.percentile(99.0));
        // The spread of the samples says nothing about how sure their tail is.
        Measure { spread: None, ..measure }.with_goal(GOAL)
    });
    p50.chain(p99).collect()
}

struct OneShot {
    connection: Connection,
    count: usize,
    /// Stopped after the connection is gone.
    _target: Target,
}

impl OneShot {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        let target = spec.start()?;
        Ok(Self { connection: Connection::open(&target.url)?, count: 0, _target: target })
    }
}

impl Probe for OneShot {
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let name = format!("true-{}", self.count);
        let started = Instant::now();
        self.connection.request("process/start", StartParams::new(&name, &TRUE))?;
        let (mut taken, mut replied) = (None, false);
        while taken.is_none() || !replied {
            match self.connection.next()? {
                Message::Closed { process_id, .. } if process_id == name => taken = Some(started.elapsed()),
                Message::Reply { .. } => replied = true,
                Message::Refused { code, message, .. } => {
                    return Err(BenchError::Refused { code, message });
                }
                Message::Exited { exit_code, .. } if exit_code != 0 => {
                    return Err(BenchError::Protocol(format!("true exited with {exit_code}")));
                }
                _ => {}
            }
        }
        Ok(taken.unwrap_or_default().as_secs_f64() * 1e6)
    }
}
