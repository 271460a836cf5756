//! What a directory of a machine holds, by name.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use codex_exec_server_core::service::FileSystem;
use codex_exec_server_protocol::fs::{FsDirectoryEntry, FsReadDirectoryParams};
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
        let params = FsReadDirectoryParams { path: uri(path)?, sandbox: None };
        let answer = files.read_directory(params).await.map_err(|error| about(shown(path), &error))?;
        let mut entries = Vec::with_capacity(answer.entries.len());
        for told in answer.entries {
            let kind = kind(&told);
            let Some(name) = name(&told) else {
                return Err(format!(
                    "{}: the server lists {:?}, which is no name",
                    shown(path),
                    told.file_name
                )
                .into());
            };
            entries.push(Entry { name, kind });
        }
        entries.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
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
