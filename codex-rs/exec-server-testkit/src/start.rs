//! Parameters of `process/start` in one line.

use serde_json::{Value, json};

/// Parameters that start `argv` in `/` with an ordinary search path, without stdin or terminal.
#[must_use]
pub fn start_params(process_id: &str, argv: &[&str]) -> Value {
    json!({
        "processId": process_id,
        "argv": argv,
        "cwd": "file:///",
        "env": {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"},
        "tty": false,
    })
}

/// As [`start_params`], for a script that `/bin/sh` runs.
#[must_use]
pub fn shell(process_id: &str, script: &str) -> Value {
    start_params(process_id, &["/bin/sh", "-c", script])
}

/// As [`shell`], with the members of `more` added or put in the place of others.
///
/// # Panics
/// When `more` is no object.
#[must_use]
pub fn shell_with(process_id: &str, script: &str, more: Value) -> Value {
    let mut params = shell(process_id, script);
    match (&mut params, more) {
        (Value::Object(params), Value::Object(more)) => params.extend(more),
        (_, more) => panic!("{more} is no object"),
    }
    params
}
