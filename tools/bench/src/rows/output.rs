//! A gigabyte of output pushed as JSON text: how fast, at what cost in the server's CPU time, in how much
//! memory. Every transfer proves that each byte was counted and no sequence number was missing.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Plan;
use crate::error::BenchError;
use crate::lanes::RAW;
use crate::machine;
use crate::raw;
use crate::report::{Goal, Measure, Of};
use crate::stats::Summary;
use crate::target::TargetSpec;
use crate::wire::{Connection, Continuity, Message, StartParams, scan_output};

const GIB: u64 = 1 << 30;
/// The text is this large and is written as often as it takes.
const TEXT_FILE_BYTES: u64 = 64 << 20;
/// After a start, so that the allocations of starting are over before "idle" is read.
const SETTLE: Duration = Duration::from_millis(200);

/// A command that writes a known number of bytes.
struct Producer {
    name: &'static str,
    argv: Vec<String>,
    bytes: u64,
}

/// What one transfer through a server showed.
struct Transfer {
    megabytes_per_second: f64,
    cpu_seconds_per_gib: f64,
    peak_mib: f64,
    client_cpu_seconds_per_gib: f64,
    /// Events that came before their turn.
    out_of_order: u64,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let bytes = plan.choose(GIB, GIB / 4);
    let file = TextFile::create()?;
    let head = ["/usr/bin/head", "-c"].map(str::to_owned).into_iter();
    let zeros = head.chain([bytes.to_string(), "/dev/zero".to_owned()]).collect();
    let repeats = (bytes / TEXT_FILE_BYTES) as usize;
    let path = file.path.to_string_lossy().into_owned();
    let text = std::iter::once("/bin/cat".to_owned()).chain(std::iter::repeat_n(path, repeats)).collect();
    let mut measures = Vec::new();
    for (name, argv) in [("zeros", zeros), ("text", text)] {
        measures.extend(run_producer(plan, &Producer { name, argv, bytes }));
    }
    Ok(measures)
}

fn run_producer(plan: &Plan, producer: &Producer) -> Vec<Measure> {
    let rounds = plan.choose(/*thorough*/ 5, /*quick*/ 2);
    let mut raw = Vec::new();
    let mut raw_failure = None;
    let mut transfers: Vec<(Vec<Transfer>, Option<String>)> =
        plan.targets.iter().map(|_| Default::default()).collect();
    for round in 0..rounds {
        let argv: Vec<&str> = producer.argv.iter().map(String::as_str).collect();
        match raw::megabytes_per_second(&argv, producer.bytes) {
            Ok(value) => raw.push(value),
            Err(error) => raw_failure = Some(error.to_string()),
        }
        for (spec, (done, failure)) in plan.targets.iter().zip(&mut transfers) {
            if failure.is_some() {
                continue;
            }
            match transfer(spec, &argv, producer.bytes) {
                Ok(transfer) => done.push(transfer),
                Err(error) => *failure = Some(error.to_string()),
            }
        }
        eprintln!("  {}: {} of {rounds} rounds", producer.name, round + 1);
    }
    let rate = format!("{} rate", producer.name);
    let note = remark(&[], raw_failure.as_deref());
    let mut measures = vec![Measure { note, ..measure(&rate, RAW, "MB/s", &raw) }];
    for (index, (metric, unit, goal, pick)) in METRICS.into_iter().enumerate() {
        let metric = format!("{} {metric}", producer.name);
        for (spec, (done, failure)) in plan.targets.iter().zip(&transfers) {
            let samples: Vec<f64> = done.iter().map(pick).collect();
            let measure = measure(&metric, &spec.name, unit, &samples);
            let measure = match goal {
                Some(goal) => measure.with_goal(goal),
                None => measure,
            };
            // What happened to a target is told once, on its first line.
            let note = if index == 0 { remark(done, failure.as_deref()) } else { None };
            measures.push(Measure { note, ..measure });
        }
    }
    measures
}

/// Name, unit, goal and value of each metric of a transfer.
type Metric = (&'static str, &'static str, Option<Goal>, fn(&Transfer) -> f64);
const METRICS: [Metric; 4] = [
    ("rate", "MB/s", Some(Goal::AtLeast(2.0, Of::Peer)), |transfer| transfer.megabytes_per_second),
    ("server cpu", "s/GiB", Some(Goal::AtMost(1.05, Of::Unit("s/GiB"))), |transfer| {
        transfer.cpu_seconds_per_gib
    }),
    ("peak above idle", "MiB", Some(Goal::Below(16.0, Of::Unit("MiB"))), |transfer| transfer.peak_mib),
    // No goal: it shows whether this side could have been the limit.
    ("client cpu", "s/GiB", None, |transfer| transfer.client_cpu_seconds_per_gib),
];

fn measure(metric: &str, target: &str, unit: &'static str, samples: &[f64]) -> Measure {
    let measure = Measure::new(metric, target, unit);
    match Summary::of(samples) {
        Some(summary) => measure.with_value(summary.median(), summary.spread(), summary.count()),
        None => measure,
    }
}

/// What the numbers do not say: a failure, or events that were pushed out of order.
fn remark(done: &[Transfer], failure: Option<&str>) -> Option<String> {
    let out_of_order: u64 = done.iter().map(|transfer| transfer.out_of_order).sum();
    match failure {
        Some(failure) => Some(format!("failed: {failure}, after {} transfers", done.len())),
        None if out_of_order > 0 => Some(format!("complete, but {out_of_order} events came out of order")),
        None => None,
    }
}

/// One transfer through a fresh server, so that its memory peak is its own.
fn transfer(spec: &TargetSpec, argv: &[&str], expected: u64) -> Result<Transfer, BenchError> {
    let target = spec.start()?;
    std::thread::sleep(SETTLE);
    let idle_kib = machine::memory(target.pid())?.resident_kib;
    machine::reset_peak(target.pid())?;
    let mut connection = Connection::open(&target.url)?;
    let server_before = machine::cpu_time(target.pid())?.own;
    let client_before = machine::cpu_time(std::process::id())?.own;
    let started = Instant::now();
    let out_of_order = receive(&mut connection, argv, expected)?;
    let seconds = started.elapsed().as_secs_f64();
    let server_after = machine::cpu_time(target.pid())?.own;
    let client_after = machine::cpu_time(std::process::id())?.own;
    let gib = expected as f64 / GIB as f64;
    Ok(Transfer {
        megabytes_per_second: expected as f64 / 1e6 / seconds,
        cpu_seconds_per_gib: (server_after - server_before) / gib,
        peak_mib: (machine::memory(target.pid())?.peak_kib - idle_kib) / 1024.0,
        client_cpu_seconds_per_gib: (client_after - client_before) / gib,
        out_of_order,
    })
}

/// Runs the producer and counts what arrives until it is closed. Returns how many events came before their
/// turn.
fn receive(connection: &mut Connection, argv: &[&str], expected: u64) -> Result<u64, BenchError> {
    connection.request("process/start", StartParams::new("producer", argv))?;
    let (mut bytes, mut events) = (0, Continuity::default());
    loop {
        let payload = connection.next_payload()?;
        if let Some(chunk) = scan_output(payload) {
            events.accept(chunk.seq)?;
            bytes += chunk.bytes;
            continue;
        }
        match Message::parse(payload)? {
            Message::Output { seq, bytes: chunk, .. } => {
                events.accept(seq)?;
                bytes += chunk.len() as u64;
            }
            Message::Exited { seq, exit_code, .. } => {
                events.accept(seq)?;
                if exit_code != 0 {
                    return Err(BenchError::Protocol(format!("the producer exited with {exit_code}")));
                }
            }
            Message::Closed { seq, .. } => {
                events.accept(seq)?;
                break;
            }
            Message::Refused { code, message, .. } => {
                return Err(BenchError::Refused { code, message });
            }
            Message::Reply { .. } | Message::Other => {}
        }
    }
    if let Some(missing) = events.missing() {
        return Err(BenchError::Protocol(format!("event {missing} never came")));
    }
    if bytes != expected {
        return Err(BenchError::Protocol(format!("{bytes} of {expected} bytes arrived")));
    }
    Ok(events.out_of_order())
}

/// Lines like a build's, in the temporary folder. Removed on drop.
struct TextFile {
    path: PathBuf,
}

impl TextFile {
    fn create() -> Result<Self, BenchError> {
        let path = std::env::temp_dir().join(format!("codex-exec-server-bench-{}.txt", std::process::id()));
        let file = Self { path };
        let fail = |source| BenchError::File { path: file.path.clone(), source };
        let mut text = Vec::with_capacity(TEXT_FILE_BYTES as usize + 128);
        let mut number = 0_u64;
        while (text.len() as u64) < TEXT_FILE_BYTES {
            number += 1;
            // Numbers that look random, so that no two lines are alike.
            let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let line =
                format!("[{number:>8}] compiling part {noise:016x} of the whole — ok, {} ms\n", noise >> 54);
            text.extend_from_slice(line.as_bytes());
        }
        text.truncate(TEXT_FILE_BYTES as usize);
        let mut out = std::fs::File::create_new(&file.path).map_err(fail)?;
        out.write_all(&text).map_err(fail)?;
        Ok(file)
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        // A file left behind in the temporary folder is no reason to lose the results.
        let _ = std::fs::remove_file(&self.path);
    }
}
