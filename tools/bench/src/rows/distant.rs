//! A server 80 ms away: how many round trips things take. The raw limit is one round trip of a TCP echo over the
//! same distance, so the ratio to it is their number.
//!
//! Each server is asked over the wire, with as little as can be sent, and through our own client, which is then measured
//! along with it. See [`crate::distance`] for how the distance is made, and what a dial costs over it.

use std::sync::Arc;
use std::time::Instant;

use codex_exec_server_client::{Events, ExecProcessEvent};
use tokio::runtime::Runtime;

use super::{Plan, TRUE};
use crate::client::{RustClient, next, runtime};
use crate::distance::{Distance, ROUND_TRIP};
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::prompt::{PARROT, Prompt};
use crate::raw::RawRoundTrip;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, Message, StartParams};

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let turns = Turns { warm_up: 1, rounds: plan.choose(/*thorough*/ 25, /*quick*/ 5), batch: 1 };
    let mut measures = Vec::new();
    for (metric, lanes) in [
        ("open connection", open_connection(plan)),
        ("cold, dial included", cold(plan)),
        ("resume, after the dial", resume(plan)),
    ] {
        let mut lanes = lanes;
        lanes.insert(0, Lane::new(RAW, RawRoundTrip::open_far().map(Milliseconds)));
        eprintln!("  {metric}");
        alternate(&mut lanes, turns);
        let all = lanes.iter().map(|lane| lane.measure(metric, "ms", Summary::median));
        measures.extend(all);
    }
    Ok(measures)
}

/// Twice per server: over the wire alone, and through our client.
fn both<W: Probe + 'static, C: Probe + 'static>(
    plan: &Plan,
    wire: impl Fn(&TargetSpec) -> Result<W, BenchError>,
    client: impl Fn(&TargetSpec) -> Result<C, BenchError>,
) -> Vec<Lane> {
    let lanes = plan
        .targets
        .iter()
        .map(|spec| [Lane::new(&spec.name, wire(spec)), Lane::new(with_client(spec), client(spec))]);
    lanes.flatten().collect()
}

fn with_client(spec: &TargetSpec) -> String {
    format!("{} ← our client", spec.name)
}

fn open_connection(plan: &Plan) -> Vec<Lane> {
    both(plan, WireOneShot::open, ClientOneShot::open)
}

fn cold(plan: &Plan) -> Vec<Lane> {
    both(plan, WireCold::open, ClientCold::open)
}

fn resume(plan: &Plan) -> Vec<Lane> {
    plan.targets.iter().map(|spec| Lane::new(with_client(spec), Resume::open(spec))).collect()
}

/// A probe that counts in microseconds.
struct Milliseconds(RawRoundTrip);

impl Probe for Milliseconds {
    fn sample(&mut self) -> Result<f64, BenchError> {
        Ok(self.0.sample()? / 1e3)
    }
}

/// A server behind the distance. Fields are dropped in order: the distance before the server.
struct FarTarget {
    distance: Distance,
    _target: Target,
}

impl FarTarget {
    fn start(spec: &TargetSpec) -> Result<Self, BenchError> {
        let target = spec.start()?;
        Ok(Self { distance: Distance::before_url(&target.url)?, _target: target })
    }
}

/// Waits for the close of `process`, and for the answer to its start.
fn wait_for_close(connection: &mut Connection, process: &str, mut replies: usize) -> Result<(), BenchError> {
    let mut closed = false;
    while !closed || replies > 0 {
        match connection.next()? {
            Message::Closed { process_id, .. } => closed |= process_id == process,
            Message::Reply { .. } => replies = replies.saturating_sub(1),
            Message::Refused { code, message, .. } => return Err(BenchError::Refused { code, message }),
            Message::Exited { exit_code, .. } if exit_code != 0 => {
                return Err(BenchError::Protocol(format!("true exited with {exit_code}")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn milliseconds_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

struct WireOneShot {
    connection: Connection,
    count: usize,
    _far: FarTarget,
}

impl WireOneShot {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        let far = FarTarget::start(spec)?;
        Ok(Self { connection: Connection::open(&far.distance.url())?, count: 0, _far: far })
    }
}

impl Probe for WireOneShot {
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let name = format!("true-{}", self.count);
        let started = Instant::now();
        self.connection.request("process/start", StartParams::new(&name, &TRUE))?;
        wait_for_close(&mut self.connection, &name, /*replies*/ 1)?;
        Ok(milliseconds_since(started))
    }
}

struct WireCold {
    far: FarTarget,
}

impl WireCold {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        Ok(Self { far: FarTarget::start(spec)? })
    }
}

impl Probe for WireCold {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let url = self.far.distance.url();
        let started = Instant::now();
        let start = StartParams::new("true", &TRUE);
        let mut connection = Connection::open_in_one_flight(&url, "process/start", start)?;
        wait_for_close(&mut connection, "true", /*replies*/ 2)?;
        Ok(milliseconds_since(started))
    }
}

struct ClientOneShot {
    runtime: Arc<Runtime>,
    client: RustClient,
    count: usize,
    _far: FarTarget,
}

impl ClientOneShot {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        let far = FarTarget::start(spec)?;
        let runtime = runtime()?;
        let client = runtime.block_on(RustClient::connect(far.distance.url()))?;
        Ok(Self { runtime, client, count: 0, _far: far })
    }
}

impl Probe for ClientOneShot {
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let name = format!("true-{}", self.count);
        let started = Instant::now();
        self.runtime.block_on(self.client.run(&StartParams::new(&name, &TRUE)))?;
        Ok(milliseconds_since(started))
    }
}

struct ClientCold {
    runtime: Arc<Runtime>,
    far: FarTarget,
}

impl ClientCold {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        Ok(Self { far: FarTarget::start(spec)?, runtime: runtime()? })
    }
}

impl Probe for ClientCold {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let url = self.far.distance.url();
        self.runtime.block_on(async {
            let started = Instant::now();
            let client = RustClient::run_cold(url, &StartParams::new("true", &TRUE)).await?;
            let taken = milliseconds_since(started);
            client.close().await;
            Ok(taken)
        })
    }
}

/// A connection is cut while output is under way, and the client comes back for it. Measured from the answer to the
/// client's new dial until it has that output.
struct Resume {
    runtime: Arc<Runtime>,
    _client: RustClient,
    events: Events,
    /// What is written into it comes out of the process.
    prompt: Prompt,
    count: usize,
    far: FarTarget,
}

impl Resume {
    fn open(spec: &TargetSpec) -> Result<Self, BenchError> {
        let far = FarTarget::start(spec)?;
        let prompt = Prompt::create(&spec.name)?;
        let runtime = runtime()?;
        let (client, mut events) = runtime.block_on(async {
            let client = RustClient::connect(far.distance.url()).await?;
            let path = prompt.path();
            let argv: Vec<&str> = PARROT.into_iter().chain([path.as_str()]).collect();
            let (_process, events) = client.start(&StartParams::new("parrot", &argv)).await?;
            Ok::<_, BenchError>((client, events))
        })?;
        runtime.block_on(wait_for_output(&mut events, "ready\n"))?;
        Ok(Self { runtime, _client: client, events, prompt, count: 0, far })
    }
}

impl Probe for Resume {
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let line = format!("line {}\n", self.count);
        let before = self.far.distance.sent_by_server();
        self.prompt.write(&line)?;
        self.far.distance.wait_for_more_than(before)?;
        self.far.distance.cut();
        let answered = self.far.distance.dialled()? + ROUND_TRIP;
        self.runtime.block_on(wait_for_output(&mut self.events, &line))?;
        Ok(milliseconds_since(answered))
    }
}

/// Waits for output that ends with `wanted`.
async fn wait_for_output(events: &mut Events, wanted: &str) -> Result<(), BenchError> {
    let mut seen = Vec::new();
    while !seen.ends_with(wanted.as_bytes()) {
        match next(events).await? {
            ExecProcessEvent::Output { bytes, .. } => seen.extend_from_slice(&bytes),
            other => return Err(BenchError::Protocol(format!("{other:?} instead of output"))),
        }
    }
    Ok(())
}
