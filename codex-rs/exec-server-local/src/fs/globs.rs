//! Globs of searches and watches, which are relative to where those begin.

use std::path::Path;

use codex_exec_server_core::search_fault::SearchFault;
use codex_exec_server_protocol::fs::MAX_SEARCH_PATTERN_BYTES;
use globset::{GlobBuilder, GlobSet};

/// A list of globs. An empty one matches nothing.
#[derive(Debug)]
pub(super) struct Globs(GlobSet);

impl Globs {
    /// Fails if one is malformed, or if they are too long together.
    pub(super) fn new(list: &[String]) -> Result<Self, SearchFault> {
        let bytes = list.iter().map(|glob| glob.len() + 1).sum::<usize>();
        if bytes > MAX_SEARCH_PATTERN_BYTES {
            return Err(SearchFault::PatternTooLong(bytes));
        }
        let mut set = GlobSet::builder();
        for glob in list {
            let bad = |error: &globset::Error| SearchFault::BadGlob {
                glob: glob.clone(),
                detail: error.kind().to_string(),
            };
            // A star stands for a part of one name, and only `**` for several.
            let built = GlobBuilder::new(glob).literal_separator(true).build();
            set.add(built.map_err(|error| bad(&error))?);
        }
        let set = set.build().map_err(|error| SearchFault::BadGlob {
            glob: error.glob().unwrap_or_default().to_owned(),
            detail: error.kind().to_string(),
        })?;
        Ok(Self(set))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, relative: &Path) -> bool {
        self.0.is_match(relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_mean_what_their_documentation_says() {
        for (glob, path, expected) in [
            ("*.rs", "a.rs", true),
            ("*.rs", "d/a.rs", false),
            ("**/*.rs", "a.rs", true),
            ("**/*.rs", "d/e/a.rs", true),
            ("d/**", "d/e/a.rs", true),
            ("d/**", "d", false),
            ("{a,b}?.[ch]", "b1.h", true),
            ("{a,b}?.[ch]", "c1.h", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("grün/*", "grün/x", true),
        ] {
            let globs = Globs::new(&[glob.to_owned()]).expect("well-formed");
            assert_eq!(globs.matches(Path::new(path)), expected, "{glob} {path}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_glob_is_told_with_it() {
        let error = Globs::new(&["ok".to_owned(), "a[".to_owned()]).expect_err("malformed");
        assert!(matches!(&error, SearchFault::BadGlob { glob, .. } if glob == "a["), "{error}");
        let error = Globs::new(&vec!["x".repeat(100); 200]).expect_err("too long");
        assert_eq!(error, SearchFault::PatternTooLong(20_200));
    }
}
