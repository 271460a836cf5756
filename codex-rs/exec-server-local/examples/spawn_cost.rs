//! What starting a process costs, next to the standard library's way of doing it.
//!
//! Starts `/usr/bin/true` with pipes for its output, waits for its end, and prints the median and the 90th
//! percentile in microseconds: once with a small server, and once with 1 GiB of touched memory, which must
//! make no difference. Then the same for killing a tree. Build with `--release`.

use std::error::Error;
use std::process;
use std::time::{Duration, Instant};

use codex_exec_server_local::os::{Command, Size, Spawned, Stdio, kill_tree, spawn};
use rustix::event::{PollFd, PollFlags, poll};

const ROUNDS: usize = 2000;

fn main() -> Result<(), Box<dyn Error>> {
    round("small server")?;
    let memory = vec![1_u8; 1 << 30];
    round("server of 1 GiB")?;
    drop(std::hint::black_box(memory));

    let mut tree = Command::new(["/bin/sh", "-c", "sleep 1000 & setsid sleep 1000 & wait"], "/");
    tree.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    let processes = std::fs::read_dir("/proc")?.count();
    let kills = (0..200).map(|_| {
        let spawned = spawn(&tree)?;
        let begin = Instant::now();
        kill_tree(&spawned.child, begin + Duration::from_secs(10))?;
        let took = begin.elapsed();
        wait(&spawned)?;
        Ok(took)
    });
    report(&format!("kill_tree, about {processes} processes on the machine"), kills)
}

fn round(title: &str) -> Result<(), Box<dyn Error>> {
    println!("{title}");
    let pipes = Command::new(["/usr/bin/true"], "/");
    let pty = Command { stdio: Stdio::Pty(Size::default()), ..pipes.clone() };
    report("  spawn alone, pipes", (0..ROUNDS).map(|_| ours(&pipes, /*with_wait*/ false)))?;
    report("  spawn and wait, pipes", (0..ROUNDS).map(|_| ours(&pipes, /*with_wait*/ true)))?;
    report("  spawn and wait, pty", (0..ROUNDS).map(|_| ours(&pty, /*with_wait*/ true)))?;
    report("  std::process spawn alone, pipes", (0..ROUNDS).map(|_| standard(/*with_wait*/ false)))?;
    report("  std::process spawn and wait, pipes", (0..ROUNDS).map(|_| standard(/*with_wait*/ true)))
}

/// The time to start, or to start and reap.
fn ours(command: &Command, with_wait: bool) -> Result<Duration, Box<dyn Error>> {
    let begin = Instant::now();
    let spawned = spawn(command)?;
    let started = begin.elapsed();
    wait(&spawned)?;
    Ok(if with_wait { begin.elapsed() } else { started })
}

fn wait(spawned: &Spawned) -> Result<(), Box<dyn Error>> {
    poll(&mut [PollFd::new(&spawned.child, PollFlags::IN)], None)?;
    spawned.child.try_wait()?.ok_or("a readable pidfd means dead")?;
    Ok(())
}

/// `posix_spawn`, as the standard library uses it when nothing beyond stdio and environment is asked for.
fn standard(with_wait: bool) -> Result<Duration, Box<dyn Error>> {
    let begin = Instant::now();
    let mut child = process::Command::new("/usr/bin/true")
        .env_clear()
        .stdin(process::Stdio::null())
        .stdout(process::Stdio::piped())
        .stderr(process::Stdio::piped())
        .spawn()?;
    let started = begin.elapsed();
    child.wait()?;
    Ok(if with_wait { begin.elapsed() } else { started })
}

fn report(
    title: &str,
    times: impl Iterator<Item = Result<Duration, Box<dyn Error>>>,
) -> Result<(), Box<dyn Error>> {
    let mut times = times.collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e6;
    println!("{title:56} median {:7.1} µs   90 % {:7.1} µs", at(/*part*/ 50), at(/*part*/ 90));
    Ok(())
}
