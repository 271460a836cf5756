//! Thousands of everything: what an idle process, connection and session cost the server in memory, and whether a command
//! is slower among thousands of live processes than alone.

use std::time::Duration;

use super::Plan;
use super::one_shot::Commands;
use crate::error::BenchError;
use crate::lanes::LIMIT;
use crate::machine;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{self, Connection, Message, StartParams};

const IDLE: [&str; 2] = ["/bin/sleep", "100000"];
/// Starts that are under way at once.
const WIDTH: usize = 16;
/// Before memory is read, so that whatever a server puts off is done.
const SETTLE: Duration = Duration::from_millis(500);
/// First units, which are not counted: with them comes what is there only once.
const FIRST: usize = 20;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let processes = plan.choose(/*thorough*/ 5_000, /*quick*/ 1_000);
    let connections = plan.choose(/*thorough*/ 500, /*quick*/ 200);
    let sessions = plan.choose(/*thorough*/ 10_000 - FIRST, /*quick*/ 1_000);
    let one_shots = plan.choose(/*thorough*/ 400, /*quick*/ 100);
    let mut measures = Vec::new();
    for spec in plan.with_limit() {
        eprintln!("  {}", spec.name);
        measures.extend(among_processes(spec, processes, one_shots));
        measures.push(unit(spec, "memory per idle connection", || per_connection(spec, connections)));
        // The naive server has none.
        if spec.name != LIMIT {
            measures.push(unit(spec, "memory per detached session", || per_session(spec, sessions)));
        }
    }
    Ok(measures)
}

/// One line about the memory of one unit.
fn unit(spec: &TargetSpec, metric: &str, measure: impl FnOnce() -> Result<f64, BenchError>) -> Measure {
    let line = Measure::new(metric, &spec.name, "KiB");
    match measure() {
        Ok(kib) => line.with_value(kib, (kib, kib), /*samples*/ 1),
        Err(error) => line.with_failure(&error.to_string()),
    }
}

fn resident_kib(target: &Target) -> Result<f64, BenchError> {
    std::thread::sleep(SETTLE);
    Ok(machine::memory(target.pid())?.resident_kib)
}

/// Memory of each process, and a command alone and among them.
fn among_processes(spec: &TargetSpec, count: usize, one_shots: usize) -> Vec<Measure> {
    let mut lines = [
        Measure::new("memory per idle process", &spec.name, "KiB"),
        Measure::new("one-shot p50 alone", &spec.name, "µs"),
        Measure::new("one-shot p50 among processes", &spec.name, "µs"),
        Measure::new("one-shot p50 among processes, over alone", &spec.name, "×"),
    ];
    match try_among_processes(spec, count, one_shots) {
        Ok((kib, alone, among)) => {
            let [memory, before, after, over] = lines;
            let of = |line: Measure, all: &Summary| line.with_value(all.median(), all.spread(), all.count());
            let ratio = among.median() / alone.median();
            lines = [
                memory.with_value(kib, (kib, kib), /*samples*/ 1),
                of(before, &alone),
                of(after, &among),
                over.with_value(ratio, (ratio, ratio), /*samples*/ 1),
            ];
            lines.into()
        }
        Err(error) => lines.map(|line| line.with_failure(&error.to_string())).into(),
    }
}

fn try_among_processes(
    spec: &TargetSpec,
    count: usize,
    one_shots: usize,
) -> Result<(f64, Summary, Summary), BenchError> {
    let target = spec.start()?;
    let mut commands = Commands::open(&target.url)?;
    let mut run = || {
        let samples: Result<Vec<f64>, _> = (0..one_shots).map(|_| commands.run()).collect();
        Summary::of(&samples?).ok_or(BenchError::Closed)
    };
    run()?;
    let alone = run()?;
    let mut holder = [Connection::open(&target.url)?];
    start_idle(&mut holder, 0..FIRST)?;
    let before = resident_kib(&target)?;
    start_idle(&mut holder, FIRST..FIRST + count)?;
    let kib = (resident_kib(&target)? - before) / count as f64;
    let among = run()?;
    target.kill_children();
    Ok((kib, alone, among))
}

/// Starts processes that do nothing, a few at a time.
fn start_idle(holder: &mut [Connection; 1], numbers: std::ops::Range<usize>) -> Result<(), BenchError> {
    let (mut next, mut answered) = (numbers.start, numbers.start);
    while answered < numbers.end {
        let [connection] = &mut *holder;
        while next < numbers.end && next - answered < WIDTH {
            connection.queue("process/start", StartParams::new(&format!("idle-{next}"), &IDLE))?;
            next += 1;
        }
        connection.flush()?;
        while let Some(message) = connection.try_next()? {
            match message {
                Message::Reply { .. } => answered += 1,
                Message::Refused { code, message, .. } => return Err(BenchError::Refused { code, message }),
                _ => {}
            }
        }
        if answered < numbers.end {
            wire::wait(holder, /*room*/ false)?;
        }
    }
    Ok(())
}

fn per_connection(spec: &TargetSpec, count: usize) -> Result<f64, BenchError> {
    let target = spec.start()?;
    let open = |count: usize| -> Result<Vec<Connection>, BenchError> {
        (0..count).map(|_| Connection::open(&target.url)).collect()
    };
    let _first = open(FIRST)?;
    let before = resident_kib(&target)?;
    let _rest = open(count)?;
    Ok((resident_kib(&target)? - before) / count as f64)
}

/// Sessions that have lost their connections and wait for them.
fn per_session(spec: &TargetSpec, count: usize) -> Result<f64, BenchError> {
    let target = spec.start()?;
    let open = |count: usize| -> Result<(), BenchError> {
        for _ in 0..count {
            Connection::open(&target.url)?.cut();
        }
        Ok(())
    };
    open(FIRST)?;
    let before = resident_kib(&target)?;
    open(count)?;
    Ok((resident_kib(&target)? - before) / count as f64)
}
