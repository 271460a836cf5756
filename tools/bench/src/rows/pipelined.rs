//! Bursts: everything is sent at once on one connection while reading goes on. Is all of it answered, and in
//! order where order means something? A server that answers nothing for a bounded time, with answers owed, is
//! called wedged.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Plan, TRUE};
use crate::error::BenchError;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::TargetSpec;
use crate::wire::{Connection, Message, StartParams};

const PROCESS: &str = "writes";
/// Bytes of one write, and of the number in it.
const WRITE_BYTES: usize = 8;

/// What is sent at once.
#[derive(Clone, Copy)]
enum Burst {
    Starts,
    SmallRequests,
    Metadata,
    Writes,
}

/// How a burst ended.
enum Outcome {
    /// Milliseconds until the last answer, and how many answers were refusals.
    Answered { ms: f64, refused: usize },
    /// The reason, with what had been answered by then.
    Failed(String),
}

impl Burst {
    const ALL: [Self; 4] = [Self::Starts, Self::SmallRequests, Self::Metadata, Self::Writes];

    fn count(self) -> usize {
        match self {
            Self::Starts => 256,
            Self::SmallRequests => 4_000,
            Self::Metadata | Self::Writes => 4_096,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Starts => "256 starts",
            Self::SmallRequests => "4,000 small requests",
            Self::Metadata => "4,096 fs/getMetadata",
            Self::Writes => "4,096 writes",
        }
    }
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let rounds = plan.choose(/*thorough*/ 5, /*quick*/ 2);
    let patience = Duration::from_secs(plan.choose(/*thorough*/ 10, /*quick*/ 5));
    let mut measures = Vec::new();
    for burst in Burst::ALL {
        let mut outcomes: Vec<Vec<Outcome>> = plan.targets.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (spec, outcomes) in plan.targets.iter().zip(&mut outcomes) {
                outcomes.push(attempt(spec, burst, patience));
            }
        }
        eprintln!("  {}", burst.name());
        measures.extend(
            plan.targets.iter().zip(&outcomes).map(|(spec, outcomes)| summarise(spec, burst, outcomes)),
        );
    }
    Ok(measures)
}

/// The times of the attempts that came through; the note tells of the others.
fn summarise(spec: &TargetSpec, burst: Burst, outcomes: &[Outcome]) -> Measure {
    let (mut times, mut refusals, mut failures) = (Vec::new(), 0, Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Answered { ms, refused } => {
                times.push(*ms);
                refusals += refused;
            }
            Outcome::Failed(reason) => failures.push(reason.as_str()),
        }
    }
    let measure = Measure::new(burst.name(), &spec.name, "ms");
    let measure = match Summary::of(&times) {
        Some(summary) => measure.with_value(summary.median(), summary.spread(), summary.count()),
        None => measure,
    };
    let refused = if refusals > 0 { format!(", {refusals} refused") } else { String::new() };
    match failures.first() {
        None => Measure { met: Some(true), ..measure.with_note(format!("all answered{refused}")) },
        Some(first) => {
            let (failed, of) = (failures.len(), outcomes.len());
            measure.with_failure(&format!("{first} ({failed} of {of} attempts){refused}"))
        }
    }
}

/// One burst at a fresh server.
fn attempt(spec: &TargetSpec, burst: Burst, patience: Duration) -> Outcome {
    let mut tally = Tally::default();
    match try_burst(spec, burst, patience, &mut tally) {
        Ok(ms) => Outcome::Answered { ms, refused: tally.refused },
        Err(BenchError::Silent { .. }) => {
            let Tally { answered, closed, .. } = tally;
            let closes =
                if matches!(burst, Burst::Starts) { format!(" and {closed} closes") } else { String::new() };
            Outcome::Failed(format!("wedged after {answered} of {} answers{closes}", burst.count()))
        }
        Err(error) => {
            Outcome::Failed(format!("{error}, after {} of {} answers", tally.answered, burst.count()))
        }
    }
}

/// What has arrived so far.
#[derive(Default)]
struct Tally {
    answered: usize,
    refused: usize,
    closed: usize,
    echoed: Vec<u8>,
}

fn try_burst(
    spec: &TargetSpec,
    burst: Burst,
    patience: Duration,
    tally: &mut Tally,
) -> Result<f64, BenchError> {
    let target = spec.start()?;
    let mut connection = Connection::open(&target.url)?;
    connection.set_patience(patience)?;
    if matches!(burst, Burst::Writes) {
        connection.call("process/start", StartParams::new(PROCESS, &["/bin/cat"]).with_stdin())?;
    }
    let started = Instant::now();
    for number in 0..burst.count() {
        match burst {
            Burst::Starts => {
                connection.queue("process/start", StartParams::new(&format!("true-{number}"), &TRUE))?
            }
            Burst::SmallRequests => connection.queue("environment/status", Value::Null)?,
            Burst::Metadata => {
                connection.queue("fs/getMetadata", json!({ "path": "file:///usr/bin/true" }))?
            }
            Burst::Writes => {
                let chunk = base64_simd::STANDARD.encode_to_string(written(number));
                let params = json!({ "processId": PROCESS, "chunk": chunk, "writeId": number.to_string() });
                connection.queue("process/write", params)?
            }
        };
    }
    connection.flush()?;
    while !is_complete(burst, tally) {
        match connection.next()? {
            Message::Reply { result, .. } => {
                if matches!(burst, Burst::Writes) && !result.contains("\"accepted\"") {
                    return Err(BenchError::Protocol(format!("a write was answered {result}")));
                }
                tally.answered += 1;
            }
            Message::Refused { .. } => {
                tally.answered += 1;
                tally.refused += 1;
            }
            Message::Closed { .. } => tally.closed += 1,
            Message::Output { bytes, .. } => {
                tally.echoed.extend(bytes);
            }
            Message::Exited { .. } | Message::Other => {}
        }
    }
    let taken = started.elapsed();
    if matches!(burst, Burst::Writes) && tally.refused == 0 {
        let expected: Vec<u8> = (0..burst.count()).flat_map(|number| written(number).into_bytes()).collect();
        if tally.echoed != expected {
            return Err(BenchError::Protocol("the writes reached the process in another order".to_owned()));
        }
    }
    Ok(taken.as_secs_f64() * 1e3)
}

/// A refused start never closes and a refused write never comes back, so neither is waited for.
fn is_complete(burst: Burst, tally: &Tally) -> bool {
    let fulfilled = burst.count() - tally.refused;
    tally.answered == burst.count()
        && match burst {
            Burst::Starts => tally.closed == fulfilled,
            Burst::SmallRequests | Burst::Metadata => true,
            Burst::Writes => tally.echoed.len() >= fulfilled * WRITE_BYTES,
        }
}

fn written(number: usize) -> String {
    format!("{number:07}\n")
}
