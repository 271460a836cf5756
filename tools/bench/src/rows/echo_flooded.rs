//! A keystroke through a terminal and back while another process floods the same connection: with a client that reads as
//! fast as it can, and with one that reads 20 MB/s, as one at the other end of a long line does.

use std::time::{Duration, Instant};

use super::Plan;
use super::echo::{PROGRAM, READY, Terminal};
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::{RawEcho, RawFloodedEcho};
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, StartParams};

const FLOOD: [&str; 2] = ["/bin/cat", "/dev/zero"];
/// How long the flood goes on before the first key is pressed.
const FILL: Duration = Duration::from_secs(1);
/// How long it goes on before each turn: what waits in the sockets at first is of a client that has stopped reading, which is
/// another row's.
const FLOW: Duration = Duration::from_millis(200);
/// Bytes of messages per second that the slow client takes.
const SLOW_RATE: f64 = 20e6;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let turns = Turns { warm_up: 20, rounds: plan.choose(/*thorough*/ 20, /*quick*/ 6), batch: 40 };
    let raw = RawEcho::open(&PROGRAM, READY).and_then(|echo| RawFloodedEcho::open(echo, &FLOOD));
    let mut measures = alone(Lane::new(RAW, raw), turns);
    for spec in plan.with_limit() {
        let flooded = Flooded::open(spec, /*rate*/ None);
        measures.extend(alone(Lane::new(&spec.name, flooded), turns));
    }
    measures.sort_by(|one, other| one.metric.cmp(&other.metric));

    let slow = |spec: &TargetSpec| {
        let flooded = Flooded::open(spec, Some(SLOW_RATE));
        Lane::new(&spec.name, flooded.map(Milliseconds))
    };
    // One after the other: while one is measured the others would stand still.
    for spec in plan.with_limit() {
        let mut lanes = [slow(spec)];
        alternate(
            &mut lanes,
            Turns { warm_up: 2, rounds: plan.choose(/*thorough*/ 9, /*quick*/ 4), batch: 1 },
        );
        measures.extend(lanes.iter().map(|lane| lane.measure("p50 at 20 MB/s", "ms", Summary::median)));
    }
    Ok(measures)
}

/// One target after the other: some let a flood go on while nobody reads it, and would disturb the turns of the rest.
fn alone(lane: Lane, turns: Turns) -> Vec<Measure> {
    let mut lanes = [lane];
    alternate(&mut lanes, turns);
    let [lane] = &lanes;
    vec![lane.measure("p50", "µs", Summary::median), lane.percentile("p99", "µs", /*percent*/ 99.0)]
}

struct Flooded {
    terminal: Terminal,
    _target: Target,
}

impl Flooded {
    fn open(spec: &TargetSpec, rate: Option<f64>) -> Result<Self, BenchError> {
        let target = spec.start()?;
        let mut terminal = Terminal::open(Connection::open(&target.url)?)?;
        let connection = terminal.connection();
        if let Some(rate) = rate {
            connection.throttle(rate);
        }
        connection.call("process/start", StartParams::new("flood", &FLOOD))?;
        // Until every buffer on the way is as full as it gets.
        let mut flooded = Self { terminal, _target: target };
        flooded.flow(FILL)?;
        Ok(flooded)
    }

    fn flow(&mut self, time: Duration) -> Result<(), BenchError> {
        let started = Instant::now();
        while started.elapsed() < time {
            self.terminal.connection().next_payload()?;
        }
        Ok(())
    }
}

impl Probe for Flooded {
    fn begin(&mut self) -> Result<(), BenchError> {
        self.flow(FLOW)
    }

    /// Microseconds.
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.terminal.press()
    }
}

struct Milliseconds(Flooded);

impl Probe for Milliseconds {
    fn sample(&mut self) -> Result<f64, BenchError> {
        Ok(self.0.sample()? / 1e3)
    }
}
