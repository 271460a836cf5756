//! The same service, asked under a policy: a permissive one is added to every question that names none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_core::limits::{FileLimits, Limits};
use codex_exec_server_core::service::{
    FileHandle, FileSearch, FileSystem, FileWatch, FsError, ServiceFuture,
};
use codex_exec_server_local::fs::{FsHost, LocalFileSystem};
use codex_exec_server_local::{Sandbox, Support};
use codex_exec_server_protocol::fs::*;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;
use codex_linux_sandbox::Launcher;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::uri;

/// Sandboxes by way of the server's own program, with the machine's ability to run them made sure of.
pub(crate) fn sandbox() -> Sandbox {
    let launcher = Launcher::open(Path::new(env!("CARGO_BIN_EXE_codex-exec-server"))).expect("it was built");
    let sandbox = Sandbox::new(launcher);
    if let Support::None { reason } = sandbox.support() {
        panic!("no sandbox can be enforced here: {reason}");
    }
    sandbox
}

/// A file service that can confine.
pub(crate) fn files() -> LocalFileSystem {
    let host = FsHost::with_sandbox(FileLimits::default(), sandbox());
    LocalFileSystem::new(host, Limits::default().remembered_request_keys)
}

/// A context with these entries.
pub(crate) fn context(entries: &Value, cwd: Option<&Path>) -> SandboxContext {
    let files = json!({ "type": "restricted", "entries": entries });
    let mut context = json!({
        "permissions": { "type": "managed", "file_system": files, "network": "restricted" },
        "windowsSandboxLevel": "disabled",
    });
    if let Some(cwd) = cwd {
        context["cwd"] = json!(uri(cwd));
        context["workspaceRoots"] = json!([uri(cwd)]);
    }
    serde_json::from_value(context).expect("a context")
}

/// An entry for a path.
pub(crate) fn entry(path: impl AsRef<Path>, access: &str) -> Value {
    json!({ "path": { "type": "path", "path": uri(path) }, "access": access })
}

/// An entry for a place with a name.
pub(crate) fn special(kind: &str, access: &str) -> Value {
    json!({ "path": { "type": "special", "value": { "kind": kind } }, "access": access })
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sandboxed {
    inner: LocalFileSystem,
    /// Everything but this folder may be read and written.
    closed: TempDir,
}

impl Sandboxed {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inner: files(), closed: tempfile::tempdir().expect("a folder") })
    }

    fn policy(&self) -> SandboxContext {
        let closed: PathBuf = self.closed.path().canonicalize().expect("it is there");
        context(&json!([special("root", "write"), entry(closed, "deny")]), /*cwd*/ None)
    }
}

macro_rules! confined {
    ($($name:ident($params:ty) -> $answer:ty;)*) => {
        impl FileSystem for Sandboxed {
            $(fn $name(&self, mut params: $params) -> ServiceFuture<'_, Result<$answer, FsError>> {
                params.sandbox.get_or_insert_with(|| self.policy());
                FileSystem::$name(&self.inner, params)
            })*

            fn open(
                &self,
                path: PathUri,
                mode: FsOpenMode,
                sandbox: Option<SandboxContext>,
            ) -> ServiceFuture<'_, Result<Arc<dyn FileHandle>, FsError>> {
                FileSystem::open(&self.inner, path, mode, sandbox.or_else(|| Some(self.policy())))
            }

            fn glob(&self, mut params: FsGlobParams) -> Box<dyn FileSearch<FsWalkEntry>> {
                params.sandbox.get_or_insert_with(|| self.policy());
                FileSystem::glob(&self.inner, params)
            }

            fn watch(&self, mut params: FsWatchParams) -> ServiceFuture<'_, Result<Box<dyn FileWatch>, FsError>> {
                params.sandbox.get_or_insert_with(|| self.policy());
                FileSystem::watch(&self.inner, params)
            }

            fn search(&self, mut params: FsSearchParams) -> Box<dyn FileSearch<FsSearchMatch>> {
                params.sandbox.get_or_insert_with(|| self.policy());
                FileSystem::search(&self.inner, params)
            }
        }
    };
}

confined! {
    read_file(FsReadFileParams) -> Bytes;
    read_range(FsReadRangeParams) -> FsReadRangeResponse;
    write_file(FsWriteFileParams) -> FsWriteFileResponse;
    append(FsAppendParams) -> FsAppendResponse;
    write_range(FsWriteRangeParams) -> FsWriteRangeResponse;
    digest(FsDigestParams) -> FsDigestResponse;
    read_link(FsReadLinkParams) -> FsReadLinkResponse;
    create_link(FsCreateLinkParams) -> ();
    create_directory(FsCreateDirectoryParams) -> ();
    get_metadata(FsGetMetadataParams) -> FsGetMetadataResponse;
    stat_many(FsStatManyParams) -> FsStatManyResponse;
    canonicalize(FsCanonicalizeParams) -> FsCanonicalizeResponse;
    read_directory(FsReadDirectoryParams) -> FsReadDirectoryResponse;
    walk(FsWalkParams) -> FsWalkResponse;
    remove(FsRemoveParams) -> ();
    copy(FsCopyParams) -> ();
    rename(FsRenameParams) -> ();
    set_permissions(FsSetPermissionsParams) -> ();
}
