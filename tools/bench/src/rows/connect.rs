//! From dialling to an initialized session: the socket, the upgrade, the handshake.

use std::time::Instant;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, Turns, alternate};
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::Connection;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut lanes: Vec<_> =
        plan.with_limit().map(|spec| Lane::new(&spec.name, Connect::open(spec))).collect();
    alternate(
        &mut lanes,
        Turns { warm_up: 20, rounds: plan.choose(/*thorough*/ 50, /*quick*/ 10), batch: 20 },
    );
    let p50 = lanes.iter().map(|lane| lane.measure("p50", "µs", Summary::median));
    let p99 = lanes.iter().map(|lane| lane.percentile("p99", "µs", /*percent*/ 99.0));
    Ok(p50.chain(p99).collect())
}

struct Connect {
    target: Target,
}

impl Connect {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        Ok(Self { target: spec.start()? })
    }
}

impl Probe for Connect {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let started = Instant::now();
        let connection = Connection::open(&self.target.url)?;
        let taken = started.elapsed();
        drop(connection);
        Ok(taken.as_secs_f64() * 1e6)
    }
}
