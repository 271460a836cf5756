//! The processes that do file operations under a policy: replaced when they die or look at what is gone, as many as there are
//! policies, and no reason for anybody's write to be lost.

use std::fs;
use std::sync::Arc;

use codex_exec_server_core::service::FsError;
use codex_exec_server_protocol::fs::*;
use codex_exec_server_protocol::sandbox::SandboxContext;
use codex_exec_server_testkit::patiently;
use serde_json::json;

use crate::confined::{Scene, closed};
use crate::place::uri;
use crate::sandboxed::{context, entry, special};

#[tokio::test(flavor = "multi_thread")]
async fn what_took_the_place_of_a_folder_is_what_is_seen() {
    let scene = Scene::new();
    scene.is_whole().await;
    fs::rename(scene.path("workspace"), scene.path("old")).expect("moved");
    fs::create_dir(scene.path("workspace")).expect("a folder");
    fs::write(scene.path("workspace/plain"), "new").expect("a file");
    assert_eq!(scene.read("workspace/plain").await.expect("it may be read"), b"new");
    scene.is_whole().await;
    assert!(!scene.path("old/honest").exists());
}

/// Processes that do file operations for `scene`: children of this program whose view knows its folder.
fn helpers(scene: &Scene) -> Vec<i32> {
    let folder = scene.path("workspace");
    let folder = folder.to_str().expect("text");
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").expect("it is mounted").flatten() {
        let Some(number) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let read = |name: &str| fs::read_to_string(process.path().join(name)).unwrap_or_default();
        let is_ours = read("status").lines().any(|line| line.split_whitespace().eq(["PPid:", &own]));
        if !is_ours {
            continue;
        }
        // The launcher stands outside; the helper is its child, and so is the init, which is nobody's to look at.
        for task in read(&format!("task/{number}/children")).split_whitespace() {
            let mounts = fs::read_to_string(format!("/proc/{task}/mountinfo")).unwrap_or_default();
            if mounts.contains(folder) {
                found.extend(task.parse::<i32>());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_is_killed_is_replaced() {
    let scene = Scene::new();
    for _ in 0..3 {
        scene.is_whole().await;
        let found = helpers(&scene);
        assert!(!found.is_empty());
        for number in found {
            let process = rustix::process::Pid::from_raw(number).expect("a number");
            // Of two that are found, the one may end with the other.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        // What only looks does not notice.
        assert_eq!(scene.read("workspace/plain").await.expect("another reads it"), b"plain");
    }
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_policies_are_served_in_turn_and_each_keeps_its_own() {
    let scene = Scene::new();
    let names: Vec<String> = (0..20).map(|number| format!("file-{number}")).collect();
    for name in &names {
        fs::write(scene.path("outside").join(name), name).expect("a file");
    }
    let policy = |denied: &str| {
        let entries = json!([special("root", "read"), entry(scene.path("outside").join(denied), "deny")]);
        Some(context(&entries, /*cwd*/ None))
    };
    for _ in 0..2 {
        for (at, denied) in names.iter().enumerate() {
            let read = |name: &str| {
                let path = uri(scene.path("outside").join(name));
                scene.files.read_file(FsReadFileParams {
                    path,
                    follow_symlinks: None,
                    sandbox: policy(denied),
                })
            };
            closed(read(denied).await);
            let other = &names[(at + 1) % names.len()];
            assert_eq!(&read(other).await.expect("it may be read")[..], other.as_bytes());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_under_a_policy_and_without_one_one_wins() {
    let scene = Scene::new();
    let path = uri(scene.path("workspace/counter"));
    fs::write(scene.path("workspace/counter"), "0").expect("a file");
    let count = |sandbox: Option<SandboxContext>| {
        let (files, path) = (Arc::clone(&scene.files), path.clone());
        async move {
            let mut won = 0;
            while won < 20 {
                let range = FsReadRangeParams {
                    path: path.clone(),
                    offset: 0,
                    len: 20,
                    follow_symlinks: None,
                    sandbox: sandbox.clone(),
                    binary: false,
                };
                let found = files.read_range(range).await.expect("it may be read");
                let number: u32 =
                    String::from_utf8_lossy(&found.data_base64.into_bytes()).parse().unwrap_or(0);
                let params = FsWriteFileParams {
                    atomic: true,
                    if_match: Some(found.etag),
                    sandbox: sandbox.clone(),
                    ..crate::writing::write(path.clone(), (number + 1).to_string())
                };
                match files.write_file(params).await {
                    Ok(_) => won += 1,
                    Err(FsError::Changed { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let everybody = async {
        tokio::join!(count(scene.policy()), count(/*sandbox*/ None), count(scene.policy()))
    };
    patiently("all to have counted", everybody).await;
    assert_eq!(fs::read(scene.path("workspace/counter")).expect("it is there"), b"60");
}
