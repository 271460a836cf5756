//! `codex-exec-server edit`: a file of a machine in the editor of this one.
//!
//! The editor gets a private copy. What it leaves is written back in one step, and only if the file is still what was
//! copied. Whatever goes wrong after the editor was there, the copy stays and its place is told. The machine is connected
//! to twice, so that nobody has to keep a connection for as long as somebody thinks.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use codex_exec_server_core::service::FsError;
use codex_exec_server_protocol::fs::{FsGetMetadataParams, FsGetMetadataResponse, FsWriteFileParams};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use super::exit::{reworded, undone, with_codes};
use super::files::{Host, Reading, about, shown, uri};
use super::reach::ReachArgs;
use super::teller::Teller;

/// The longest file that is edited, in bytes: what one write may hold on every server of ours.
const MAX_BYTES: u64 = 64 << 20;
/// Where neither VISUAL nor EDITOR says which.
const EDITOR: &str = "vi";

/// What `--help` says below the flags.
const HELP: &str = "\
The editor is $VISUAL, or $EDITOR, or vi; it may have arguments, such as `code --wait`. It works on a private copy, which is \
written back when the editor ends well and the copy has changed: in one step, with the file's own permissions, and only if \
nobody else has changed the file meanwhile. Otherwise nothing is written, and the copy stays where the message says.

A file that is not there yet is made, if the copy is written at all.

Examples:
  codex-exec-server edit --env box /etc/hosts
  EDITOR=nano codex-exec-server edit --connect ws://127.0.0.1:8765 src/main.rs";

/// Flags of `edit`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_codes(HELP))]
pub(super) struct EditArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// File of the machine
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// What the file was when it was copied.
struct Original {
    path: PathBuf,
    /// The empty one if there was no file.
    etag: String,
    content: Vec<u8>,
}

/// A private place for the copy.
struct Copy {
    folder: TempDir,
    path: PathBuf,
}

pub(super) fn main(args: &EditArgs) -> Result<ExitCode, Failure> {
    super::block_on(async {
        let original = with_host(args, fetch).await?;
        let copy = Copy::new(&original)?;
        let edited = copy.edit().await;
        match edited {
            Err(error) if copy.is(&original.content) => Err(error),
            Err(error) => Err(copy.keep(&error)),
            Ok(content) if content == original.content => {
                Teller::default()
                    .tell(format_args!("{}: not changed, nothing is written", shown(&original.path)));
                Ok(ExitCode::SUCCESS)
            }
            Ok(content) => {
                let writing = with_host(args, async |host, _| write(host, &original, content).await);
                match writing.await {
                    Ok(()) => Ok(ExitCode::SUCCESS),
                    Err(error) => Err(copy.keep(&error)),
                }
            }
        }
    })
}

/// Does `work` with a connection of its own.
async fn with_host<T>(
    args: &EditArgs,
    work: impl AsyncFnOnce(&Host, &EditArgs) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let host = Host::find(&args.reach, "edit").await?;
    let done = host.attend(work(&host, args)).await;
    host.close().await;
    done
}

/// Reads the file, if there is one.
async fn fetch(host: &Host, args: &EditArgs) -> Result<Original, Failure> {
    let path = host.path(&args.path)?;
    let params = FsGetMetadataParams { path: uri(&path)?, follow_symlinks: None, sandbox: None };
    let metadata = match host.files.get_metadata(params).await {
        Ok(metadata) => metadata,
        Err(FsError::NotFound(_)) => return Ok(Original { path, etag: String::new(), content: Vec::new() }),
        Err(error) => return Err(about(shown(&path), &error)),
    };
    let etag = may_be_edited(&path, &metadata)?;
    let mut reading = Reading::open(&host.files, &path).await?;
    let mut content = Vec::new();
    while let Some(bytes) = reading.next().await? {
        content.extend_from_slice(&bytes);
        if content.len() as u64 > MAX_BYTES {
            return Err(too_large(&path));
        }
    }
    Ok(Original { path, etag, content })
}

/// The file's etag, if it is one that can be written back.
fn may_be_edited(path: &Path, metadata: &FsGetMetadataResponse) -> Result<String, Failure> {
    if !metadata.is_file {
        return Err(undone(format_args!("{}: is not a file", shown(path))));
    }
    if metadata.size > MAX_BYTES {
        return Err(too_large(path));
    }
    let told = metadata.etag.clone();
    told.ok_or_else(|| {
        format!(
            "{}: the server can't tell whether somebody else changes a file (no flag fsExtended), so it is not edited",
            shown(path)
        )
        .into()
    })
}

fn too_large(path: &Path) -> Failure {
    undone(format_args!("{}: is longer than {} MiB, the limit of edit", shown(path), MAX_BYTES >> 20))
}

async fn write(host: &Host, original: &Original, content: Vec<u8>) -> Result<(), Failure> {
    let params = FsWriteFileParams {
        path: uri(&original.path)?,
        data_base64: Ok(content.into()),
        follow_symlinks: None,
        sandbox: None,
        atomic: true,
        if_match: Some(original.etag.clone()),
        mode: None,
        request_key: None,
    };
    match host.files.write_file(params).await {
        Ok(_) => Ok(()),
        Err(FsError::Changed { etag, .. }) => {
            let what = match (original.etag.is_empty(), etag.is_empty()) {
                (true, _) => "somebody else made it meanwhile",
                (false, true) => "somebody else removed it meanwhile",
                (false, false) => "somebody else changed it meanwhile",
            };
            Err(undone(format_args!("{}: {what}", shown(&original.path))))
        }
        Err(error) => Err(about(shown(&original.path), &error)),
    }
}

impl Copy {
    /// Of the same name, since editors look at it.
    fn new(original: &Original) -> Result<Self, Failure> {
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("codex-edit-").permissions(private).tempdir()?;
        let name = original
            .path
            .file_name()
            .ok_or_else(|| undone(format_args!("{}: is not a file", shown(&original.path))))?;
        let path = folder.path().join(name);
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(&original.content)?;
        Ok(Self { folder, path })
    }

    /// Runs the editor; what it left.
    async fn edit(&self) -> Result<Vec<u8>, Failure> {
        // Keys that would end us are the editor's to understand while it has the terminal.
        let _interrupt = signal(SignalKind::interrupt())?;
        let _quit = signal(SignalKind::quit())?;
        let editor = editor();
        let mut command = Command::new("/bin/sh");
        // A shell takes the words of the variable apart, as everywhere.
        command.arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(&self.path);
        let mut child = command.spawn().map_err(|error| format!("editor {editor} can't be run: {error}"))?;
        let status: ExitStatus = tokio::task::spawn_blocking(move || child.wait()).await??;
        if !status.success() {
            return Err(format!("editor {editor} failed ({status}), so nothing is written").into());
        }
        std::fs::read(&self.path).map_err(|error| format!("the copy can't be read: {error}").into())
    }

    /// Whether nothing has become of it.
    fn is(&self, content: &[u8]) -> bool {
        std::fs::read(&self.path).is_ok_and(|found| found == content)
    }

    /// Leaves the copy behind, and says so.
    fn keep(self, why: &Failure) -> Failure {
        let Self { folder, path } = self;
        let _ = folder.keep();
        reworded(why, format!("{why}; your copy is {}", shown(&path)))
    }
}

fn editor() -> String {
    let set = |name| std::env::var(name).ok().filter(|words| !words.trim().is_empty());
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| EDITOR.to_owned())
}
