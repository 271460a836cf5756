//! What it costs to touch the bytes of output once, in each of the ways that a server does: CPU time of the thread that does
//! it, so that neither the thread at the other end nor strangers count.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::spawn::{Piped, Program, Stdin, reap};
use crate::error::BenchError;

/// What a server reads, keeps and sends at a time.
const PIECE_BYTES: usize = 64 << 10;
const GIB: f64 = (1_u64 << 30) as f64;
/// Says that zeros come for ever.
const ZEROS: [&str; 2] = ["/bin/cat", "/dev/zero"];

/// One way of touching them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// From one piece of memory to another.
    Copy,
    /// The checksum that the end of a process states.
    Checksum,
    /// Into a third more.
    Encode,
    /// Out of a pipe into which another process writes.
    ReadPipe,
    /// Into a loopback socket that a thread empties.
    WriteSocket,
}

impl Pass {
    pub(crate) const ALL: [Self; 5] =
        [Self::Copy, Self::Checksum, Self::Encode, Self::ReadPipe, Self::WriteSocket];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Copy => "memory to memory",
            Self::Checksum => "CRC-32C",
            Self::Encode => "base64",
            Self::ReadPipe => "out of a pipe",
            Self::WriteSocket => "into a socket",
        }
    }

    /// CPU seconds for each GiB, over `bytes` of them.
    pub(crate) fn cost(self, bytes: u64) -> Result<f64, BenchError> {
        let pieces = bytes / PIECE_BYTES as u64;
        let piece = vec![b'x'; PIECE_BYTES];
        let taken = match self {
            Self::Copy => {
                let mut copy = vec![0; PIECE_BYTES];
                timed(pieces, || {
                    std::hint::black_box(&mut copy).copy_from_slice(std::hint::black_box(&piece));
                    Ok(())
                })?
            }
            Self::Checksum => timed(pieces, || {
                std::hint::black_box(crc32c::crc32c(std::hint::black_box(&piece)));
                Ok(())
            })?,
            Self::Encode => {
                let mut text = vec![0; base64_simd::STANDARD.encoded_length(PIECE_BYTES)];
                timed(pieces, || {
                    let text = base64_simd::Out::from_slice(&mut text);
                    std::hint::black_box(base64_simd::STANDARD.encode(std::hint::black_box(&piece), text));
                    Ok(())
                })?
            }
            Self::ReadPipe => read_pipe(bytes)?,
            Self::WriteSocket => write_socket(&piece, pieces)?,
        };
        Ok(taken.as_secs_f64() * GIB / (pieces * PIECE_BYTES as u64) as f64)
    }
}

fn timed(times: u64, mut pass: impl FnMut() -> Result<(), BenchError>) -> Result<Duration, BenchError> {
    let before = own_time();
    for _ in 0..times {
        pass()?;
    }
    Ok(own_time().saturating_sub(before))
}

/// CPU time of this thread.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // A thread's time is not negative.
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn read_pipe(bytes: u64) -> Result<Duration, BenchError> {
    let argv: Vec<String> = ZEROS.iter().map(|&word| word.to_owned()).collect();
    let Piped { pid, stdout, .. } = Program::new(&argv)?.spawn_piped(Stdin::Null)?;
    let taken = read_all(&stdout, bytes);
    // Without a reader it ends by itself.
    drop(stdout);
    reap(pid)?;
    taken
}

fn read_all(pipe: &OwnedFd, bytes: u64) -> Result<Duration, BenchError> {
    let (mut buffer, mut total) = (vec![0; PIECE_BYTES], 0);
    let before = own_time();
    while total < bytes {
        match rustix::io::read(pipe, buffer.as_mut_slice()).map_err(BenchError::raw("read"))? {
            0 => return Err(BenchError::Closed),
            count => total += count as u64,
        }
    }
    Ok(own_time().saturating_sub(before))
}

fn write_socket(piece: &[u8], pieces: u64) -> Result<Duration, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    let (mut peer, _) = listener.accept()?;
    let drain = std::thread::spawn(move || {
        let mut buffer = vec![0; 4 * PIECE_BYTES];
        while matches!(peer.read(&mut buffer), Ok(1..)) {}
    });
    let taken = timed(pieces, || Ok(stream.write_all(piece)?));
    drop(stream);
    // It has nothing to panic on, and is over with its connection.
    let _ = drain.join();
    taken
}
