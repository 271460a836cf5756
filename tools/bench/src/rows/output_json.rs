//! A gigabyte of output pushed as JSON text: how fast, at what cost in the server's CPU time, in how much memory.

use std::io::Write;
use std::path::PathBuf;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::RAW;
use crate::raw;
use crate::report::Measure;
use crate::transfer::{Contender, Form, GIB, Pick, Producer};

/// The text is this large and is written as often as it takes.
const TEXT_FILE_BYTES: u64 = 64 << 20;

/// Name, unit and value of each metric of a transfer.
const METRICS: [(&str, &str, Pick); 4] = [
    ("rate", "MB/s", |transfer| transfer.megabytes_per_second),
    ("server cpu", "s/GiB", |transfer| transfer.cpu_seconds_per_gib),
    ("peak above idle", "MiB", |transfer| transfer.peak_mib),
    // It shows whether this side could have been the limit.
    ("client cpu", "s/GiB", |transfer| transfer.client_cpu_seconds_per_gib),
];

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let file = TextFile::create()?;
    let rounds = plan.choose(/*thorough*/ 5, /*quick*/ 2);
    let mut measures = Vec::new();
    for (name, producer) in producers(plan, &file) {
        let mut contenders: Vec<_> = plan.with_limit().map(|spec| Contender::new(spec, Form::Json)).collect();
        measures.push(alternate(name, &producer, &mut contenders, rounds));
        for (metric, unit, pick) in METRICS {
            let metric = format!("{name} {metric}");
            measures.extend(contenders.iter().map(|contender| contender.measure(&metric, unit, pick)));
        }
    }
    Ok(measures)
}

/// Zeros from the kernel, and text from a file.
pub(super) fn producers(plan: &Plan, file: &TextFile) -> [(&'static str, Producer); 2] {
    let bytes = plan.choose(GIB, GIB / 4);
    let head = ["/usr/bin/head", "-c"].map(str::to_owned).into_iter();
    let zeros = head.chain([bytes.to_string(), "/dev/zero".to_owned()]).collect();
    let repeats = (bytes / TEXT_FILE_BYTES) as usize;
    let path = file.path.to_string_lossy().into_owned();
    let text = std::iter::once("/bin/cat".to_owned()).chain(std::iter::repeat_n(path, repeats)).collect();
    [
        ("zeros", Producer { argv: zeros, bytes, tty: false }),
        ("text", Producer { argv: text, bytes, tty: false }),
    ]
}

/// Everybody in turn, `rounds` times. Returns what the bare pipe did meanwhile.
pub(super) fn alternate(
    name: &str,
    producer: &Producer,
    contenders: &mut [Contender],
    rounds: usize,
) -> Measure {
    let mut rates = Vec::new();
    let mut failure = None;
    for round in 0..rounds {
        match raw::megabytes_per_second(&producer.argv, producer.bytes) {
            Ok(rate) => rates.push(rate),
            Err(error) => failure = Some(error),
        }
        for contender in &mut *contenders {
            contender.take_turn(producer);
        }
        eprintln!("  {name}: {} of {rounds} rounds", round + 1);
    }
    let raw = Measure::of(&format!("{name} rate"), RAW, "MB/s", &rates);
    match failure {
        Some(error) => raw.with_failure(&error.to_string()),
        None => raw,
    }
}

/// Lines like a build's, in the temporary folder. Removed on drop.
pub(super) struct TextFile {
    path: PathBuf,
}

impl TextFile {
    pub(super) fn create() -> Result<Self, BenchError> {
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
