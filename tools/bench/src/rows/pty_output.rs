//! Bulk output of a program on a terminal, which hands it over in much smaller pieces than a pipe.

use std::time::Instant;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::RAW;
use crate::raw::{Program, open_terminal, reap};
use crate::report::Measure;
use crate::transfer::{Contender, Form, Producer};

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let bytes = plan.choose(/*thorough*/ 256 << 20, /*quick*/ 64 << 20);
    let script = format!("stty raw -echo; exec head -c {bytes} /dev/zero");
    let argv = ["/bin/sh", "-c", &script].map(str::to_owned).into();
    let producer = Producer { argv, bytes, tty: true };
    let rounds = plan.choose(/*thorough*/ 5, /*quick*/ 2);
    let mut contenders: Vec<_> = plan.with_limit().map(|spec| Contender::new(spec, Form::Json)).collect();
    let mut raw = Vec::new();
    for round in 0..rounds {
        raw.push(raw_megabytes_per_second(&producer)?);
        for contender in &mut contenders {
            contender.take_turn(&producer);
        }
        eprintln!("  {} of {rounds} rounds", round + 1);
    }
    let mut measures = vec![Measure::of("rate", RAW, "MB/s", &raw)];
    measures.extend(
        contenders.iter().map(|one| one.measure("rate", "MB/s", |transfer| transfer.megabytes_per_second)),
    );
    measures.extend(
        contenders
            .iter()
            .map(|one| one.measure("server cpu", "s/GiB", |transfer| transfer.cpu_seconds_per_gib)),
    );
    Ok(measures)
}

fn raw_megabytes_per_second(producer: &Producer) -> Result<f64, BenchError> {
    let (terminal, child_side) = open_terminal()?;
    let started = Instant::now();
    let pid = Program::new(&producer.argv)?.with_path().spawn_on(&child_side)?;
    drop(child_side);
    let (mut total, mut buffer) = (0, vec![0; 64 << 10]);
    // A terminal whose last program is gone says EIO.
    while let Ok(count) = rustix::io::read(&terminal, buffer.as_mut_slice()) {
        total += count as u64;
        if count == 0 {
            break;
        }
    }
    reap(pid)?;
    if total != producer.bytes {
        return Err(BenchError::Protocol(format!("the producer wrote {total} of {} bytes", producer.bytes)));
    }
    Ok(total as f64 / 1e6 / started.elapsed().as_secs_f64())
}
