//! Layers of settings, of which later ones win, key by key.

use std::collections::BTreeMap;
use std::path::Path;

use crate::document::{Document, FileError, Found, Table};
use crate::key::{Given, Key, Setting, VARIABLE_PREFIX, Value};
use crate::origin::{LayerKind, Origin, SettingError};
use crate::read::{from_table, from_text, wrong};
use crate::suggest::closest;

/// Why a layer can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// A file is not what it must be.
    #[error(transparent)]
    File(#[from] FileError),
    /// A value is not.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// What one source says.
#[derive(Debug, Clone, Default)]
pub struct Layer(BTreeMap<&'static str, (Value, Origin)>);

impl Layer {
    /// Says that `key` is `value` as long as nobody says otherwise.
    pub fn set_default<T: Given>(&mut self, key: &Key<T>, value: T) {
        self.0.insert(key.setting.key, (value.into_value(), Origin::Default));
    }

    /// Says what the flag of `key` says: `text`, if it was given.
    ///
    /// # Errors
    /// When it gives no value.
    ///
    /// # Panics
    /// When the key has no flag.
    pub fn set_flag<T: Given>(
        &mut self,
        key: &'static Key<T>,
        text: Option<&str>,
    ) -> Result<(), SettingError> {
        let origin = Origin::Flag(key.setting.flag.expect("only asked of keys that have one"));
        if let Some(text) = text {
            self.0.insert(key.setting.key, (from_text(&key.setting, text, &origin)?, origin));
        }
        Ok(())
    }

    /// What `text`, the content of `file`, says about `settings`. Other keys are refused.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn from_file(
        settings: &[&'static Setting],
        kind: LayerKind,
        file: &Path,
        text: &str,
    ) -> Result<Self, LayerError> {
        let document = Document::parse(file, text)?;
        let reading = Reading { settings, kind, base: file.parent().unwrap_or(Path::new("")) };
        let mut layer = Self::default();
        reading.table(&document.root(&reading.parts(""))?, "", &mut layer)?;
        Ok(layer)
    }

    /// What those of `variables` say that belong to `settings`. Empty ones say nothing.
    ///
    /// # Errors
    /// The first that gives no value.
    pub fn from_variables<'v>(
        settings: &[&'static Setting],
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> Result<Self, LayerError> {
        let variables: BTreeMap<&str, &str> = variables.into_iter().collect();
        let mut layer = Self::default();
        for setting in settings {
            let name = setting.variable();
            if let Some(text) = variables.get(name.as_str()).filter(|text| !text.is_empty()) {
                let origin = Origin::Variable(name);
                layer.0.insert(setting.key, (from_text(setting, text, &origin)?, origin));
            }
        }
        Ok(layer)
    }
}

/// Reading one file.
struct Reading<'r> {
    settings: &'r [&'static Setting],
    kind: LayerKind,
    base: &'r Path,
}

impl Reading<'_> {
    /// The keys that the table `path` may have; it ends in a dot unless it is the outermost.
    fn parts(&self, path: &str) -> Vec<&'static str> {
        let mut parts: Vec<_> = self
            .settings
            .iter()
            .filter_map(|setting| setting.key.strip_prefix(path)?.split('.').next())
            .collect();
        parts.dedup();
        parts
    }

    fn table(&self, table: &Table<'_>, path: &str, layer: &mut Layer) -> Result<(), LayerError> {
        for part in self.parts(path) {
            let key = format!("{path}{part}");
            if let Some(setting) = self.settings.iter().find(|setting| setting.key == key) {
                if let Some(Found { value, place }) = from_table(table, part, setting, self.base)? {
                    let origin = Origin::File(self.kind, place);
                    let value = value.map_err(|found| wrong(setting, &origin, &found))?;
                    layer.0.insert(setting.key, (value, origin));
                }
            } else {
                let inner = format!("{key}.");
                if let Some(table) = table.table(part, &self.parts(&inner))? {
                    self.table(&table, &inner, layer)?;
                }
            }
        }
        Ok(())
    }
}

/// A variable that begins like those of the settings and is none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayVariable {
    /// Its name.
    pub name: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

/// Those of `names` that look like variables of `settings`, but are neither that nor one of `others`. Not an error: they
/// may be meant for another version.
#[must_use]
pub fn stray_variables<'v>(
    settings: &[&'static Setting],
    others: &[&str],
    names: impl IntoIterator<Item = &'v str>,
) -> Vec<StrayVariable> {
    let known: Vec<String> = settings.iter().map(|setting| setting.variable()).collect();
    // What all have in common would make all look alike.
    let tail = |name: &'v str| name.strip_prefix(VARIABLE_PREFIX);
    let tails = || {
        let all = known.iter().map(String::as_str).chain(others.iter().copied());
        all.filter_map(|known| known.strip_prefix(VARIABLE_PREFIX))
    };
    let strays = names.into_iter().filter_map(tail).filter(|tail| !tails().any(|known| known == *tail));
    strays
        .map(|tail| StrayVariable {
            name: format!("{VARIABLE_PREFIX}{tail}"),
            suggestion: closest(tail, tails()).map(|meant| format!("{VARIABLE_PREFIX}{meant}")),
        })
        .collect()
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen<'e, T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: &'e Origin,
}

/// What holds when all sources were asked.
#[derive(Debug, Clone)]
pub struct Effective(BTreeMap<&'static str, (Value, Origin)>);

impl Effective {
    /// Lays `layers` over each other: for each key the last that says something wins.
    #[must_use]
    pub fn of(layers: impl IntoIterator<Item = Layer>) -> Self {
        Self(layers.into_iter().flat_map(|layer| layer.0).collect())
    }

    /// What `key` is and where that comes from; `None` when nobody said anything and there is no default.
    #[must_use]
    pub fn get<T: Given>(&self, key: &Key<T>) -> Option<Chosen<'_, T>> {
        let (value, origin) = self.0.get(key.setting.key)?;
        let value = T::from_value(value).expect("a key gives values of its kind alone");
        Some(Chosen { value, origin })
    }

    /// What `key` is.
    #[must_use]
    pub fn value<T: Given>(&self, key: &Key<T>) -> Option<T> {
        Some(self.get(key)?.value)
    }

    /// As it is, with its origin, whatever its type.
    #[must_use]
    pub fn raw(&self, setting: &Setting) -> Option<(&Value, &Origin)> {
        let (value, origin) = self.0.get(setting.key)?;
        Some((value, origin))
    }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
