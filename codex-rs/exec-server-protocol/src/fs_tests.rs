use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};

use super::*;
use crate::bytes::Base64Bytes;

/// Decodes, and encodes to exactly what came in.
fn same<T: Serialize + DeserializeOwned>(wire: Value) -> T {
    let decoded: T = from_value(wire.clone()).unwrap_or_else(|error| panic!("{wire}: {error}"));
    assert_eq!(to_value(&decoded).unwrap(), wire);
    decoded
}

/// Why it does not decode.
fn fault<T: DeserializeOwned>(wire: &Value) -> String {
    match from_value::<T>(wire.clone()) {
        Ok(_) => panic!("{wire} was accepted"),
        Err(error) => error.to_string(),
    }
}

/// `object` with one member changed.
fn with(object: &Value, key: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[key] = value;
    object
}

/// `object` with one member taken away.
fn without(object: &Value, key: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(key);
    object
}

fn uri(path: &str) -> PathUri {
    format!("file://{path}").parse().unwrap()
}

fn metadata() -> FsGetMetadataResponse {
    FsGetMetadataResponse {
        is_directory: false,
        is_file: true,
        is_symlink: false,
        size: 5,
        created_at_ms: 0,
        modified_at_ms: 1_795_254_816_094,
        mode: None,
        uid: None,
        gid: None,
        inode: None,
        etag: None,
    }
}

#[test]
fn whole_files_travel_as_peers_write_them() {
    assert_eq!(
        same::<FsReadFileParams>(json!({"path": "file:///tmp/f", "followSymlinks": false})),
        FsReadFileParams { path: uri("/tmp/f"), follow_symlinks: Some(false), sandbox: None }
    );
    assert_eq!(same::<FsReadFileResponse>(json!({"dataBase64": "aGVsbG8="})).data_base64[..], *b"hello");
    let plain: FsWriteFileParams = same(json!({"path": "file:///tmp/f", "dataBase64": "aGVsbG8="}));
    assert_eq!(
        plain,
        FsWriteFileParams {
            path: uri("/tmp/f"),
            data_base64: Ok(b"hello".to_vec().into()),
            follow_symlinks: None,
            sandbox: None,
            atomic: false,
            if_match: None,
            mode: None,
            request_key: None,
        }
    );
    assert_eq!(
        same::<FsWriteFileParams>(json!({
            "path": "file:///tmp/f", "dataBase64": "aGVsbG8=",
            "atomic": true, "ifMatch": "e1", "mode": 0o600, "requestKey": "k",
        })),
        FsWriteFileParams {
            atomic: true,
            if_match: Some("e1".into()),
            mode: Some(0o600),
            request_key: Some("k".into()),
            ..plain
        }
    );
    assert_eq!(same::<FsWriteFileResponse>(json!({})), FsWriteFileResponse::default());
}

#[test]
fn bad_base64_of_a_written_file_is_left_to_the_method() {
    let decoded: FsWriteFileParams = from_value(json!({"path": "file:///f", "dataBase64": "A!=="})).unwrap();
    assert_eq!(decoded.data_base64.unwrap_err().to_string(), "Invalid symbol 33, offset 1.");
    assert_eq!(
        fault::<FsAppendParams>(&json!({"path": "file:///f", "dataBase64": "A!=="})),
        "Invalid symbol 33, offset 1."
    );
}

#[test]
fn handles_travel_as_peers_write_them() {
    assert_eq!(
        same::<FsOpenParams>(json!({"handleId": "", "path": "file:///tmp/f", "mode": "replace"})),
        FsOpenParams {
            handle_id: FileHandleId(String::new()),
            path: uri("/tmp/f"),
            mode: FsOpenMode::Replace,
            sandbox: None
        }
    );
    let opened: FsOpenParams = from_value(json!({"handleId": "h", "path": "file:///tmp/f"})).unwrap();
    assert_eq!(opened.mode, FsOpenMode::Read);
    let handle_id = FileHandleId("h".into());
    assert_eq!(
        same::<FsOpenResponse>(json!({"handleId": "h"})),
        FsOpenResponse { handle_id: handle_id.clone() }
    );
    assert_eq!(
        same::<FsReadBlockParams>(json!({"handleId": "h", "offset": u64::MAX, "len": 1_048_576})),
        FsReadBlockParams { handle_id: handle_id.clone(), offset: u64::MAX, len: MAX_BLOCK_BYTES }
    );
    assert_eq!(
        same::<FsReadBlockResponse>(json!({"chunk": "", "eof": true})),
        FsReadBlockResponse { chunk: Base64Bytes::default(), eof: true }
    );
    assert_eq!(
        same::<FsWriteBlockParams>(json!({"handleId": "h", "offset": 0, "chunk": "AA=="})),
        FsWriteBlockParams { handle_id: handle_id.clone(), offset: 0, chunk: vec![0].into() }
    );
    assert_eq!(same::<FsCloseParams>(json!({"handleId": "h"})), FsCloseParams { handle_id });
}

#[test]
fn directories_and_trees_travel_as_peers_write_them() {
    let created: FsCreateDirectoryParams = same(json!({"path": "file:///d", "recursive": false}));
    assert_eq!(
        created,
        FsCreateDirectoryParams {
            path: uri("/d"),
            recursive: Some(false),
            follow_symlinks: None,
            sandbox: None
        }
    );
    same::<FsReadDirectoryParams>(json!({"path": "file:///d"}));
    assert_eq!(
        same::<FsReadDirectoryResponse>(
            json!({"entries": [{"fileName": "a", "isDirectory": true, "isFile": false}]})
        ),
        FsReadDirectoryResponse {
            entries: vec![FsDirectoryEntry {
                file_name: "a".into(),
                is_directory: true,
                is_file: false,
                is_symlink: false,
                path: None
            }],
            more: false
        }
    );
    assert_eq!(
        same::<FsReadDirectoryParams>(json!({"path": "file:///d", "maxEntries": 2, "after": "file:///d/b"})),
        FsReadDirectoryParams {
            path: uri("/d"),
            max_entries: Some(2),
            after: Some(uri("/d/b")),
            sandbox: None
        }
    );
    assert!(same::<FsReadDirectoryResponse>(json!({"entries": [], "more": true})).more);
    assert_eq!(
        same::<FsWalkParams>(json!({"path": "file:///d", "options": {
            "maxDepth": 64, "maxDirectories": 10_000, "maxEntries": 50_000,
            "followDirectorySymlinks": true, "pruneHiddenDirectories": false,
        }})),
        FsWalkParams {
            path: uri("/d"),
            options: FsWalkOptions {
                max_depth: MAX_WALK_DEPTH,
                max_directories: MAX_WALK_DIRECTORIES,
                max_entries: MAX_WALK_ENTRIES,
                follow_directory_symlinks: true,
                prune_hidden_directories: false,
            },
            sandbox: None,
        }
    );
    assert_eq!(
        same::<FsWalkResponse>(json!({
            "entries": [{"path": "file:///d/a%20b", "kind": "file"}, {"path": "file:///d/e", "kind": "directory"}],
            "errors": [{"path": "file:///d/x", "message": "Permission denied (os error 13)"}],
            "truncated": true,
        })),
        FsWalkResponse {
            entries: vec![
                FsWalkEntry { path: uri("/d/a b"), kind: FsEntryKind::File },
                FsWalkEntry { path: uri("/d/e"), kind: FsEntryKind::Directory },
            ],
            errors: vec![FsWalkError {
                path: uri("/d/x"),
                message: "Permission denied (os error 13)".into()
            }],
            truncated: true,
        }
    );
    assert_eq!(
        same::<FsRemoveParams>(json!({"path": "file:///d", "recursive": false, "force": true})),
        FsRemoveParams {
            path: uri("/d"),
            recursive: Some(false),
            force: Some(true),
            follow_symlinks: None,
            sandbox: None
        }
    );
    assert_eq!(
        same::<FsCopyParams>(
            json!({"sourcePath": "file:///a", "destinationPath": "file:///b", "recursive": true})
        ),
        FsCopyParams { source_path: uri("/a"), destination_path: uri("/b"), recursive: true, sandbox: None }
    );
    assert_eq!(
        same::<FsRenameParams>(json!({"sourcePath": "file:///a", "destinationPath": "file:///b"})),
        FsRenameParams {
            source_path: uri("/a"),
            destination_path: uri("/b"),
            overwrite: false,
            sandbox: None
        }
    );
}

#[test]
fn metadata_travels_with_and_without_the_additions() {
    let plain = json!({
        "isDirectory": false, "isFile": true, "isSymlink": false,
        "size": 5, "createdAtMs": 0, "modifiedAtMs": 1_795_254_816_094_i64,
    });
    assert_eq!(same::<FsGetMetadataResponse>(plain.clone()), metadata());
    let mut extended = plain.clone();
    for (key, value) in [
        ("mode", json!(0o644)),
        ("uid", json!(0)),
        ("gid", json!(7)),
        ("inode", json!("1:9")),
        ("etag", json!("e")),
    ] {
        extended[key] = value;
    }
    assert_eq!(
        same::<FsGetMetadataResponse>(extended),
        FsGetMetadataResponse {
            mode: Some(0o644),
            uid: Some(0),
            gid: Some(7),
            inode: Some("1:9".into()),
            etag: Some("e".into()),
            ..metadata()
        }
    );
    let error = json!({"code": -32004, "message": "No such file or directory (os error 2)",
        "data": {"errno": "ENOENT", "path": "file:///x"}});
    let many: FsStatManyResponse = same(json!({"results": [
        {"type": "found", "metadata": plain}, {"type": "failed", "error": error},
    ]}));
    assert_eq!(many.results[0], FsStatResult::Found { metadata: metadata() });
    let FsStatResult::Failed { error } = &many.results[1] else { panic!("{many:?}") };
    assert_eq!(
        from_value::<FsErrorData>(error.data.clone().unwrap()).unwrap(),
        FsErrorData { errno: Some("ENOENT".into()), path: uri("/x"), etag: None }
    );
}

#[test]
fn watches_travel_as_peers_write_them() {
    assert_eq!(
        same::<FsWatchMissingParams>(json!({"watchId": 1, "missing": ["file:///a"], "present": "file:///"})),
        FsWatchMissingParams { watch_id: WatchId(1), missing: vec![uri("/a")], present: Some(uri("/")) }
    );
    assert!(!same::<FsWatchMissingResponse>(json!({"watching": false})).watching);
    assert_eq!(
        same::<FsMissingChangedNotification>(json!({"watchId": 7})),
        FsMissingChangedNotification { watch_id: WatchId(7) }
    );
    assert_eq!(
        same::<FsWatchParams>(
            json!({"watchId": 2, "path": "file:///a", "recursive": true, "exclude": ["**/.git"]})
        ),
        FsWatchParams {
            watch_id: WatchId(2),
            path: uri("/a"),
            recursive: true,
            exclude: vec!["**/.git".into()],
            sandbox: None,
        }
    );
    assert_eq!(
        same::<FsChangedNotification>(json!({
            "watchId": 2, "changes": [{"path": "file:///a/x", "kind": "created"}], "resync": true,
        })),
        FsChangedNotification {
            watch_id: WatchId(2),
            changes: vec![FsChange { path: uri("/a/x"), kind: FsChangeKind::Created }],
            resync: true,
            ended: false,
        }
    );
}

#[test]
fn searches_say_little_when_little_is_asked() {
    let glob: FsGlobParams =
        from_value(json!({"searchId": "s", "path": "file:///a", "patterns": ["**/*.rs"]})).unwrap();
    assert_eq!(
        glob,
        FsGlobParams {
            search_id: SearchId("s".into()),
            path: uri("/a"),
            patterns: vec!["**/*.rs".into()],
            scope: FsSearchScope::default(),
            credit_batches: None,
            max_matches: None,
            sandbox: None,
        }
    );
    let search: FsSearchParams = same(json!({
        "searchId": "s", "path": "file:///a", "pattern": "fn main", "literal": true, "contextLines": 2,
        "scope": {"exclude": ["target"], "includeHidden": true}, "maxMatches": 10,
    }));
    assert_eq!(
        search,
        FsSearchParams {
            search_id: SearchId("s".into()),
            path: uri("/a"),
            pattern: "fn main".into(),
            literal: true,
            ignore_case: false,
            include: vec![],
            scope: FsSearchScope {
                exclude: vec!["target".into()],
                include_hidden: true,
                ..FsSearchScope::default()
            },
            context_lines: 2,
            credit_batches: None,
            max_matches: Some(10),
            sandbox: None,
        }
    );
    same::<FsSearchMatchesNotification>(json!({"searchId": "s", "batch": 1, "matches": [{
        "path": "file:///a/m.rs", "line": 3, "text": "fn main() {", "ranges": [{"start": 0, "end": 7}], "after": ["}"],
    }]}));
    same::<FsGlobMatchesNotification>(
        json!({"searchId": "s", "batch": 2, "matches": [{"path": "file:///a/m.rs", "kind": "file"}]}),
    );
    same::<FsSearchResponse>(json!({"batches": 1, "matches": 1, "truncated": false, "unreadable": 0}));
}

/// What a wrong member of a call is answered with, for each kind of field.
#[test]
fn null_is_taken_for_optional_fields_only() {
    let remove = json!({"path": "file:///x", "recursive": true, "force": true, "followSymlinks": true});
    for key in ["recursive", "force", "followSymlinks", "sandbox"] {
        from_value::<FsRemoveParams>(with(&remove, key, Value::Null))
            .unwrap_or_else(|error| panic!("{key}: {error}"));
        from_value::<FsRemoveParams>(without(&remove, key)).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    assert_eq!(
        fault::<FsRemoveParams>(&with(&remove, "path", Value::Null)),
        "invalid type: null, expected a string"
    );
    assert_eq!(fault::<FsRemoveParams>(&without(&remove, "path")), "missing field `path`");
    assert_eq!(fault::<FsRemoveParams>(&with(&remove, "sandbox", json!({}))), "missing field `permissions`");

    let open = json!({"handleId": "h", "path": "file:///x"});
    assert!(fault::<FsOpenParams>(&with(&open, "mode", Value::Null)).starts_with("invalid type: null"));
    assert_eq!(
        fault::<FsOpenParams>(&with(&open, "mode", json!("append"))),
        "unknown variant `append`, expected `read` or `replace`"
    );
    let copy = json!({"sourcePath": "file:///a", "destinationPath": "file:///b"});
    assert_eq!(fault::<FsCopyParams>(&copy), "missing field `recursive`");

    let options =
        json!({"maxDepth": 0, "maxDirectories": 1, "maxEntries": 1, "followDirectorySymlinks": true});
    from_value::<FsWalkOptions>(options.clone()).unwrap();
    for key in
        ["maxDepth", "maxDirectories", "maxEntries", "followDirectorySymlinks", "pruneHiddenDirectories"]
    {
        assert!(
            fault::<FsWalkOptions>(&with(&options, key, Value::Null)).starts_with("invalid type: null"),
            "{key}"
        );
    }
    assert_eq!(fault::<FsWalkOptions>(&without(&options, "maxDepth")), "missing field `maxDepth`");

    let watch = json!({"watchId": 1, "missing": []});
    from_value::<FsWatchMissingParams>(with(&watch, "present", Value::Null)).unwrap();
    assert_eq!(
        fault::<FsWatchMissingParams>(&with(&watch, "watchId", json!(null))),
        "invalid type: null, expected u64"
    );
    assert!(
        fault::<FsWatchMissingParams>(&with(&watch, "missing", json!(null)))
            .starts_with("invalid type: null")
    );
    assert_eq!(
        fault::<FsWatchMissingParams>(&with(&watch, "present", json!("abc"))),
        "invalid URI: relative URL without a base"
    );
}

#[test]
fn absent_switches_are_on() {
    let remove: FsRemoveParams = from_value(json!({"path": "file:///x"})).unwrap();
    assert!(remove.is_recursive() && remove.is_forced() && remove.follows_symlinks());
    let off = json!({"path": "file:///x", "recursive": false, "force": false, "followSymlinks": false});
    let remove: FsRemoveParams = from_value(off).unwrap();
    assert!(!remove.is_recursive() && !remove.is_forced() && !remove.follows_symlinks());
    let create: FsCreateDirectoryParams = from_value(json!({"path": "file:///x"})).unwrap();
    assert!(create.is_recursive() && create.follows_symlinks());
}

#[test]
fn members_that_are_not_known_are_ignored() {
    let params: FsCanonicalizeParams =
        from_value(json!({"path": "file:///x", "followSymlinks": {"x": 1}})).unwrap();
    assert_eq!(params, FsCanonicalizeParams { path: uri("/x"), sandbox: None });
}
