//! Rules as they are asked again, about one path at a time, by whoever opens files for others.
//!
//! A view is made once, of what is there at that moment. What appears later, a file that matches a glob or one at a path
//! that is denied, is found by asking here for every file that was opened.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::rules::{Access, Rule, Rules};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct FileRules {
    /// By the paths where they hold.
    pub rules: Rules,
    /// What they match is denied, whenever it came.
    pub globs: Vec<Glob>,
}

impl FileRules {
    /// What may be done at `path`, which is absolute and leads over no link.
    #[must_use]
    pub fn access(&self, path: &Path) -> Access {
        let Some((place, rule)) = self.rules.decide(path) else { return Access::Deny };
        // As for rules: what is denied by a glob is opened again by a deeper rule that allows writing, and by no other.
        let reopened = |at: &&Path| rule.access != Access::Write || at.starts_with(place);
        let is_denied =
            path.ancestors().take_while(reopened).any(|at| self.globs.iter().any(|glob| glob.matches(at)));
        if is_denied { Access::Deny } else { rule.access }
    }
}

/// Paths travel as bytes.
#[derive(Clone, Serialize, Deserialize)]
struct Wire {
    rules: Vec<(Vec<u8>, Rule)>,
    globs: Vec<Glob>,
}

impl From<FileRules> for Wire {
    fn from(rules: FileRules) -> Self {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        Self {
            rules: rules.rules.iter().map(|(path, rule)| (bytes(path), rule)).collect(),
            globs: rules.globs,
        }
    }
}

impl From<Wire> for FileRules {
    fn from(wire: Wire) -> Self {
        let mut rules = Rules::default();
        for (path, rule) in wire.rules {
            rules.add(PathBuf::from(OsString::from_vec(path)), rule.access, rule.origin);
        }
        Self { rules, globs: wire.globs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Origin;

    fn rules(rules: &[(&str, Access)], globs: &[&str]) -> FileRules {
        let mut all = Rules::default();
        for (path, access) in rules {
            all.add(path.into(), *access, Origin::Asked);
        }
        let globs = globs.iter().map(|glob| Glob::new(Path::new("/"), glob).expect("a glob")).collect();
        FileRules { rules: all, globs }
    }

    #[test]
    fn a_glob_denies_what_it_matches_and_what_is_below_unless_a_deeper_rule_allows_to_write() {
        let rules = rules(
            &[
                ("/", Access::Read),
                ("/w", Access::Write),
                ("/w/a.d/open", Access::Write),
                ("/w/a.d/r", Access::Read),
            ],
            &["/**/*.pem", "/w/*.d"],
        );
        for (path, access) in [
            ("/etc/passwd", Access::Read),
            ("/etc/x.pem", Access::Deny),
            ("/w/x", Access::Write),
            ("/w/x.pem", Access::Deny),
            ("/w/a.d", Access::Deny),
            ("/w/a.d/file", Access::Deny),
            ("/w/a.d/r/file", Access::Deny),
            ("/w/a.d/open/file", Access::Write),
            ("/w/a.d/open/x.pem", Access::Deny),
        ] {
            assert_eq!(rules.access(Path::new(path)), access, "{path}");
        }
    }

    #[test]
    fn nothing_is_allowed_where_no_rule_stands() {
        assert_eq!(rules(&[("/w", Access::Write)], &[]).access(Path::new("/v")), Access::Deny);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn they_arrive_as_they_were_sent() {
        let mut sent = rules(&[("/", Access::Read), ("/w", Access::Write)], &["/**/k?y"]);
        let name = std::ffi::OsStr::from_bytes(b"/w/\xff");
        sent.rules.add(name.into(), Access::Deny, Origin::Server);
        let bytes = postcard::to_stdvec(&sent).expect("it can be written");
        assert_eq!(postcard::from_bytes::<FileRules>(&bytes).expect("and read"), sent);
    }
}
