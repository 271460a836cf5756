//! One TOML file, in which every value knows where it stands.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::suggest::closest;

/// Where something stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The key with those of the tables around it, such as `server.limits.sessions`; empty for the file as a whole.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, ": `{}`", self.key) }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T> Found<T> {
    /// Turns the value into another one that stands at the same place.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Found<U> {
        Found { value: turn(self.value), place: self.place }
    }
}

/// A text under a key that is not known beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedText {
    /// The key.
    pub name: String,
    /// The text, at the place of its key.
    pub text: Found<String>,
}

/// Why a file can't be read, whatever it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not TOML.
    #[error("{}:{line}:{column}: {message}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Nothing is known by that name.
    #[error("{place} is not known here; {}", advice(*suggestion, known))]
    UnknownKey {
        /// Where.
        place: Place,
        /// What was probably meant.
        suggestion: Option<&'static str>,
        /// What would be known.
        known: Vec<&'static str>,
    },
    /// The value is of another type.
    #[error("{place} must be {expected}, not {found}")]
    WrongType {
        /// Where.
        place: Place,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

fn advice(suggestion: Option<&str>, known: &[&str]) -> String {
    suggestion.map_or_else(
        || format!("known are {}", known.join(", ")),
        |suggestion| format!("did you mean `{suggestion}`?"),
    )
}

/// See the module.
#[derive(Debug)]
pub struct Document<'t> {
    source: Source<'t>,
    root: Spanned<DeTable<'t>>,
}

#[derive(Debug, Clone, Copy)]
struct Source<'t> {
    file: &'t Path,
    text: &'t str,
}

impl Source<'_> {
    /// Line and column, both from 1.
    fn position(self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn place(self, at: usize, key: String) -> Place {
        Place { file: self.file.to_owned(), line: self.position(at).0, key }
    }
}

impl<'t> Document<'t> {
    /// Reads `text`, which came from `file`.
    ///
    /// # Errors
    /// [`FileError::Syntax`] when it is not TOML.
    pub fn parse(file: &'t Path, text: &'t str) -> Result<Self, FileError> {
        let source = Source { file, text };
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { source, root }),
            Err(error) => {
                let (line, column) = source.position(error.span().map_or(0, |span| span.start));
                // Some messages have several lines; they end up in one.
                let message = error.message().split('\n').map(str::trim).collect::<Vec<_>>().join("; ");
                Err(FileError::Syntax { file: file.to_owned(), line, column, message })
            }
        }
    }

    /// The outermost table, whose keys may be those of `known` only.
    ///
    /// # Errors
    /// [`FileError::UnknownKey`] for the first other one.
    pub fn root(&self, known: &[&'static str]) -> Result<Table<'_>, FileError> {
        Table::new(self.source, String::new(), self.root.span(), self.root.get_ref(), known)
    }
}

/// A table, whose keys are known to be known.
#[derive(Debug)]
pub struct Table<'d> {
    source: Source<'d>,
    path: String,
    span: Range<usize>,
    entries: &'d DeTable<'d>,
}

impl<'d> Table<'d> {
    fn new(
        source: Source<'d>,
        path: String,
        span: Range<usize>,
        entries: &'d DeTable<'d>,
        known: &[&'static str],
    ) -> Result<Self, FileError> {
        let table = Self { source, path, span, entries };
        let unknown =
            entries.iter().map(|(key, _)| key).filter(|key| !known.contains(&key.get_ref().as_ref()));
        match unknown.min_by_key(|key| key.span().start) {
            None => Ok(table),
            Some(key) => Err(FileError::UnknownKey {
                place: source.place(key.span().start, table.path_of(key.get_ref())),
                suggestion: closest(key.get_ref(), known.iter().copied()),
                known: known.to_vec(),
            }),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the table begins.
    #[must_use]
    pub fn place(&self) -> Place {
        self.source.place(self.span.start, self.path.clone())
    }

    fn find<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&'d DeValue<'d>) -> Option<T>,
    ) -> Result<Option<Found<T>>, FileError> {
        let Some((found_key, value)) = self.entries.get_key_value(key) else { return Ok(None) };
        let place = self.source.place(found_key.span().start, self.path_of(key));
        match read(value.get_ref()) {
            Some(value) => Ok(Some(Found { value, place })),
            None => Err(FileError::WrongType { place, expected, found: describe(value.get_ref()) }),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// As all of these: [`FileError::WrongType`] when it is something else.
    pub fn text(&self, key: &str) -> Result<Option<Found<&'d str>>, FileError> {
        self.find(key, "a text in quotes", DeValue::as_str)
    }

    /// A truth value.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn bool(&self, key: &str) -> Result<Option<Found<bool>>, FileError> {
        self.find(key, "true or false", DeValue::as_bool)
    }

    /// A whole number, not negative.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn count(&self, key: &str) -> Result<Option<Found<u64>>, FileError> {
        self.find(key, "a whole number of 0 or more", |value| {
            let number = value.as_integer()?;
            u64::from_str_radix(number.as_str(), number.radix()).ok()
        })
    }

    /// A number with or without a fraction; may be infinite or none at all.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn number(&self, key: &str) -> Result<Option<Found<f64>>, FileError> {
        self.find(key, "a number", |value| match value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            #[expect(
                clippy::cast_precision_loss,
                reason = "nobody means so large a number to the last digit"
            )]
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
            }
            _ => None,
        })
    }

    /// A list of texts.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn texts(&self, key: &str) -> Result<Option<Found<Vec<String>>>, FileError> {
        self.find(key, "a list of texts in quotes", |value| {
            value.as_array()?.iter().map(|value| value.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    /// A table of texts, under any keys. Each carries the place of its own key.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn named_texts(&self, key: &str) -> Result<Option<Found<Vec<NamedText>>>, FileError> {
        let Some(found) = self.find(key, "a table", DeValue::as_table)? else { return Ok(None) };
        let inner = Self { source: self.source, path: self.path_of(key), span: 0..0, entries: found.value };
        let mut texts = Vec::new();
        for (name, _) in found.value.iter() {
            if let Some(text) = inner.text(name.get_ref())? {
                texts.push(NamedText { name: name.get_ref().to_string(), text: text.map(str::to_owned) });
            }
        }
        Ok(Some(Found { value: texts, place: found.place }))
    }

    /// A table in this one, whose keys may be those of `known` only.
    ///
    /// # Errors
    /// As [`text`](Self::text), and [`FileError::UnknownKey`].
    pub fn table(&self, key: &str, known: &[&'static str]) -> Result<Option<Table<'d>>, FileError> {
        let Some(found) = self.find(key, "a table", DeValue::as_table)? else {
            return Ok(None);
        };
        // The span of a table that is named in parts, such as `[a.b]`, is that of the whole header.
        let span = self.entries.get(key).map_or(0..0, Spanned::span);
        Self::new(self.source, self.path_of(key), span, found.value, known).map(Some)
    }

    /// The tables of a list, such as those that are headed `[[key]]`.
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn tables(&self, key: &str, known: &[&'static str]) -> Result<Vec<Table<'d>>, FileError> {
        let expected = "a list of tables";
        let Some(found) = self.find(key, expected, |value| value.as_array())? else { return Ok(Vec::new()) };
        let entries: &'d DeArray<'d> = found.value;
        let open = |entry: &'d Spanned<DeValue<'d>>| match entry.get_ref() {
            DeValue::Table(table) => Table::new(self.source, self.path_of(key), entry.span(), table, known),
            other => Err(FileError::WrongType {
                place: self.source.place(entry.span().start, self.path_of(key)),
                expected,
                found: describe(other),
            }),
        };
        entries.iter().map(open).collect()
    }
}

/// What a value is, in the words of people who write such files.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".into(),
        DeValue::Integer(number) => format!("the whole number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(_) => "a date or time".into(),
        DeValue::Table(_) => "a table".into(),
        DeValue::Array(entries) => {
            let other = entries.iter().find(|entry| !entry.get_ref().is_str());
            other.map_or_else(
                || "a list of texts".into(),
                |other| format!("a list that holds {}", describe(other.get_ref())),
            )
        }
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
