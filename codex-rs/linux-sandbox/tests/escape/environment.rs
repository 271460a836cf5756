//! 76–78: environments.

use std::fs;

use serde_json::json;

use super::attempt::Attempt;
use super::scene::Profile;

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, name, attempt| Attempt::new(number, name, Profile::Workspace, attempt);
    vec![
        attempt(/*number*/ 76, "environments of others", |_, through| {
            for process in fs::read_dir("/proc").expect("there is a process table").flatten() {
                let Ok(environment) = fs::read(process.path().join("environ")) else { continue };
                let text = String::from_utf8_lossy(&environment);
                through.note(format!("{}", process.path().display()), text.contains("SERVER_SECRET"));
            }
        }),
        attempt(/*number*/ 77, "secrets among what is inherited", |_, through| {
            let own = fs::read("/proc/self/environ").expect("it can be read");
            through.note("a secret was inherited", String::from_utf8_lossy(&own).contains("SERVER_SECRET"));
            through.note("a secret is set", std::env::var_os("SERVER_SECRET").is_some());
        })
        .changed(|_| {
            let everything = json!({
                "inherit": "all", "ignoreDefaultExcludes": false, "exclude": [], "set": {}, "includeOnly": [],
            });
            json!({ "envPolicy": everything })
        })
        .controlled(|_| assert_eq!(std::env::var("SERVER_NAME").as_deref(), Ok("plain"))),
        attempt(/*number*/ 78, "the policy's text", |scene, through| {
            for process in fs::read_dir("/proc").expect("there is a process table").flatten() {
                for file in ["cmdline", "environ", "comm"] {
                    let Ok(bytes) = fs::read(process.path().join(file)) else { continue };
                    let text = String::from_utf8_lossy(&bytes);
                    // Its own is known to it.
                    let own = process.file_name().to_string_lossy() == std::process::id().to_string()
                        || process.file_name() == "self"
                        || process.file_name() == "thread-self";
                    let name = scene.secrets().display().to_string();
                    through
                        .note(format!("{} {file}", process.path().display()), !own && text.contains(&name));
                }
            }
        }),
    ]
}
