//! Bounds that a server can be given, and a file system that never answers: whoever asks it waits, and nobody else.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use codex_exec_server::ServerConfig;
use codex_exec_server_core::limits::{FileLimits, Limits};
use codex_exec_server_testkit::shell_with;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use crate::place::uri;

/// A file system whose program, which would have to answer, is this test, which does not.
struct Hanging {
    path: PathBuf,
    device: Option<File>,
}

impl Hanging {
    /// `None` where nobody may mount one.
    fn mount(path: &Path) -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let data = std::ffi::CString::new(data).expect("no NUL");
        mount("hanging", path, "fuse", MountFlags::empty(), data.as_c_str()).ok()?;
        Some(Self { path: path.to_owned(), device: Some(device) })
    }

    /// Fails everything that waits for it.
    fn give_up(&mut self) {
        self.device = None;
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // Nobody waits for it any more; only then can it be taken away.
        self.give_up();
        unmount(&self.path, UnmountFlags::DETACH).expect("it was mounted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_that_hangs_holds_up_nothing_but_its_own_questions() {
    let folder = tempfile::tempdir().expect("a folder");
    let hung = folder.path().join("hung");
    std::fs::create_dir(&hung).expect("it can be made");
    std::fs::write(folder.path().join("f"), "text").expect("it can be written");
    let Some(mut hanging) = Hanging::mount(&hung) else {
        println!("skipped: nothing can be mounted here");
        return;
    };
    let known = uri(folder.path().join("f"));
    let asked = uri(hung.join("x"));
    let limits = Limits { files: FileLimits { threads: 2, ..FileLimits::default() }, ..Limits::default() };
    crate::support::with(ServerConfig::with_limits(limits), |harness| async move {
        let mut client = harness.connect().await;
        client.initialize().await;
        // So that the server knows the disk that it is on.
        for _ in 0..2 {
            client.done("fs/getMetadata", json!({ "path": known })).await;
        }
        // More than there are threads to wait for it.
        let mut waiting = Vec::new();
        for method in ["fs/getMetadata", "fs/readFile", "fs/readDirectory", "fs/canonicalize"] {
            waiting.push(client.request(method, json!({ "path": asked })).await);
        }
        let cat = shell_with("cat", "exec cat", json!({ "pipeStdin": true }));
        client.start(cat).await;
        assert_eq!(client.write("cat", "1", b"keystroke").await, "accepted");
        client.sees("cat", "keystroke").await;
        // What the kernel has in memory needs no thread.
        assert_eq!(client.done("fs/getMetadata", json!({ "path": known })).await["size"], 4);
        assert_eq!(client.done("fs/readFile", json!({ "path": known })).await["dataBase64"], "dGV4dA==");
        // And who does not want to wait any longer need not.
        let last = waiting.pop().expect("one of them");
        client.notify("$/cancel", json!({ "id": last })).await;
        assert_eq!(client.answer(last).await.expect_err("given up").code, -32800);
        assert!(waiting.iter().all(|id| !client.has_answer(*id)), "nothing answers for it");
        hanging.give_up();
        for id in waiting {
            let error = client.answer(id).await.expect_err("it is gone");
            assert_eq!(error.code, -32603, "{error}");
        }
        client.call("process/terminate", json!({ "processId": "cat" })).await.expect("it ends");
        drop(hanging);
    })
    .await;
}

/// With a bound of 500 instead of 50,000: what is more is not looked at, however much it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_with_too_many_entries_is_refused() {
    let files = FileLimits { listed_entries: 500, ..FileLimits::default() };
    let config = ServerConfig::with_limits(Limits { files, ..Limits::default() });
    crate::support::with(config, |harness| async move {
        let mut client = harness.connect().await;
        client.initialize().await;
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..500 {
            std::fs::write(folder.path().join(number.to_string()), "").expect("it can be made");
        }
        let params = json!({ "path": uri(folder.path()) });
        let listing = client.done("fs/readDirectory", params.clone()).await;
        assert_eq!(listing["entries"].as_array().expect("a list").len(), 500);
        std::fs::write(folder.path().join("one more"), "").expect("it can be made");
        let error = client.refused("fs/readDirectory", params).await;
        assert_eq!(error.code, -32600);
        assert!(error.message.starts_with("directory has more than 500 entries"), "{error}");
        assert_eq!(error.data, Some(json!({ "path": uri(folder.path()) })));
    })
    .await;
}
