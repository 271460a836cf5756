//! Little work on files: a kibibyte read and written, a long directory listed.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::report::Measure;
use crate::scratch::{Scratch, url_of};
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::Connection;

const FILE_BYTES: usize = 1024;
const ENTRIES: usize = 10_000;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let scratch = Scratch::create()?;
    let (read, written) = (scratch.file("read", FILE_BYTES)?, scratch.file("written", FILE_BYTES)?);
    let chunk = base64_simd::STANDARD.encode_to_string(vec![b'x'; FILE_BYTES]);
    let write = json!({ "path": url_of(&written), "dataBase64": chunk });
    let mut measures = Vec::new();

    let turns = Turns { warm_up: 50, rounds: plan.choose(/*thorough*/ 40, /*quick*/ 10), batch: 50 };
    let path = read.clone();
    let raw = move || std::fs::read(&path).map(drop);
    measures.extend(row(
        plan,
        turns,
        "1 KiB read p50",
        ("fs/readFile", json!({ "path": url_of(&read) })),
        raw,
    ));
    let raw = move || std::fs::write(&written, [b'x'; FILE_BYTES]);
    measures.extend(row(plan, turns, "1 KiB write p50", ("fs/writeFile", write), raw));

    let folder = scratch.folder("listed", ENTRIES)?;
    let turns = Turns { warm_up: 2, rounds: plan.choose(/*thorough*/ 15, /*quick*/ 5), batch: 3 };
    let list = json!({ "path": url_of(&folder) });
    let raw = move || list_raw(&folder);
    measures.extend(row(plan, turns, "10,000-entry listing p50", ("fs/readDirectory", list), raw));
    Ok(measures)
}

/// Names and kinds, as the answer has them.
fn list_raw(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        entry?.file_type()?;
    }
    Ok(())
}

/// One request at every target and, as raw, the same work without any protocol. Microseconds.
fn row(
    plan: &Plan,
    turns: Turns,
    metric: &str,
    (method, params): (&'static str, Value),
    raw: impl Fn() -> std::io::Result<()> + 'static,
) -> Vec<Measure> {
    let mut lanes = vec![Lane::new(RAW, Ok(Raw(raw)))];
    lanes.extend(
        plan.targets.iter().map(|spec| Lane::new(&spec.name, Request::open(spec, method, params.clone()))),
    );
    alternate(&mut lanes, turns);
    lanes.iter().map(|lane| lane.measure(metric, "µs", Summary::median)).collect()
}

struct Raw<F>(F);

impl<F: Fn() -> std::io::Result<()>> Probe for Raw<F> {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let started = Instant::now();
        (self.0)()?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }
}

/// One request, made again and again.
pub(super) struct Request {
    connection: Connection,
    method: &'static str,
    params: Value,
    _target: Target,
}

impl Request {
    fn open(spec: &TargetSpec, method: &'static str, params: Value) -> Result<Self, BenchError> {
        let target = spec.start()?;
        let connection = Connection::open(&target.url)?;
        Ok(Self::on(target, connection, method, params))
    }

    /// On a connection to `target`, which is stopped with it.
    pub(super) fn on(target: Target, connection: Connection, method: &'static str, params: Value) -> Self {
        Self { connection, method, params, _target: target }
    }
}

impl Probe for Request {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let started = Instant::now();
        self.connection.call(self.method, &self.params)?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }
}
