//! `codex-exec-server run`.
use super::Failure;
use std::process::ExitCode;
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {}
pub(super) fn main(_args: RunArgs) -> Result<ExitCode, Failure> {
    Err("x".into())
}
