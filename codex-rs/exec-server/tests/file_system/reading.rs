//! Whole files.

use codex_exec_server_client::{FileReading, READING_BLOCK_BYTES, ReadingError};
use codex_exec_server_core::service::FsError;
use codex_exec_server_protocol::fs::{FsReadFileParams, MAX_READ_FILE_BYTES};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_testkit::patiently;

use crate::place::{Place, code, errno, uri};

file_cases! {
    everywhere {
        a_long_file_is_read_bit_by_bit_to_its_end_and_no_further
        what_is_in_a_file_comes_back_as_it_is
        a_large_file_comes_back_whole
        a_name_that_is_no_text_is_read
        what_is_no_file_is_not_read
        what_is_missing_is_told
        a_loop_of_links_is_refused
        a_link_that_must_not_be_followed_is_refused
        a_file_that_is_too_large_is_refused_at_once
        a_file_of_the_kernel_without_a_length_is_read_to_its_end
    }
    not_on_reference {
        a_socket_is_no_file_either: "it says what the system says"
        an_error_names_the_path_and_the_systems_error: "it tells people only"
        a_file_that_shrinks_while_it_is_read_ends_early: "it has nothing to gain from being slowed down"
    }
}

pub(crate) fn read(path: PathUri) -> FsReadFileParams {
    FsReadFileParams { path, follow_symlinks: None, sandbox: None }
}

/// Bytes that don't repeat.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let step = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

async fn what_is_in_a_file_comes_back_as_it_is(place: Place) {
    // Read twice, since what a service finds in memory it may answer in another way.
    for len in [0, 1, 2, 3, 1024, 65_535, 65_536, 65_537, 196_608, 200_000] {
        let content = noise(len);
        let path = place.file("f", &content);
        for _ in 0..2 {
            assert_eq!(place.read_file(read(path.clone())).await.expect("it is there"), content, "{len}");
        }
    }
}

async fn a_large_file_comes_back_whole(place: Place) {
    let content = noise(9 << 20);
    let path = place.file("large", &content);
    let found = patiently("a large file", place.read_file(read(path))).await.expect("it is there");
    assert!(found == content);
}

async fn a_name_that_is_no_text_is_read(place: Place) {
    use std::os::unix::ffi::OsStrExt;
    for name in [&b"caf\xe9 \xff"[..], b"a%b?c#d", b"new\nline", b" ", b"\\"] {
        let name = std::ffi::OsStr::from_bytes(name);
        std::fs::write(place.path(name), name.as_bytes()).expect("it can be written");
        let found = place.read_file(read(place.uri(name))).await.expect("it is there");
        assert_eq!(found, name.as_bytes());
    }
}

async fn what_is_no_file_is_not_read(place: Place) {
    let fifo = place.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    for path in [place.folder("d"), uri(fifo), uri("/dev/zero"), uri("/dev/null")] {
        let text = path.to_string();
        let outcome = patiently("a refusal", place.read_file(read(path))).await;
        let error = outcome.expect_err(&text);
        assert!(error.to_string().contains("is not a file"), "{text}: {error}");
        assert_eq!(error.refusal().expect("refused").code, -32600, "{text}");
    }
}

async fn a_socket_is_no_file_either(place: Place) {
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).expect("it can be made");
    assert_eq!(code(place.read_file(read(place.uri("socket"))).await), -32600);
}

async fn what_is_missing_is_told(place: Place) {
    place.file("f", "");
    place.link("nowhere", "broken");
    for (name, expected) in [("none", -32004), ("none/f", -32004), ("broken", -32004), ("f/x", -32603)] {
        assert_eq!(code(place.read_file(read(place.uri(name))).await), expected, "{name}");
    }
}

async fn a_loop_of_links_is_refused(place: Place) {
    place.link("b", "a");
    let path = place.link("a", "b");
    assert_eq!(code(place.read_file(read(path)).await), -32603);
}

async fn a_link_that_must_not_be_followed_is_refused(place: Place) {
    place.file("f", "text");
    place.folder("d");
    place.file("d/f", "deep");
    place.link("f", "link");
    place.link("d", "way");
    let without = |name: &str| FsReadFileParams { follow_symlinks: Some(false), ..read(place.uri(name)) };
    assert_eq!(place.read_file(without("f")).await.expect("it is there"), "text");
    assert_eq!(place.read_file(without("d/f")).await.expect("it is there"), "deep");
    assert_eq!(code(place.read_file(without("link")).await), -32603);
    assert_eq!(code(place.read_file(without("way/f")).await), -32603);
    assert_eq!(place.read_file(read(place.uri("way/f"))).await.expect("it is there"), "deep");
}

async fn a_file_that_is_too_large_is_refused_at_once(place: Place) {
    let path = place.file("sparse", "");
    let file = std::fs::File::options().write(true).open(place.path("sparse")).expect("it is there");
    for len in [MAX_READ_FILE_BYTES + 1, 64 << 30] {
        file.set_len(len).expect("the file system has sparse files");
        let error = place.read_file(read(path.clone())).await.expect_err("it is too large");
        assert_eq!(error.refusal().expect("refused").code, -32600);
        assert_eq!(
            error.to_string().split(" (").next(),
            Some("file is too large to read: limit is 536870912 bytes")
        );
    }
}

async fn a_file_of_the_kernel_without_a_length_is_read_to_its_end(place: Place) {
    let found = place.read_file(read(uri("/proc/version"))).await.expect("it is there");
    assert_eq!(found, std::fs::read("/proc/version").expect("it is there"));
}

async fn an_error_names_the_path_and_the_systems_error(place: Place) {
    place.file("g", "");
    for (name, expected) in [("none", (-32004, "ENOENT")), ("g/x", (-32603, "ENOTDIR"))] {
        let (code, data) = crate::place::refusal(place.read_file(read(place.uri(name))).await);
        let data = data.expect("told");
        assert_eq!((code, data.errno.as_deref()), (expected.0, Some(expected.1)));
        assert_eq!(data.path, place.uri(name));
    }
    let long = place.uri("x".repeat(256));
    assert_eq!(errno(place.read_file(read(long)).await), (-32603, "ENAMETOOLONG".into()));
    let deep = uri("/d".repeat(3000));
    assert_eq!(errno(place.read_file(read(deep)).await), (-32603, "ENAMETOOLONG".into()));
}

/// A writer that cuts the file again and again: whatever is read is a beginning of what was there.
async fn a_file_that_shrinks_while_it_is_read_ends_early(place: Place) {
    let content = noise(2 << 20);
    let path = place.file("f", &content);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (native, content, stop) = (place.path("f"), content.clone(), std::sync::Arc::clone(&stop));
        tokio::task::spawn_blocking(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let file = std::fs::File::options().write(true).open(&native).expect("it is there");
                file.set_len(1000).expect("it can be cut");
                std::os::unix::fs::FileExt::write_all_at(&file, &content, 0).expect("it can be written");
            }
        })
    };
    for _ in 0..20 {
        let found = patiently("an answer", place.read_file(read(path.clone()))).await.expect("it is there");
        assert!(found.len() <= content.len());
        assert_eq!(found[..1000.min(found.len())], content[..1000.min(found.len())]);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.await.expect("no panic");
}

async fn a_long_file_is_read_bit_by_bit_to_its_end_and_no_further(place: Place) {
    let content = noise(/*len*/ 20_000_001);
    let path = place.file("long", &content);
    for (skipped, expected) in [(0, &content[..]), (19_999_999, &content[19_999_999..]), (20_000_001, &[])] {
        let opened = FileReading::open(place.files(), path.clone(), /*sandbox*/ None).await;
        let mut reading = opened.expect("it is there");
        assert_eq!(reading.metadata().size, 20_000_001);
        reading.skip(skipped);
        let mut found = Vec::new();
        while let Some(bytes) = patiently("a block", reading.next()).await.expect("it can be read") {
            assert!(!bytes.is_empty() && bytes.len() as u64 <= READING_BLOCK_BYTES);
            found.extend_from_slice(&bytes);
        }
        assert!(found == expected, "{skipped}");
        assert!(reading.next().await.is_ok_and(|more| more.is_none()));
    }
    let missing = FileReading::open(place.files(), place.uri("none"), /*sandbox*/ None).await;
    assert!(matches!(missing, Err(ReadingError::Fs(FsError::NotFound(_)))), "{missing:?}");
}
