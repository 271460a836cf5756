//! Connections that are cut without a word while a process runs. How soon a client that dials again has what it missed of
//! a trickle, and whether a flood has lost anything by the time it ends.
//!
//! Spoken as a plain client does: `process/read` after the last number that it has, while pushes go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, Turns, alternate};
use crate::placement::Placement;
use crate::prompt::{PARROT, Prompt};
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, Message, StartParams, scan_output};

const PROCESS: &str = "cut";
/// From the cut to the next dial, for a server that has to notice it.
const UNNOTICED: Duration = Duration::from_millis(3);
/// A session that is still called attached after this long can't be resumed.
const ATTACHED_LIMIT: Duration = Duration::from_secs(20);
/// How long a flood goes on without its client.
const AWAY: Duration = Duration::from_millis(100);
const FLOOD_BYTES: u64 = 256 << 20;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut measures = Vec::new();
    for placement in [Placement::OneProcessor, Placement::Free] {
        let mut lanes: Vec<_> =
            plan.targets.iter().map(|spec| Lane::new(&spec.name, Trickle::open(spec, placement))).collect();
        let _placed = placement.of_client()?;
        alternate(
            &mut lanes,
            Turns { warm_up: 5, rounds: plan.choose(/*thorough*/ 20, /*quick*/ 5), batch: 10 },
        );
        let metric = placement.name("catch-up p50");
        measures.extend(lanes.iter().map(|lane| lane.measure(&metric, "µs", Summary::median)));
        if placement == Placement::Free {
            measures.extend(lanes.iter().map(|lane| {
                // A line that is lost fails its lane, so what was measured is whole.
                let line = lane.measure("lost of a trickle", "bytes", |_| 0.0);
                Measure { spread: None, ..line }
            }));
        }
    }
    let cuts = plan.choose(/*thorough*/ 20, /*quick*/ 5);
    for spec in &plan.targets {
        let line = Measure::new("lost of a flood", &spec.name, "bytes");
        measures.push(match flood(spec, cuts) {
            Ok(lost) => line
                .with_value(lost as f64, (0.0, 0.0), /*samples*/ 1)
                .with_note(format!("of {FLOOD_BYTES}, {cuts} cuts of {} ms", AWAY.as_millis())),
            Err(error) => line.with_failure(&error.to_string()),
        });
        eprintln!("  flood: {}", spec.name);
    }
    Ok(measures)
}

/// Goes on with a session; asks again while the server has not noticed that the old connection is gone.
fn resume(url: &str, session: &str) -> Result<Connection, BenchError> {
    let started = Instant::now();
    loop {
        match Connection::resume(url, session) {
            Err(BenchError::Refused { .. }) if started.elapsed() < ATTACHED_LIMIT => {}
            other => return other,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    chunks: Vec<Chunk>,
    next_seq: u64,
    closed: bool,
}

#[derive(Deserialize)]
struct Chunk {
    seq: u64,
    chunk: String,
}

fn read_after(connection: &mut Connection, seq: u64) -> Result<Page, BenchError> {
    let params = json!({ "processId": PROCESS, "afterSeq": seq, "waitMs": 10_000 });
    Ok(serde_json::from_str(&connection.call("process/read", params)?)?)
}

/// A process that says one line per cut, while nobody is connected.
struct Trickle {
    /// Gone only while it is cut.
    connection: Option<Connection>,
    session: String,
    prompt: Prompt,
    seq: u64,
    count: usize,
    target: Target,
}

impl Trickle {
    fn open(spec: &TargetSpec, placement: Placement) -> Result<Self, BenchError> {
        let target = spec.start()?;
        placement.of_server(&target)?;
        let prompt = Prompt::create(&format!("{}-cuts", spec.name))?;
        let mut connection = Connection::open(&target.url)?;
        let path = prompt.path();
        let argv = PARROT.into_iter().chain([path.as_str()]).collect::<Vec<_>>();
        connection.call("process/start", StartParams::new(PROCESS, &argv))?;
        let (mut seen, mut seq) = (Vec::new(), 0);
        while !seen.ends_with(b"ready\n") {
            seq = collect(read_after(&mut connection, seq)?, seq, &mut seen)?;
        }
        let session = connection.session_id();
        Ok(Self { connection: Some(connection), session, prompt, seq, count: 0, target })
    }
}

/// Appends a page's output, which must follow `seq`. Returns the last number.
fn collect(page: Page, mut seq: u64, into: &mut Vec<u8>) -> Result<u64, BenchError> {
    for chunk in page.chunks {
        if chunk.seq != seq + 1 {
            return Err(BenchError::Protocol(format!("event {} after {seq}", chunk.seq)));
        }
        seq = chunk.seq;
        let bytes = base64_simd::STANDARD
            .decode_to_vec(chunk.chunk)
            .map_err(|_| BenchError::Protocol(format!("output {seq} is not base64")))?;
        into.extend(bytes);
    }
    Ok(seq)
}

impl Probe for Trickle {
    /// Microseconds from dialling to having the line that was said meanwhile.
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let line = format!("line {}\n", self.count);
        if let Some(connection) = self.connection.take() {
            connection.cut();
        }
        self.prompt.write(&line)?;
        std::thread::sleep(UNNOTICED);
        let started = Instant::now();
        let mut connection = resume(&self.target.url, &self.session)?;
        let mut seen = Vec::new();
        while seen.len() < line.len() {
            self.seq = collect(read_after(&mut connection, self.seq)?, self.seq, &mut seen)?;
        }
        let taken = started.elapsed();
        self.connection = Some(connection);
        if seen != line.as_bytes() {
            return Err(BenchError::Protocol("another line than the one that was said".to_owned()));
        }
        Ok(taken.as_secs_f64() * 1e6)
    }
}

/// What has been received of a process, pushed or read.
#[derive(Default)]
struct Received {
    /// Every number through this one has come or is known to be lost.
    through: u64,
    /// Those beyond, each with its bytes.
    early: BTreeMap<u64, u64>,
    bytes: u64,
    closed: Option<u64>,
}

impl Received {
    fn take(&mut self, seq: u64, bytes: u64) {
        if seq > self.through && self.early.insert(seq, bytes).is_none() {
            self.bytes += bytes;
            self.advance();
        }
    }

    fn advance(&mut self) {
        while self.early.remove(&(self.through + 1)).is_some() {
            self.through += 1;
        }
    }

    /// What the server holds begins after `seq`: whatever has not come through there is lost.
    fn skip_through(&mut self, seq: u64) {
        if seq > self.through {
            self.through = seq;
            self.early.retain(|early, _| *early > seq);
            self.advance();
        }
    }

    fn is_whole(&self) -> bool {
        self.closed.is_some_and(|closed| self.through >= closed)
    }

    /// One message. Returns whether it was the answer to a read.
    fn accept(&mut self, payload: &[u8]) -> Result<bool, BenchError> {
        if let Some(chunk) = scan_output(payload) {
            self.take(chunk.seq, chunk.bytes);
            return Ok(false);
        }
        match Message::parse(payload)? {
            Message::Output { seq, bytes, .. } => self.take(seq, bytes.len() as u64),
            Message::Exited { seq, .. } => self.take(seq, /*bytes*/ 0),
            Message::Closed { seq, .. } => {
                self.take(seq, /*bytes*/ 0);
                self.closed = Some(seq);
            }
            Message::Reply { result, .. } if result.contains("\"nextSeq\"") => {
                let page: Page = serde_json::from_str(result)?;
                // The first that is still held tells what is not.
                let first = page.chunks.first().map(|chunk| chunk.seq);
                let asked = self.through;
                for chunk in &page.chunks {
                    let padding = chunk.chunk.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
                    self.take(chunk.seq, (chunk.chunk.len() / 4 * 3 - padding) as u64);
                }
                if let Some(first) = first.filter(|first| *first > asked + 1) {
                    self.skip_through(first - 1);
                }
                // Numbers below `nextSeq` that had no chunk were no output.
                self.skip_through(page.next_seq - 1);
                if page.closed {
                    self.closed = Some(page.next_seq - 1);
                }
                return Ok(true);
            }
            Message::Refused { code, message, .. } => return Err(BenchError::Refused { code, message }),
            Message::Reply { .. } | Message::Other => {}
        }
        Ok(false)
    }
}

/// Bytes lost of a flood whose client is cut off `cuts` times.
fn flood(spec: &TargetSpec, cuts: u64) -> Result<u64, BenchError> {
    let target = spec.start()?;
    let mut connection = Connection::open(&target.url)?;
    let session = connection.session_id();
    let count = FLOOD_BYTES.to_string();
    connection
        .request("process/start", StartParams::new(PROCESS, &["/usr/bin/head", "-c", &count, "/dev/zero"]))?;
    let mut received = Received::default();
    for cut in 1..=cuts {
        // Evenly over what is to come; at the latest when it has ended.
        while received.bytes < FLOOD_BYTES / (cuts + 1) * cut && !received.is_whole() {
            received.accept(connection.next_payload()?)?;
        }
        connection.cut();
        std::thread::sleep(AWAY);
        connection = resume(&target.url, &session)?;
        catch_up(&mut connection, &mut received)?;
    }
    while !received.is_whole() {
        received.accept(connection.next_payload()?)?;
        // A hole that pushes don't fill is asked for.
        if !received.early.is_empty() {
            catch_up(&mut connection, &mut received)?;
        }
    }
    Ok(FLOOD_BYTES - received.bytes)
}

/// Reads on until nothing is missing before what was pushed.
fn catch_up(connection: &mut Connection, received: &mut Received) -> Result<(), BenchError> {
    loop {
        let params = json!({ "processId": PROCESS, "afterSeq": received.through, "waitMs": 0 });
        connection.request("process/read", params)?;
        let before = received.through;
        while !received.accept(connection.next_payload()?)? {}
        if received.early.is_empty() && received.through == before {
            return Ok(());
        }
    }
}
