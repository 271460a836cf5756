use proptest::prelude::*;
use serde_json::json;

use super::*;

fn places() -> Places {
    Places {
        cwd: Some("/home/me/app".into()),
        home: Some("/home/me".into()),
        tmpdir: Some("/var/tmp/me".into()),
        slash_tmp: true,
        minimal: vec!["/usr".into(), "/etc".into()],
        hidden: Vec::new(),
    }
}

fn context(entries: &serde_json::Value) -> SandboxContext {
    serde_json::from_value(json!({
        "permissions": {
            "type": "managed",
            "file_system": { "type": "restricted", "entries": entries },
            "network": "restricted",
        },
        "workspaceRoots": ["file:///home/me/app"],
        "windowsSandboxLevel": "disabled",
    }))
    .expect("a context")
}

fn rules(entries: &serde_json::Value) -> Rules {
    match resolve(&context(entries), &places()).expect("it resolves") {
        Intent::Confined(Policy { files: Files::Ruled { rules, .. }, .. }) => rules,
        other => panic!("{other:?}"),
    }
}

fn special(kind: &str, access: &str) -> serde_json::Value {
    json!({ "path": { "type": "special", "value": { "kind": kind } }, "access": access })
}

fn project(subpath: &str, access: &str) -> serde_json::Value {
    let value = json!({ "kind": "project_roots", "subpath": subpath });
    json!({ "path": { "type": "special", "value": value }, "access": access })
}

fn path(path: &str, access: &str) -> serde_json::Value {
    json!({ "path": { "type": "path", "path": path }, "access": access })
}

#[test]
fn a_workspace_may_be_written_but_for_its_protected_folders() {
    let rules = rules(&json!([special("root", "read"), special("project_roots", "write")]));
    let access = |path: &str| rules.access(Path::new(path));
    assert_eq!(access("/etc/passwd"), Access::Read);
    assert_eq!(access("/home/me/app/src/main.rs"), Access::Write);
    for name in PROTECTED {
        assert_eq!(access(&format!("/home/me/app/{name}/x")), Access::Read, "{name}");
        assert_eq!(access(&format!("/home/me/app/sub/{name}/x")), Access::Write, "{name}");
    }
}

#[test]
fn an_entry_of_its_own_opens_a_protected_folder() {
    let rules = rules(&json!([special("project_roots", "write"), project(".git", "write")]));
    assert_eq!(rules.access(Path::new("/home/me/app/.git/HEAD")), Access::Write);
    assert_eq!(rules.access(Path::new("/home/me/app/.codex/x")), Access::Read);
}

#[test]
fn a_subpath_that_leaves_its_root_allows_nothing_and_closes_what_it_was_to_narrow() {
    for subpath in ["../other", "/etc", "~/x", "a/../../b", "~root"] {
        let written = rules(&json!([special("root", "read"), project(subpath, "write")]));
        assert_eq!(written.access(Path::new("/home/me/app/x")), Access::Read, "{subpath}");
        for access in ["read", "deny"] {
            let closed = rules(&json!([special("root", "read"), project(subpath, access)]));
            assert_eq!(closed.access(Path::new("/home/me/app/x")), Access::Deny, "{subpath} {access}");
        }
    }
}

#[test]
fn without_roots_a_workspace_stands_for_nothing() {
    let mut context = context(&json!([special("project_roots", "write")]));
    context.workspace_roots.clear();
    let intent = resolve(&context, &places()).expect("it resolves");
    assert_eq!(
        intent,
        Intent::Confined(Policy {
            files: Files::Ruled {
                rules: Rules::default(),
                globs: Vec::new(),
                glob_depth: None,
                within: BTreeMap::new(),
            },
            network: SandboxNetwork::Restricted,
        })
    );
}

#[test]
fn minimal_is_never_written() {
    let rules = rules(&json!([special("minimal", "write")]));
    assert_eq!(rules.access(Path::new("/usr/bin/x")), Access::Read);
    assert_eq!(rules.access(Path::new("/home/me")), Access::Deny);
}

#[test]
fn paths_that_read_differently_as_text_are_refused() {
    let refused = |uri: &str| resolve(&context(&json!([path(uri, "deny")])), &places()).expect_err("refused");
    assert!(matches!(refused("file:///a%2Fb"), IntentError::EncodedSeparator(_)));
    assert!(matches!(refused("file://server/share"), IntentError::Foreign(_)));
    assert!(matches!(refused("file:///C:/x"), IntentError::Foreign(_)));
}

#[test]
fn all_rights_and_an_open_network_need_no_sandbox() {
    for entries in
        [json!([special("root", "write")]), json!([special("root", "write"), path("file:///a", "write")])]
    {
        let mut context = context(&entries);
        let SandboxPermissions::Managed { network, .. } = &mut context.permissions else { panic!() };
        *network = SandboxNetwork::Enabled;
        assert_eq!(resolve(&context, &places()), Ok(Intent::Unconfined));
    }
}

#[test]
fn what_the_server_hides_is_denied_whatever_was_asked() {
    let places = Places { hidden: vec!["/run/token".into()], ..places() };
    let intent = resolve(&context(&json!([special("root", "write")])), &places).expect("it resolves");
    let Intent::Confined(Policy { files: Files::Ruled { rules, .. }, .. }) = intent else {
        panic!("{intent:?}")
    };
    assert_eq!(rules.access(Path::new("/run/token")), Access::Deny);
    assert_eq!(rules.access(Path::new("/run/other")), Access::Write);
}

#[test]
fn a_malformed_glob_fails_beside_good_ones_and_one_that_allows_says_nothing() {
    let glob = |pattern: &str, access: &str| json!({ "path": { "type": "glob_pattern", "pattern": pattern }, "access": access });
    let bad = context(&json!([special("root", "read"), glob("*.pem", "deny"), glob("[z-a]", "deny")]));
    assert!(matches!(resolve(&bad, &places()), Err(IntentError::Glob(GlobError::Malformed { .. }))));
    let rules = rules(&json!([special("root", "read"), glob("**", "write")]));
    assert_eq!(rules.access(Path::new("/home/me/app/x")), Access::Read);
}

fn entry() -> impl Strategy<Value = serde_json::Value> {
    let access = prop_oneof![Just("read"), Just("write"), Just("deny")];
    let place = prop_oneof![
        Just(json!({ "type": "special", "value": { "kind": "root" } })),
        Just(json!({ "type": "special", "value": { "kind": "minimal" } })),
        Just(json!({ "type": "special", "value": { "kind": "project_roots" } })),
        Just(json!({ "type": "special", "value": { "kind": "project_roots", "subpath": "src" } })),
        Just(json!({ "type": "special", "value": { "kind": "tmpdir" } })),
        Just(json!({ "type": "path", "path": "file:///home/me/app/.env" })),
        Just(json!({ "type": "path", "path": "file:///home" })),
        Just(json!({ "type": "path", "path": "file:///usr/lib" })),
    ];
    (place, access).prop_map(|(path, access)| json!({ "path": path, "access": access }))
}

/// Entries that this version does not understand, or that must not have an effect.
fn void() -> impl Strategy<Value = serde_json::Value> {
    let unknown =
        json!({ "type": "special", "value": { "kind": "unknown", "path": ":future", "subpath": "x" } });
    prop_oneof![
        Just(json!({ "path": unknown, "access": "write" })),
        Just(json!({ "path": { "type": "glob_pattern", "pattern": "**/*" }, "access": "write" })),
        Just(json!({ "path": { "type": "glob_pattern", "pattern": "/**" }, "access": "read" })),
        Just(project("../../..", "write")),
        Just(project("/", "write")),
    ]
}

const SAMPLES: [&str; 9] = [
    "/",
    "/home",
    "/home/me/app",
    "/home/me/app/src/x",
    "/home/me/app/.git/x",
    "/home/me/app/.env",
    "/usr/lib/x",
    "/var/tmp/me/x",
    "/etc",
];

fn accesses(entries: &[serde_json::Value]) -> Vec<Access> {
    match resolve(&context(&json!(entries)), &places()).expect("it resolves") {
        Intent::Confined(Policy { files: Files::Ruled { rules, .. }, .. }) => {
            SAMPLES.iter().map(|path| rules.access(Path::new(path))).collect()
        }
        Intent::Confined(Policy { files: Files::All, .. }) | Intent::Unconfined => {
            vec![Access::Write; SAMPLES.len()]
        }
    }
}

proptest! {
    #[test]
    fn the_order_of_entries_never_matters(
        (entries, shuffled) in proptest::collection::vec(entry(), 0..7)
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
    ) {
        prop_assert_eq!(accesses(&entries), accesses(&shuffled));
    }

    #[test]
    fn what_is_not_understood_never_widens(
        entries in proptest::collection::vec(entry(), 0..7), voids in proptest::collection::vec(void(), 1..4),
    ) {
        let before = accesses(&entries);
        let after = accesses(&[entries, voids].concat());
        prop_assert_eq!(before, after);
    }

    /// Whatever bytes a path is made of, it is refused, or what may be written is that path and nothing beside it.
    #[test]
    fn a_path_of_any_bytes_opens_itself_alone_or_is_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..24), hex in any::<bool>(),
    ) {
        let encode = |byte: &u8| match byte {
            b'a'..=b'z' | b'/' | b'.' if !hex => char::from(*byte).to_string(),
            byte => format!("%{byte:02x}"),
        };
        let uri = format!("file:///{}", bytes.iter().map(encode).collect::<String>());
        let value = json!({
            "permissions": { "type": "managed", "network": "restricted", "file_system": { "type": "restricted", "entries": [
                { "path": { "type": "path", "path": uri }, "access": "write" },
            ] } },
            "windowsSandboxLevel": "disabled",
        });
        let Ok(context) = serde_json::from_value::<SandboxContext>(value) else { return Ok(()) };
        match resolve(&context, &places()) {
            Err(_) => {}
            // The root itself, spelled in some way.
            Ok(Intent::Unconfined | Intent::Confined(Policy { files: Files::All, .. })) => {
                let climbs = bytes.windows(2).any(|pair| pair == b"..");
                prop_assert!(climbs || bytes.iter().all(|byte| b"/.".contains(byte)), "{uri}");
            }
            Ok(Intent::Confined(Policy { files: Files::Ruled { rules, .. }, .. })) => {
                let written: Vec<&Path> =
                    rules.iter().filter(|(_, rule)| rule.access == Access::Write).map(|(path, _)| path).collect();
                let [path] = written[..] else { panic!("{uri}: {written:?}") };
                prop_assert!(path.is_absolute() && !path.as_os_str().as_bytes().contains(&0), "{uri}: {path:?}");
                prop_assert_eq!(rules.access(path.parent().unwrap_or(Path::new("/"))), Access::Deny, "{}", uri);
            }
        }
    }

    /// Whatever bytes arrive, the decoder answers, and what it accepts resolves or is refused: nothing panics.
    #[test]
    fn any_text_is_decoded_or_refused(text in "\\PC{0,200}", uri in "\\PC{0,40}", pattern in "\\PC{0,40}", subpath in "\\PC{0,40}") {
        let _ = serde_json::from_str::<SandboxContext>(&text);
        let value = json!({
            "permissions": { "type": "managed", "network": "restricted", "file_system": { "type": "restricted", "entries": [
                { "path": { "type": "path", "path": format!("file:///{uri}") }, "access": "write" },
                { "path": { "type": "glob_pattern", "pattern": pattern }, "access": "deny" },
                project(&subpath, "write"),
            ] } },
            "workspaceRoots": ["file:///home/me/app"],
            "windowsSandboxLevel": "disabled",
        });
        if let Ok(context) = serde_json::from_value::<SandboxContext>(value)
            && let Ok(Intent::Confined(Policy { files: Files::Ruled { rules, .. }, .. })) = resolve(&context, &places())
        {
            for (path, _) in rules.iter() {
                prop_assert!(path.is_absolute() && !path.components().any(|c| c == Component::ParentDir), "{path:?}");
            }
        }
    }
}
