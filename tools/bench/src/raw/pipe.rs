//! The raw side of bulk output: one pipe, read as fast as it goes.

use std::time::Instant;

use super::spawn::{Program, Stdin, reap};
use crate::error::BenchError;

/// As much as a pipe holds by default.
const READ_BYTES: usize = 64 * 1024;

/// Runs `argv` (its first word a path) and returns megabytes (10^6 bytes) per second from spawn to end. Fails
/// unless exactly `expected` bytes came.
pub(crate) fn megabytes_per_second(argv: &[String], expected: u64) -> Result<f64, BenchError> {
    let program = Program::new(argv)?;
    let mut buffer = vec![0; READ_BYTES];
    let started = Instant::now();
    let child = program.spawn_piped(Stdin::Null)?;
    let mut total = 0;
    loop {
        match rustix::io::read(&child.stdout, buffer.as_mut_slice()).map_err(BenchError::raw("read"))? {
            0 => break,
            count => total += count as u64,
        }
    }
    reap(child.pid)?;
    if total != expected {
        return Err(BenchError::Protocol(format!("the producer wrote {total} of {expected} bytes")));
    }
    Ok(total as f64 / 1e6 / started.elapsed().as_secs_f64())
}
