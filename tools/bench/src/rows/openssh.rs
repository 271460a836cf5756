//! What a person at a terminal has otherwise: `ssh` over a connection that is open already, beside `run --connect`, which
//! opens its own. One command, and bulk output. Only where OpenSSH's server is installed.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::Plan;
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, Turns, alternate};
use crate::openssh::OpenSsh;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::{Role, Target, TargetSpec};

const NAME: &str = "openssh";

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let bytes = plan.choose(/*thorough*/ 512 << 20, /*quick*/ 64 << 20);
    let megabytes = f64::from(bytes) / 1e6;
    let count = bytes.to_string();
    let once = ["/usr/bin/true"];
    let output = ["/usr/bin/head", "-c", &count, "/dev/zero"];
    let mut commands = lanes(plan, &once, |seconds| seconds * 1e3);
    alternate(
        &mut commands,
        Turns { warm_up: 2, rounds: plan.choose(/*thorough*/ 20, /*quick*/ 5), batch: 5 },
    );
    let mut measures: Vec<_> =
        commands.iter().map(|lane| lane.measure("one-shot p50", "ms", Summary::median)).collect();
    drop(commands);
    let mut floods = lanes(plan, &output, move |seconds| megabytes / seconds);
    alternate(&mut floods, Turns { warm_up: 0, rounds: plan.choose(/*thorough*/ 5, /*quick*/ 2), batch: 1 });
    measures.extend(floods.iter().map(|lane| lane.measure("output rate", "MB/s", Summary::median)));
    Ok(measures)
}

/// `ssh`, and the command line of each server that is to be measured. `value` makes a sample of seconds.
fn lanes(plan: &Plan, remote: &[&str], value: impl Fn(f64) -> f64 + Copy + 'static) -> Vec<Lane> {
    let ssh = OpenSsh::start().map(|server| {
        let argv = server.client_argv().into_iter().chain(remote.iter().map(|word| (*word).to_owned()));
        Client { argv: argv.collect(), value, _server: server }
    });
    let mut lanes = vec![Lane::new(NAME, ssh)];
    for spec in plan.targets.iter().filter(|spec| spec.role == Role::Server) {
        let client = |spec: &TargetSpec| {
            let target: Target = spec.start()?;
            let program = spec.program_path().to_string_lossy().into_owned();
            let words = [program.as_str(), "run", "--connect", &target.url, "--"];
            let argv = words.iter().chain(remote).map(|word| (*word).to_owned()).collect();
            Ok(Client { argv, value, _server: target })
        };
        lanes.push(Lane::new(format!("{} run", spec.name), client(spec)));
    }
    lanes
}

/// A program that runs one command elsewhere.
struct Client<S, V> {
    argv: Vec<String>,
    value: V,
    /// Stopped when this is dropped.
    _server: S,
}

impl<S, V: Fn(f64) -> f64> Probe for Client<S, V> {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let program = || self.argv[0].clone();
        let started = Instant::now();
        let status = Command::new(&self.argv[0])
            .args(&self.argv[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|source| BenchError::Start { program: program(), source })?;
        if !status.success() {
            return Err(BenchError::Protocol(format!("{} ended with {status}", program())));
        }
        Ok((self.value)(started.elapsed().as_secs_f64()))
    }
}
