//! 76–86: environments, and what comes before the sandbox exists.

use std::fs;

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
