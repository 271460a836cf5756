//! Our own client at the beck of another benchmark, so that the two can take turns: a line on stdin with a number asks for so
//! many commands, and a line on stdout says how long each took, in microseconds.

use std::io::{BufRead, Write};
use std::time::Instant;

use crate::client::{self, RustClient};
use crate::error::BenchError;
use crate::rows::TRUE;
use crate::wire::StartParams;

/// Name of the option that asks for this.
pub(crate) const DRIVEN_CLIENT: &str = "driven-client";

/// Runs commands on the server at `url`, one after the other on one connection, until stdin ends.
pub(crate) fn serve(url: String) -> Result<(), BenchError> {
    let runtime = client::runtime()?;
    let client = runtime.block_on(RustClient::connect(url))?;
    let mut stdout = std::io::stdout().lock();
    for (batch, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line?;
        let count = line.trim().parse().map_err(|_| BenchError::NoCount(line.clone()))?;
        // Beside the client's own tasks, as a program would: what waits in this thread would be woken across threads.
        let taken = runtime.block_on(runtime.spawn(run_batch(client.clone(), batch, count)));
        let taken = taken.map_err(std::io::Error::from)??;
        writeln!(stdout, "{}", taken.join(" "))?;
        stdout.flush()?;
    }
    runtime.block_on(client.close());
    Ok(())
}

/// Runs `count` commands; microseconds until each was closed.
async fn run_batch(client: RustClient, batch: usize, count: u32) -> Result<Vec<String>, BenchError> {
    let mut taken = Vec::new();
    for nth in 0..count {
        let name = format!("command-{batch}-{nth}");
        let started = Instant::now();
        client.run(&StartParams::new(&name, &TRUE)).await?;
        taken.push(started.elapsed().as_micros().to_string());
    }
    Ok(taken)
}
