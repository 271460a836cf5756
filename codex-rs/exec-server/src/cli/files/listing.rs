//! What a directory of a machine holds, by name.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use codex_exec_server_core::service::{FileSystem, FsError};
use codex_exec_server_protocol::fs::{FsDirectoryEntry, FsReadDirectoryParams, MAX_LISTED_ENTRIES};
use codex_exec_server_protocol::path_uri::HostOs;

use super::host::uri;
use super::names::entry_name;
use super::{about, shown};
use crate::cli::Failure;

/// What an entry is itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    File,
    Directory,
    Symlink,
    /// A device, pipe or socket.
    Other,
}

/// One entry.
#[derive(Debug)]
pub(in crate::cli) struct Entry {
    pub(in crate::cli) name: OsString,
    pub(in crate::cli) kind: Kind,
}

/// See the module. By name, byte by byte.
pub(in crate::cli) struct Listing(pub(in crate::cli) Vec<Entry>);

impl Listing {
    /// Asks for everything that is in the directory at `path`.
    pub(in crate::cli) async fn read(files: &dyn FileSystem, path: &Path) -> Result<Self, Failure> {
        let page = FsReadDirectoryParams {
            path: uri(path)?,
            max_entries: Some(MAX_LISTED_ENTRIES),
            after: None,
            sandbox: None,
        };
        let failed = |error| about(shown(path), &error);
        let mut entries = Vec::new();
        let mut answer = match files.read_directory(page.clone()).await {
            // All of it at once, or not at all.
            Err(FsError::Unsupported(_)) => {
                files.read_directory(FsReadDirectoryParams { max_entries: None, ..page.clone() }).await
            }
            answer => answer,
        }
        .map_err(failed)?;
        loop {
            for told in answer.entries {
                let kind = kind(&told);
                let name = name(&told).ok_or_else(|| {
                    format!("{}: the server lists {:?}, which is no name", shown(path), told.file_name)
                })?;
                entries.push(Entry { name, kind });
            }
            let Some(last) = entries.last().filter(|_| answer.more) else { break };
            let after = Some(uri(&path.join(&last.name))?);
            answer = files
                .read_directory(FsReadDirectoryParams { after, ..page.clone() })
                .await
                .map_err(failed)?;
            // One that gives the same page again and again would never end.
            if answer
                .entries
                .first()
                .and_then(name)
                .is_none_or(|first| first.as_bytes() <= last.name.as_bytes())
            {
                return Err(format!("{}: the server's pages are out of order", shown(path)).into());
            }
        }
        entries.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        // What stands there twice would be two things of one name here.
        entries.dedup_by(|a, b| a.name == b.name);
        Ok(Self(entries))
    }
}

fn kind(told: &FsDirectoryEntry) -> Kind {
    match (told.is_symlink, told.is_directory, told.is_file) {
        (true, ..) => Kind::Symlink,
        (false, true, _) => Kind::Directory,
        (false, false, true) => Kind::File,
        (false, false, false) => Kind::Other,
    }
}

/// The name as bytes: what is not UTF-8 in one is told by its path alone.
fn name(told: &FsDirectoryEntry) -> Option<OsString> {
    let Some(path) = &told.path else { return entry_name(told.file_name.clone().into_bytes()) };
    let bytes = path.to_host_path_bytes(HostOs::Linux).ok()?;
    let start = bytes.iter().rposition(|byte| *byte == b'/')? + 1;
    entry_name(bytes[start..].to_vec())
}
