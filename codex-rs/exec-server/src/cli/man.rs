//! `codex-exec-server man`: the manual, made from the flags themselves.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_mangen::Man;

use super::exit::EXAMPLES;
use super::{Cli, Failure};

/// Flags of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  codex-exec-server man | man -l -
  codex-exec-server man --dir ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write a page for each command into this directory instead, which must exist
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn main(args: &ManArgs) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    // Gives every command its full name.
    command.build();
    match &args.dir {
        Some(dir) => write_all(&command, dir)?,
        None => {
            let mut text = Vec::new();
            page(&command, &mut text)?;
            io::stdout().write_all(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One file for each command, named as `man` looks for it.
fn write_all(command: &clap::Command, dir: &Path) -> Result<(), Failure> {
    let path = dir.join(format!("{}.1", name(command)));
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = File::create(&path).map_err(failed)?;
    page(command, &mut file).map_err(failed)?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        write_all(command, dir)?;
    }
    Ok(())
}

/// The name of a command's page.
fn name(command: &clap::Command) -> String {
    command.get_bin_name().unwrap_or(command.get_name()).replace(' ', "-")
}

fn page(command: &clap::Command, out: &mut dyn Write) -> io::Result<()> {
    let has_commands = command.get_subcommands().next().is_some();
    let page = Man::new(command.clone()).title(name(command));
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if has_commands {
        page.render_subcommands_section(out)?;
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // The lines of examples are to stay as they are.
    let (notes, examples) = help.split_once(EXAMPLES).unwrap_or((&help, ""));
    if !notes.trim().is_empty() {
        writeln!(out, ".SH NOTES")?;
        for paragraph in notes.trim().split("\n\n") {
            writeln!(out, ".PP\n{}", roff(paragraph))?;
        }
    }
    if !examples.trim().is_empty() {
        writeln!(out, ".SH EXAMPLES\n.nf\n{}\n.fi", roff(examples.trim_end()))?;
    }
    Ok(())
}

/// Text of which nothing is a request to the formatter.
fn roff(text: &str) -> String {
    let line = |line: &str| {
        let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        // A line that begins so would be a request.
        if line.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_taken_for_a_request() {
        assert_eq!(roff(".TH x\n'a' -b \\c"), "\\&.TH x\n\\&\\(aqa\\(aq \\-b \\ec");
    }
}
