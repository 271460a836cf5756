//! Describes this machine. Every capability flag says what this crate's processes can do; what a server adds to that
//! (sessions, requests, limits told to clients) it flags itself.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use codex_exec_server_protocol::environment::{EnvironmentCapabilities, EnvironmentInfo, ShellInfo};
use codex_exec_server_protocol::path_uri::PathUri;
use nix::unistd::{User, getuid};
use sha2::{Digest, Sha256};

use crate::env::Environment;

/// What a user's shell is when neither the user database nor the environment says.
const FALLBACK_SHELL: &str = "/bin/sh";

/// Collects what [`EnvironmentInfo`] tells, from `environment`, the user database and the file system.
#[must_use]
pub fn describe(environment: &Environment) -> EnvironmentInfo {
    let var = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty()).cloned();
    let user = User::from_uid(getuid()).ok().flatten();
    let home = var("HOME").map(PathBuf::from).or_else(|| user.as_ref().map(|user| user.dir.clone()));
    let shell = user.map(|user| user.shell).or_else(|| var("SHELL").map(PathBuf::from));
    let shell = shell.filter(|shell| shell.is_absolute()).unwrap_or_else(|| FALLBACK_SHELL.into());
    let temp = var("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    EnvironmentInfo {
        shell: ShellInfo {
            name: shell.file_name().unwrap_or(OsStr::new("sh")).to_string_lossy().into_owned(),
            path: shell.to_string_lossy().into_owned(),
        },
        executor_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        provider_id: Some(provider_id()),
        cwd: std::env::current_dir().ok().and_then(|dir| uri(&dir)),
        user_home_dir: home.and_then(|dir| uri(&dir)),
        platform_os: Some(std::env::consts::OS.to_owned()),
        prepend_path_dirs: Vec::new(),
        temporary_directories: var("TMPDIR").and_then(|dir| uri(Path::new(&dir))).into_iter().collect(),
        temp_dir: uri(&temp),
        capabilities: EnvironmentCapabilities {
            gap_accounting: true,
            output_budget: true,
            process_stdin_close: true,
            process_resize: true,
            process_signals: true,
            process_terminate_grace: true,
            process_timeout: true,
            process_usage: true,
            process_limits: true,
            idempotent_requests: true,
            shell_snapshot_v2: true,
            file_write_streaming: true,
            fs_extended: true,
            fs_search: true,
            fs_transfer: true,
            observers: true,
            fs_watch: true,
            fs_watch_missing: true,
            ..EnvironmentCapabilities::default()
        },
        sandbox: None,
        process_limits: None,
    }
}

fn uri(path: &Path) -> Option<PathUri> {
    PathUri::from_path_bytes(path.as_os_str().as_bytes()).ok()
}

/// A name for this installation that survives a restart and reveals nothing: a digest of machine, user and program.
fn provider_id() -> String {
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let host = nix::unistd::gethostname().unwrap_or_else(|_| OsString::new());
    let program = std::env::current_exe().unwrap_or_default();
    let mut digest = Sha256::new();
    for part in
        [&machine[..], host.as_bytes(), getuid().to_string().as_bytes(), program.as_os_str().as_bytes()]
    {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut id = String::from("sha256:");
    for byte in digest.finalize() {
        // Writing to a string can't fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}
