//! The command line: write what is generated, or check that it is fresh.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use codex_exec_server_schema_gen::{TreeError, checkout, generate};

/// Writes `schema/json/` and `sdk-ts/src/generated/` from the protocol's types.
#[derive(Debug, Parser)]
#[command(name = "codex-exec-server-schema-gen")]
struct Cli {
    /// Write nothing; list what is stale and exit with 1 if anything is
    #[arg(long)]
    check: bool,

    /// The checkout to write to [default: the one that this program was built from]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, TreeError> {
    let root = cli.root.clone().unwrap_or_else(checkout);
    let tree = generate();
    if cli.check {
        let stale = tree.stale(&root)?;
        if stale.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        for file in stale {
            eprintln!("{file}");
        }
        eprintln!("run `just gen`");
        return Ok(ExitCode::FAILURE);
    }
    for file in tree.write(&root)? {
        println!("{file}");
    }
    Ok(ExitCode::SUCCESS)
}
