//! A quarter of a gibibyte into a process's stdin, by many writes at once. The process ends when it has read exactly that
//! much, so its close proves that every byte has arrived.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::{Piped, Program, Stdin, reap};
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::TargetSpec;
use crate::wire::{self, Connection, Message, StartParams};

const WRITE_BYTES: usize = 64 << 10;
const WRITES: usize = 4096;
const PROCESS: &str = "sink";
/// A server that answers nothing for so long, with writes waiting for their answers, is called wedged.
const PATIENCE: Duration = Duration::from_secs(10);
/// Handed to the socket ahead of what it takes.
const AHEAD_BYTES: usize = 4 << 20;

/// Reads as much as is written, in reads as large as the pipe, and ends.
fn sink() -> Vec<String> {
    let count = format!("count={}", WRITES * WRITE_BYTES);
    let words = ["/bin/dd", "bs=64k", "iflag=count_bytes,fullblock", &count, "of=/dev/null", "status=none"];
    words.map(str::to_owned).into()
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut measures = Vec::new();
    for (metric, width) in [("64 writes in flight", 64), ("4,096 writes in flight", WRITES)] {
        let mut lanes = vec![Lane::new(RAW, Ok(RawFeed))];
        lanes.extend(
            plan.with_limit().map(|spec| Lane::new(&spec.name, Ok(Feed { spec: spec.clone(), width }))),
        );
        eprintln!("  {metric}");
        alternate(
            &mut lanes,
            Turns { warm_up: 0, rounds: plan.choose(/*thorough*/ 5, /*quick*/ 2), batch: 1 },
        );
        measures.extend(lanes.iter().map(|lane| lane.measure(metric, "MB/s", Summary::median)));
    }
    Ok(measures)
}

fn megabytes_per_second(since: Instant) -> f64 {
    (WRITES * WRITE_BYTES) as f64 / 1e6 / since.elapsed().as_secs_f64()
}

/// One pipe, written as fast as it goes.
struct RawFeed;

impl Probe for RawFeed {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let chunk = vec![b'x'; WRITE_BYTES];
        let Piped { pid, stdin, .. } = Program::new(&sink())?.spawn_piped(Stdin::Pipe)?;
        let stdin: OwnedFd = stdin.ok_or(BenchError::Closed)?;
        let started = Instant::now();
        for _ in 0..WRITES {
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                let count = rustix::io::write(&stdin, rest).map_err(BenchError::raw("write"))?;
                rest = &rest[count..];
            }
        }
        reap(pid)?;
        Ok(megabytes_per_second(started))
    }
}

struct Feed {
    spec: TargetSpec,
    /// Writes whose answers are outstanding.
    width: usize,
}

impl Probe for Feed {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let target = self.spec.start()?;
        let mut connections = [Connection::open(&target.url)?];
        let argv = sink();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        connections[0].call("process/start", StartParams::new(PROCESS, &argv).with_stdin())?;
        connections[0].set_patience(PATIENCE)?;
        let chunk = base64_simd::STANDARD.encode_to_string(vec![b'x'; WRITE_BYTES]);
        let head = format!(r#"{{"processId":"{PROCESS}","chunk":"{chunk}","writeId":""#);
        let started = Instant::now();
        let (mut begun, mut answered, mut closed) = (0, 0, false);
        while answered < WRITES || !closed {
            let [connection] = &mut connections;
            while begun < WRITES && begun - answered < self.width && connection.unsent_bytes() < AHEAD_BYTES {
                connection.queue_text("process/write", &format!(r#"{head}{begun}"}}"#));
                begun += 1;
            }
            connection.flush()?;
            while let Some(message) = connection.try_next()? {
                match message {
                    Message::Reply { result, .. } if result.contains("\"accepted\"") => answered += 1,
                    Message::Reply { result, .. } => {
                        return Err(BenchError::Protocol(format!("a write was answered {result}")));
                    }
                    Message::Refused { code, message, .. } => {
                        return Err(BenchError::Refused { code, message });
                    }
                    Message::Closed { .. } => closed = true,
                    _ => {}
                }
            }
            if answered < WRITES || !closed {
                let may_write = begun < WRITES && begun - answered < self.width;
                wire::wait(&mut connections, may_write).map_err(|error| match error {
                    BenchError::Silent { .. } => BenchError::Wedged { answered, of: WRITES },
                    error => error,
                })?;
            }
        }
        Ok(megabytes_per_second(started))
    }
}
