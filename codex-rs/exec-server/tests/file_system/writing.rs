//! Writing whole files.

use codex_exec_server_protocol::fs::FsWriteFileParams;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_testkit::patiently;

use crate::place::{Place, code, uri};
use crate::reading::{noise, read};

file_cases! {
    everywhere {
        a_file_is_made_and_replaced
        a_link_leads_to_what_is_written
        what_can_not_be_written_is_refused
        a_link_that_must_not_be_followed_is_left_alone
    }
    not_on_reference {
        sixty_four_mib_are_written_at_once: "its limit is below that"
        a_pipe_or_a_device_is_not_written: "it waits for somebody who reads the pipe"
    }
}

pub(crate) fn write(path: PathUri, content: impl AsRef<[u8]>) -> FsWriteFileParams {
    FsWriteFileParams {
        path,
        data_base64: Ok(content.as_ref().to_vec().into()),
        follow_symlinks: None,
        sandbox: None,
        atomic: false,
        if_match: None,
        mode: None,
        request_key: None,
    }
}

async fn a_file_is_made_and_replaced(place: Place) {
    for content in [&b"first, and longer"[..], b"second", b"", b"\xff\0\x01"] {
        place.write_file(write(place.uri("f"), content)).await.expect("it can be written");
        assert_eq!(place.content("f"), content);
    }
}

async fn a_link_leads_to_what_is_written(place: Place) {
    place.file("f", "old");
    place.link("f", "link");
    place.link("made", "broken");
    place.write_file(write(place.uri("link"), "new")).await.expect("it can be written");
    place.write_file(write(place.uri("broken"), "new")).await.expect("it can be written");
    assert_eq!((place.content("f"), place.content("made")), (b"new".to_vec(), b"new".to_vec()));
    assert!(place.path("link").is_symlink() && place.path("broken").is_symlink());
}

async fn what_can_not_be_written_is_refused(place: Place) {
    place.folder("d");
    place.file("f", "");
    for (name, expected) in [("d", -32603), ("none/f", -32004), ("f/x", -32603)] {
        assert_eq!(code(place.write_file(write(place.uri(name), "x")).await), expected, "{name}");
    }
    // The kernel's own files refuse even root.
    let outcome = place.write_file(write(uri("/proc/version"), "x")).await;
    assert!([-32600, -32603].contains(&code(outcome)));
}

async fn a_link_that_must_not_be_followed_is_left_alone(place: Place) {
    place.file("f", "old");
    place.folder("d");
    place.link("f", "link");
    place.link("d", "way");
    let without =
        |name: &str| FsWriteFileParams { follow_symlinks: Some(false), ..write(place.uri(name), "new") };
    assert_eq!(code(place.write_file(without("link")).await), -32603);
    assert_eq!(code(place.write_file(without("way/g")).await), -32603);
    assert_eq!(place.content("f"), b"old");
    assert!(!place.path("d/g").exists());
    place.write_file(without("d/g")).await.expect("there is no link in it");
    assert_eq!(place.content("d/g"), b"new");
}

async fn sixty_four_mib_are_written_at_once(place: Place) {
    let content = noise(64 << 20);
    let written = place.write_file(write(place.uri("large"), &content));
    patiently("a large write", written).await.expect("it can be written");
    assert!(place.content("large") == content);
    let found = patiently("a large file", place.read_file(read(place.uri("large")))).await;
    assert!(found.expect("it is there") == content);
}

async fn a_pipe_or_a_device_is_not_written(place: Place) {
    nix::unistd::mkfifo(&place.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    for path in [place.uri("fifo"), uri("/dev/zero")] {
        for atomic in [false, true] {
            let params = FsWriteFileParams { atomic, ..write(path.clone(), "x") };
            assert_eq!(code(patiently("a refusal", place.write_file(params)).await), -32600);
        }
    }
}
