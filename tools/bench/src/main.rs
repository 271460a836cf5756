//! The command line of the benchmark: which servers, which rows, where the results go.
//!
//! The servers are spoken to over the wire, so it measures any server of the protocol; over a distance also through
//! our own client, which is measured along with them there. Every row alternates between its targets, a raw limit (the
//! least that the operating system itself asks for the same work), and a naive server on the same wire.
//! The numbers are printed beside the goals; nothing fails because a clock said so.

mod client;
mod distance;
mod driven;
mod error;
mod lanes;
mod limit;
mod machine;
mod openssh;
mod placement;
mod prompt;
mod raw;
mod report;
mod rows;
mod scratch;
mod split;
mod stats;
mod target;
mod transfer;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::driven::DRIVEN_CLIENT;
use crate::error::BenchError;
use crate::machine::NoiseMeter;
use crate::report::Report;
use crate::rows::{Plan, ROWS, Row};
use crate::target::{Role, SERVE_LIMIT, TargetSpec};

/// Measures exec servers against the raw limits of this machine.
#[derive(Debug, Parser)]
#[command(name = "codex-exec-server-bench")]
struct Cli {
    /// Command that starts a server and prints its URL as the first line; split like a shell would, nothing
    /// expanded [default: the `codex-exec-server` beside this program, on a free loopback port]
    #[arg(long = "server", value_name = "CMD")]
    servers: Vec<String>,

    /// Command that starts a server to compare with; ratios to the first one are shown
    #[arg(long = "peer", value_name = "CMD")]
    peers: Vec<String>,

    /// Row to measure; repeat for more [default: all]
    #[arg(long = "row", value_name = "NAME", value_parser = row_parser())]
    rows: Vec<&'static Row>,

    /// Fewer samples and less data: a look, not a result
    #[arg(long)]
    quick: bool,

    /// Also write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Also write the results to this file as a Markdown table
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Also write the results to this file as a page for readers, with plots and numbers in the folder beside it
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,

    /// Be the naive server that others are compared with
    #[arg(long = SERVE_LIMIT, hide = true)]
    serve_limit: bool,

    /// Be our client on the server at this URL, for a benchmark that takes turns with it
    #[arg(long = DRIVEN_CLIENT, hide = true, value_name = "URL")]
    driven_client: Option<String>,
}

/// Takes the names of rows, and tells what they are.
fn row_parser() -> impl TypedValueParser<Value = &'static Row> {
    let names = ROWS.iter().map(|row| PossibleValue::new(row.name).help(row.about).aliases(row.aliases));
    PossibleValuesParser::new(names).try_map(|name| Row::named(&name).ok_or_else(|| format!("no row {name}")))
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), BenchError> {
    if cli.serve_limit {
        return limit::serve();
    }
    if let Some(url) = &cli.driven_client {
        return driven::serve(url.clone());
    }
    let plan = Plan { targets: targets(cli)?, limit: TargetSpec::limit()?, quick: cli.quick };
    let rows = if cli.rows.is_empty() { ROWS.iter().collect() } else { cli.rows.clone() };
    let mut report = Report::new(&plan);
    let mut failed = None;
    for row in rows {
        eprintln!("{}", row.name);
        let noise = NoiseMeter::start()?;
        match row.run(&plan) {
            Ok(measures) => report.add(row, measures, noise.strangers()?),
            // Minutes of other rows are worth keeping.
            Err(error) => {
                eprintln!("  not measured: {error}");
                failed = Some(error);
            }
        }
    }
    print!("{}", report.table());
    for goal in report.unmeasured_goals() {
        eprintln!("nothing was measured for the goal of {goal}");
    }
    if let Some(path) = &cli.json {
        write(path, &report.json()?)?;
    }
    if let Some(path) = &cli.markdown {
        write(path, &report.markdown())?;
    }
    if let Some(path) = &cli.page {
        report.write_page(path)?;
    }
    failed.map_or(Ok(()), Err)
}

/// The targets in the order in which they take turns. A missing default server is no obstacle when a peer is
/// named.
fn targets(cli: &Cli) -> Result<Vec<TargetSpec>, BenchError> {
    let mut specs = Vec::new();
    for command in &cli.servers {
        specs.push(TargetSpec::parse(command, Role::Server, &specs)?);
    }
    if cli.servers.is_empty() {
        match TargetSpec::beside_this_program() {
            Ok(spec) => specs.push(spec),
            Err(error) if cli.peers.is_empty() => return Err(error),
            Err(error) => eprintln!("measuring the peers alone: {error}"),
        }
    }
    for command in &cli.peers {
        specs.push(TargetSpec::parse(command, Role::Peer, &specs)?);
    }
    Ok(specs)
}

fn write(path: &std::path::Path, text: &str) -> Result<(), BenchError> {
    std::fs::write(path, text).map_err(|source| BenchError::File { path: path.to_owned(), source })
}
