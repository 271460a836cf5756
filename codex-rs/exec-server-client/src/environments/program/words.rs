//! What a program says on standard error: line by line into the log, and the last of it for whoever has to report a
//! failure.

use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest line, in bytes; what is longer is cut into several.
const LINE_BYTES: usize = 1024;
/// Lines that are kept.
const KEPT_LINES: usize = 8;

/// Cuts bytes into lines and remembers the last ones.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// A line that has not ended yet.
    line: Vec<u8>,
    kept: VecDeque<String>,
}

impl Words {
    /// Takes more bytes; `tell` gets each line that they end.
    pub(super) fn push(&mut self, bytes: &[u8], mut tell: impl FnMut(&str)) {
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line(&mut tell);
            } else {
                self.line.push(*byte);
                if self.line.len() == LINE_BYTES {
                    self.end_line(&mut tell);
                }
            }
        }
    }

    /// Ends a line that did not end by itself.
    pub(super) fn end_line(&mut self, mut tell: impl FnMut(&str)) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        // It may be shown on a terminal, which must not obey it.
        let line: String =
            line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        tell(&line);
        if self.kept.len() == KEPT_LINES {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }

    /// The last lines, in one.
    pub(super) fn last(&self) -> String {
        Vec::from_iter(self.kept.iter().map(String::as_str)).join(" | ")
    }
}

/// Reads `stream` to its end, handing on what comes.
pub(super) async fn listen(
    mut stream: impl AsyncRead + Unpin,
    mut heard: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; 4 * LINE_BYTES];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        heard(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(pieces: &[&[u8]]) -> (Vec<String>, String) {
        let (mut words, mut told) = (Words::default(), Vec::new());
        for piece in pieces {
            words.push(piece, |line| told.push(line.to_owned()));
        }
        words.end_line(|line| told.push(line.to_owned()));
        (told, words.last())
    }

    #[test]
    fn lines_come_out_whole_however_they_went_in() {
        let expected = (vec!["one".to_owned(), "two".into(), "three".into()], "one | two | three".to_owned());
        assert_eq!(hear(&[b"one\r\n\ntwo\nthree"]), expected);
        assert_eq!(hear(&[b"o", b"ne\n", b"", b"\nt", b"wo\nthree\n"]), expected);
    }

    #[test]
    fn neither_a_long_line_nor_many_lines_are_kept_in_full() {
        let (told, _) = hear(&[&[b'x'; 3 * LINE_BYTES + 1]]);
        assert_eq!(told.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES, LINE_BYTES, LINE_BYTES, 1]);
        let many: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let (told, last) = hear(&[many.as_bytes()]);
        assert_eq!(told.len(), 20);
        assert_eq!(last, "13 | 14 | 15 | 16 | 17 | 18 | 19 | 20");
    }

    #[test]
    fn what_would_steer_a_terminal_is_made_harmless() {
        let (told, _) = hear(&[b"\x1b[2Jred\x07 \xff\tend\n"]);
        assert_eq!(told, ["\u{fffd}[2Jred\u{fffd} \u{fffd}\tend"]);
    }
}
