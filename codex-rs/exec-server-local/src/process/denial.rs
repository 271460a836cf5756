//! Whether a sandboxed process was kept from something.
//!
//! Where the kernel tells of denials that is known. Elsewhere it is judged by what the process said: the rule is that of the reference peer, so that clients which act on it find what they expect: words that programs use
//! when the system refuses, in the output that is still retained. It is a guess. A process that says nothing of a refusal
//! is taken for one that was not refused, and one that merely speaks of sandboxes for one that was.

use codex_exec_server_core::event_log::EventLog;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{OutputStream, SandboxDenial};
use codex_linux_sandbox::{Denial, Subject};

/// Output that is looked at, from the end.
const WINDOW_BYTES: usize = 1 << 20;

/// In lower case.
const WORDS: [&str; 7] = [
    "operation not permitted",
    "permission denied",
    "read-only file system",
    "seccomp",
    "sandbox",
    "landlock",
    "failed to write file",
];

/// A call that ends the process, as shells say it: 128 + SIGSYS.
const KILLED_BY_FILTER: i32 = 128 + 31;

/// Whether what a process was denied, which is known, mattered to it.
pub(super) fn is_shown(denials: &[Denial], exit_code: i32) -> bool {
    exit_code != 0 && (exit_code == KILLED_BY_FILTER || !denials.is_empty())
}

/// One denial as it is told. A path that can't be told is left out.
pub(super) fn told(denial: Denial) -> SandboxDenial {
    let Denial { operation, subject, rule } = denial;
    let (path, address) = match subject {
        Subject::Path(path) => (PathUri::from_path_bytes(&path).ok(), None),
        Subject::Address(address) => (None, Some(address)),
        Subject::Call => (None, None),
    };
    SandboxDenial { operation, path, address, rule }
}

/// See the module. A process that ended well was not kept from anything that mattered to it.
pub(super) fn is_suspected(log: &mut EventLog, exit_code: i32) -> bool {
    exit_code != 0 && (exit_code == KILLED_BY_FILTER || speaks_of_refusal(log))
}

fn speaks_of_refusal(log: &mut EventLog) -> bool {
    // More than the window, if there was more: what has gone to a file is older.
    let chunks = log.newest();
    let is = |stream: OutputStream| move |of: OutputStream| of == stream;
    let every = |_: OutputStream| true;
    let takes: [&dyn Fn(OutputStream) -> bool; 3] =
        [&every, &is(OutputStream::Stdout), &is(OutputStream::Stderr)];
    // A word may be split between chunks, and other output may stand between its halves.
    takes.iter().any(|take| {
        let mut window: Vec<&[u8]> = Vec::new();
        let mut room = WINDOW_BYTES;
        for chunk in chunks.iter().rev().filter(|chunk| take(chunk.stream)) {
            let part = &chunk.bytes[chunk.bytes.len().saturating_sub(room)..];
            room -= part.len();
            window.push(part);
        }
        window.reverse();
        let text = String::from_utf8_lossy(&window.concat()).to_ascii_lowercase();
        WORDS.iter().any(|word| text.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use codex_exec_server_core::limits::Limits;

    use super::*;

    fn suspected(output: &[(OutputStream, &str)], exit_code: i32) -> bool {
        let mut log = EventLog::new(Limits::default().log);
        for (stream, text) in output {
            log.push_output(*stream, text.as_bytes().to_vec());
        }
        is_suspected(&mut log, exit_code)
    }

    #[test]
    fn words_of_refusal_count_in_any_case_and_across_chunks() {
        use OutputStream::{Stderr, Stdout};
        assert!(suspected(&[(Stderr, "touch: x: Read-only file system")], /*exit_code*/ 1));
        assert!(suspected(
            &[(Stderr, "PERMISSION den"), (Stdout, "noise"), (Stderr, "ied")],
            /*exit_code*/ 126
        ));
        assert!(!suspected(&[(Stderr, "no such file")], /*exit_code*/ 1));
        assert!(!suspected(&[], /*exit_code*/ 2) && suspected(&[], KILLED_BY_FILTER));
    }

    #[test]
    fn a_process_that_ended_well_was_not_denied_anything() {
        assert!(!suspected(&[(OutputStream::Stderr, "permission denied")], /*exit_code*/ 0));
    }
}
