//! From dialling to an initialized session: the socket, the upgrade, the handshake.

use std::time::Instant;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, Turns, alternate};
use crate::placement::Placement;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::Connection;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut measures = Vec::new();
    for placement in [Placement::OneProcessor, Placement::Free] {
        let mut lanes: Vec<_> =
            plan.with_limit().map(|spec| Lane::new(&spec.name, Connect::open(spec, placement))).collect();
        let _placed = placement.of_client()?;
        alternate(
            &mut lanes,
            Turns { warm_up: 20, rounds: plan.choose(/*thorough*/ 50, /*quick*/ 10), batch: 20 },
        );
        let (p50, p99) = (placement.name("p50"), placement.name("p99"));
        measures.extend(lanes.iter().map(|lane| lane.measure(&p50, "µs", Summary::median)));
        measures.extend(lanes.iter().map(|lane| lane.percentile(&p99, "µs", /*percent*/ 99.0)));
    }
    Ok(measures)
}

struct Connect {
    target: Target,
}

impl Connect {
    fn open(spec: &TargetSpec, placement: Placement) -> Result<Self, BenchError> {
        let target = spec.start()?;
        placement.of_server(&target)?;
        Ok(Self { target })
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
