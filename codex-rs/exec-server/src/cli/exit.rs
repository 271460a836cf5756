//! The exit codes that are this program's own, for commands about files and sites: one rule for all of them.
//!
//! What a failure is about decides. A script can so tell "it is not there" from "nobody could be asked".

use std::fmt;

use super::Failure;
use super::files::Fault;

/// Some of what was asked for is not done, because of what it is about: a file or directory that is missing, refused, in the
/// way, changed or without room for it, or a site. The rest is done, unless nothing else can be.
pub(super) const UNDONE: u8 = 1;

/// Something else failed: the machine can't be reached or does not serve files, output goes nowhere, an editor fails. As of
/// `env` and `ssh`: not to be mistaken for the code of a remote program that failed in the ordinary way.
pub(super) const FAILED: u8 = 125;

/// The same for people, in the help of each of the commands.
const HELP: &str = "\
The exit code is 1 when something could not be done because of what it is about: a file that is missing, refused, in the way, \
changed meanwhile or without room on the disk, or a site. It is 125 when something else failed, such as the connection to the \
machine. Standard error says what.";

/// Where the examples begin in the help of a command.
pub(super) const EXAMPLES: &str = "Examples:\n";

/// A failure that lies in what a command is about.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Undone(String);

/// A failure in these words, which lies in what the command is about.
pub(super) fn undone(words: impl fmt::Display) -> Failure {
    Undone(words.to_string()).into()
}

/// The same failure in other words.
pub(super) fn reworded(failure: &Failure, words: String) -> Failure {
    if code(failure) == UNDONE { undone(words) } else { words.into() }
}

/// The exit code of a command that failed so.
pub(super) fn code(failure: &Failure) -> u8 {
    let is_undone = failure.is::<Undone>() || failure.downcast_ref::<Fault>().is_some_and(Fault::is_refused);
    if is_undone { UNDONE } else { FAILED }
}

/// The help of a command to which the rule applies: what it says itself, the rule, and its examples.
pub(super) fn with_codes(help: &str) -> String {
    match help.split_once(EXAMPLES) {
        Some((notes, examples)) => format!("{notes}{HELP}\n\n{EXAMPLES}{examples}"),
        None => format!("{help}\n\n{HELP}"),
    }
}

#[cfg(test)]
mod tests {
    use codex_exec_server_core::service::FsError;

    use super::*;
    use crate::cli::files::about;

    #[test]
    fn what_a_failure_is_about_decides_its_code() {
        let lost: Failure = "the server can't be reached".into();
        for (failure, expected) in [
            (undone("f: is not a file"), UNDONE),
            (about("f", &FsError::OutcomeUnknown), FAILED),
            (about("f", &FsError::Unsupported("fsExtended")), FAILED),
            (lost, FAILED),
        ] {
            assert_eq!(code(&failure), expected, "{failure}");
            assert_eq!(code(&reworded(&failure, "in other words".to_owned())), expected, "{failure}");
        }
    }

    #[test]
    fn the_rule_stands_before_the_examples() {
        let help = with_codes("Notes.\n\nExamples:\n  a b");
        assert!(
            help.starts_with("Notes.\n\nThe exit code is 1 ") && help.ends_with("what.\n\nExamples:\n  a b"),
            "{help}"
        );
    }
}
