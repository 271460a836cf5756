//! `codex-exec-server cat`: what is in files of a machine, to standard output.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Failure;
use super::console::{Sink, Target};
use super::exit;
use super::files::{Host, Reading};
use super::reach::ReachArgs;
use super::run::BROKEN_PIPE;
use super::teller::Teller;

/// What `--help` says below the flags.
const HELP: &str = "\
A relative path begins in the server's own directory, or in this one if the machine is this one. Of a file of any length \
no more than 8 MiB are held at a time. A connection that breaks meanwhile is made again, and reading goes on where it was.

When a file could not be read to its end, what can be read of the others is printed all the same.

Examples:
  codex-exec-server cat --env box /etc/os-release
  codex-exec-server cat --connect ws://127.0.0.1:8765 build.log | less
  codex-exec-server cat --env box /var/log/app.log /var/log/app.log.1 | grep -c ERROR";

/// Flags of `cat`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::with_codes(HELP))]
pub(super) struct CatArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Files of the machine
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

/// Why a file was not printed to its end.
enum Stop {
    /// It can't be read; says why.
    Unread(Failure),
    /// Nobody reads what we write.
    BrokenPipe,
    /// What we write goes nowhere; says why.
    Unwritten(Failure),
}

pub(super) fn main(args: &CatArgs) -> Result<ExitCode, Failure> {
    super::block_on(async {
        let host = Host::find(&args.reach, "cat").await?;
        let done = host.attend(cat(&host, &args.paths)).await;
        host.close().await;
        done.map(ExitCode::from)
    })
}

async fn cat(host: &Host, paths: &[PathBuf]) -> Result<u8, Failure> {
    let mut code = 0;
    for path in paths {
        match print(host, path).await {
            Ok(()) => {}
            Err(Stop::Unread(error)) => {
                Teller::default().tell(format_args!("{error}"));
                code = code.max(exit::code(&error));
            }
            Err(Stop::BrokenPipe) => return Ok(BROKEN_PIPE),
            Err(Stop::Unwritten(error)) => return Err(error),
        }
    }
    Ok(code)
}

async fn print(host: &Host, path: &Path) -> Result<(), Stop> {
    let sink = Sink::new(Target::Stdout);
    let path = host.path(path).map_err(Stop::Unread)?;
    let mut reading = Reading::open(&host.files, &path).await.map_err(Stop::Unread)?;
    while let Some(bytes) = reading.next().await.map_err(Stop::Unread)? {
        match sink.write(bytes).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(Stop::BrokenPipe),
            Err(error) => {
                return Err(Stop::Unwritten(format!("output can't be written: {error}").into()));
            }
        }
    }
    Ok(())
}
