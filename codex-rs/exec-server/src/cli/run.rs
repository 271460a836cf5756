//! `codex-exec-server run`.
use std::process::ExitCode;
use super::Failure;
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {}
pub(super) fn main(_args: RunArgs) -> Result<ExitCode, Failure> { Err("x".into()) }
