//! What a policy keeps from file operations, each with a look from outside and beside work that it allows. Numbers are those of
//! the attempts of `linux-sandbox`'s escape suite, which they continue.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codex_exec_server_core::service::{FileSystem, FsError};
use codex_exec_server_local::fs::LocalFileSystem;
use codex_exec_server_protocol::fs::*;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;
use codex_exec_server_testkit::patiently;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{code, errno, uri};
use crate::sandboxed::{context, entry, files, special};
use crate::searching::all;

const SECRET: &[u8] = b"the secret";

/// A workspace that may be written in, with secrets; and a folder outside that may be read.
pub(crate) struct Scene {
    pub(crate) files: Arc<dyn FileSystem>,
    folder: TempDir,
    entries: Value,
}

/// What a refusal by the rules looks like: for reading, and for writing.
const CLOSED: (i64, &str) = (-32600, "EACCES");
const READ_ONLY: (i64, &str) = (-32603, "EROFS");

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut scene = Self { files: Arc::new(files()), folder, entries: json!([]) };
        for name in ["workspace/sub", "outside", "workspace/closed"] {
            fs::create_dir_all(scene.path(name)).expect("a folder");
        }
        for name in ["workspace/.env", "workspace/closed/file", "workspace/key.pem"] {
            fs::write(scene.path(name), SECRET).expect("a secret");
        }
        fs::write(scene.path("outside/file"), "outside").expect("a file");
        fs::write(scene.path("workspace/plain"), "plain").expect("a file");
        scene.entries = json!([
            special("root", "read"),
            special("project_roots", "write"),
            entry(scene.path("workspace/.env"), "deny"),
            entry(scene.path("workspace/closed"), "deny"),
            { "path": { "type": "glob_pattern", "pattern": "**/*.pem" }, "access": "deny" },
        ]);
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().expect("it is there").join(name)
    }

    pub(crate) fn policy(&self) -> Option<SandboxContext> {
        Some(context(&self.entries, Some(&self.path("workspace"))))
    }

    pub(crate) async fn read(&self, name: &str) -> Result<Vec<u8>, FsError> {
        self.read_at(&self.path(name)).await
    }

    async fn read_at(&self, path: &Path) -> Result<Vec<u8>, FsError> {
        let params = FsReadFileParams { path: uri(path), follow_symlinks: None, sandbox: self.policy() };
        patiently("an answer", self.files.read_file(params)).await.map(|bytes| bytes.to_vec())
    }

    async fn write(&self, name: &str, text: &str) -> Result<FsWriteFileResponse, FsError> {
        let params =
            FsWriteFileParams { sandbox: self.policy(), ..crate::writing::write(uri(self.path(name)), text) };
        patiently("an answer", self.files.write_file(params)).await
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), FsError> {
        let params = FsCopyParams {
            source_path: uri(self.path(from)),
            destination_path: uri(self.path(to)),
            recursive: true,
            sandbox: self.policy(),
        };
        patiently("an answer", self.files.copy(params)).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FsError> {
        let params = FsRenameParams {
            source_path: uri(self.path(from)),
            destination_path: uri(self.path(to)),
            overwrite: true,
            sandbox: self.policy(),
        };
        patiently("an answer", self.files.rename(params)).await
    }

    async fn remove(&self, name: &str) -> Result<(), FsError> {
        let params = FsRemoveParams { sandbox: self.policy(), ..crate::trees::remove(uri(self.path(name))) };
        patiently("an answer", self.files.remove(params)).await
    }

    async fn make(&self, name: &str, recursive: bool) -> Result<(), FsError> {
        let params = FsCreateDirectoryParams {
            path: uri(self.path(name)),
            recursive: Some(recursive),
            follow_symlinks: None,
            sandbox: self.policy(),
        };
        patiently("an answer", self.files.create_directory(params)).await
    }

    async fn list(&self, name: &str) -> Result<Vec<String>, FsError> {
        let params = FsReadDirectoryParams {
            path: uri(self.path(name)),
            max_entries: None,
            after: None,
            sandbox: self.policy(),
        };
        let listed = patiently("an answer", self.files.read_directory(params)).await?;
        Ok(listed.entries.into_iter().map(|entry| entry.file_name).collect())
    }

    /// What is allowed goes on, and what is outside is as it was.
    pub(crate) async fn is_whole(&self) {
        self.write("workspace/honest", "work").await.expect("it may be written");
        assert_eq!(self.read("workspace/honest").await.expect("and read"), b"work");
        self.remove("workspace/honest").await.expect("and removed");
        assert_eq!(self.read("outside/file").await.expect("it may be read"), b"outside");
        let names: Vec<_> = fs::read_dir(self.path("outside"))
            .expect("it is there")
            .map(|entry| entry.expect("one").file_name())
            .collect();
        assert_eq!(names, ["file"]);
        assert_eq!(fs::read(self.path("outside/file")).expect("it is there"), b"outside");
    }
}

pub(crate) fn closed<T: std::fmt::Debug>(outcome: Result<T, FsError>) {
    let (code, name) = errno(outcome);
    assert_eq!((code, name.as_str()), CLOSED);
}

fn read_only<T: std::fmt::Debug>(outcome: Result<T, FsError>) {
    let (code, name) = errno(outcome);
    assert_eq!((code, name.as_str()), READ_ONLY);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_outside_of_what_may_be_written_93() {
    let scene = Scene::new();
    read_only(scene.write("outside/new", "x").await);
    read_only(scene.write("outside/file", "x").await);
    read_only(scene.make("outside/new", /*recursive*/ false).await);
    read_only(scene.remove("outside/file").await);
    read_only(scene.copy("workspace/plain", "outside/new").await);
    let atomic = FsWriteFileParams {
        atomic: true,
        sandbox: scene.policy(),
        ..crate::writing::write(uri(scene.path("outside/file")), "x")
    };
    read_only(scene.files.write_file(atomic).await);
    let mode = FsOpenMode::Replace;
    read_only(scene.files.open(uri(scene.path("outside/file")), mode, scene.policy()).await);
    let permissions = FsSetPermissionsParams {
        path: uri(scene.path("outside/file")),
        modified_at_ms: None,
        mode: 0o777,
        follow_symlinks: None,
        sandbox: scene.policy(),
    };
    read_only(scene.files.set_permissions(permissions).await);
    for (from, to) in [("workspace/plain", "outside/file"), ("outside/file", "workspace/taken")] {
        scene.rename(from, to).await.expect_err("one of them is outside");
    }
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_no_further_than_paths_94() {
    let scene = Scene::new();
    symlink(scene.path("outside/file"), scene.path("workspace/file")).expect("a link");
    symlink(scene.path("outside"), scene.path("workspace/folder")).expect("a link");
    symlink(scene.path("workspace/.env"), scene.path("workspace/env")).expect("a link");
    symlink("/proc/self/root", scene.path("workspace/root")).expect("a link");
    read_only(scene.write("workspace/file", "x").await);
    read_only(scene.write("workspace/folder/file", "x").await);
    read_only(scene.remove("workspace/folder/file").await);
    closed(scene.read("workspace/env").await);
    let around = format!("workspace/root{}", scene.path("workspace/.env").display());
    scene.read(&around).await.expect_err("the same file by another way");
    scene
        .write(&format!("workspace/root{}", scene.path("outside/file").display()), "x")
        .await
        .expect_err("outside");
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_neither_read_nor_opened_nor_copied_95() {
    let scene = Scene::new();
    for name in ["workspace/.env", "workspace/closed/file", "workspace/key.pem"] {
        closed(scene.read(name).await);
        closed(scene.copy(name, "workspace/copy").await);
        closed(scene.files.open(uri(scene.path(name)), FsOpenMode::Read, scene.policy()).await);
        let range = FsReadRangeParams {
            path: uri(scene.path(name)),
            offset: 0,
            len: 10,
            follow_symlinks: None,
            sandbox: scene.policy(),
            binary: false,
        };
        closed(scene.files.read_range(range).await);
        scene.rename(name, "workspace/moved").await.expect_err("it stays");
        scene.write(name, "x").await.expect_err("it stays");
        assert_eq!(fs::read(scene.path(name)).expect("it is there"), SECRET);
    }
    // A tree is copied up to what may not be read of it.
    scene.copy("workspace", "workspace/sub/all").await.expect_err("into itself");
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn project_folders_stay_as_they_are_96() {
    let scene = Scene::new();
    scene.write("workspace/.git/config", "x").await.expect_err("it can't be made");
    scene.make("workspace/.codex", /*recursive*/ true).await.expect("something stands there");
    let (code, name) = errno(scene.make("workspace/.codex", /*recursive*/ false).await);
    assert_eq!((code, name.as_str()), (-32603, "EEXIST"));
    scene.write("workspace/.codex/config.toml", "x").await.expect_err("nothing gets in");
    scene.rename("workspace/sub", "workspace/.git").await.expect_err("nor in its place");
    scene.copy("workspace/sub", "workspace/.agents/x").await.expect_err("nor below");
    scene.write("workspace/sub/.git", "x").await.expect("only at the root");
    scene.is_whole().await;
    scene
        .files
        .get_metadata(crate::metadata::of(uri(scene.path("workspace"))))
        .await
        .expect("without a policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_not_listed_and_what_is_not_allowed_is_not_there_97() {
    let scene = Scene::new();
    closed(scene.list("workspace/closed").await);
    let walk = FsWalkParams {
        path: uri(scene.path("workspace")),
        options: serde_json::from_value(json!({
            "maxDepth": 8, "maxDirectories": 100, "maxEntries": 100,
            "followDirectorySymlinks": false, "pruneHiddenDirectories": false,
        }))
        .expect("options"),
        sandbox: scene.policy(),
    };
    let walked = scene.files.walk(walk).await.expect("the rest is told");
    assert!(walked.entries.iter().all(|entry| !entry.path.to_string().ends_with("closed/file")));
    assert_eq!(walked.errors.len(), 1, "{walked:?}");
    // With a profile that lists little, the rest of the machine does not exist.
    let narrow =
        Scene { entries: json!([special("minimal", "read"), special("project_roots", "write")]), ..scene };
    assert_eq!(code(narrow.read("outside/file").await), -32004);
    assert_eq!(code(narrow.list("outside").await), -32004);
    let mut stat = crate::metadata::of(uri(narrow.path("outside/file")));
    stat.sandbox = narrow.policy();
    assert_eq!(code(narrow.files.get_metadata(stat).await), -32004);
    assert_eq!(narrow.read("workspace/plain").await.expect("it is listed"), b"plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_environment_is_not_to_be_read_98() {
    let scene = Scene::new();
    let own = fs::read("/proc/self/environ").expect("this program has one");
    assert!(!own.is_empty());
    let seen = scene.read_at(Path::new("/proc/self/environ")).await.expect("that of whoever reads");
    assert!(seen.is_empty(), "{}", String::from_utf8_lossy(&seen));
    scene
        .read_at(&PathBuf::from(format!("/proc/{}/environ", std::process::id())))
        .await
        .expect_err("not in sight");
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_or_too_long_is_refused_at_once_99() {
    let scene = Scene::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, scene.path("workspace/pipe"), rustix::fs::Mode::RWXU)
        .expect("a pipe");
    let sparse = fs::File::create(scene.path("workspace/sparse")).expect("a file");
    sparse.set_len(64 << 30).expect("a long one");
    assert_eq!(code(scene.read("workspace/pipe").await), -32600);
    assert_eq!(code(scene.write("workspace/pipe", "x").await), -32600);
    assert_eq!(code(scene.read_at(Path::new("/dev/zero")).await), -32600);
    assert_eq!(code(scene.read("workspace/sparse").await), -32600);
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_swapped_all_the_time_leads_nowhere_100() {
    let scene = Scene::new();
    fs::create_dir(scene.path("workspace/inside")).expect("a folder");
    fs::write(scene.path("workspace/inside/file"), "inside").expect("a file");
    symlink("inside", scene.path("workspace/way")).expect("a link");
    symlink(scene.path("outside"), scene.path("workspace/other")).expect("a link");
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (way, other, stop) =
            (scene.path("workspace/way"), scene.path("workspace/other"), Arc::clone(&stop));
        std::thread::spawn(move || {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &way, CWD, &other, RenameFlags::EXCHANGE).expect("both are there");
            }
        })
    };
    for _ in 0..100 {
        // Either may be met; only one of them leads to something that may be changed.
        let _ = scene.write("workspace/way/file", "raced").await;
        let _ = scene.remove("workspace/way/file").await;
        let _ = scene.make("workspace/way/made", /*recursive*/ false).await;
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().expect("it swapped");
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_the_first_call_is_denied_as_well_26_27() {
    let scene = Scene::new();
    scene.is_whole().await;
    fs::write(scene.path("workspace/late.pem"), SECRET).expect("a secret");
    fs::create_dir_all(scene.path("workspace/sub/deep.pem")).expect("a folder");
    fs::write(scene.path("workspace/sub/deep.pem/file"), SECRET).expect("a secret");
    for name in ["workspace/late.pem", "workspace/sub/deep.pem/file"] {
        closed(scene.read(name).await);
        closed(scene.copy(name, "workspace/copy").await);
        scene.write(name, "x").await.expect_err("it stays");
        assert_eq!(fs::read(scene.path(name)).expect("it is there"), SECRET);
    }
    closed(scene.list("workspace/sub/deep.pem").await);
    assert!(!scene.path("workspace/copy").exists());
    scene.is_whole().await;

    // In a place that may be read, where nothing was.
    let mut scene = Scene::new();
    let late = entry(scene.path("outside/late"), "deny");
    scene.entries.as_array_mut().expect("a list").push(late);
    assert_eq!(scene.list("outside").await.expect("it may be"), ["file"]);
    fs::write(scene.path("outside/late"), SECRET).expect("a secret");
    closed(scene.read("outside/late").await);
    assert_eq!(scene.read("outside/file").await.expect("it may be read"), b"outside");
}

#[tokio::test]
async fn a_policy_that_means_nothing_here_is_refused_with_its_reason() {
    let files: LocalFileSystem = files();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("f"), "x").expect("a file");
    let read = |entries: Value| {
        let sandbox = Some(context(&entries, /*cwd*/ None));
        files.read_file(FsReadFileParams {
            path: uri(folder.path().join("f")),
            follow_symlinks: None,
            sandbox,
        })
    };
    let glob =
        |pattern: &str| json!([{ "path": { "type": "glob_pattern", "pattern": pattern }, "access": "deny" }]);
    for (entries, text) in [
        (glob("*.pem"), "file system sandbox context with dynamic permissions requires cwd"),
        (
            glob("/x/[z-a]"),
            "failed to prepare file system sandbox: glob `/x/[z-a]` is malformed: a range ends before it begins",
        ),
    ] {
        assert_eq!(read(entries).await.expect_err("refused").to_string(), text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_find_nothing_that_is_denied_and_no_word_in_it() {
    let scene = Scene::new();
    scene.is_whole().await;
    // What came after the process that serves the policy had started.
    fs::write(scene.path("workspace/sub/late.pem"), SECRET).expect("a secret");
    fs::write(scene.path("workspace/sub/told"), [b"all know ", SECRET].concat()).expect("a file");
    symlink("../key.pem", scene.path("workspace/sub/way")).expect("a link");
    let everything =
        FsSearchScope { include_hidden: true, include_ignored: true, ..FsSearchScope::default() };
    let find = async |sandbox: Option<SandboxContext>| {
        let path = uri(scene.path("workspace"));
        let paths = FsGlobParams {
            scope: everything.clone(),
            sandbox: sandbox.clone(),
            ..FsGlobParams::new(path.clone(), vec!["**".into()])
        };
        let lines = FsSearchParams {
            scope: everything.clone(),
            sandbox,
            ..FsSearchParams::new(path.clone(), "the secret")
        };
        let (paths, _) = all(scene.files.glob(paths)).await.expect("it can be searched");
        let (lines, _) = all(scene.files.search(lines)).await.expect("it can be searched");
        let name = |found: &PathUri| found.as_str()[path.as_str().len() + 1..].to_owned();
        // What must not be made there has something standing in its place meanwhile, on the machine as well.
        let stands_in = |name: &String| [".agents", ".aws", ".codex", ".git"].contains(&name.as_str());
        let mut names: Vec<_> = paths.iter().map(|found| name(&found.path)).collect();
        names.retain(|name| !stands_in(name));
        let mut told: Vec<_> = lines.iter().map(|found| name(&found.path)).collect();
        names.sort();
        told.sort();
        (names.join(" "), told.join(" "))
    };
    assert_eq!(find(scene.policy()).await, ("plain sub sub/told".into(), "sub/told".into()));
    let outside = (
        ".env closed closed/file key.pem plain sub sub/late.pem sub/told".into(),
        ".env closed/file key.pem sub/late.pem sub/told".into(),
    );
    assert_eq!(find(/*sandbox*/ None).await, outside);
    for name in ["workspace/closed", "workspace/closed/file", "workspace/sub/late.pem", "workspace/sub/way"] {
        let lines = FsSearchParams {
            sandbox: scene.policy(),
            ..FsSearchParams::new(uri(scene.path(name)), "the secret")
        };
        let outcome = all(scene.files.search(lines)).await;
        let found = outcome.map(|(found, _)| found).unwrap_or_default();
        assert_eq!(found, [], "{name}");
    }
    scene.is_whole().await;
}
