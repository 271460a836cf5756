//! Which packages and targets are looked at: what stands after `--`, in Cargo's words.

use std::path::Path;

/// What a source file is compiled into, by its place in the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Library,
    Build,
    Binary(String),
    Test(String),
    Example(String),
    Bench(String),
}

impl Target {
    /// The target of the file at `path`, which is relative to its package.
    pub(crate) fn of(path: &Path) -> Self {
        let part = |index: usize| {
            let part = path.iter().nth(index).unwrap_or_default();
            Path::new(part).file_stem().unwrap_or_default().to_string_lossy().into_owned()
        };
        match (part(/*index*/ 0).as_str(), part(/*index*/ 1).as_str()) {
            ("build", _) => Self::Build,
            ("src", "main") => Self::Binary("main".to_owned()),
            ("src", "bin") => Self::Binary(part(/*index*/ 2)),
            ("tests", _) => Self::Test(part(/*index*/ 1)),
            ("examples", _) => Self::Example(part(/*index*/ 1)),
            ("benches", _) => Self::Bench(part(/*index*/ 1)),
            _ => Self::Library,
        }
    }
}

/// Why a selection can't be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Something that selects nothing.
    #[error(
        "`{0}` after `--` selects nothing; Cargo's words for packages (-p, --package, --workspace, --exclude) and \
         targets (--all-targets, --lib, --bin[s], --test[s], --example[s], --bench[es]) are known"
    )]
    Unknown(String),
    /// A word that needs another after it.
    #[error("`{0}` needs a name after it")]
    NoName(String),
}

/// See the module. By default every target of every package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Packages by name; empty for all.
    pub(crate) packages: Vec<String>,
    excluded: Vec<String>,
    /// Kinds of targets, by Cargo's flag; empty for all.
    kinds: Vec<&'static str>,
    /// Single targets: Cargo's flag and the name.
    names: Vec<(&'static str, String)>,
}

const KINDS: [&str; 6] = ["--lib", "--bins", "--tests", "--examples", "--benches", "--all-targets"];
const NAMED: [&str; 4] = ["--bin", "--test", "--example", "--bench"];

impl Selection {
    /// Reads what stands after `--`. Defaults are added where nothing is said: all packages, all targets.
    pub fn parse(forwarded: &[String]) -> Result<Self, SelectionError> {
        let mut selection = Self::default();
        let mut words = forwarded.iter();
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut name = || {
                value
                    .clone()
                    .or_else(|| words.next().cloned())
                    .ok_or_else(|| SelectionError::NoName(flag.into()))
            };
            if let Some(kind) = KINDS.into_iter().find(|kind| *kind == flag) {
                selection.kinds.push(kind);
            } else if let Some(kind) = NAMED.into_iter().find(|kind| *kind == flag) {
                selection.names.push((kind, name()?));
            } else {
                match flag {
                    "-p" | "--package" => selection.packages.push(name()?),
                    "--exclude" => selection.excluded.push(name()?),
                    "--workspace" | "--all" => {}
                    _ => return Err(SelectionError::Unknown(word.clone())),
                }
            }
        }
        Ok(selection)
    }

    /// Whether a file of `package` that belongs to `target` is looked at.
    pub(crate) fn includes(&self, package: &str, target: &Target) -> bool {
        let included = self.packages.is_empty() || self.packages.iter().any(|name| name == package);
        if !included || self.excluded.iter().any(|name| name == package) {
            return false;
        }
        let (kind, named, name) = match target {
            Target::Library => ("--lib", "", package),
            Target::Build => ("--all-targets", "", package),
            // Cargo names the binary of `src/main.rs` after its package unless told otherwise.
            Target::Binary(name) if name == "main" => ("--bins", "--bin", package),
            Target::Binary(name) => ("--bins", "--bin", name.as_str()),
            Target::Test(name) => ("--tests", "--test", name.as_str()),
            Target::Example(name) => ("--examples", "--example", name.as_str()),
            Target::Bench(name) => ("--benches", "--bench", name.as_str()),
        };
        (self.kinds.is_empty() && self.names.is_empty())
            || self.kinds.iter().any(|wanted| *wanted == kind || *wanted == "--all-targets")
            || self.names.iter().any(|(flag, wanted)| *flag == named && wanted == name)
    }
}

/// Splits a command line at its first `--` into what is the lint's own and what is forwarded. A wrapper that puts a `--`
/// before what it was given, which may begin with one, leaves two in a row; they count as one.
#[must_use]
pub fn split(mut arguments: Vec<String>) -> (Vec<String>, Vec<String>) {
    let Some(at) = arguments.iter().position(|argument| argument == "--") else {
        return (arguments, Vec::new());
    };
    let forwarded = arguments.split_off(at);
    (arguments, forwarded.into_iter().skip_while(|argument| argument == "--").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn included(forwarded: &str, package: &str, path: &str) -> bool {
        let selection = Selection::parse(&words(forwarded)).expect("it is understood");
        selection.includes(package, &Target::of(Path::new(path)))
    }

    #[test]
    fn nothing_said_means_every_target_of_every_package() {
        for path in ["src/lib.rs", "src/main.rs", "tests/a.rs", "tests/a/b.rs", "examples/e.rs", "build.rs"] {
            assert!(included("", "one", path), "{path}");
            assert!(included("--workspace --all-targets", "one", path), "{path}");
        }
    }

    #[test]
    fn targets_and_packages_are_chosen_in_cargos_words() {
        assert!(included("-p one", "one", "src/lib.rs"));
        assert!(included("--package=one", "one", "tests/a.rs"));
        assert!(!included("-p one", "two", "src/lib.rs"));
        assert!(!included("--workspace --exclude two", "two", "src/lib.rs"));
        assert!(included("--lib --tests", "one", "tests/run/main.rs"));
        assert!(!included("--lib --tests", "one", "src/bin/tool.rs"));
        assert!(included("--test run", "one", "tests/run/main.rs"));
        assert!(!included("--test run", "one", "tests/walk.rs"));
        assert!(included("--bin one", "one", "src/main.rs"));
    }

    #[test]
    fn what_selects_nothing_is_refused() {
        let parse = |text| Selection::parse(&words(text));
        assert_eq!(parse("--locked"), Err(SelectionError::Unknown("--locked".into())));
        assert_eq!(parse("-p"), Err(SelectionError::NoName("-p".into())));
    }

    #[test]
    fn what_is_forwarded_stands_after_one_dash_dash() {
        let split = |text| {
            let (own, forwarded) = split(words(text));
            (own.join(" "), forwarded.join(" "))
        };
        assert_eq!(split("--fix src"), ("--fix src".into(), String::new()));
        assert_eq!(split("--fix -- -p one"), ("--fix".into(), "-p one".into()));
        assert_eq!(split("--fix -- -- -p one"), ("--fix".into(), "-p one".into()));
        // A later one is an argument like any other.
        assert_eq!(split("-- -p one -- x"), (String::new(), "-p one -- x".into()));
    }
}
