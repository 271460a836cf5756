//! `codex-exec-server completions`: what shells need, made from the flags themselves.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Failure};

/// Our name.
pub(super) const NAME: &str = "codex-exec-server";

/// Flags of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  codex-exec-server completions bash > ~/.local/share/bash-completion/completions/codex-exec-server
  codex-exec-server completions zsh > ~/.zfunc/_codex-exec-server
  codex-exec-server completions fish > ~/.config/fish/completions/codex-exec-server.fish")]
pub(super) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    let mut script = String::from_utf8(script)?;
    if args.shell == Shell::Bash {
        // The generator (4.6) spells a name with hyphens in two ways, so that no command would find its flags.
        script = script.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"));
    }
    io::stdout().write_all(script.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
