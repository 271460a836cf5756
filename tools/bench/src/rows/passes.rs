//! What it costs this machine to touch the bytes of output once: with that, and with how often a server does it, its CPU per
//! GiB can be reckoned.

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::Pass;
use crate::report::Measure;
use crate::stats::Summary;

/// The first pass of all is not measured: nothing is in the caches then.
const WARM_UP: usize = 1;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let bytes = plan.choose(/*thorough*/ 1 << 30, /*quick*/ 1 << 28);
    let mut lanes: Vec<_> = Pass::ALL.map(|pass| Lane::new(RAW, Ok(Once { pass, bytes }))).into();
    alternate(
        &mut lanes,
        Turns { warm_up: WARM_UP, rounds: plan.choose(/*thorough*/ 5, /*quick*/ 3), batch: 1 },
    );
    let measure = |(lane, pass): (&Lane, Pass)| lane.measure(pass.name(), "s/GiB", Summary::median);
    Ok(lanes.iter().zip(Pass::ALL).map(measure).collect())
}

struct Once {
    pass: Pass,
    bytes: u64,
}

impl Probe for Once {
    /// CPU seconds for each GiB.
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.pass.cost(self.bytes)
    }
}
