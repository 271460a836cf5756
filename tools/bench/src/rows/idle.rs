//! A server that does nothing: how soon it is there, what it holds, how large its program is.

use std::time::Duration;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::machine;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Role, TargetSpec};

/// After a start, before memory is read.
const SETTLE: Duration = Duration::from_millis(300);
/// The least that a start and a line of output can cost.
const RAW_COMMAND: &str = "/bin/echo ws://nowhere";

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let raw = TargetSpec::parse(RAW_COMMAND, Role::Server, &[]).map(|spec| StartTime { spec });
    let mut starts = vec![Lane::new(RAW, raw)];
    let probes = plan.with_limit().map(|spec| (spec, spec.clone()));
    starts.extend(probes.map(|(spec, probe)| Lane::new(&spec.name, Ok(StartTime { spec: probe }))));
    alternate(&mut starts, Turns { warm_up: 1, rounds: 15, batch: 1 });

    let probes = plan.with_limit().map(|spec| (spec, spec.clone()));
    let mut resident: Vec<_> =
        probes.map(|(spec, probe)| Lane::new(&spec.name, Ok(Resident { spec: probe }))).collect();
    alternate(
        &mut resident,
        Turns { warm_up: 0, rounds: plan.choose(/*thorough*/ 5, /*quick*/ 2), batch: 1 },
    );

    let starts = starts.iter().map(|lane| lane.measure("start to URL", "ms", Summary::median));
    let resident = resident.iter().map(|lane| lane.measure("resident", "MiB", Summary::median));
    let sizes = plan.targets.iter().map(size);
    Ok(starts.chain(resident).chain(sizes).collect())
}

/// Milliseconds from starting the program to its URL line.
struct StartTime {
    spec: TargetSpec,
}

impl Probe for StartTime {
    fn sample(&mut self) -> Result<f64, BenchError> {
        Ok(self.spec.start()?.start_time.as_secs_f64() * 1e3)
    }
}

/// Mebibytes resident in a server that nobody has talked to.
struct Resident {
    spec: TargetSpec,
}

impl Probe for Resident {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let target = self.spec.start()?;
        std::thread::sleep(SETTLE);
        Ok(machine::memory(target.pid())?.resident_kib / 1024.0)
    }
}

fn size(spec: &TargetSpec) -> Measure {
    let measure = Measure::new("program size", &spec.name, "MiB");
    match spec.binary_bytes() {
        Ok(bytes) => measure.with_value(bytes as f64 / f64::from(1 << 20), (0.0, 0.0), /*samples*/ 1),
        Err(error) => measure.with_failure(&error.to_string()),
    }
}
