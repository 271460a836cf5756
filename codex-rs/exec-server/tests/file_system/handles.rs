//! Open files, read and written block by block.

use std::sync::Arc;

use codex_exec_server_core::service::{FileHandle, FsError};
use codex_exec_server_protocol::fs::{FsOpenMode, MAX_BLOCK_BYTES, MAX_FILE_HANDLES};
use codex_exec_server_testkit::patiently;

use crate::place::{Place, code, uri};
use crate::reading::noise;

file_cases! {
    everywhere {
        blocks_are_read_wherever_they_are
        blocks_are_written_wherever_they_go
        a_wrong_length_leaves_the_file_open
        a_failed_read_closes_the_file
        only_files_are_opened
        a_closed_file_is_unknown
        as_many_files_are_open_as_there_may_be_and_no_more
    }
    not_on_reference {
        a_block_that_ends_with_the_file_says_so: "it says so with the next one"
        what_was_written_first_is_read_by_what_was_asked_later: "it keeps no order"
        a_file_that_was_moved_away_is_still_the_one_that_was_opened: "nothing to compare with"
    }
}

async fn open(place: &Place, name: &str, mode: FsOpenMode) -> Arc<dyn FileHandle> {
    place.open(place.uri(name), mode, /*sandbox*/ None).await.expect("it can be opened")
}

async fn blocks_are_read_wherever_they_are(place: Place) {
    let content = noise(/*len*/ 2_500_000);
    place.file("f", &content);
    let file = open(&place, "f", FsOpenMode::Read).await;
    for (offset, len) in [
        (0, 1),
        (0, MAX_BLOCK_BYTES),
        (1_000_001, MAX_BLOCK_BYTES),
        (2_000_000, MAX_BLOCK_BYTES),
        (2_499_000, 1_001),
        (10, 65_536),
        (2_500_000, 5),
        (1 << 53, 5),
    ] {
        let block = file.read(offset, len).await.expect("it can be read");
        let start = usize::try_from(offset).expect("small").min(content.len());
        let end = content.len().min(start + usize::try_from(len).expect("small"));
        assert!(block.chunk[..] == content[start..end], "{offset} {len}");
        assert_eq!(block.eof, end == content.len(), "{offset} {len}");
    }
    file.close().await.expect("it can be closed");
}

async fn a_block_that_ends_with_the_file_says_so(place: Place) {
    place.file("f", noise(/*len*/ 100_000));
    let file = open(&place, "f", FsOpenMode::Read).await;
    for (offset, len, eof) in [(0, 100_000, true), (99_999, 1, true), (0, 99_999, false), (99_998, 1, false)]
    {
        assert_eq!(file.read(offset, len).await.expect("it can be read").eof, eof, "{offset} {len}");
    }
}

async fn blocks_are_written_wherever_they_go(place: Place) {
    place.file("f", "emptied at once");
    let file = open(&place, "f", FsOpenMode::Replace).await;
    assert_eq!(place.content("f"), b"");
    for (offset, text) in [(4, "efgh"), (0, "abcd"), (2, "XY"), (10, "kl")] {
        file.write(offset, text.into()).await.expect("it can be written");
    }
    file.close().await.expect("it can be closed");
    assert_eq!(place.content("f"), b"abXYefgh\0\0kl");
}

async fn a_wrong_length_leaves_the_file_open(place: Place) {
    place.file("f", "text");
    let file = open(&place, "f", FsOpenMode::Read).await;
    for len in [0, MAX_BLOCK_BYTES + 1] {
        let error = file.read(/*offset*/ 0, len).await.expect_err("refused");
        assert_eq!(error.to_string(), "file read block length must be between 1 and 1048576 (-32600)");
    }
    assert_eq!(file.read(/*offset*/ 0, /*len*/ 9).await.expect("it is still open").chunk[..], *b"text");
    let file = open(&place, "g", FsOpenMode::Replace).await;
    for bytes in [Vec::new(), noise(/*len*/ 1_048_577)] {
        let error = file.write(/*offset*/ 0, bytes.into()).await.expect_err("refused");
        assert_eq!(error.to_string(), "file write block length must be between 1 and 1048576 (-32600)");
    }
    file.write(/*offset*/ 0, noise(/*len*/ 1_048_576).into()).await.expect("it is still open");
}

async fn a_failed_read_closes_the_file(place: Place) {
    let file = open(&place, "f", FsOpenMode::Replace).await;
    for len in [1, MAX_BLOCK_BYTES] {
        // The second one finds it closed.
        let error = file.read(/*offset*/ 0, len).await.expect_err("it was opened for writing only");
        match len {
            1 => assert!(error.to_string().contains("os error 9"), "{error}"),
            _ => assert!(matches!(error, FsError::NotFound(_)), "{error}"),
        }
    }
    assert!(matches!(file.write(/*offset*/ 0, "x".into()).await, Err(FsError::NotFound(_))));
    file.close().await.expect("it is closed, which is fine");
}

async fn only_files_are_opened(place: Place) {
    place.folder("d");
    nix::unistd::mkfifo(&place.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    for (path, mode, expected) in [
        (place.uri("d"), FsOpenMode::Read, -32600),
        (place.uri("fifo"), FsOpenMode::Read, -32600),
        (uri("/dev/zero"), FsOpenMode::Read, -32600),
        (place.uri("d"), FsOpenMode::Replace, -32603),
        (place.uri("none"), FsOpenMode::Read, -32004),
        (place.uri("none/x"), FsOpenMode::Replace, -32004),
    ] {
        let text = path.to_string();
        let outcome = patiently("a refusal", place.open(path, mode, /*sandbox*/ None)).await;
        assert_eq!(code(outcome), expected, "{text}");
    }
}

async fn a_closed_file_is_unknown(place: Place) {
    place.file("f", "text");
    let file = open(&place, "f", FsOpenMode::Read).await;
    file.close().await.expect("it can be closed");
    file.close().await.expect("once more is fine");
    assert!(matches!(file.read(/*offset*/ 0, /*len*/ 1).await, Err(FsError::NotFound(_))));
}

async fn as_many_files_are_open_as_there_may_be_and_no_more(place: Place) {
    place.file("f", "text");
    let mut files = Vec::new();
    for _ in 0..MAX_FILE_HANDLES {
        files.push(open(&place, "f", FsOpenMode::Read).await);
    }
    let outcome = place.open(place.uri("f"), FsOpenMode::Read, /*sandbox*/ None).await;
    let error = outcome.expect_err("there are enough");
    assert_eq!(error.to_string(), "at most 128 file handles may be open per connection (-32600)");
    let file = files.pop().expect("one of them");
    file.close().await.expect("it can be closed");
    let file = open(&place, "f", FsOpenMode::Read).await;
    assert_eq!(file.read(/*offset*/ 0, /*len*/ 9).await.expect("it can be read").chunk[..], *b"text");
}

/// Asked for together, each without waiting for the one before.
async fn what_was_written_first_is_read_by_what_was_asked_later(place: Place) {
    let file = open(&place, "f", FsOpenMode::Replace).await;
    let writes: Vec<_> = (0..100_u32)
        .map(|number| file.write(/*offset*/ 0, format!("{number:04}").into_bytes().into()))
        .collect();
    let outcomes =
        patiently("every write", tokio::task::unconstrained(futures_util::future::join_all(writes))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(place.content("f"), b"0099");
}

async fn a_file_that_was_moved_away_is_still_the_one_that_was_opened(place: Place) {
    place.file("f", "old");
    let reader = open(&place, "f", FsOpenMode::Read).await;
    let writer = open(&place, "g", FsOpenMode::Replace).await;
    std::fs::rename(place.path("f"), place.path("moved")).expect("it can be moved");
    std::fs::rename(place.path("g"), place.path("moved-too")).expect("it can be moved");
    place.file("f", "new");
    writer.write(/*offset*/ 0, "written".into()).await.expect("it can be written");
    assert_eq!(reader.read(/*offset*/ 0, /*len*/ 9).await.expect("it can be read").chunk[..], *b"old");
    assert_eq!(place.content("moved-too"), b"written");
    assert!(!place.path("g").exists());
}
