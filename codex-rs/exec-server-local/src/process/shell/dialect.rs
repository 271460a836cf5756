//! What shells say of themselves, and how each is told it again.
//!
//! Pure. A login shell is given a script that prints, behind whatever login files print, what they have left: its options,
//! functions, aliases and the like, and last its environment. From that comes a file that another shell of the kind reads
//! before its command, instead of the login files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::env::Environment;
use crate::os::Carried;

/// A kind of shell whose state can be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    /// GNU bash.
    Bash,
    /// The Z shell.
    Zsh,
    /// Any POSIX shell. It can't print its functions.
    Posix,
}

/// What a login shell had when its files were read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    /// To be read by a shell.
    pub(super) script: Vec<u8>,
    /// All that was exported.
    pub(super) env: Environment,
    /// Whether there are aliases that a command may be read with, beside those that every shell of the kind begins with.
    pub(super) has_aliases: bool,
}

/// Where `BASH_ENV` waits meanwhile, if the command is to have one.
const SAVED_BASH_ENV: &str = "__SNAPSHOT_BASH_ENV";

/// Variables that belong to one shell and its place, not to what login files have set.
const OWN: [&str; 4] = ["_", "OLDPWD", "PWD", "SHLVL"];

/// Options of a POSIX shell that say what a command does. Others say what the shell is.
const POSIX_OPTIONS: [&str; 9] =
    ["allexport", "errexit", "ignoreeof", "noclobber", "noglob", "nounset", "pipefail", "verbose", "xtrace"];

/// Aliases that every zsh begins with.
const ZSH_ALIASES: [&[u8]; 2] = [b"alias run-help=man", b"alias which-command=whence"];

/// Options of zsh that say what the shell is; it refuses to change some of them.
const ZSH_KINDS: [&str; 10] = [
    "interactive",
    "login",
    "monitor",
    "norcs",
    "privileged",
    "restricted",
    "shinstdin",
    "singlecommand",
    "usezle",
    "zle",
];

impl Dialect {
    /// By the name that clients give to a shell.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "sh" => Some(Self::Posix),
            _ => None,
        }
    }

    /// What a login shell is to run. What it prints between two `nonce`s is what [`Self::state`] reads.
    pub(super) fn question(self, nonce: &str) -> String {
        let script = match self {
            Self::Bash => include_str!("bash.sh"),
            Self::Zsh => include_str!("zsh.sh"),
            Self::Posix => include_str!("posix.sh"),
        };
        script.replace("NONCE", nonce)
    }

    /// Reads an answer: sections, each with a NUL behind it, and then the environment. `None` if it is none.
    pub(super) fn state(self, answer: &[u8]) -> Option<State> {
        let mut parts = answer.split(|&byte| byte == 0);
        let mut section = || parts.next();
        let options = section()?;
        let mut script = Vec::from(&b"exec 3<&-\n"[..]);
        let mut has_aliases = false;
        match self {
            Self::Bash => {
                let kinds = ["login_shell", "restricted_shell"].map(str::as_bytes);
                script.extend_from_slice(
                    format!(
                        "if [[ -v {SAVED_BASH_ENV} ]]; then BASH_ENV=${SAVED_BASH_ENV}; unset {SAVED_BASH_ENV}\n\
                         else unset BASH_ENV; fi\n"
                    )
                    .as_bytes(),
                );
                // Functions may hold patterns that can't be read without these options.
                for line in lines(section()?) {
                    if !kinds.iter().any(|kind| line.ends_with(kind)) {
                        push_line(&mut script, b"", line);
                    }
                }
                // Aliases come after functions, which would be read with them otherwise.
                for _ in ["umask", "functions", "variables", "aliases"] {
                    push_line(&mut script, b"", section()?);
                }
                push_line(&mut script, b"", options);
            }
            Self::Zsh => {
                for _ in ["umask", "fpath", "functions"] {
                    push_line(&mut script, b"", section()?);
                }
                let aliases = section()?;
                has_aliases = lines(aliases).any(|line| !ZSH_ALIASES.contains(&line));
                push_line(&mut script, b"", aliases);
                script.extend_from_slice(b"setopt rcs\n");
                for option in
                    lines(options).filter(|option| !ZSH_KINDS.iter().any(|kind| kind.as_bytes() == *option))
                {
                    push_line(&mut script, b"setopt ", option);
                }
            }
            Self::Posix => {
                push_line(&mut script, b"", section()?);
                for alias in definitions(section()?) {
                    push_line(&mut script, b"alias ", alias.strip_prefix(b"alias ").unwrap_or(alias));
                }
                for line in lines(options) {
                    let name = line.strip_prefix(b"set -o ").or_else(|| line.strip_prefix(b"set +o "));
                    if name.is_some_and(|name| POSIX_OPTIONS.iter().any(|known| known.as_bytes() == name)) {
                        push_line(&mut script, b"", line);
                    }
                }
            }
        }
        let env = parts.filter(|entry| !entry.is_empty()).map(variable).collect::<Option<Environment>>()?;
        let env = env.into_iter().filter(|(name, _)| !self.is_own(name)).collect();
        Some(State { script, env, has_aliases })
    }

    /// Whether a variable is not login files' to set, or is told in another way.
    pub(super) fn is_own(self, name: &OsStr) -> bool {
        let function = self == Self::Bash && name.as_bytes().starts_with(b"BASH_FUNC_");
        function || OWN.iter().any(|own| name == *own)
    }

    /// Whether a shell with this environment would not read what it is told, or would be another kind of shell for it.
    pub(super) fn is_disturbed_by(self, env: &Environment) -> bool {
        let unusual = |name: &OsString| {
            name == "POSIXLY_CORRECT" || name == "SHELLOPTS" || name.as_bytes().starts_with(b"BASH_FUNC_")
        };
        self == Self::Bash && env.keys().any(unusual)
    }

    /// Has `argv`, which was `[shell, "-lc", command, …]`, read what it carries before its command, instead of login files.
    /// `has_aliases` is what [`State`] says of it.
    pub(super) fn restore(self, argv: &mut [OsString], env: &mut Environment, has_aliases: bool) {
        let file = format!("/dev/fd/{}", Carried::NUMBER);
        match self {
            // The command stays as it is, and so do the line numbers in what the shell says of it.
            Self::Bash => {
                argv[1] = "-c".into();
                if let Some(meant) = env.insert("BASH_ENV".into(), file.into()) {
                    env.insert(SAVED_BASH_ENV.into(), meant);
                }
            }
            // No other shell reads a file of one's choice. A zsh reads all of its command before it runs any of it, so where
            // there are aliases, the command has to be read once more. Not where there are none: then the shell can become
            // its last program, as it does with `-lc`.
            Self::Zsh => {
                argv[1] = "-fc".into();
                argv[2] = if has_aliases {
                    join(&format!(". {file}; \\builtin eval "), &quoted(&argv[2]))
                } else {
                    join(&format!(". {file}; "), &argv[2])
                };
            }
            // A line of its own, so that the next is read with its aliases.
            Self::Posix => {
                argv[1] = "-c".into();
                argv[2] = join(&format!(". {file}\n"), &argv[2]);
            }
        }
    }
}

fn join(before: &str, text: &OsStr) -> OsString {
    let mut joined = OsString::from(before);
    joined.push(text);
    joined
}

/// One word of a shell's, which stands for `text`.
fn quoted(text: &OsStr) -> OsString {
    let mut word = vec![b'\''];
    for &byte in text.as_bytes() {
        match byte {
            b'\'' => word.extend_from_slice(br"'\''"),
            byte => word.push(byte),
        }
    }
    word.push(b'\'');
    OsString::from_vec(word)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

fn push_line(script: &mut Vec<u8>, prefix: &[u8], line: &[u8]) {
    script.extend_from_slice(prefix);
    script.extend_from_slice(line);
    script.push(b'\n');
}

/// The definitions that a POSIX shell prints: one a line, but that a quoted value may go over several.
fn definitions(text: &[u8]) -> Vec<&[u8]> {
    let (mut found, mut start, mut quote) = (Vec::new(), 0, None);
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (None | Some(b'"'), b'\\') => escaped = true,
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'\n') => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found.retain(|definition| !definition.is_empty());
    found
}

fn variable(entry: &[u8]) -> Option<(OsString, OsString)> {
    let at = entry.iter().position(|&byte| byte == b'=')?;
    Some((OsString::from_vec(entry[..at].to_vec()), OsString::from_vec(entry[at + 1..].to_vec())))
}

#[cfg(test)]
#[path = "dialect_tests.rs"]
mod tests;
