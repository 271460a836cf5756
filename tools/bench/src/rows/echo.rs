//! A keystroke: one byte written to a program on a terminal, until that byte comes back as output.

use std::time::Instant;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::RawEcho;
use crate::report::{Goal, Measure, Of};
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, Message, StartParams};

/// Says that it is ready once the terminal no longer echoes by itself; from then on only `cat` answers.
const PROGRAM: [&str; 3] = ["/bin/sh", "-c", "stty raw -echo; printf ready; exec cat"];
const READY: &[u8] = b"ready";
const PROCESS: &str = "terminal";

pub(super) fn run(plan: &Plan) -> Vec<Measure> {
    let mut lanes = vec![Lane::new(RAW, RawEcho::open(&PROGRAM, READY))];
    lanes.extend(plan.targets.iter().map(|spec| Lane::new(&spec.name, Echo::open(spec))));
    alternate(
        &mut lanes,
        Turns { warm_up: 20, rounds: plan.choose(/*thorough*/ 100, /*quick*/ 15), batch: 20 },
    );
    let p50 = lanes
        .iter()
        .map(|lane| lane.measure("p50", "µs", Summary::median).with_goal(Goal::Below(3.0, Of::Raw)));
    let p99 = lanes.iter().map(|lane| {
        let measure = lane.measure("p99", "µs", |summary| summary.percentile(99.0));
        Measure { spread: None, ..measure }
    });
    p50.chain(p99).collect()
}

struct Echo {
    connection: Connection,
    count: u64,
    _target: Target,
}

impl Echo {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        let target = spec.start()?;
        let mut connection = Connection::open(&target.url)?;
        connection.request("process/start", StartParams::new(PROCESS, &PROGRAM).with_tty())?;
        let (mut seen, mut replied) = (Vec::new(), false);
        while !replied || !seen.ends_with(READY) {
            match connection.next()? {
                Message::Output { bytes, .. } => seen.extend(bytes),
                Message::Reply { .. } => replied = true,
                Message::Refused { code, message, .. } => {
                    return Err(BenchError::Refused { code, message });
                }
                Message::Closed { .. } => {
                    return Err(BenchError::Protocol("the program ended".to_owned()));
                }
                Message::Exited { .. } | Message::Other => {}
            }
        }
        Ok(Self { connection, count: 0, _target: target })
    }
}

impl Probe for Echo {
    /// The clock stops at the byte; the reply is still waited for, so that the next keystroke finds a quiet
    /// connection.
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let write_id = self.count.to_string();
        // The chunk is the byte `x`.
        let params = serde_json::json!({ "processId": PROCESS, "chunk": "eA==", "writeId": write_id });
        let started = Instant::now();
        self.connection.request("process/write", params)?;
        let (mut taken, mut replied) = (None, false);
        while taken.is_none() || !replied {
            match self.connection.next()? {
                Message::Output { bytes, .. } if bytes == b"x" => taken = Some(started.elapsed()),
                Message::Output { seq, .. } => {
                    return Err(BenchError::Protocol(format!(
                        "output {seq} is not the byte that was written"
                    )));
                }
                Message::Reply { result, .. } if result.contains("\"accepted\"") => replied = true,
                Message::Reply { result, .. } => {
                    return Err(BenchError::Protocol(format!("the write was answered {result}")));
                }
                Message::Refused { code, message, .. } => {
                    return Err(BenchError::Refused { code, message });
                }
                _ => {}
            }
        }
        Ok(taken.unwrap_or_default().as_secs_f64() * 1e6)
    }
}
