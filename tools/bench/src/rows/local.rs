//! One command on this machine through the traits that local and remote share: no server, no connection.

use std::time::Instant;

use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_local::LocalBackend;
use codex_exec_server_protocol::ids::Seq;
use tokio::runtime::{Builder, Runtime};

use super::{Plan, TRUE};
use crate::client::start_params;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::RawOneShot;
use crate::report::Measure;
use crate::stats::Summary;
use crate::wire::StartParams;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let mut lanes = [Lane::new(RAW, RawOneShot::open(&TRUE)), Lane::new("local backend", Local::open())];
    alternate(
        &mut lanes,
        Turns { warm_up: 10, rounds: plan.choose(/*thorough*/ 100, /*quick*/ 15), batch: 10 },
    );
    let p50 = lanes.iter().map(|lane| lane.measure("p50", "µs", Summary::median));
    let p99 = lanes.iter().map(|lane| lane.percentile("p99", "µs", /*percent*/ 99.0));
    Ok(p50.chain(p99).collect())
}

/// Microseconds from the start to the close.
struct Local {
    backend: LocalBackend,
    runtime: Runtime,
    count: usize,
}

impl Local {
    fn open() -> Result<Self, BenchError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { backend: LocalBackend::from_process(), runtime, count: 0 })
    }
}

impl Probe for Local {
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.count += 1;
        let name = format!("true-{}", self.count);
        let params = start_params(&StartParams::new(&name, &TRUE))?;
        let started = Instant::now();
        self.runtime.block_on(async {
            let process = self.backend.start(params).await.map_err(BenchError::client)?;
            let mut events = process.subscribe(Seq::START);
            loop {
                match events.next().await.ok_or(BenchError::Closed)?.map_err(BenchError::client)? {
                    ExecProcessEvent::Closed { .. } => return Ok(()),
                    ExecProcessEvent::Exited { exit, .. } if exit.code != 0 => {
                        return Err(BenchError::Protocol(format!("true exited with {}", exit.code)));
                    }
                    _ => {}
                }
            }
        })?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }
}
