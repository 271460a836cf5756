//! `codex-exec-server cp`: files and trees from this machine to another one, and back.
//!
//! ```text
//! spots (which side each path is on) → tree (what is to be copied, several at a time) → file (one file: resume, blocks,
//! digests, rename)                                                progress (how far all of that is, for people)
//! ```
//!
//! Either side is a [`FileSystem`](codex_exec_server_core::service::FileSystem), so that both directions are one.

mod file;
mod progress;
mod spots;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use serde::Serialize;

use self::progress::Progress;
use self::spots::{Spot, Way};
use self::tree::{Copying, What};
use super::Failure;
use super::exit;
use super::files::Host;
use super::reach::ReachArgs;
use super::stop::Stop;
use super::teller::Teller;

/// What `--help` says below the flags.
const HELP: &str = "\
A path that begins with `:` is on the machine that --env or --connect names, the others are on this one (write ./:x for a name \
here that begins so). `:a` begins where the machine's programs run, `:/a` at its root. If the destination is a directory, what \
is copied goes into it.

A file appears under its name when all of it is there, with the permissions of the original, and when SHA-256 over both is the \
same. Until then it is `.NAME.partial` beside it. A connection that breaks meanwhile is made again; a copy that was interrupted \
goes on with what is there when the same command is given again, as far as that is still a beginning of the original.

With -p copies keep the time at which the original was changed last; links have the time of their making.

With -r links are copied as links, except those that are named. Nothing is written through a link at the destination: it is \
replaced. What cannot be copied is told, and the rest is copied.

Examples:
  codex-exec-server cp --env box build.tar.gz :/srv/
  codex-exec-server cp --env box :/var/log/app.log .
  codex-exec-server cp -r --connect ws://127.0.0.1:8765 src :work/src";

/// Flags of `cp`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::with_codes(HELP))]
pub(super) struct CpArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Copy directories with everything in them
    #[arg(short, long)]
    recursive: bool,
    /// Keep when files and directories were changed last, to the millisecond
    #[arg(short, long)]
    preserve: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// What to copy; `:PATH` is on the machine
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<PathBuf>,
    /// What it becomes, or the directory it goes into; `:PATH` is on the machine
    #[arg(value_name = "DEST")]
    destination: PathBuf,
}

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Copied {
    files: u64,
    directories: u64,
    links: u64,
    /// Of the files, together.
    bytes: u64,
    /// Of these, what an interrupted copy had left.
    resumed_bytes: u64,
    /// Whether SHA-256 was the same on both sides for every file; false where the server has no such sum.
    verified: bool,
    failed: Vec<Failed>,
    /// The exit code that comes of it.
    #[serde(skip)]
    code: u8,
}

/// Something that was not copied.
#[derive(Debug, Serialize)]
struct Failed {
    message: String,
}

pub(super) fn main(args: &CpArgs) -> Result<ExitCode, Failure> {
    let way = Way::of(&args.sources, &args.destination)?;
    super::block_on(async {
        let mut stop = Stop::catch()?;
        let host = Host::find(&args.reach, "cp").await?;
        let progress = Rc::new(Progress::default());
        let copied = tokio::select! {
            copied = host.attend(copy(&host, args, way, &progress)) => copied,
            code = stop.signalled() => {
                progress.clear();
                Teller::default().tell(format_args!("interrupted; the same command goes on with what is there"));
                return Ok(super::exit_code(code));
            }
        };
        host.close().await;
        let copied = copied?;
        if args.json {
            super::print_json(&copied)?;
        }
        Ok(ExitCode::from(copied.code))
    })
}

async fn copy(host: &Host, args: &CpArgs, way: Way, progress: &Rc<Progress>) -> Result<Copied, Failure> {
    let here = Host::here();
    let (from, to) = match way {
        Way::Up => (&here, host),
        Way::Down => (host, &here),
    };
    let destination = to.path(Spot::of(&args.destination).path())?;
    let what = What { directories: args.recursive, times: args.preserve };
    let copying = Copying::new(from, to, what, Rc::clone(progress));
    let mut sources = Vec::with_capacity(args.sources.len());
    for source in &args.sources {
        sources.push(from.path(Spot::of(source).path())?);
    }
    let work = copying.copy(&sources, &destination);
    tokio::select! {
        done = work => {
            progress.clear();
            done
        }
        never = progress.show() => match never {},
    }
}
