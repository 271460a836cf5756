//! What copying between machines needs: parts written by name, digests, links, and directories in pages.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};

use codex_exec_server_core::service::FsError;
use codex_exec_server_protocol::fs::{
    FsCreateLinkParams, FsDigestParams, FsOpenMode, FsReadDirectoryParams, FsReadDirectoryResponse,
    FsReadLinkParams, FsReadRangeParams, FsRenameParams, FsWriteRangeParams, MAX_BLOCK_BYTES,
};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_testkit::patiently;

use crate::place::{Place, code, errno, on_remote, uri};
use crate::reading::noise;

cases! {
    everywhere {}
    not_on_reference {
        parts_go_where_they_belong_and_leave_the_rest_alone: "it has no such call"
        a_part_makes_a_file_only_if_it_is_asked_to: "it has no such call"
        parts_that_are_sent_together_all_arrive: "it has no such call"
        what_can_not_be_written_in_part_is_refused: "it has no such call"
        a_digest_covers_the_file_or_its_beginning: "it has no such call"
        a_link_says_what_it_was_told_byte_for_byte: "it has no such call"
        what_is_no_link_is_not_read_as_one_and_what_no_link_can_say_is_refused: "it has no such call"
        pages_hold_everything_once_and_in_order: "it has no such call"
        a_page_of_no_length_is_refused: "it has no such call"
        a_sparse_file_is_read_where_it_is_asked_for: "it has no such call"
        blocks_of_a_file_that_shrinks_end_where_it_ends: "nothing to compare with"
        who_writes_while_the_file_is_moved_writes_into_the_one_or_the_other: "it has no such call"
        a_full_disk_fails_a_block_and_closes_its_file: "nothing to compare with"
    }
}

fn part(path: PathUri, offset: u64, data: impl Into<Vec<u8>>) -> FsWriteRangeParams {
    FsWriteRangeParams {
        path,
        offset,
        data_base64: data.into().into(),
        create: false,
        mode: None,
        sync: false,
        follow_symlinks: None,
        sandbox: None,
    }
}

fn making(path: PathUri, data: impl Into<Vec<u8>>) -> FsWriteRangeParams {
    FsWriteRangeParams { create: true, ..part(path, /*offset*/ 0, data) }
}

async fn parts_go_where_they_belong_and_leave_the_rest_alone(place: Place) {
    let path = place.file("f", "0123456789");
    let written = place.write_range(part(path.clone(), /*offset*/ 2, "ab")).await.expect("it can be written");
    assert_eq!((written.size, place.content("f")), (10, b"01ab456789".to_vec()));
    let on_disk = FsWriteRangeParams { sync: true, ..part(path.clone(), /*offset*/ 12, "z") };
    assert_eq!(place.write_range(on_disk).await.expect("it can be written").size, 13);
    assert_eq!(place.content("f"), b"01ab456789\0\0z");
    let nothing = place.write_range(part(path.clone(), /*offset*/ 1 << 40, "")).await;
    assert_eq!(nothing.expect("nothing can be written anywhere").size, 13);
    let largest = vec![b'x'; usize::try_from(MAX_BLOCK_BYTES).expect("small")];
    let written = place.write_range(part(path, /*offset*/ 5, largest)).await.expect("it can be written");
    assert_eq!(written.size, MAX_BLOCK_BYTES + 5);
}

async fn a_part_makes_a_file_only_if_it_is_asked_to(place: Place) {
    let path = place.uri("f");
    assert_eq!(code(place.write_range(part(path.clone(), /*offset*/ 0, "x")).await), -32004);
    assert!(!place.path("f").exists());
    let private = FsWriteRangeParams { mode: Some(0o600), ..making(path.clone(), "") };
    assert_eq!(place.write_range(private).await.expect("it can be made").size, 0);
    let mode = || std::fs::metadata(place.path("f")).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o600);
    let other = FsWriteRangeParams { mode: Some(0o666), ..making(path, "x") };
    place.write_range(other).await.expect("it can be written");
    assert_eq!(mode(), 0o600, "one that is there keeps its own");
}

async fn parts_that_are_sent_together_all_arrive(place: Place) {
    let content = noise(/*len*/ 40_000);
    let parts = content.chunks(1_000).enumerate().rev().map(|(number, chunk)| {
        let params = FsWriteRangeParams { offset: number as u64 * 1_000, ..making(place.uri("f"), chunk) };
        place.write_range(params)
    });
    let outcomes = patiently("every part", futures_util::future::join_all(parts)).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert!(place.content("f") == content);
}

async fn what_can_not_be_written_in_part_is_refused(place: Place) {
    place.folder("d");
    place.link("nowhere", "broken");
    place.file("f", "old");
    place.link("f", "link");
    let without =
        |name: &str| FsWriteRangeParams { follow_symlinks: Some(false), ..making(place.uri(name), "x") };
    for (params, expected) in [
        (making(place.uri("d"), "x"), -32603),
        (making(place.uri("none/f"), "x"), -32004),
        (making(uri("/dev/zero"), "x"), -32600),
        (without("link"), -32603),
        (without("broken"), -32603),
        (making(place.uri("f"), noise(/*len*/ 1_048_577)), -32600),
        (FsWriteRangeParams { mode: Some(0o10000), ..making(place.uri("g"), "x") }, -32602),
        (FsWriteRangeParams { offset: u64::MAX, ..making(place.uri("f"), "x") }, -32600),
    ] {
        let text = format!("{} {} {:?}", params.path, params.offset, params.mode);
        assert_eq!(code(place.write_range(params).await), expected, "{text}");
    }
    assert_eq!(place.content("f"), b"old");
    assert!(!place.path("g").exists() && !place.path("nowhere").exists());
}

async fn a_digest_covers_the_file_or_its_beginning(place: Place) {
    let path = place.file("f", "abcdef");
    let digest = |len| FsDigestParams { path: path.clone(), len, follow_symlinks: None, sandbox: None };
    // Of "abc" and of nothing, as everybody knows them.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let whole = place.digest(digest(/*len*/ None)).await.expect("it is there");
    for (len, expected, covered) in [
        (Some(3), abc, 3),
        (Some(0), none, 0),
        (Some(99), whole.sha256.as_str(), 6),
        (None, &whole.sha256, 6),
    ] {
        let found = place.digest(digest(len)).await.expect("it is there");
        assert_eq!((found.sha256.as_str(), found.len), (expected, covered), "{len:?}");
        assert_eq!(found.etag, whole.etag);
    }
    let range = FsReadRangeParams {
        path: path.clone(),
        offset: 0,
        len: 9,
        follow_symlinks: None,
        sandbox: None,
        binary: false,
    };
    assert_eq!(place.read_range(range).await.expect("it is there").etag, whole.etag);
    place.write_range(part(path.clone(), /*offset*/ 0, "abc")).await.expect("it can be written");
    assert_ne!(place.digest(digest(/*len*/ None)).await.expect("it is there").etag, whole.etag);
    let zero = FsDigestParams { path: uri("/dev/zero"), ..digest(/*len*/ None) };
    assert_eq!(code(place.digest(zero).await), -32600);
    assert_eq!(
        code(place.digest(FsDigestParams { path: place.uri("none"), ..digest(/*len*/ None) }).await),
        -32004
    );
}

fn link(path: PathUri, target: &[u8]) -> FsCreateLinkParams {
    FsCreateLinkParams { path, target_base64: target.to_vec().into(), overwrite: false, sandbox: None }
}

async fn a_link_says_what_it_was_told_byte_for_byte(place: Place) {
    for (name, target) in [("a", &b"../x y"[..]), ("b", b"\xff\n"), ("c", b"/"), ("d", &[b'x'; 4095])] {
        let path = place.uri(name);
        place.create_link(link(path.clone(), target)).await.expect("it can be made");
        let found = std::fs::read_link(place.path(name)).expect("it is there");
        assert_eq!(found.as_os_str().as_bytes(), target);
        let told = place.read_link(FsReadLinkParams { path, sandbox: None }).await.expect("it is there");
        assert_eq!(told.target_base64[..], *target);
    }
}

async fn what_is_no_link_is_not_read_as_one_and_what_no_link_can_say_is_refused(place: Place) {
    place.file("f", "text");
    place.folder("d");
    for (name, expected) in [("f", -32600), ("d", -32600), ("none", -32004)] {
        let params = FsReadLinkParams { path: place.uri(name), sandbox: None };
        assert_eq!(code(place.read_link(params).await), expected, "{name}");
    }
    for target in [&b""[..], b"a\0b", &[b'x'; 4096]] {
        assert_eq!(code(place.create_link(link(place.uri("l"), target)).await), -32600, "{target:?}");
    }
    assert_eq!(errno(place.create_link(link(place.uri("f"), b"x")).await), (-32603, "EEXIST".into()));
    let over = |name| FsCreateLinkParams { overwrite: true, ..link(place.uri(name), b"x") };
    assert_eq!(code(place.create_link(over("d")).await), -32603);
    assert_eq!(place.content("f"), b"text");
    for _ in 0..2 {
        place.create_link(over("f")).await.expect("a file is replaced, and so is a link");
        assert_eq!(std::fs::read_link(place.path("f")).expect("a link"), OsStr::new("x"));
    }
    let left: Vec<_> = std::fs::read_dir(place.path("")).expect("it is there").collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// All pages of so many entries.
async fn pages(place: &Place, path: &PathUri, max_entries: u64) -> Vec<FsReadDirectoryResponse> {
    let mut pages = Vec::<FsReadDirectoryResponse>::new();
    loop {
        let after = pages.last().map(|page| {
            let last = page.entries.last().expect("a page that is not the last has entries");
            last.path.clone().unwrap_or_else(|| {
                let folder = path.to_path().expect("of this host");
                uri(folder.join(&last.file_name))
            })
        });
        let params = FsReadDirectoryParams {
            path: path.clone(),
            max_entries: Some(max_entries),
            after,
            sandbox: None,
        };
        pages.push(place.read_directory(params).await.expect("it is there"));
        if pages.last().is_none_or(|page| !page.more) {
            return pages;
        }
    }
}

async fn pages_hold_everything_once_and_in_order(place: Place) {
    let folder = place.folder("d");
    for name in [&b"b"[..], b"a", b"caf\xe9", b"C", b" ", b"%2F", b"z\n", b"a.b", b"a/b"] {
        let path = place.path("d").join(OsStr::from_bytes(name));
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        std::fs::create_dir_all(path).expect("it can be made");
    }
    place.link("nowhere", "d/broken");
    let names = |pages: &[FsReadDirectoryResponse]| -> Vec<String> {
        let entries = pages.iter().flat_map(|page| &page.entries);
        entries.map(|entry| entry.file_name.clone()).collect()
    };
    let expected = [" ", "%2F", "C", "a", "a.b", "b", "broken", "caf\u{fffd}", "z\n"];
    for (len, count) in [(1, 9), (2, 5), (3, 3), (4, 3), (9, 1), (50_000, 1)] {
        let found = pages(&place, &folder, len).await;
        assert_eq!((names(&found), found.len()), (expected.map(str::to_owned).to_vec(), count), "{len}");
    }
    let all = pages(&place, &folder, /*max_entries*/ 100).await;
    assert!(all[0].entries[6].is_symlink && all[0].entries[0].is_directory);
    // What the page before ended with may be gone meanwhile.
    let params = FsReadDirectoryParams {
        path: folder,
        max_entries: Some(2),
        after: Some(place.uri("d/aa")),
        sandbox: None,
    };
    let found = place.read_directory(params).await.expect("it is there");
    assert_eq!(names(&[found]), ["b", "broken"]);
}

async fn a_page_of_no_length_is_refused(place: Place) {
    for len in [0, 50_001] {
        let params =
            FsReadDirectoryParams { path: place.uri(""), max_entries: Some(len), after: None, sandbox: None };
        let error = place.read_directory(params).await.expect_err("refused");
        assert_eq!(error.to_string(), "maxEntries of fs/readDirectory must be between 1 and 50000 (-32600)");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_thousand_entries_are_listed_in_pages_and_refused_at_once() {
    on_remote(async |place| {
        // Where there is one, a disk in memory: others take a minute for this.
        let memory = std::path::Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let kept = made.expect("a folder");
        let folder = uri(kept.path());
        for number in 0..200_000 {
            // Nothing takes less time to make.
            let path = kept.path().join(format!("{number:06}"));
            std::os::unix::fs::symlink("x", path).expect("it can be made");
        }
        let whole =
            FsReadDirectoryParams { path: folder.clone(), max_entries: None, after: None, sandbox: None };
        let error = place.read_directory(whole).await.expect_err("it is too much for one answer");
        assert!(error.to_string().contains("directory has more than 50000 entries"), "{error}");
        let pages = pages(&place, &folder, /*max_entries*/ 50_000).await;
        assert_eq!(pages.len(), 4);
        let entries = pages.iter().flat_map(|page| &page.entries);
        let mut count = 0;
        for (number, entry) in entries.enumerate() {
            assert_eq!(entry.file_name, format!("{number:06}"));
            count += 1;
        }
        assert_eq!(count, 200_000);
    })
    .await;
}

async fn a_sparse_file_is_read_where_it_is_asked_for(place: Place) {
    let path = place.file("sparse", "");
    let file = std::fs::File::options().write(true).open(place.path("sparse")).expect("it is there");
    file.write_all_at(b"end", (64 << 30) - 3).expect("the file system has sparse files");
    let params = FsReadRangeParams {
        path: path.clone(),
        offset: (64 << 30) - 6,
        len: MAX_BLOCK_BYTES,
        follow_symlinks: None,
        sandbox: None,
        binary: false,
    };
    let found = place.read_range(params).await.expect("it is there");
    assert_eq!((&found.data_base64[..], found.eof, found.size), (&b"\0\0\0end"[..], true, 64 << 30));
    let handle = place.open(path, FsOpenMode::Read, /*sandbox*/ None).await.expect("it can be opened");
    let block = handle.read((32 << 30) - 1, MAX_BLOCK_BYTES).await.expect("it can be read");
    assert!(block.chunk.len() as u64 == MAX_BLOCK_BYTES && block.chunk.iter().all(|byte| *byte == 0));
    assert!(!block.eof);
}

async fn blocks_of_a_file_that_shrinks_end_where_it_ends(place: Place) {
    let content = noise(/*len*/ 3_000_000);
    let path = place.file("f", &content);
    let handle = place.open(path, FsOpenMode::Read, /*sandbox*/ None).await.expect("it can be opened");
    let block = handle.read(/*offset*/ 0, MAX_BLOCK_BYTES).await.expect("it can be read");
    assert!(!block.eof);
    let file = std::fs::File::options().write(true).open(place.path("f")).expect("it is there");
    file.set_len(MAX_BLOCK_BYTES + 10).expect("it can be cut");
    let block = handle.read(MAX_BLOCK_BYTES, MAX_BLOCK_BYTES).await.expect("it can be read");
    let start = usize::try_from(MAX_BLOCK_BYTES).expect("small");
    assert_eq!((&block.chunk[..], block.eof), (&content[start..start + 10], true));
    file.set_len(5).expect("it can be cut");
    let block = handle.read(MAX_BLOCK_BYTES, /*len*/ 10).await.expect("it can be read");
    assert_eq!((block.chunk.len(), block.eof), (0, true));
}

/// Parts are written while the file gets another name, again and again: each is in the file that had the name then, as a
/// whole, and none is anywhere else.
async fn who_writes_while_the_file_is_moved_writes_into_the_one_or_the_other(place: Place) {
    let (path, moved) = (place.file("f", ""), place.uri("g"));
    for round in 0..20_u8 {
        let write = place.write_range(making(path.clone(), vec![round + 1; 1_000]));
        let rename = place.rename(FsRenameParams {
            source_path: path.clone(),
            destination_path: moved.clone(),
            overwrite: true,
            sandbox: None,
        });
        let (written, renamed) = tokio::join!(write, rename);
        written.expect("it can be written");
        renamed.expect("it can be moved");
        let found = ["f", "g"].map(|name| std::fs::read(place.path(name)).unwrap_or_default());
        let whole = vec![round + 1; 1_000];
        assert!(found.contains(&whole), "{round}: {:?}", found.map(|content| content.len()));
        let _ = std::fs::remove_file(place.path("g"));
        place.file("f", "");
    }
}

async fn a_full_disk_fails_a_block_and_closes_its_file(place: Place) {
    let Some(_disk) = crate::refusals::SmallDisk::mount(&place) else {
        println!("skipped: nothing can be mounted here");
        return;
    };
    let path = place.uri("disk/f");
    let handle =
        place.open(path.clone(), FsOpenMode::Replace, /*sandbox*/ None).await.expect("there is room");
    let block = noise(/*len*/ 1 << 20);
    let mut outcomes = Vec::new();
    for number in 0..2_u64 {
        outcomes.push(handle.write(number << 20, block.clone().into()).await);
    }
    let failed =
        outcomes.into_iter().find_map(Result::err).expect("two of these are more than there is room for");
    assert_eq!(failed.data().and_then(|data| data.errno).as_deref(), Some("ENOSPC"), "{failed}");
    let after = handle.write(/*offset*/ 0, "x".into()).await;
    assert!(matches!(after, Err(FsError::NotFound(_))), "{after:?}");
    drop(handle);
    let range = FsWriteRangeParams { offset: 1 << 20, ..making(path, block) };
    assert_eq!(errno(place.write_range(range).await), (-32603, "ENOSPC".into()));
}
