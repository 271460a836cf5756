//! Every source file opens with what it owns. Tests that stand beside a file (`foo_tests.rs`) speak for that file.

use crate::finding::Finding;
use crate::tree::Source;

pub(super) fn check(source: &Source) -> Option<Finding> {
    if source.path.to_string_lossy().ends_with("_tests.rs") {
        return None;
    }
    let first = source.text.lines().next().unwrap_or_default();
    (!first.starts_with("//! ")).then(|| Finding {
        path: source.path.clone(),
        line: 1,
        text: "open the file with `//!` and what it owns".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::source;
    use super::*;

    #[test]
    fn a_file_must_say_first_what_it_owns() {
        assert_eq!(check(&source("//! Owns nothing.\nfn f() {}\n")), None);
        assert!(check(&source("fn f() {}\n")).is_some());
        assert!(check(&source("/// Not the file's own.\nfn f() {}\n")).is_some());
    }
}
