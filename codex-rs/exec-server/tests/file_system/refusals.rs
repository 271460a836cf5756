//! What is refused before anything is touched, and what the system itself refuses: full disks, missing permissions.

use codex_exec_server_protocol::fs::{FsAppendParams, FsWriteFileParams};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;
use serde_json::json;

use crate::metadata::of;
use crate::place::{Place, code, errno, uri};
use crate::reading::read;
use crate::trees::remove;
use crate::writing::write;

file_cases! {
    everywhere {
        a_path_of_another_kind_of_host_is_refused
    }
    not_on_reference {
        a_path_that_is_too_long_is_refused: "its words are the system's alone"
        a_separator_that_hides_in_a_name_is_refused: "it takes it for a separator"
        a_full_disk_is_told_and_leaves_the_old_content_of_an_atomic_write: "nothing to compare with"
    }
    not_sandboxed {
        a_sandbox_that_can_not_be_enforced_is_refused: "it can"
        what_nobody_may_do_is_refused: "there everything of the kernel's is read-only"
    }
}

fn foreign(text: &str) -> PathUri {
    text.parse().expect("a URI")
}

async fn a_path_of_another_kind_of_host_is_refused(place: Place) {
    for path in ["file:///C:/x", "file://server/share"] {
        let outcome = place.read_file(read(foreign(path))).await;
        let error = outcome.expect_err("not of this host");
        assert_eq!(error.to_string(), format!("'{path}' is invalid on 'linux' (-32600)"));
    }
}

async fn a_path_that_is_too_long_is_refused(place: Place) {
    let too_long = || (-32603, "ENAMETOOLONG".to_owned());
    // A name, and a path of names of which none is.
    for name in ["n".repeat(256), vec!["n"; 2100].join("/")] {
        let path = place.uri(&name);
        assert_eq!(errno(place.read_file(read(path.clone())).await), too_long());
        assert_eq!(errno(place.get_metadata(of(path.clone())).await), too_long());
        for atomic in [false, true] {
            let params = FsWriteFileParams { atomic, ..write(path.clone(), "x") };
            assert_eq!(errno(place.write_file(params).await), too_long(), "{atomic}");
        }
        assert_eq!(errno(place.remove(remove(path)).await), too_long());
    }
    assert_eq!(std::fs::read_dir(place.path("")).expect("it is there").count(), 0);
    place.write_file(write(place.uri("n".repeat(255)), "x")).await.expect("it is just short enough");
}

async fn a_separator_that_hides_in_a_name_is_refused(place: Place) {
    place.folder("d");
    place.file("d/f", "text");
    let hidden = foreign(&place.uri("d/f").to_string().replace("d/f", "d%2Ff"));
    let (code, data) = crate::place::refusal(place.read_file(read(hidden.clone())).await);
    assert_eq!((code, data.map(|data| data.path)), (-32600, Some(hidden.clone())));
    for outcome in [
        place.write_file(write(hidden.clone(), "x")).await.map(drop),
        place.remove(remove(hidden.clone())).await,
        place.get_metadata(of(hidden.clone())).await.map(drop),
    ] {
        assert_eq!(crate::place::code(outcome), -32600);
    }
    assert_eq!(place.content("d/f"), b"text");
}

async fn a_sandbox_that_can_not_be_enforced_is_refused(place: Place) {
    let sandbox = |permissions| -> Option<SandboxContext> {
        let context = json!({"permissions": permissions, "windowsSandboxLevel": "disabled"});
        Some(serde_json::from_value(context).expect("a sandbox"))
    };
    let restricted = json!({
        "type": "managed",
        "file_system": {"type": "restricted", "entries": []},
        "network": "restricted",
    });
    let path = place.file("f", "old");
    let with = |permissions: &serde_json::Value| FsWriteFileParams {
        sandbox: sandbox(permissions.clone()),
        ..write(path.clone(), "new")
    };
    assert_eq!(code(place.write_file(with(&restricted)).await), -32602);
    let mut metadata = of(path.clone());
    metadata.sandbox = sandbox(restricted.clone());
    assert_eq!(code(place.get_metadata(metadata).await), -32602);
    let mut reading = read(path.clone());
    reading.sandbox = sandbox(restricted.clone());
    assert_eq!(code(place.read_file(reading).await), -32602);
    let mode = codex_exec_server_protocol::fs::FsOpenMode::Replace;
    assert_eq!(code(place.open(path.clone(), mode, sandbox(restricted)).await), -32602);
    assert_eq!(place.content("f"), b"old");
    // What restricts no files has nothing to do with them.
    for harmless in [
        json!({"type": "disabled"}),
        json!({"type": "external", "network": "restricted"}),
        json!({"type": "managed", "file_system": {"type": "unrestricted"}, "network": "restricted"}),
    ] {
        place.write_file(with(&harmless)).await.expect("not restricted");
    }
}

/// A small file system of its own, gone with this value; `None` where nobody may mount one.
pub(crate) struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    pub(crate) fn mount(place: &Place) -> Option<Self> {
        place.folder("disk");
        let path = place.path("disk");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=777", "none"])
            .arg(&path)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(std::thread::panicking() || unmounted.is_ok_and(|status| status.success()));
    }
}

async fn a_full_disk_is_told_and_leaves_the_old_content_of_an_atomic_write(place: Place) {
    let Some(_disk) = SmallDisk::mount(&place) else {
        println!("skipped: nothing can be mounted here");
        return;
    };
    let path = place.file("disk/f", "old");
    let atomic = FsWriteFileParams { atomic: true, ..write(path.clone(), vec![b'x'; 2 << 20]) };
    assert_eq!(errno(place.write_file(atomic).await), (-32603, "ENOSPC".into()));
    assert_eq!(place.content("disk/f"), b"old");
    assert_eq!(std::fs::read_dir(place.path("disk")).expect("it is there").count(), 1);
    let plain = write(place.uri("disk/g"), vec![b'x'; 2 << 20]);
    assert_eq!(errno(place.write_file(plain).await), (-32603, "ENOSPC".into()));
    // Of what was there nothing is left behind what could be written.
    place.remove(remove(place.uri("disk/g"))).await.expect("it can be removed");
    let longer = place.file("disk/h", vec![b'o'; 900 << 10]);
    let outcome = place.write_file(write(longer.clone(), vec![b'x'; 2 << 20])).await;
    assert_eq!(errno(outcome), (-32603, "ENOSPC".into()));
    let left = place.content("disk/h");
    assert!(left.len() >= 900 << 10 && left.iter().all(|byte| *byte == b'x'), "{}", left.len());
    place.write_file(write(longer.clone(), "short")).await.expect("it is shorter than what is there");
    assert_eq!(place.content("disk/h"), b"short");
    place.remove(remove(longer)).await.expect("it can be removed");
    place.file("disk/g", vec![b'x'; 1 << 19]);
    let more = FsAppendParams {
        path: path.clone(),
        data_base64: vec![b'x'; 2 << 20].into(),
        create: false,
        follow_symlinks: None,
        sandbox: None,
        request_key: None,
    };
    assert_eq!(errno(place.append(more).await), (-32603, "ENOSPC".into()));
    // What was there can still be taken away, and then there is room again.
    place.remove(remove(place.uri("disk/g"))).await.expect("it can be removed");
    place.remove(remove(path.clone())).await.expect("it can be removed");
    place.write_file(write(path, "new")).await.expect("there is room");
}

async fn what_nobody_may_do_is_refused(place: Place) {
    // Not even root changes the kernel's own files in these ways.
    let params = write(uri("/proc/self/none"), "x");
    let (told, name) = errno(place.write_file(params).await);
    assert!([(-32004, "ENOENT"), (-32600, "EACCES")].contains(&(told, name.as_str())), "{told} {name}");
    let (told, name) = errno(place.remove(remove(uri("/proc/self/status"))).await);
    assert_eq!((told, name.as_str()), (-32600, "EPERM"));
    let params = codex_exec_server_protocol::fs::FsCreateDirectoryParams {
        path: uri("/proc/none"),
        recursive: Some(false),
        follow_symlinks: None,
        sandbox: None,
    };
    let (told, name) = errno(place.create_directory(params).await);
    assert!([(-32004, "ENOENT"), (-32600, "EACCES")].contains(&(told, name.as_str())), "{told} {name}");
    let _ = place.uri("");
}
