//! Files that are handed over as they are: text, none of them long, and all together within a bound.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::capabilities::DiscoveredFile;
use codex_exec_server_protocol::error_code::ErrorCode;
use codex_exec_server_protocol::fs::{
    FsGetMetadataParams, FsGetMetadataResponse, FsReadRangeParams, MAX_BLOCK_BYTES,
};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;

use crate::fs::LocalFileSystem;

/// A longer file is not handed over.
const FILE_BYTES: u64 = MAX_BLOCK_BYTES;

/// See the module.
pub(super) struct Bundle<'a> {
    pub(super) files: &'a LocalFileSystem,
    pub(super) sandbox: Option<SandboxContext>,
    /// Room that is left for this root.
    left: usize,
    /// Room that is left for all of them.
    left_of_all: &'a mut usize,
    /// What could not be looked at.
    pub(super) warnings: Vec<String>,
}

/// More than these warnings say nothing more.
const WARNINGS: usize = 1_000;

impl<'a> Bundle<'a> {
    pub(super) fn new(
        files: &'a LocalFileSystem,
        sandbox: Option<SandboxContext>,
        left_of_all: &'a mut usize,
    ) -> Self {
        let left = files.limits().discovery.root_bytes;
        Self { files, sandbox, left, left_of_all, warnings: Vec::new() }
    }

    pub(super) fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// The room of a file that is not handed over after all.
    pub(super) const fn give_back(&mut self, file: &DiscoveredFile) {
        self.left += file.contents.len();
        *self.left_of_all += file.contents.len();
    }

    /// What is at `path`, links being followed.
    pub(super) async fn look(&self, path: &PathUri) -> Result<FsGetMetadataResponse, FsFault> {
        let (path, sandbox) = (path.clone(), self.sandbox.clone());
        self.files.get_metadata(FsGetMetadataParams { path, follow_symlinks: None, sandbox }).await
    }

    /// The text of a regular file; `None` without a word if there is none, and with a warning if it can't be handed over.
    pub(super) async fn text(&mut self, path: &Path) -> Option<DiscoveredFile> {
        let path = uri(path)?;
        match self.look(&path).await {
            Ok(found) if found.is_file => {}
            Ok(_) => return None,
            Err(fault) if fault.code() == ErrorCode::NotFound => return None,
            Err(fault) => {
                self.warn(format!("failed to inspect capability file {path}: {fault}"));
                return None;
            }
        }
        match self.read(&path).await {
            Ok(contents) => Some(DiscoveredFile { path, contents }),
            Err(warning) => {
                self.warn(warning);
                None
            }
        }
    }

    async fn read(&mut self, path: &PathUri) -> Result<String, String> {
        let params = FsReadRangeParams {
            path: path.clone(),
            offset: 0,
            len: FILE_BYTES,
            follow_symlinks: None,
            sandbox: self.sandbox.clone(),
            binary: false,
        };
        let read = self.files.read_range(params).await;
        let read = read.map_err(|fault| format!("failed to read capability file {path}: {fault}"))?;
        if !read.eof {
            return Err(format!("capability file {path} exceeds the {FILE_BYTES}-byte limit"));
        }
        let bytes = read.data_base64.into_bytes();
        if bytes.len() > self.left {
            let limit = self.files.limits().discovery.root_bytes;
            return Err(format!("capability root bundle exceeds the {limit}-byte limit"));
        }
        if bytes.len() > *self.left_of_all {
            let limit = self.files.limits().discovery.answer_bytes;
            return Err(format!("capability roots together exceed the {limit}-byte limit; ask for fewer"));
        }
        let text = String::from_utf8(bytes.into());
        let text =
            text.map_err(|error| format!("capability file {path} is not UTF-8: {}", error.utf8_error()))?;
        self.left -= text.len();
        *self.left_of_all -= text.len();
        Ok(text)
    }
}

/// The path as it travels.
pub(super) fn uri(path: &Path) -> Option<PathUri> {
    PathUri::from_path_bytes(path.as_os_str().as_bytes()).ok()
}
