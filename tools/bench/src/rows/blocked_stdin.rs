//! A small request on a connection on which a process has been written more than it will ever read. A server that makes
//! the connection wait with the process never answers again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, Turns, alternate};
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, StartParams};

/// Reads nothing.
const DEAF: [&str; 2] = ["/bin/sleep", "1000"];
const PROCESS: &str = "deaf";
/// One write, and how many there are: many times what pipe, server and sockets hold.
const WRITE_BYTES: usize = 64 << 10;
const WRITES: usize = 64;
/// After that a server is called stuck.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut lanes: Vec<_> =
        plan.with_limit().map(|spec| Lane::new(&spec.name, Blocked::open(spec))).collect();
    alternate(
        &mut lanes,
        Turns { warm_up: 10, rounds: plan.choose(/*thorough*/ 20, /*quick*/ 5), batch: 50 },
    );
    Ok(lanes.iter().map(|lane| lane.measure("p50", "µs", Summary::median)).collect())
}

struct Blocked {
    connection: Connection,
    _target: Target,
}

impl Blocked {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        let target = spec.start()?;
        let mut connection = Connection::open(&target.url)?;
        connection.set_patience(PATIENCE)?;
        connection.call("process/start", StartParams::new(PROCESS, &DEAF).with_stdin())?;
        let chunk = base64_simd::STANDARD.encode_to_string(vec![b'x'; WRITE_BYTES]);
        for number in 0..WRITES {
            let params = json!({ "processId": PROCESS, "chunk": chunk, "writeId": number.to_string() });
            connection.queue("process/write", params)?;
        }
        connection.flush()?;
        Ok(Self { connection, _target: target })
    }
}

impl Probe for Blocked {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let started = Instant::now();
        self.connection.call("environment/status", Value::Null)?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }
}
