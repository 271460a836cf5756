//! The keys of a TOML document that somebody wants. Pure.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Segments of one key path. No document nests as deep.
const SEGMENTS: usize = 64;

/// See the module. Taken together first, so that a document is gone through once, however many keys are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keys(BTreeMap<String, Wanted>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    All,
    Below(Keys),
}

impl Keys {
    pub(super) fn of(paths: &[Vec<String>]) -> Result<Self, &'static str> {
        let mut keys = Self::default();
        for path in paths {
            let (last, way) = path.split_last().ok_or("TOML paths must contain at least one key segment")?;
            if way.len() >= SEGMENTS {
                return Err("TOML paths may contain at most 64 key segments");
            }
            keys.add(way, last);
        }
        Ok(keys)
    }

    fn add(&mut self, way: &[String], last: &str) {
        let Some((next, way)) = way.split_first() else {
            self.0.insert(last.to_owned(), Wanted::All);
            return;
        };
        let below = self.0.entry(next.clone()).or_insert_with(|| Wanted::Below(Self::default()));
        if let Wanted::Below(keys) = below {
            keys.add(way, last);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What of `table` is wanted. A table on the way to a key that is missing stays, empty; what is no table, and stands where one
    /// is expected, stays as well: whoever reads it complains.
    pub(super) fn select(&self, table: Table) -> Table {
        let wanted = table.into_iter().filter_map(|(key, value)| {
            let value = match (self.0.get(&key)?, value) {
                (Wanted::Below(keys), Value::Table(inner)) => Value::Table(keys.select(inner)),
                (_, value) => value,
            };
            Some((key, value))
        });
        wanted.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(document: &str, paths: &[&[&str]]) -> Table {
        let paths: Vec<Vec<String>> =
            paths.iter().map(|path| path.iter().map(|&segment| segment.into()).collect()).collect();
        Keys::of(&paths).expect("they are paths").select(document.parse().expect("it is TOML"))
    }

    #[test]
    fn of_a_document_the_keys_that_are_wanted_stay() {
        let document = "a = { b = 1, c = 2 }\nd = [1]\n[e.f]\ng = 3\nh = 4\n[e.i]\n";
        for (paths, expected) in [
            (&[&["a"][..]][..], "a = { b = 1, c = 2 }"),
            (&[&["a", "b"]], "a = { b = 1 }"),
            (&[&["a", "b"], &["a", "c"]], "a = { b = 1, c = 2 }"),
            (&[&["a"], &["a", "b"]], "a = { b = 1, c = 2 }"),
            (&[&["a", "b"], &["a"]], "a = { b = 1, c = 2 }"),
            (&[&["a", "none"]], "a = {}"),
            (&[&["e", "f", "g"], &["none"]], "e = { f = { g = 3 } }"),
            (&[&["d", "0"]], "d = [1]"),
            (&[&["none"], &["none", "b"], &[""]], ""),
        ] {
            assert_eq!(selected(document, paths), expected.parse().expect("it is TOML"), "{paths:?}");
        }
    }

    #[test]
    fn a_path_has_one_to_64_segments() {
        let path = |len: usize| vec![vec!["a".to_owned(); len]];
        assert_eq!(Keys::of(&path(/*len*/ 0)), Err("TOML paths must contain at least one key segment"));
        assert!(Keys::of(&path(/*len*/ 64)).is_ok());
        assert_eq!(Keys::of(&path(/*len*/ 65)), Err("TOML paths may contain at most 64 key segments"));
        assert!(Keys::of(&[]).expect("none is fine").is_empty());
    }
}
