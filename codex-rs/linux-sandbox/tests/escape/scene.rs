//! Folders in which attempts play, and profiles that they are tried under.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;
use serde_json::{Value, json};

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Everything may be read, the workspace written.
    Workspace,
    /// The same with the network.
    WorkspaceOnline,
    /// Everything may be read.
    ReadOnly,
    /// As `Workspace`, but for secrets: a file, a folder, a glob, and something that does not exist.
    Secrets,
    /// What programs need, and the workspace.
    Minimal,
    /// Everything, but no network.
    Offline,
}

/// A folder with a workspace, a place outside it, and secrets. Inside and outside know it by its path.
pub(crate) struct Scene {
    root: PathBuf,
}

/// What the files outside hold.
const OUTSIDE: &[u8] = b"outside";
/// What must not be seen.
pub(crate) const SECRET: &[u8] = b"the secret";

impl Scene {
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn set_up(root: &Path) -> Self {
        let scene = Self::at(root.canonicalize().expect("it exists"));
        for folder in [scene.workspace(), scene.outside(), scene.secrets()] {
            fs::create_dir(&folder).expect("a folder");
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("its mode");
        }
        fs::write(scene.outside().join("file"), OUTSIDE).expect("a file");
        fs::write(scene.secret_file(), SECRET).expect("a secret");
        fs::write(scene.secrets().join("file"), SECRET).expect("a secret");
        fs::write(scene.workspace().join("key.pem"), SECRET).expect("a secret");
        scene
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.root.join("outside")
    }

    pub(crate) fn outside_file(&self) -> PathBuf {
        self.outside().join("file")
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// In the workspace, but denied by [`Profile::Secrets`].
    pub(crate) fn secret_file(&self) -> PathBuf {
        self.workspace().join(".env")
    }

    pub(crate) fn outside_is_as_it_was(&self) -> bool {
        let names: Vec<_> =
            fs::read_dir(self.outside()).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
        let Ok(file) = fs::metadata(self.outside_file()) else { return false };
        let folder = fs::metadata(self.outside()).expect("it is there");
        names == ["file"]
            && fs::read(self.outside_file()).is_ok_and(|bytes| bytes == OUTSIDE)
            && file.mode() & 0o7777 == file.mode() & 0o666
            && folder.mode() & 0o7777 == 0o755
            && file.nlink() == 1
    }

    /// What is asked for on the wire.
    pub(crate) fn context(&self, profile: Profile) -> SandboxContext {
        let uri = |path: &Path| PathUri::try_from(path).expect("an absolute path").to_string();
        let special = |kind: &str, access: &str| json!({ "path": { "type": "special", "value": { "kind": kind } }, "access": access });
        let deny =
            |path: PathBuf| json!({ "path": { "type": "path", "path": uri(&path) }, "access": "deny" });
        let glob = json!({ "path": { "type": "glob_pattern", "pattern": "**/*.pem" }, "access": "deny" });
        let entries = match profile {
            Profile::Workspace | Profile::WorkspaceOnline => {
                vec![special("root", "read"), special("project_roots", "write")]
            }
            Profile::ReadOnly => vec![special("root", "read")],
            Profile::Secrets => vec![
                special("root", "read"),
                special("project_roots", "write"),
                deny(self.secret_file()),
                deny(self.secrets()),
                deny(self.workspace().join("later")),
                glob,
            ],
            Profile::Minimal => {
                let program = uri(&super::runner::this_program());
                let program = json!({ "path": { "type": "path", "path": program }, "access": "read" });
                vec![special("minimal", "read"), special("project_roots", "write"), program]
            }
            Profile::Offline => Vec::new(),
        };
        let file_system = match profile {
            Profile::Offline => json!({ "type": "unrestricted" }),
            _ => json!({ "type": "restricted", "entries": entries }),
        };
        let network = if profile == Profile::WorkspaceOnline { "enabled" } else { "restricted" };
        self.context_of(&json!({ "type": "managed", "file_system": file_system, "network": network }))
    }

    pub(crate) fn context_of(&self, permissions: &Value) -> SandboxContext {
        let uri = |path: &Path| PathUri::try_from(path).expect("an absolute path").to_string();
        serde_json::from_value(json!({
            "permissions": permissions,
            "cwd": uri(&self.workspace()),
            "workspaceRoots": [uri(&self.workspace())],
            "windowsSandboxLevel": "disabled",
        }))
        .expect("a context")
    }
}
