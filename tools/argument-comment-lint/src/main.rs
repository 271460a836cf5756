//! `argument-comment-lint`: prints what it finds, one line each, or mends it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use codex_exec_server_argument_comment_lint::{Request, Selection, check, fix, split};

/// Finds opaque arguments (`true`, `None`, bare numbers) without a comment that names the parameter.
///
/// What stands after `--` chooses packages and targets in Cargo's words, such as `-p NAME --tests`; all are looked at
/// by default.
///
/// Exits with 0 if there is nothing to say, with 1 if there is, with 2 if it can't tell.
#[derive(Debug, Parser)]
#[command(override_usage = "argument-comment-lint [OPTIONS] [PATHS]... [-- PACKAGES AND TARGETS]")]
struct Cli {
    /// Write the comments, then format the packages that were changed
    #[arg(long)]
    fix: bool,
    /// The folder with the workspace's Cargo.toml
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// Files and folders to look at; everything by default
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let (own, forwarded) = split(std::env::args().collect());
    let cli = Cli::parse_from(own);
    match run(cli, &forwarded) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("argument-comment-lint: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether there is nothing left to say.
fn run(cli: Cli, forwarded: &[String]) -> Result<bool, Box<dyn std::error::Error>> {
    let selection = Selection::parse(forwarded)?;
    let request = Request { workspace: cli.workspace, paths: cli.paths, selection };
    if cli.fix {
        let fixed = fix(&request)?;
        if !fixed.files.is_empty() {
            format(&request.workspace)?;
        }
        println!("argument-comment-lint: {} arguments in {} files", fixed.arguments, fixed.files.len());
    }
    let report = check(&request)?;
    for finding in &report.findings {
        println!("{finding}");
    }
    match report.findings.len() {
        0 => println!("argument-comment-lint: {} files, nothing to say", report.files),
        count => println!(
            "argument-comment-lint: {count} findings; `just argument-comment-lint --fix` writes the comments, and \
             tools/argument-comment-lint/README.md has the rules"
        ),
    }
    Ok(report.findings.is_empty())
}

/// A line that has become too long is broken as everywhere else.
fn format(workspace: &Path) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["fmt", "--all", "--manifest-path"])
        .arg(workspace.join("Cargo.toml"))
        .status()
        .map_err(|error| format!("comments are written, but cargo fmt can't be run: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("comments are written, but cargo fmt failed: {status}"))
    }
}
