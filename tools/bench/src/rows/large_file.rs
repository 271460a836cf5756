//! Much of a file: read whole and in blocks, written, and what that costs in memory and in keystrokes on the same
//! connection.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memchr::memmem;
use serde_json::json;

use super::Plan;
use super::echo::Terminal;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::machine;
use crate::report::Measure;
use crate::scratch::{Scratch, url_of};
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::{Connection, Message};

const MIB: usize = 1 << 20;
const FILE_BYTES: usize = 64 * MIB;
const HUGE_BYTES: usize = 512 * MIB;
const BLOCK_BYTES: usize = MIB;
/// Blocks that are asked for at once.
const BLOCKS_AHEAD: usize = 64;
const HANDLE: &str = "large";
/// After a start, so that the allocations of starting are over before "idle" is read.
const SETTLE: Duration = Duration::from_millis(200);

/// How a file crosses the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    Blocks,
    BinaryBlocks,
    Write,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let scratch = Scratch::create()?;
    let file = scratch.file("large", FILE_BYTES)?;
    let written = scratch.file("written", /*bytes*/ 1)?;
    let turns = Turns { warm_up: 1, rounds: plan.choose(/*thorough*/ 5, /*quick*/ 2), batch: 2 };
    let mut measures = Vec::new();
    for (metric, way, path) in [
        ("64 MiB read", Way::Whole, &file),
        ("64 blocks of 1 MiB", Way::Blocks, &file),
        ("64 binary blocks of 1 MiB", Way::BinaryBlocks, &file),
        ("64 MiB write", Way::Write, &written),
    ] {
        let raw = Lane::new(RAW, Ok(RawFile { path: path.clone(), write: way == Way::Write }));
        let mut lanes = vec![raw];
        lanes.extend(plan.targets.iter().map(|spec| Lane::new(&spec.name, Large::open(spec, way, path))));
        alternate(&mut lanes, turns);
        measures.extend(lanes.iter().map(|lane| lane.measure(metric, "MB/s", Summary::median)));
    }

    let huge = scratch.file("huge", HUGE_BYTES)?;
    for (metric, way, path) in [
        ("64 MiB read, growth", Way::Whole, &file),
        ("512 MiB read in binary blocks, growth", Way::BinaryBlocks, &huge),
    ] {
        let grow = |spec: &TargetSpec| {
            Lane::new(&spec.name, Ok(Growth { spec: spec.clone(), way, path: path.clone() }))
        };
        let mut lanes: Vec<_> = plan.targets.iter().map(grow).collect();
        alternate(
            &mut lanes,
            Turns { warm_up: 0, rounds: plan.choose(/*thorough*/ 3, /*quick*/ 1), batch: 1 },
        );
        measures.extend(lanes.iter().map(|lane| lane.measure(metric, "MiB", Summary::median)));
    }

    let echo = |spec: &TargetSpec| Lane::new(&spec.name, EchoBeside::open(spec, &file));
    let mut lanes: Vec<_> = plan.targets.iter().map(echo).collect();
    alternate(&mut lanes, Turns { warm_up: 1, rounds: plan.choose(/*thorough*/ 10, /*quick*/ 4), batch: 2 });
    measures.extend(
        lanes.iter().map(|lane| lane.measure("echo p50 during a 64 MiB read", "ms", Summary::median)),
    );
    Ok(measures)
}

/// The same work without any protocol.
struct RawFile {
    path: PathBuf,
    write: bool,
}

impl Probe for RawFile {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let text = if self.write { vec![b'x'; FILE_BYTES] } else { Vec::new() };
        let started = Instant::now();
        if self.write {
            std::fs::write(&self.path, text)?
        } else {
            drop(std::fs::read(&self.path)?)
        }
        Ok(FILE_BYTES as f64 / 1e6 / started.elapsed().as_secs_f64())
    }
}

/// A connection over which one file goes.
struct Large {
    connection: Connection,
    way: Way,
    path: String,
    bytes: usize,
    /// Parameters of the write, as JSON.
    write: String,
    target: Target,
}

impl Large {
    fn open(spec: &TargetSpec, way: Way, path: &Path) -> Result<Self, BenchError> {
        let target = spec.start()?;
        let mut connection = match way {
            Way::BinaryBlocks => Connection::open_binary(&target.url)?,
            Way::Whole | Way::Blocks | Way::Write => Connection::open(&target.url)?,
        };
        let url = url_of(path);
        let bytes = if way == Way::Write { FILE_BYTES } else { std::fs::metadata(path)?.len() as usize };
        let write = match way {
            Way::Write => {
                let text = base64_simd::STANDARD.encode_to_string(vec![b'x'; FILE_BYTES]);
                format!(r#"{{"path":"{url}","dataBase64":"{text}"}}"#)
            }
            Way::Whole => String::new(),
            Way::Blocks | Way::BinaryBlocks => {
                connection.call("fs/open", json!({ "handleId": HANDLE, "path": url }))?;
                String::new()
            }
        };
        Ok(Self { connection, way, path: url, bytes, write, target })
    }

    /// Takes the file over, or back.
    fn transfer(&mut self) -> Result<(), BenchError> {
        match self.way {
            Way::Whole => {
                self.connection.request("fs/readFile", json!({ "path": self.path }))?;
                let got = base64_bytes(self.connection.next_payload()?, "dataBase64")?;
                expect(got, self.bytes)
            }
            Way::Write => {
                self.connection.queue_text("fs/writeFile", &self.write);
                match self.connection.next()? {
                    Message::Refused { code, message, .. } => Err(BenchError::Refused { code, message }),
                    _ => Ok(()),
                }
            }
            Way::Blocks | Way::BinaryBlocks => self.blocks(),
        }
    }

    /// Always as many on the way as were agreed on, so that neither side waits for the other.
    fn blocks(&mut self) -> Result<(), BenchError> {
        let (mut asked, mut taken, mut got) = (0, 0, 0);
        let count = self.bytes / BLOCK_BYTES;
        while taken < count {
            while asked < count && asked < taken + BLOCKS_AHEAD {
                let params = json!({ "handleId": HANDLE, "offset": asked * BLOCK_BYTES, "len": BLOCK_BYTES });
                self.connection.queue("fs/readBlock", params)?;
                asked += 1;
            }
            self.connection.flush()?;
            let binary = self.way == Way::BinaryBlocks;
            let payload = self.connection.next_payload()?;
            got += if binary { binary_bytes(payload)? } else { base64_bytes(payload, "chunk")? };
            taken += 1;
        }
        expect(got, self.bytes)
    }
}

impl Probe for Large {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let started = Instant::now();
        self.transfer()?;
        Ok(self.bytes as f64 / 1e6 / started.elapsed().as_secs_f64())
    }
}

/// Mebibytes by which one transfer makes a fresh server larger, at its peak.
struct Growth {
    spec: TargetSpec,
    way: Way,
    path: PathBuf,
}

impl Probe for Growth {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let mut large = Large::open(&self.spec, self.way, &self.path)?;
        std::thread::sleep(SETTLE);
        let pid = large.target.pid();
        let idle = machine::memory(pid)?.resident_kib;
        machine::reset_peak(pid)?;
        large.transfer()?;
        Ok((machine::memory(pid)?.peak_kib - idle) / 1024.0)
    }
}

/// Keys pressed while the file is on its way over the same connection.
struct EchoBeside {
    terminal: Terminal,
    path: String,
    _target: Target,
}

impl EchoBeside {
    fn open(spec: &TargetSpec, path: &Path) -> Result<Self, BenchError> {
        let target = spec.start()?;
        let terminal = Terminal::open(Connection::open(&target.url)?)?;
        Ok(Self { terminal, path: url_of(path), _target: target })
    }
}

impl Probe for EchoBeside {
    /// Milliseconds.
    fn sample(&mut self) -> Result<f64, BenchError> {
        let before = self.terminal.others();
        self.terminal.connection().request("fs/readFile", json!({ "path": self.path }))?;
        let microseconds = self.terminal.press()?;
        if self.terminal.others() == before {
            let got = base64_bytes(self.terminal.connection().next_payload()?, "dataBase64")?;
            expect(got, FILE_BYTES)?;
        }
        Ok(microseconds / 1e3)
    }
}

fn expect(got: usize, wanted: usize) -> Result<(), BenchError> {
    if got == wanted {
        return Ok(());
    }
    Err(BenchError::Protocol(format!("{got} of {wanted} bytes of the file came")))
}

/// Bytes that the base64 of `member` stands for. Without a quote or an escape in it, its end is the next quote.
fn base64_bytes(payload: &[u8], member: &str) -> Result<usize, BenchError> {
    let mark = format!(r#""{member}":""#);
    let Some(start) = memmem::find(payload, mark.as_bytes()) else {
        return match Message::parse(payload)? {
            Message::Refused { code, message, .. } => Err(BenchError::Refused { code, message }),
            other => Err(BenchError::Protocol(format!("no {member} in {other:?}"))),
        };
    };
    let text = &payload[start + mark.len()..];
    let text = &text[..memchr::memchr(b'"', text).unwrap_or(text.len())];
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    Ok((text.len() / 4 * 3).saturating_sub(padding))
}

/// Bytes in a binary message of a block: the header says.
fn binary_bytes(payload: &[u8]) -> Result<usize, BenchError> {
    const BLOCK: u8 = 3;
    match (payload.first(), payload.get(4..).and_then(|rest| rest.first_chunk())) {
        (Some(&BLOCK), Some(length)) => Ok(u32::from_le_bytes(*length) as usize),
        _ => match Message::parse(payload)? {
            Message::Refused { code, message, .. } => Err(BenchError::Refused { code, message }),
            other => Err(BenchError::Protocol(format!("not a block: {other:?}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_by_their_base64_and_by_their_header() {
        assert_eq!(
            base64_bytes(br#"{"id":1,"result":{"dataBase64":"eHh4eA=="}}"#, "dataBase64").ok(),
            Some(4)
        );
        assert!(base64_bytes(br#"{"id":1,"error":{"code":-32600,"message":"no"}}"#, "dataBase64").is_err());
        let block = [&[3, 0, 1, 0, 2, 0, 0, 0][..], &[0; 16], b"7xy"].concat();
        assert_eq!(binary_bytes(&block).ok(), Some(2));
    }
}
