//! The `sandbox` member of a request, from its bytes to rules: whatever a peer sends is refused or has one meaning.
#![no_main]

use std::path::{Component, Path};

use codex_exec_server_protocol::sandbox::SandboxContext;
use codex_linux_sandbox::intent::{Files, Intent, PROTECTED, resolve};
use codex_linux_sandbox::places::Places;
use codex_linux_sandbox::rules::{Access, Origin};
use libfuzzer_sys::fuzz_target;

/// A credential of the server: nobody inside may see it, whatever he asks for.
const HIDDEN: &str = "/home/me/app/credential";

fuzz_target!(|bytes: &[u8]| {
    let Ok(context) = serde_json::from_slice::<SandboxContext>(bytes) else { return };
    let places = Places {
        cwd: Some("/home/me/app".into()),
        home: Some("/home/me".into()),
        tmpdir: Some("/var/tmp/me".into()),
        slash_tmp: true,
        minimal: vec!["/usr".into(), "/etc".into()],
        hidden: vec![HIDDEN.into()],
    };
    let first = resolve(&context, &places);
    assert_eq!(first, resolve(&context, &places), "the same intent means the same");
    // What was understood is understood again when it is written down.
    let written = serde_json::to_vec(&context).expect("what was read can be written");
    let read = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(first, resolve(&read, &places), "writing it down changes nothing");
    let Ok(Intent::Confined(policy)) = first else { return };
    let Files::Ruled { rules, .. } = policy.files else { return };
    for (path, rule) in rules.iter() {
        let is_plain =
            path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        assert!(path.is_absolute() && is_plain, "{path:?}");
        // A place that may be written keeps its protected folders, unless somebody asked for them. The whole tree has none, and
        // neither has one of them that was opened.
        let is_one = PROTECTED.iter().any(|name| path.ends_with(name));
        if rule.access == Access::Write && path != Path::new("/") && !is_one {
            for name in PROTECTED {
                let folder = path.join(name);
                let asked = rules.at(&folder).is_some_and(|rule| rule.origin != Origin::Protected);
                assert!(asked || rules.access(&folder) < Access::Write, "{folder:?}");
            }
        }
    }
    assert_eq!(rules.access(Path::new(HIDDEN)), Access::Deny, "the credential stays hidden");
});
