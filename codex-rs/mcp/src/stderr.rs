//! What an MCP server says on stderr: logged line by line, and the last lines kept for errors to quote.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use memchr::memchr;

use crate::config::ServerLimits;

/// The last lines that a server wrote to stderr, each possibly cut. Written as an addition to a sentence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StderrTail(Arc<[String]>);

impl StderrTail {
    /// The lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for StderrTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str("; the last it said on stderr:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stderr {
    server: Arc<str>,
    line_bytes: usize,
    tail_lines: usize,
    /// The beginning of a line whose end has not come, at most `line_bytes` of it.
    begun: Vec<u8>,
    /// Bytes of that line that are not kept.
    cut_bytes: usize,
    tail: VecDeque<String>,
}

impl Stderr {
    pub(crate) fn new(server: Arc<str>, limits: &ServerLimits) -> Self {
        Self {
            server,
            line_bytes: limits.stderr_line_bytes,
            tail_lines: limits.stderr_tail_lines,
            begun: Vec::new(),
            cut_bytes: 0,
            tail: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr(b'\n', bytes) {
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// What is known by now, an unfinished line included.
    pub(crate) fn tail(&mut self) -> StderrTail {
        if !self.begun.is_empty() {
            self.end_line();
        }
        StderrTail(self.tail.iter().cloned().collect())
    }

    fn extend(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(self.line_bytes - self.begun.len());
        self.begun.extend_from_slice(&bytes[..kept]);
        self.cut_bytes += bytes.len() - kept;
    }

    fn end_line(&mut self) {
        let mut line = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
        if self.cut_bytes > 0 {
            line.push_str(&format!("… ({} bytes more)", self.cut_bytes));
        }
        self.begun.clear();
        self.cut_bytes = 0;
        if line.is_empty() {
            return;
        }
        tracing::info!(server = %self.server, "{line}");
        self.tail.push_back(line);
        if self.tail.len() > self.tail_lines {
            self.tail.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(chunks: &[&str]) -> Vec<String> {
        let limits = ServerLimits { stderr_line_bytes: 6, stderr_tail_lines: 2, ..ServerLimits::default() };
        let mut stderr = Stderr::new("test".into(), &limits);
        for chunk in chunks {
            stderr.push(chunk.as_bytes());
        }
        stderr.tail().lines().to_vec()
    }

    #[test]
    fn only_the_last_lines_are_kept_and_the_unfinished_one_is_among_them() {
        assert_eq!(tail_of(&["one\ntw", "o\r\n\nthree"]), ["two", "three"]);
        assert_eq!(tail_of(&["one\ntwo\nthree\n"]), ["two", "three"]);
        assert_eq!(tail_of(&[]), [""; 0]);
    }

    #[test]
    fn a_long_line_is_cut_and_says_by_how_much() {
        assert_eq!(tail_of(&["1234", "5678", "90\nshort\n"]), ["123456… (4 bytes more)", "short"]);
    }
}
