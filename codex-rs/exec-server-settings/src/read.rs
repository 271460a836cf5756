//! From what people wrote to values: a table of a file, or a text.

use std::path::Path;
use std::time::Duration;

use crate::document::{FileError, Found, Table};
use crate::key::{Kind, Setting, Value};
use crate::origin::{Origin, SettingError};

/// The value of `setting` in `table`, under its last part `name`. A relative path starts at `base`.
pub(crate) fn from_table(
    table: &Table<'_>,
    name: &str,
    setting: &Setting,
    base: &Path,
) -> Result<Option<Found<Result<Value, String>>>, FileError> {
    Ok(match setting.kind {
        Kind::Text => table.text(name)?.map(|found| found.map(|text| Ok(Value::Text(text.to_owned())))),
        Kind::Path => table.text(name)?.map(|found| found.map(|text| path(text, base))),
        Kind::Choice(words) => table.text(name)?.map(|found| found.map(|text| choice(text, words))),
        Kind::Switch => table.bool(name)?.map(|found| found.map(|on| Ok(Value::Switch(on)))),
        Kind::List => table.texts(name)?.map(|found| found.map(|texts| Ok(Value::List(texts)))),
        Kind::Count { min, max } => {
            table.count(name)?.map(|found| found.map(|number| count(number, min, max)))
        }
        Kind::Seconds { min, max } => {
            table.number(name)?.map(|found| found.map(|number| seconds(number, min, max)))
        }
    })
}

/// The value that `text`, from a variable or flag, gives `setting`.
///
/// # Errors
/// When it gives none.
pub(crate) fn from_text(setting: &Setting, text: &str, origin: &Origin) -> Result<Value, SettingError> {
    let value = match setting.kind {
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::Path => path(text, Path::new("")),
        Kind::Choice(words) => choice(text, words),
        Kind::Switch => match text.trim() {
            "true" => Ok(Value::Switch(true)),
            "false" => Ok(Value::Switch(false)),
            other => Err(format!("is {other:?}")),
        },
        Kind::List => {
            let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
            Ok(Value::List(texts.map(str::to_owned).collect()))
        }
        Kind::Count { min, max } => match text.trim().parse() {
            Ok(number) => count(number, min, max),
            Err(_) => Err(format!("is {text:?}")),
        },
        Kind::Seconds { min, max } => match text.trim().parse() {
            Ok(number) => seconds(number, min, max),
            Err(_) => Err(format!("is {text:?}")),
        },
    };
    value.map_err(|found| wrong(setting, origin, &found))
}

/// The error that says what was `found` and what must be there.
pub(crate) fn wrong(setting: &Setting, origin: &Origin, found: &str) -> SettingError {
    let problem = format!("{found}; it must be {}", setting.kind.expectation());
    SettingError::new(setting, origin, problem)
}

fn path(text: &str, base: &Path) -> Result<Value, String> {
    // An absolute one replaces the base.
    if text.is_empty() { Err("is empty".into()) } else { Ok(Value::Path(base.join(text))) }
}

fn choice(text: &str, words: &[&str]) -> Result<Value, String> {
    if words.contains(&text) { Ok(Value::Text(text.to_owned())) } else { Err(format!("is {text:?}")) }
}

fn count(number: u64, min: u64, max: u64) -> Result<Value, String> {
    if (min..=max).contains(&number) { Ok(Value::Count(number)) } else { Err(format!("is {number}")) }
}

fn seconds(number: f64, min: f64, max: f64) -> Result<Value, String> {
    match Duration::try_from_secs_f64(number) {
        Ok(length) if (min..=max).contains(&number) => Ok(Value::Seconds(length)),
        _ => Err(format!("is {number}")),
    }
}
