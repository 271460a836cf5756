use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};

use super::*;

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

fn uri(path: &str) -> PathUri {
    format!("file://{path}").parse().unwrap()
}

fn managed(entries: Value) -> Value {
    json!({
        "type": "managed",
        "file_system": {"type": "restricted", "entries": entries, "glob_scan_max_depth": 4},
        "network": "restricted",
    })
}

fn bare() -> Value {
    json!({"permissions": {"type": "disabled"}, "windowsSandboxLevel": "disabled", "workspaceRoots": []})
}

fn entry(path: SandboxPath, access: SandboxAccess) -> SandboxEntry {
    SandboxEntry { path, access, missing_path_behavior: None }
}

fn special(value: SandboxSpecialPath) -> SandboxPath {
    SandboxPath::Special { value }
}

#[test]
fn a_sandbox_travels_as_peers_write_it() {
    let wire = json!({
        "permissions": managed(json!([
            {"path": {"type": "special", "value": {"kind": "root"}}, "access": "read"},
            {"path": {"type": "special", "value": {"kind": "project_roots", "subpath": "src"}}, "access": "write"},
            {"path": {"type": "path", "path": "file:///home/me/app/.env"}, "access": "deny"},
            {"path": {"type": "glob_pattern", "pattern": "**/*.pem"}, "access": "deny"},
            {"path": {"type": "path", "path": "file:///opt/x"}, "access": "deny", "missing_path_behavior": "skip"},
        ])),
        "windowsSandboxLevel": "restricted-token",
        "cwd": "file:///home/me/app",
        "workspaceRoots": ["file:///home/me/app"],
        "userHomeDir": "file:///home/me",
        "temporaryDirectories": ["file:///var/tmp"],
        "useLegacyLandlock": true,
        "policyContext": {"cwd": "file:///w", "workspaceRoots": ["file:///w"]},
        "windowsSandboxProxySettingsMode": "reconcile",
        "sandboxOverride": "bypassSandboxFirstAttempt",
    });
    let path = |path| SandboxPath::Path { path: uri(path) };
    assert_eq!(
        same::<SandboxContext>(wire),
        SandboxContext {
            permissions: SandboxPermissions::Managed {
                file_system: SandboxFileSystem::Restricted {
                    entries: vec![
                        entry(special(SandboxSpecialPath::Root), SandboxAccess::Read),
                        entry(
                            special(SandboxSpecialPath::ProjectRoots { subpath: Some("src".into()) }),
                            SandboxAccess::Write
                        ),
                        entry(path("/home/me/app/.env"), SandboxAccess::Deny),
                        entry(SandboxPath::GlobPattern { pattern: "**/*.pem".into() }, SandboxAccess::Deny),
                        SandboxEntry {
                            missing_path_behavior: Some(MissingPathBehavior::Skip),
                            ..entry(path("/opt/x"), SandboxAccess::Deny)
                        },
                    ],
                    glob_scan_max_depth: NonZeroUsize::new(4),
                },
                network: SandboxNetwork::Restricted,
            },
            windows_sandbox_level: WindowsSandboxLevel::RestrictedToken,
            cwd: Some(uri("/home/me/app")),
            workspace_roots: vec![uri("/home/me/app")],
            user_home_dir: Some(uri("/home/me")),
            temporary_directories: Some(vec![uri("/var/tmp")]),
            use_legacy_landlock: true,
            policy_context: Some(SandboxPolicyContext {
                cwd: Some(uri("/w")),
                workspace_roots: vec![uri("/w")]
            }),
            windows_sandbox_proxy_settings_mode: Some(WindowsSandboxProxySettingsMode::Reconcile),
            sandbox_override: SandboxOverride::BypassSandboxFirstAttempt,
        }
    );
}

#[test]
fn every_kind_of_permissions_travels_as_peers_write_it() {
    for (wire, expected) in [
        (json!({"type": "disabled"}), SandboxPermissions::Disabled),
        (
            json!({"type": "external", "network": "enabled"}),
            SandboxPermissions::External { network: SandboxNetwork::Enabled },
        ),
        (
            json!({"type": "managed", "file_system": {"type": "unrestricted"}, "network": "enabled"}),
            SandboxPermissions::Managed {
                file_system: SandboxFileSystem::Unrestricted,
                network: SandboxNetwork::Enabled,
            },
        ),
    ] {
        assert_eq!(same::<SandboxPermissions>(wire), expected);
    }
}

#[test]
fn every_special_place_travels_as_peers_write_it() {
    for (wire, expected) in [
        (json!({"kind": "root"}), SandboxSpecialPath::Root),
        (json!({"kind": "minimal"}), SandboxSpecialPath::Minimal),
        (json!({"kind": "current_working_directory"}), SandboxSpecialPath::CurrentWorkingDirectory),
        (json!({"kind": "project_roots"}), SandboxSpecialPath::ProjectRoots { subpath: None }),
        (json!({"kind": "tmpdir"}), SandboxSpecialPath::Tmpdir),
        (json!({"kind": "slash_tmp"}), SandboxSpecialPath::SlashTmp),
        (
            json!({"kind": "unknown", "path": ":cache", "subpath": "x"}),
            SandboxSpecialPath::Unknown { path: ":cache".into(), subpath: Some("x".into()) },
        ),
    ] {
        assert_eq!(same::<SandboxSpecialPath>(wire), expected);
    }
}

#[test]
fn none_is_another_word_for_deny() {
    assert_eq!(from_value::<SandboxAccess>(json!("none")).unwrap(), SandboxAccess::Deny);
    assert_eq!(to_value(SandboxAccess::Deny).unwrap(), json!("deny"));
}

#[test]
fn members_that_are_not_known_are_ignored() {
    let plain: SandboxContext = same(bare());
    let mut wire = bare();
    wire["permissions"]["network"] = json!(7);
    wire["windowsSandboxPrivateDesktop"] = json!({});
    wire["policyContext"] = Value::Null;
    assert_eq!(from_value::<SandboxContext>(wire).unwrap(), plain);
    let place: SandboxSpecialPath = from_value(json!({"kind": "root", "subpath": "x"})).unwrap();
    assert_eq!(place, SandboxSpecialPath::Root);
}

#[test]
fn words_that_are_not_known_are_refused() {
    let unknown = |wire: Value, expected: &str| {
        assert_eq!(fault::<SandboxContext>(&wire), expected);
    };
    unknown(
        with(&bare(), "windowsSandboxLevel", json!("zz")),
        "unknown variant `zz`, expected one of `disabled`, `restricted-token`, `elevated`, `mxc`",
    );
    unknown(
        with(&bare(), "sandboxOverride", json!("zz")),
        "unknown variant `zz`, expected one of `noOverride`, `escalatedSandboxWithRestrictions`, `bypassSandboxFirstAttempt`",
    );
    unknown(
        with(&bare(), "windowsSandboxProxySettingsMode", json!("zz")),
        "unknown variant `zz`, expected `reconcile` or `preserve`",
    );
    unknown(
        with(&bare(), "permissions", json!({"type": "zz"})),
        "unknown variant `zz`, expected one of `managed`, `disabled`, `external`",
    );
    unknown(
        with(&bare(), "permissions", json!({"type": "external", "network": "zz"})),
        "unknown variant `zz`, expected `restricted` or `enabled`",
    );
    let entry = |path: Value, access: &str| {
        with(&bare(), "permissions", managed(json!([{"path": path, "access": access}])))
    };
    let root = json!({"type": "special", "value": {"kind": "root"}});
    unknown(entry(root, "Read"), "unknown variant `Read`, expected one of `read`, `write`, `deny`, `none`");
    unknown(
        entry(json!({"type": "zz"}), "read"),
        "unknown variant `zz`, expected one of `path`, `glob_pattern`, `special`",
    );
    unknown(
        entry(json!({"type": "special", "value": {"kind": "zz"}}), "read"),
        "unknown variant `zz`, expected one of `root`, `minimal`, `current_working_directory`, `project_roots`, `tmpdir`, `slash_tmp`, `unknown`",
    );
    unknown(
        entry(json!({"type": "path", "path": "/tmp"}), "read"),
        "invalid URI: relative URL without a base",
    );
}

#[test]
fn null_is_taken_for_optional_fields_only() {
    for key in
        ["cwd", "userHomeDir", "temporaryDirectories", "policyContext", "windowsSandboxProxySettingsMode"]
    {
        from_value::<SandboxContext>(with(&bare(), key, Value::Null))
            .unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    for key in
        ["permissions", "windowsSandboxLevel", "workspaceRoots", "useLegacyLandlock", "sandboxOverride"]
    {
        let fault = fault::<SandboxContext>(&with(&bare(), key, Value::Null));
        assert!(fault.starts_with("invalid type: null"), "{key}: {fault}");
    }
    assert_eq!(
        fault::<SandboxContext>(&json!({"permissions": {"type": "disabled"}})),
        "missing field `windowsSandboxLevel`"
    );
    let mut depth = managed(json!([]));
    depth["file_system"]["glob_scan_max_depth"] = json!(0);
    assert_eq!(fault::<SandboxPermissions>(&depth), "invalid value: integer `0`, expected a nonzero usize");
}

#[test]
fn the_newer_context_wins_as_a_whole() {
    let mut sandbox: SandboxContext = from_value(with(&bare(), "cwd", json!("file:///old"))).unwrap();
    sandbox.workspace_roots = vec![uri("/old")];
    assert_eq!(sandbox.effective_cwd(), Some(&uri("/old")));
    assert_eq!(sandbox.effective_workspace_roots(), [uri("/old")]);
    sandbox.policy_context = Some(SandboxPolicyContext { cwd: None, workspace_roots: vec![uri("/new")] });
    assert_eq!(sandbox.effective_cwd(), None);
    assert_eq!(sandbox.effective_workspace_roots(), [uri("/new")]);
}
