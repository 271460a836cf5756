//! `tidy`: prints what breaks a rule of the architecture, one line each, and fails if there is anything.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use codex_exec_server_tidy::check;

/// Checks what the architecture promises and no compiler does: who may import what, who may depend on whom, that every
/// file says what it owns, that tests don't run on constants of their own.
#[derive(Debug, Parser)]
struct Cli {
    /// The checkout
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

fn main() -> ExitCode {
    match check(&Cli::parse().root) {
        Ok((files, findings)) if findings.is_empty() => {
            println!("tidy: {files} files, nothing to say");
            ExitCode::SUCCESS
        }
        Ok((_, findings)) => {
            for finding in &findings {
                println!("{finding}");
            }
            println!(
                "tidy: {} findings; the rules and their reasons are in codex-rs/ARCHITECTURE.md",
                findings.len()
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tidy: {error}");
            ExitCode::from(2)
        }
    }
}
