//! Many commands at once on one connection: as each closes the next is started.

use std::time::Instant;

use super::{Plan, TRUE};
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::RawInFlight;
use crate::report::{Goal, Measure, Of};
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, Message, StartParams};

const WIDTH: usize = 64;

pub(super) fn run(plan: &Plan) -> Vec<Measure> {
    let count = plan.choose(/*thorough*/ 1024, /*quick*/ 320);
    let mut lanes = vec![Lane::new(RAW, RawInFlight::open(&TRUE, WIDTH, count))];
    lanes.extend(plan.targets.iter().map(|spec| Lane::new(&spec.name, InFlight::open(spec, count))));
    alternate(&mut lanes, Turns { warm_up: 1, rounds: plan.choose(/*thorough*/ 9, /*quick*/ 3), batch: 1 });
    lanes
        .iter()
        .map(|lane| lane.measure("commands/s", "/s", Summary::median).with_goal(Goal::AtLeast(0.6, Of::Raw)))
        .collect()
}

struct InFlight {
    target: Target,
    /// Commands per sample.
    count: usize,
}

impl InFlight {
    fn open(spec: &TargetSpec, count: usize) -> Result<Self, BenchError> {
        Ok(Self { target: spec.start()?, count })
    }
}

impl Probe for InFlight {
    /// A connection of its own, so that one sample does not pay for what the one before left to be
    /// remembered.
    fn sample(&mut self) -> Result<f64, BenchError> {
        let mut connection = Connection::open(&self.target.url)?;
        let started = Instant::now();
        let (mut begun, mut closed) = (0, 0);
        while closed < self.count {
            while begun < self.count && begun - closed < WIDTH {
                begun += 1;
                connection.queue("process/start", StartParams::new(&format!("true-{begun}"), &TRUE))?;
            }
            connection.flush()?;
            match connection.next()? {
                Message::Closed { .. } => closed += 1,
                Message::Refused { code, message, .. } => {
                    return Err(BenchError::Refused { code, message });
                }
                _ => {}
            }
        }
        Ok(self.count as f64 / started.elapsed().as_secs_f64())
    }
}
