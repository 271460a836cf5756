//! A keystroke: one byte written to a program on a terminal, until that byte comes back as output.

use std::time::Instant;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::placement::Placement;
use crate::raw::RawEcho;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, Message, StartParams, is_about, scan_output};

/// Says that it is ready once the terminal no longer echoes by itself; from then on only `cat` answers.
pub(super) const PROGRAM: [&str; 3] = ["/bin/sh", "-c", "stty raw -echo; printf ready; exec cat"];
/// What it says.
pub(super) const READY: &[u8] = b"ready";
const PROCESS: &str = "terminal";

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut measures = Vec::new();
    for placement in [Placement::OneProcessor, Placement::Free] {
        let mut lanes: Vec<_> =
            plan.with_limit().map(|spec| Lane::new(&spec.name, Echo::open(spec, placement))).collect();
        let _placed = placement.of_client()?;
        // Its program is to be where this one is.
        lanes.insert(0, Lane::new(RAW, RawEcho::open(&PROGRAM, READY)));
        alternate(
            &mut lanes,
            Turns { warm_up: 20, rounds: plan.choose(/*thorough*/ 100, /*quick*/ 15), batch: 20 },
        );
        let (p50, p99) = (placement.name("p50"), placement.name("p99"));
        measures.extend(lanes.iter().map(|lane| lane.measure(&p50, "µs", Summary::median)));
        measures.extend(lanes.iter().map(|lane| lane.percentile(&p99, "µs", /*percent*/ 99.0)));
    }
    Ok(measures)
}

struct Echo {
    terminal: Terminal,
    _target: Target,
}

impl Echo {
    fn open(spec: &TargetSpec, placement: Placement) -> Result<Self, BenchError> {
        let target = spec.start()?;
        placement.of_server(&target)?;
        Ok(Self { terminal: Terminal::open(Connection::open(&target.url)?)?, _target: target })
    }
}

impl Probe for Echo {
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.terminal.press()
    }
}

/// A program on a terminal that answers every byte with itself. Other processes may use the same connection; what they
/// say is counted as little as possible.
pub(super) struct Terminal {
    connection: Connection,
    count: u64,
    others: u64,
}

/// Longer messages are no keystroke's; they are counted, and not looked into while one is awaited.
const LONG: usize = 1 << 20;

impl Terminal {
    pub(super) fn open(mut connection: Connection) -> Result<Self, BenchError> {
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
        Ok(Self { connection, count: 0, others: 0 })
    }

    /// The connection, to have another process on it.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Long messages that came while a keystroke was awaited.
    pub(super) fn others(&self) -> u64 {
        self.others
    }

    /// Presses a key; microseconds until the byte has come back. The reply is still waited for, so that the next
    /// keystroke finds no leftovers.
    pub(super) fn press(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let write_id = self.count.to_string();
        // The chunk is the byte `x`.
        let params = serde_json::json!({ "processId": PROCESS, "chunk": "eA==", "writeId": write_id });
        let started = Instant::now();
        self.connection.request("process/write", params)?;
        let (mut taken, mut replied) = (None, false);
        while taken.is_none() || !replied {
            let payload = self.connection.next_payload()?;
            if payload.len() > LONG {
                self.others += 1;
                continue;
            }
            if scan_output(payload).is_some() && !is_about(payload, PROCESS) {
                continue;
            }
            match Message::parse(payload)? {
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
