//! Rules about paths, and which of them decides about a path.
//!
//! Of all rules that contain a path the deepest decides; at one depth deny beats write beats read; where no rule
//! stands nothing may be touched. The order in which rules were given never matters. One exception makes this narrower:
//! a rule that allows reading below a denied place opens nothing, since a place that somebody closed is opened again only
//! on purpose, by a rule that allows writing.
//!
//! Paths here are text: links and what exists are for those who look at a machine.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a rule says, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Access {
    /// Nothing may be done.
    Deny,
    /// Files may be read and run.
    Read,
    /// Files may be read, run, changed and made.
    Write,
}

/// Why a rule is there; told with a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// It was asked for.
    Asked,
    /// The same, but not where nothing is at its path.
    AskedIfPresent,
    /// It keeps a folder with settings or history of a project as it is.
    Protected,
    /// A file that matched a glob.
    Glob,
    /// It hides what belongs to the server.
    Server,
}

/// One rule, without its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it says.
    pub access: Access,
    /// Why it is there.
    pub origin: Origin,
}

/// A set of rules. Every path is absolute and has neither `.` nor `..`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(BTreeMap<PathBuf, Rule>);

impl Rules {
    /// Adds a rule. If one stands at this path already, the stricter one by the module's rule stays: deny, then write,
    /// then read.
    ///
    /// # Panics
    /// Never; a path that is not normal is an error of the caller that only debug builds notice.
    pub fn add(&mut self, path: PathBuf, access: Access, origin: Origin) {
        debug_assert!(is_normal(&path), "{path:?}");
        let new = Rule { access, origin };
        self.0
            .entry(path)
            .and_modify(|old| {
                // Of two that say the same, one reason is kept, whichever came first.
                let stronger = |rule: Rule| (precedence(rule.access), std::cmp::Reverse(rule.origin));
                if stronger(new) > stronger(*old) {
                    *old = new;
                }
            })
            .or_insert(new);
    }

    /// The rule at exactly this path.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<Rule> {
        self.0.get(path).copied()
    }

    /// All rules; a folder comes before what it contains.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Rule)> {
        self.0.iter().map(|(path, rule)| (path.as_path(), *rule))
    }

    /// What may be done at `path`, and the path of the rule that decided. `None` where no rule contains it, which means
    /// that nothing may be done either.
    #[must_use]
    pub fn decide(&self, path: &Path) -> Option<(&Path, Rule)> {
        let mut chain: Vec<&Path> = path.ancestors().collect();
        chain.reverse();
        let mut decided: Option<(&Path, Rule)> = None;
        for place in chain {
            let Some((place, rule)) = self.0.get_key_value(place) else { continue };
            let closed = decided.is_some_and(|(_, before)| before.access == Access::Deny);
            if !(closed && rule.access == Access::Read) {
                decided = Some((place, *rule));
            }
        }
        decided
    }

    /// What may be done at `path`.
    #[must_use]
    pub fn access(&self, path: &Path) -> Access {
        self.decide(path).map_or(Access::Deny, |(_, rule)| rule.access)
    }

    /// Whether everything may be written.
    #[must_use]
    pub fn is_full_write(&self) -> bool {
        self.0.values().all(|rule| rule.access == Access::Write)
            && self.0.get(Path::new("/")).is_some_and(|rule| rule.access == Access::Write)
    }

    /// Whether everything may be read.
    #[must_use]
    pub fn is_full_read(&self) -> bool {
        self.0.values().all(|rule| rule.access != Access::Deny) && self.0.contains_key(Path::new("/"))
    }
}

/// Which rule stays when two stand at one path.
fn precedence(access: Access) -> u8 {
    match access {
        Access::Read => 0,
        Access::Write => 1,
        Access::Deny => 2,
    }
}

/// Whether a path is absolute and free of `.` and `..`.
fn is_normal(path: &Path) -> bool {
    let mut components = path.components();
    components.next() == Some(Component::RootDir) && components.all(|c| matches!(c, Component::Normal(_)))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
