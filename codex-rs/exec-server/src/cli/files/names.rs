//! Names of files: as people see them, and as another machine may tell them.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// A name in which nothing would be taken for a command by a terminal.
pub(in crate::cli) fn printable(name: &OsStr) -> String {
    name.to_string_lossy().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A path in words of ours.
pub(in crate::cli) fn shown(path: &Path) -> String {
    printable(path.as_os_str())
}

/// A name for standard output: harmless on a terminal, and as it is for a program that reads it.
pub(in crate::cli) fn for_output(name: &OsStr) -> Vec<u8> {
    if std::io::stdout().is_terminal() { printable(name).into_bytes() } else { name.as_bytes().to_owned() }
}

/// The name that a machine tells of an entry: one component and nothing else. What it is told by must not lead out of
/// the directory that was asked for, since a name may become one on this machine.
pub(in crate::cli) fn entry_name(bytes: Vec<u8>) -> Option<OsString> {
    let is_name =
        !bytes.is_empty() && bytes != b"." && bytes != b".." && !bytes.iter().any(|b| b"/\0".contains(b));
    is_name.then(|| OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_none() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"/", b"../x", b"a\0b"] {
            assert_eq!(entry_name(bad.to_vec()), None, "{bad:?}");
        }
        for good in [&b"a"[..], b"...", b".a", b"caf\xe9", b"a\nb", b" "] {
            assert_eq!(entry_name(good.to_vec()).as_deref(), Some(OsStr::from_bytes(good)));
        }
    }

    #[test]
    fn a_name_is_shown_without_what_a_terminal_obeys() {
        assert_eq!(printable(OsStr::from_bytes(b"a\x1b[2Jb\nc\xff")), "a?[2Jb?c\u{fffd}");
    }
}
