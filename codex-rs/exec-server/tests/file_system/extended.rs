//! What the flag `fsExtended` adds, and request keys.

use std::os::unix::fs::PermissionsExt;

use codex_exec_server_core::service::FsError;
use codex_exec_server_protocol::fs::{
    FsAppendParams, FsReadRangeParams, FsRenameParams, FsSetPermissionsParams, FsStatManyParams,
    FsStatResult, FsWriteFileParams, MAX_STAT_PATHS,
};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_testkit::patiently;

use crate::metadata::of;
use crate::place::{Place, code, errno};
use crate::reading::noise;
use crate::writing::write;

file_cases! {
    everywhere {
        what_a_server_lacks_is_named_before_anything_is_sent
    }
    not_on_reference {
        an_atomic_write_is_seen_as_a_whole_or_not_at_all: "it has none"
        an_atomic_write_keeps_permissions_and_links: "it has none"
        an_atomic_write_that_fails_leaves_nothing_behind: "it has none"
        a_write_happens_only_to_the_file_that_was_meant: "it has no conditions"
        of_writers_that_race_one_wins_and_the_others_are_told: "it has no conditions"
        permissions_are_set: "it has no such method"
        the_time_of_the_last_change_is_set_with_them: "it has no such method"
        bytes_are_appended_in_one_piece: "it has no such method"
        a_part_is_read_without_opening: "it has no such method"
        many_paths_are_described_at_once: "it has no such method"
        files_are_moved: "it has no such method"
        a_write_with_a_key_is_done_once: "it has no keys"
    }
    not_sandboxed {
        a_file_is_made_to_run_as_its_owner: "there nobody may leave such a file behind"
    }
}

fn append(path: PathUri, text: impl AsRef<[u8]>) -> FsAppendParams {
    FsAppendParams {
        path,
        data_base64: text.as_ref().to_vec().into(),
        create: false,
        follow_symlinks: None,
        sandbox: None,
        request_key: None,
    }
}

fn rename(place: &Place, from: &str, to: &str, overwrite: bool) -> FsRenameParams {
    FsRenameParams { source_path: place.uri(from), destination_path: place.uri(to), overwrite, sandbox: None }
}

fn mode(place: &Place, name: &str) -> u32 {
    std::fs::metadata(place.path(name)).expect("it is there").permissions().mode() & 0o7777
}

fn names(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("")).expect("it is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

async fn what_a_server_lacks_is_named_before_anything_is_sent(place: Place) {
    let params = FsWriteFileParams { atomic: true, ..write(place.uri("f"), "x") };
    match place.write_file(params).await {
        Ok(_) => assert_eq!(place.content("f"), b"x"),
        Err(FsError::Unsupported("fsExtended")) => assert!(!place.path("f").exists()),
        Err(other) => panic!("{other:?}"),
    }
}

async fn an_atomic_write_is_seen_as_a_whole_or_not_at_all(place: Place) {
    let (a, b) = (vec![b'a'; 300_000], vec![b'b'; 200_000]);
    let path = place.file("f", &a);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = {
        let (native, stop) = (place.path("f"), std::sync::Arc::clone(&stop));
        tokio::task::spawn_blocking(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let found = std::fs::read(&native).expect("there is always one");
                assert!(found.iter().all(|byte| *byte == found[0]), "a mixture");
                assert!([200_000, 300_000].contains(&found.len()), "a part: {}", found.len());
            }
        })
    };
    for number in 0..40 {
        let content = if number % 2 == 0 { &b } else { &a };
        let params = FsWriteFileParams { atomic: true, ..write(path.clone(), content) };
        patiently("a write", place.write_file(params)).await.expect("it can be written");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    reader.await.expect("no panic");
    assert_eq!(names(&place), ["f"]);
}

async fn an_atomic_write_keeps_permissions_and_links(place: Place) {
    place.folder("d");
    place.file("d/f", "old");
    std::fs::set_permissions(place.path("d/f"), PermissionsExt::from_mode(0o640)).expect("it is ours");
    place.link("d/f", "link");
    place.link("d/made", "broken");
    for (name, written, expected) in [("link", "d/f", Some(0o640)), ("broken", "d/made", None)] {
        let params = FsWriteFileParams { atomic: true, ..write(place.uri(name), "new") };
        place.write_file(params).await.expect("it can be written");
        assert!(place.path(name).is_symlink());
        assert_eq!(place.content(written), b"new");
        if let Some(expected) = expected {
            assert_eq!(mode(&place, written), expected);
        }
    }
    let params = FsWriteFileParams { atomic: true, mode: Some(0o600), ..write(place.uri("d/f"), "new") };
    place.write_file(params).await.expect("it can be written");
    assert_eq!(mode(&place, "d/f"), 0o600);
    let without =
        FsWriteFileParams { atomic: true, follow_symlinks: Some(false), ..write(place.uri("link"), "x") };
    assert_eq!(code(place.write_file(without).await), -32600);
    assert_eq!(place.content("d/f"), b"new");
}

async fn an_atomic_write_that_fails_leaves_nothing_behind(place: Place) {
    place.folder("d");
    let params = FsWriteFileParams { atomic: true, ..write(place.uri("d"), "new") };
    assert_eq!(errno(place.write_file(params).await), (-32603, "EISDIR".into()));
    let params = FsWriteFileParams { atomic: true, ..write(place.uri("none/f"), "new") };
    assert_eq!(errno(place.write_file(params).await), (-32004, "ENOENT".into()));
    let params = FsWriteFileParams { mode: Some(0o10_000), ..write(place.uri("f"), "new") };
    assert_eq!(code(place.write_file(params).await), -32602);
    let stale =
        FsWriteFileParams { atomic: true, if_match: Some("stale".into()), ..write(place.uri("f"), "new") };
    assert_eq!(code(place.write_file(stale).await), -32600);
    assert_eq!(names(&place), ["d"]);
}

async fn a_write_happens_only_to_the_file_that_was_meant(place: Place) {
    for atomic in [false, true] {
        let name = format!("f-{atomic}");
        let write = |etag: &str, text: &str| {
            let etag = Some(etag.to_owned());
            place.write_file(FsWriteFileParams { atomic, if_match: etag, ..write(place.uri(&name), text) })
        };
        let lost = async |etag: &str| match write(etag, "lost").await {
            Err(FsError::Changed { error, etag }) => {
                assert_eq!(error.code, -32600);
                etag
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(lost("some").await, "", "there is no file");
        assert!(!place.path(&name).exists());
        let first = write("", "first").await.expect("there is none").etag.expect("told");
        assert_eq!(lost("").await, first);
        let second = write(&first, "second").await.expect("it is the one").etag.expect("told");
        assert_eq!(lost(&first).await, second);
        assert_eq!(place.content(&name), b"second");
        std::fs::write(place.path(&name), "by others").expect("it can be written");
        let now = place.get_metadata(of(place.uri(&name))).await.expect("it is there").etag.expect("told");
        assert_eq!(lost(&second).await, now);
        assert_eq!(place.content(&name), b"by others");
    }
}

/// Each adds a line to what it has read, and tries again when somebody was faster: no line may get lost.
async fn of_writers_that_race_one_wins_and_the_others_are_told(place: Place) {
    for atomic in [false, true] {
        let name = format!("f-{atomic}");
        place.file(&name, "");
        let writers = (0..4).map(|writer| {
            let (place, name) = (place.clone(), name.clone());
            tokio::spawn(async move {
                for line in 0..10 {
                    loop {
                        let path = place.uri(&name);
                        let range = FsReadRangeParams {
                            path: path.clone(),
                            offset: 0,
                            len: 1 << 20,
                            follow_symlinks: None,
                            sandbox: None,
                            binary: false,
                        };
                        let found = place.read_range(range).await.expect("it is there");
                        let text = String::from_utf8(found.data_base64.to_vec()).expect("text");
                        let params = FsWriteFileParams {
                            atomic,
                            if_match: Some(found.etag),
                            ..write(path, format!("{text}{writer}:{line}\n"))
                        };
                        match place.write_file(params).await {
                            Ok(_) => break,
                            Err(FsError::Changed { .. }) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                }
            })
        });
        for writer in patiently("all writers", futures_util::future::join_all(writers)).await {
            writer.expect("no panic");
        }
        let mut lines: Vec<_> =
            String::from_utf8(place.content(&name)).expect("text").lines().map(str::to_owned).collect();
        lines.sort();
        let expected: Vec<_> =
            (0..4).flat_map(|writer| (0..10).map(move |line| format!("{writer}:{line}"))).collect();
        assert_eq!(lines, expected);
    }
}

async fn permissions_are_set(place: Place) {
    place.file("f", "");
    place.link("f", "link");
    let set = |name: &str, mode, follow| {
        let follow_symlinks = Some(follow);
        let path = place.uri(name);
        let params =
            FsSetPermissionsParams { path, mode, modified_at_ms: None, follow_symlinks, sandbox: None };
        place.set_permissions(params)
    };
    set("f", /*mode*/ 0o1711, /*follow*/ true).await.expect("it is ours");
    assert_eq!(mode(&place, "f"), 0o1711);
    set("link", /*mode*/ 0o600, /*follow*/ true).await.expect("it leads to ours");
    assert_eq!(mode(&place, "f"), 0o600);
    assert_eq!(code(set("link", /*mode*/ 0o644, /*follow*/ false).await), -32600);
    assert_eq!(code(set("f", /*mode*/ 0o10_000, /*follow*/ true).await), -32602);
    assert_eq!(code(set("none", /*mode*/ 0o600, /*follow*/ true).await), -32004);
    assert_eq!(mode(&place, "f"), 0o600);
    let params = FsWriteFileParams { mode: Some(0o640), ..write(place.uri("g"), "x") };
    place.write_file(params).await.expect("it can be written");
    assert_eq!(mode(&place, "g"), 0o640);
}

async fn a_file_is_made_to_run_as_its_owner(place: Place) {
    let path = place.file("f", "");
    let params = FsSetPermissionsParams {
        path,
        mode: 0o4711,
        modified_at_ms: None,
        follow_symlinks: None,
        sandbox: None,
    };
    place.set_permissions(params).await.expect("it is ours");
    assert_eq!(mode(&place, "f"), 0o4711);
}

async fn the_time_of_the_last_change_is_set_with_them(place: Place) {
    place.file("f", "");
    place.folder("d");
    for name in ["f", "d"] {
        for ms in [1_000_000_000_123, 0, -1] {
            let params = FsSetPermissionsParams {
                path: place.uri(name),
                mode: 0o700,
                modified_at_ms: Some(ms),
                follow_symlinks: None,
                sandbox: None,
            };
            place.set_permissions(params).await.expect("it is ours");
            let found = place.get_metadata(of(place.uri(name))).await.expect("it is there");
            assert_eq!((found.modified_at_ms, mode(&place, name)), (ms, 0o700), "{name}");
        }
    }
}

async fn bytes_are_appended_in_one_piece(place: Place) {
    assert_eq!(code(place.append(append(place.uri("f"), "x")).await), -32004);
    let made = FsAppendParams { create: true, ..append(place.uri("f"), "one\n") };
    assert_eq!(place.append(made).await.expect("it can be made").size, 4);
    let appends: Vec<_> =
        (0..50).map(|number| place.append(append(place.uri("f"), format!("{number:03}\n")))).collect();
    let outcomes = patiently("every append", futures_util::future::join_all(appends)).await;
    let mut sizes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.expect("appended").size).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, (2..=51).map(|lines| lines * 4).collect::<Vec<u64>>());
    let mut lines: Vec<_> =
        String::from_utf8(place.content("f")).expect("text").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines.len(), 51);
    assert_eq!(lines[0], "000");
}

async fn a_part_is_read_without_opening(place: Place) {
    let content = noise(/*len*/ 3_000_000);
    let path = place.file("f", &content);
    let read = |offset, len| {
        let params = FsReadRangeParams {
            path: path.clone(),
            offset,
            len,
            follow_symlinks: None,
            sandbox: None,
            binary: false,
        };
        place.read_range(params)
    };
    let etag = place.get_metadata(of(path.clone())).await.expect("it is there").etag;
    for (offset, len) in [(0, 10), (1_500_000, 1 << 20), (2_999_990, 100), (3_000_000, 1), (u64::MAX, 1)] {
        let range = read(offset, len).await.expect("it can be read");
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let end = start.saturating_add(usize::try_from(len).expect("small")).min(content.len());
        assert!(range.data_base64[..] == content[start..end], "{offset}");
        assert_eq!((range.eof, range.size), (end == content.len(), 3_000_000), "{offset}");
        assert_eq!(Some(range.etag), etag);
    }
    for len in [0, (1 << 20) + 1] {
        assert_eq!(code(read(/*offset*/ 0, len).await), -32600);
    }
}

async fn many_paths_are_described_at_once(place: Place) {
    place.file("f", "123");
    place.folder("d");
    let ask = |paths| place.stat_many(FsStatManyParams { paths, follow_symlinks: None, sandbox: None });
    let names = ["f", "none", "d", "f/x"];
    let answer = ask(names.iter().map(|name| place.uri(name)).collect()).await.expect("each by itself");
    let told: Vec<_> = answer
        .results
        .iter()
        .map(|result| match result {
            FsStatResult::Found { metadata } => Ok((metadata.is_file, metadata.size)),
            FsStatResult::Failed { error } => Err(error.code),
        })
        .collect();
    assert_eq!((told[0], told[1], told[3]), (Ok((true, 3)), Err(-32004), Err(-32603)));
    assert!(matches!(told[2], Ok((false, _))));
    assert_eq!(ask(Vec::new()).await.expect("nothing").results.len(), 0);
    assert_eq!(code(ask(vec![place.uri("f"); MAX_STAT_PATHS + 1]).await), -32600);
    assert_eq!(
        ask(vec![place.uri("f"); MAX_STAT_PATHS]).await.expect("as many").results.len(),
        MAX_STAT_PATHS
    );
}

async fn files_are_moved(place: Place) {
    place.file("a", "a");
    place.file("b", "b");
    place.folder("full/x");
    place.folder("empty");
    place.link("a", "link");
    assert_eq!(
        errno(place.rename(rename(&place, "a", "b", /*overwrite*/ false)).await),
        (-32603, "EEXIST".into())
    );
    assert_eq!(errno(place.rename(rename(&place, "a", "none/b", /*overwrite*/ false)).await).0, -32004);
    assert_eq!(errno(place.rename(rename(&place, "none", "c", /*overwrite*/ false)).await).0, -32004);
    assert_eq!(
        errno(place.rename(rename(&place, "full", "full/x/y", /*overwrite*/ false)).await),
        (-32600, "EINVAL".into())
    );
    assert_eq!((place.content("a"), place.content("b")), (b"a".to_vec(), b"b".to_vec()));
    place.rename(rename(&place, "a", "c", /*overwrite*/ false)).await.expect("it can be moved");
    place.rename(rename(&place, "c", "b", /*overwrite*/ true)).await.expect("it can be replaced");
    assert_eq!(place.content("b"), b"a");
    place
        .rename(rename(&place, "full/", "empty/", /*overwrite*/ true))
        .await
        .expect("an empty one gives way");
    assert!(place.path("empty/x").is_dir() && !place.path("full").exists());
    place.rename(rename(&place, "link", "moved", /*overwrite*/ false)).await.expect("it can be moved");
    assert!(place.path("moved").is_symlink());
    let outcome = place
        .rename(FsRenameParams {
            source_path: place.uri("b"),
            destination_path: crate::place::uri("/proc/version"),
            overwrite: true,
            sandbox: None,
        })
        .await;
    assert_eq!(errno(outcome), (-32603, "EXDEV".into()));
}

async fn a_write_with_a_key_is_done_once(place: Place) {
    let keyed = |text: &str| FsAppendParams {
        create: true,
        request_key: Some("key".into()),
        ..append(place.uri("f"), text)
    };
    let appends: Vec<_> = (0..5).map(|_| place.append(keyed("once"))).collect();
    for outcome in patiently("every append", futures_util::future::join_all(appends)).await {
        assert_eq!(outcome.expect("one answer for all").size, 4);
    }
    assert_eq!(place.content("f"), b"once");
    assert_eq!(code(place.append(keyed("twice")).await), -32600);
    let write = |name: &str, text: &str| FsWriteFileParams {
        request_key: Some("other".into()),
        ..write(place.uri(name), text)
    };
    let first = place.write_file(write("g", "first")).await.expect("it can be written");
    place.file("g", "by others");
    assert_eq!(place.write_file(write("g", "first")).await.expect("told again"), first);
    assert_eq!(place.content("g"), b"by others");
    assert_eq!(code(place.write_file(write("g", "second")).await), -32600);
    // A failure is an answer like any other.
    let failing = |name: &str| FsWriteFileParams { request_key: Some("failed".into()), ..write(name, "x") };
    assert_eq!(code(place.write_file(failing("none/f")).await), -32004);
    place.folder("none");
    assert_eq!(code(place.write_file(failing("none/f")).await), -32004);
}
