//! A cheap request and its answer: what the wire and the dispatch cost, without any work behind them.

use serde_json::{Value, json};

use super::small_file::Request;
use super::{Plan, TRUE};
use crate::error::BenchError;
use crate::lanes::{Lane, RAW, Turns, alternate};
use crate::placement::Placement;
use crate::raw::RawRoundTrip;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::TargetSpec;
use crate::wire::{Connection, Message, StartParams};

const PROCESS: &str = "ended";
/// What JSON-RPC calls a method that a server does not have.
const METHOD_NOT_FOUND: i64 = -32601;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut measures = Vec::new();
    for (method, params) in [
        ("environment/status", Value::Null),
        ("process/read", json!({ "processId": PROCESS })),
        ("fs/getMetadata", json!({ "path": "file:///usr/bin/true" })),
    ] {
        for placement in [Placement::OneProcessor, Placement::Free] {
            let mut lanes = vec![Lane::new(RAW, RawRoundTrip::open())];
            let probe = |spec| open(spec, placement, method, params.clone());
            lanes.extend(plan.with_limit().map(|spec| Lane::new(&spec.name, probe(spec))));
            let _placed = placement.of_client()?;
            alternate(
                &mut lanes,
                Turns { warm_up: 50, rounds: plan.choose(/*thorough*/ 50, /*quick*/ 10), batch: 50 },
            );
            let metric = placement.name(&format!("{method} p50"));
            measures.extend(lanes.iter().map(|lane| lane.measure(&metric, "µs", Summary::median)));
        }
    }
    Ok(measures)
}

/// On a session in which one process has run and closed, so that there is something to read about.
fn open(
    spec: &TargetSpec,
    placement: Placement,
    method: &'static str,
    params: Value,
) -> Result<Request, BenchError> {
    let target = spec.start()?;
    placement.of_server(&target)?;
    let mut connection = Connection::open(&target.url)?;
    connection.request("process/start", StartParams::new(PROCESS, &TRUE))?;
    let (mut closed, mut replied) = (false, false);
    while !closed || !replied {
        match connection.next()? {
            Message::Closed { .. } => closed = true,
            Message::Reply { .. } => replied = true,
            Message::Refused { code, message, .. } => {
                return Err(BenchError::Refused { code, message });
            }
            _ => {}
        }
    }
    match connection.call(method, &params) {
        Ok(_) => Ok(Request::on(target, connection, method, params)),
        Err(BenchError::Refused { code: METHOD_NOT_FOUND, .. }) => Err(BenchError::NotOffered),
        Err(error) => Err(error),
    }
}
