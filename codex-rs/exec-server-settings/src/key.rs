//! What can be set: names, kinds and bounds, each written once.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

/// What every variable of these settings begins with.
pub const VARIABLE_PREFIX: &str = "CODEX_EXEC_SERVER_";

/// One thing that can be set, whatever its type.
#[derive(Debug)]
pub struct Setting {
    /// Its key in a file, with those of the tables around it, such as `server.limits.sessions`.
    pub key: &'static str,
    /// What may be written.
    pub kind: Kind,
    /// The flag that sets it, if there is one.
    pub flag: Option<&'static str>,
    /// What it does, in one line.
    pub about: &'static str,
}

/// What may be written for a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// The path of a file. A relative one in a file starts at the directory of that file, others where the program runs.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Whether something is to be.
    Switch,
    /// Texts: a list in a file, separated by commas in a variable.
    List,
    /// A whole number within bounds, which belong to it.
    Count {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A length of time in seconds within bounds, which belong to it. Fractions are fine.
    Seconds {
        /// The shortest.
        min: f64,
        /// The longest.
        max: f64,
    },
}

impl Kind {
    /// What must be written, to follow "must be".
    #[must_use]
    pub fn expectation(self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Path => "the path of a file".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Switch => "true or false".into(),
            Self::List => "a list of texts".into(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Seconds { min, max } => format!("a number of seconds from {min} to {max}"),
        }
    }
}

impl Setting {
    /// The variable that sets it: `CODEX_EXEC_SERVER_` and the key without its first part, in capitals.
    #[must_use]
    pub fn variable(&self) -> String {
        let tail = self.key.split_once('.').map_or(self.key, |(_, tail)| tail);
        format!("{VARIABLE_PREFIX}{}", tail.replace('.', "_").to_uppercase())
    }
}

/// A setting of which it is known what it gives.
#[derive(Debug)]
pub struct Key<T> {
    /// The setting.
    pub setting: Setting,
    gives: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    const fn new(key: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { setting: Setting { key, kind, flag: None, about }, gives: PhantomData }
    }

    /// Adds the flag that sets it.
    #[must_use]
    pub const fn flag(mut self, flag: &'static str) -> Self {
        self.setting.flag = Some(flag);
        self
    }
}

impl Key<String> {
    /// Any text.
    #[must_use]
    pub const fn text(key: &'static str, about: &'static str) -> Self {
        Self::new(key, Kind::Text, about)
    }

    /// One of `words`.
    #[must_use]
    pub const fn choice(key: &'static str, words: &'static [&'static str], about: &'static str) -> Self {
        Self::new(key, Kind::Choice(words), about)
    }
}

impl Key<PathBuf> {
    /// The path of a file.
    #[must_use]
    pub const fn path(key: &'static str, about: &'static str) -> Self {
        Self::new(key, Kind::Path, about)
    }
}

impl Key<bool> {
    /// Whether something is to be.
    #[must_use]
    pub const fn switch(key: &'static str, about: &'static str) -> Self {
        Self::new(key, Kind::Switch, about)
    }
}

impl Key<Vec<String>> {
    /// Texts.
    #[must_use]
    pub const fn list(key: &'static str, about: &'static str) -> Self {
        Self::new(key, Kind::List, about)
    }
}

impl Key<u64> {
    /// A whole number from `min` to `max`.
    #[must_use]
    pub const fn count(key: &'static str, min: u64, max: u64, about: &'static str) -> Self {
        Self::new(key, Kind::Count { min, max }, about)
    }
}

impl Key<Duration> {
    /// A length of time from `min` to `max` seconds.
    #[must_use]
    pub const fn seconds(key: &'static str, min: f64, max: f64, about: &'static str) -> Self {
        Self::new(key, Kind::Seconds { min, max }, about)
    }
}

/// What a setting is set to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of [`Kind::Text`] and [`Kind::Choice`].
    Text(String),
    /// Of [`Kind::Path`].
    Path(PathBuf),
    /// Of [`Kind::Switch`].
    Switch(bool),
    /// Of [`Kind::List`].
    List(Vec<String>),
    /// Of [`Kind::Count`].
    Count(u64),
    /// Of [`Kind::Seconds`].
    Seconds(Duration),
}

/// The types that keys give.
pub trait Given: Sized {
    /// The value in it, if it is of this type.
    fn from_value(value: &Value) -> Option<Self>;
    /// The value of it.
    fn into_value(self) -> Value;
}

macro_rules! given {
    ($($type:ty => $variant:ident),+ $(,)?) => {$(
        impl Given for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    )+};
}

given!(String => Text, PathBuf => Path, bool => Switch, Vec<String> => List, u64 => Count, Duration => Seconds);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_the_key_without_its_first_part_in_capitals() {
        let key = Key::count("server.limits.sessions", /*min*/ 1, /*max*/ 2, "");
        assert_eq!(key.setting.variable(), "CODEX_EXEC_SERVER_LIMITS_SESSIONS");
        assert_eq!(Key::text("server.listen", "").setting.variable(), "CODEX_EXEC_SERVER_LISTEN");
    }
}
