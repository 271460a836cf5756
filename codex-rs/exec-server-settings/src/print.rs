//! The settings that hold, as a file that would set them, with the origin of each.

use std::fmt::Write as _;

use toml::Value as Toml;

use crate::key::{Setting, Value};
use crate::layers::Effective;

/// All of `settings`, in their order, which keeps those of one table together. What is not set is a comment.
#[must_use]
pub fn print(effective: &Effective, settings: &[&'static Setting]) -> String {
    let mut text = String::new();
    let mut table = "";
    for setting in settings {
        let (path, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        if path != table {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{path}]");
            table = path;
        }
        let _ = match effective.raw(setting) {
            Some((value, origin)) => writeln!(text, "{name} = {}  # {origin}", notation(value)),
            None => writeln!(text, "# {name} is not set"),
        };
    }
    text
}

/// A value as it is written in a file.
#[must_use]
pub fn notation(value: &Value) -> String {
    let text = |text: &str| Toml::String(text.to_owned()).to_string();
    match value {
        Value::Text(value) => text(value),
        Value::Path(path) => text(&path.display().to_string()),
        Value::List(values) => {
            format!("[{}]", values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
        }
        Value::Switch(on) => on.to_string(),
        Value::Count(number) => number.to_string(),
        Value::Seconds(length) => length.as_secs_f64().to_string(),
    }
}
