//! Little work on files: a kibibyte read and written, a long directory listed.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::placement::Placement;
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
    for placement in [Placement::OneProcessor, Placement::Free] {
        let (path, request) = (read.clone(), json!({ "path": url_of(&read) }));
        let raw = move || std::fs::read(&path).map(drop);
        measures.extend(row(plan, turns, placement, "1 KiB read p50", ("fs/readFile", request), raw)?);
        let (path, request) = (written.clone(), write.clone());
        let raw = move || std::fs::write(&path, [b'x'; FILE_BYTES]);
        measures.extend(row(plan, turns, placement, "1 KiB write p50", ("fs/writeFile", request), raw)?);
    }

    // Long enough that the client takes the beginning apart while the server makes the end.
    let folder = scratch.folder("listed", ENTRIES)?;
    let turns = Turns { warm_up: 2, rounds: plan.choose(/*thorough*/ 15, /*quick*/ 5), batch: 3 };
    let request = ("fs/readDirectory", json!({ "path": url_of(&folder) }));
    let raw = move || list_raw(&folder);
    let metric = "10,000-entry listing p50";
    let listing = lanes(plan, turns, Placement::Free, request, raw)?;
    measures.extend(listing.iter().map(|lane| lane.measure(metric, "µs", Summary::median)));
    Ok(measures)
}

/// Names and kinds, as the answer has them.
fn list_raw(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        entry?.file_type()?;
    }
    Ok(())
}

/// `metric` of one request, under the name that its placement gives it.
fn row(
    plan: &Plan,
    turns: Turns,
    placement: Placement,
    metric: &str,
    request: (&'static str, Value),
    raw: impl Fn() -> std::io::Result<()> + 'static,
) -> Result<Vec<Measure>, BenchError> {
    let metric = placement.name(metric);
    let lanes = lanes(plan, turns, placement, request, raw)?;
    Ok(lanes.iter().map(|lane| lane.measure(&metric, "µs", Summary::median)).collect())
}

/// One request at every target and, as raw, the same work without any protocol. Microseconds.
fn lanes(
    plan: &Plan,
    turns: Turns,
    placement: Placement,
    (method, params): (&'static str, Value),
    raw: impl Fn() -> std::io::Result<()> + 'static,
) -> Result<Vec<Lane>, BenchError> {
    let mut lanes = vec![Lane::new(RAW, Ok(Raw(raw)))];
    let probe = |spec| Request::open(spec, placement, method, params.clone());
    lanes.extend(plan.targets.iter().map(|spec| Lane::new(&spec.name, probe(spec))));
    let _placed = placement.of_client()?;
    alternate(&mut lanes, turns);
    Ok(lanes)
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
    fn open(
        spec: &TargetSpec,
        placement: Placement,
        method: &'static str,
        params: Value,
    ) -> Result<Self, BenchError> {
        let target = spec.start()?;
        placement.of_server(&target)?;
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
