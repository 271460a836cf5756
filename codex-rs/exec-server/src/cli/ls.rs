//! `codex-exec-server ls`: what a directory of a machine holds.

mod details;

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::fs::{FsGetMetadataParams, FsGetMetadataResponse};
use serde::Serialize;

use self::details::{Details, mode_letters, time};
use super::Failure;
use super::exit;
use super::files::{Entry, Host, Kind, Listing, about, for_output, shown, uri};
use super::reach::ReachArgs;
use super::run::BROKEN_PIPE;

/// What `--help` says below the flags.
const HELP: &str = "\
One name a line, in the order of their bytes, hidden ones included; on a terminal what it would obey is replaced by `?`. \
A relative path begins in the server's own directory, or in this one if the machine is this one. Of a link -l tells what it \
leads to: size, time and permissions; a link that leads nowhere has none. Times are UTC.

Examples:
  codex-exec-server ls --env box /srv
  codex-exec-server ls -l --connect ws://127.0.0.1:8765
  codex-exec-server ls --env box --json /var/log | jq -r '.entries[] | select(.kind == \"file\").name'";

/// Flags of `ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::with_codes(HELP))]
pub(super) struct LsArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Directory of the machine, or a single file [default: where its programs run]
    #[arg(value_name = "PATH", default_value = ".", hide_default_value = true)]
    path: PathBuf,
    /// Kind, permissions, size in bytes and time of the last change, too
    #[arg(short, long)]
    long: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Listed {
    path: String,
    entries: Vec<Told>,
}

/// An entry in JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    /// What is not UTF-8 in it is replaced.
    name: String,
    /// The name as it is; only if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_base64: Option<Base64Bytes>,
    kind: &'static str,
    #[serde(flatten)]
    details: Option<Details>,
}

pub(super) fn main(args: &LsArgs) -> Result<ExitCode, Failure> {
    super::block_on(async {
        let host = Host::find(&args.reach, "ls").await?;
        let listed = host.attend(list(&host, args)).await;
        host.close().await;
        let (path, rows) = listed?;
        if args.json {
            let entries = rows.into_iter().map(Told::from).collect();
            super::print_json(&Listed { path: path.to_string_lossy().into_owned(), entries })?;
            return Ok(ExitCode::SUCCESS);
        }
        match print(&rows, args.long) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::from(BROKEN_PIPE)),
            Err(error) => Err(format!("output can't be written: {error}").into()),
        }
    })
}

/// An entry, with details if there are any and they were asked for.
type Row = (Entry, Option<Details>);

async fn list(host: &Host, args: &LsArgs) -> Result<(PathBuf, Vec<Row>), Failure> {
    let path = host.path(&args.path)?;
    let params = FsGetMetadataParams { path: uri(&path)?, follow_symlinks: None, sandbox: None };
    let itself = host.files.get_metadata(params).await.map_err(|error| about(shown(&path), &error))?;
    if !itself.is_directory {
        let entry = Entry { name: args.path.as_os_str().to_owned(), kind: kind_of(&itself) };
        return Ok((path, vec![(entry, args.long.then(|| Details::from(&itself)))]));
    }
    let Listing(entries) = Listing::read(&*host.files, &path).await?;
    let details = if args.long {
        let paths: Vec<PathBuf> = entries.iter().map(|entry| path.join(&entry.name)).collect();
        details::ask(&*host.files, &paths).await?
    } else {
        entries.iter().map(|_| None).collect()
    };
    Ok((path, entries.into_iter().zip(details).collect()))
}

const fn kind_of(metadata: &FsGetMetadataResponse) -> Kind {
    match (metadata.is_symlink, metadata.is_file) {
        (true, _) => Kind::Symlink,
        (false, true) => Kind::File,
        (false, false) => Kind::Other,
    }
}

impl From<Row> for Told {
    fn from((entry, details): Row) -> Self {
        let kind = match entry.kind {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Symlink => "symlink",
            Kind::Other => "other",
        };
        let name_base64 = match entry.name.to_str() {
            Some(_) => None,
            None => Some(bytes_of(&entry.name).into()),
        };
        Self { name: entry.name.to_string_lossy().into_owned(), name_base64, kind, details }
    }
}

fn bytes_of(name: &OsStr) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(name).to_owned()
}

fn print(rows: &[Row], long: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let sizes = rows.iter().filter_map(|(_, details)| details.as_ref()).map(|details| details.size);
    let width = sizes.max().unwrap_or(0).to_string().len();
    for (entry, details) in rows {
        if long {
            let letters = mode_letters(entry.kind, details.as_ref().and_then(|details| details.mode));
            match details {
                Some(Details { size, modified_at_ms, .. }) => {
                    write!(out, "{letters}  {size:>width$}  {}  ", time(*modified_at_ms))?;
                }
                None => write!(out, "{letters}  {:>width$}  {:20}  ", "-", "-")?,
            }
        }
        out.write_all(&for_output(Path::new(&entry.name).as_os_str()))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
