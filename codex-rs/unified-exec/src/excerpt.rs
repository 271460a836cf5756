//! Cuts output to a budget: its beginning, its end, and in between a mark that says what was left out and how to get it.
//!
//! A budget counts bytes of text, the mark included. Bytes that are no text become U+FFFD, and places are still those of
//! the bytes, so that what was left out can be read.

use crate::ProcessNumber;
use crate::window::{Missing, Taken};

/// Bytes of text that stand for one token, about.
const BYTES_PER_TOKEN: usize = 4;

/// How much output is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputLimit {
    /// Bytes of text at most.
    Bytes(usize),
    /// About so many tokens, at four bytes each.
    Tokens(usize),
}

impl OutputLimit {
    /// Smallest limit: a mark fits, and something around it.
    pub const SMALLEST_BYTES: usize = 512;

    /// In bytes of text.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Tokens(tokens) => tokens.saturating_mul(BYTES_PER_TOKEN),
        }
    }
}

impl Default for OutputLimit {
    fn default() -> Self {
        Self::Tokens(10_000)
    }
}

/// Output, cut to its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// What can be shown.
    pub text: String,
    /// Where it starts: bytes of output before it.
    pub offset: u64,
    /// Where it ends.
    pub end_offset: u64,
    /// What is not in it.
    pub omitted: Option<Omitted>,
}

/// Output that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Omitted {
    /// Where it starts: what to read from.
    pub offset: u64,
    /// Bytes, lost ones included.
    pub bytes: u64,
    /// Bytes among them that nobody holds any more.
    pub lost_bytes: u64,
    /// Whether more is lost than the machine's server counts.
    pub lost_uncounted: bool,
}

impl Omitted {
    /// The words that stand in its place.
    fn mark(&self, process: ProcessNumber) -> String {
        let Self { offset, bytes, lost_bytes, lost_uncounted } = self;
        let lost = match (lost_bytes, lost_uncounted) {
            (0, false) => String::new(),
            (lost, false) => format!(", {lost} of them lost"),
            (lost, true) => format!(", and more than the {lost} counted lost bytes are gone"),
        };
        format!(
            "\n[... {bytes} bytes left out{lost}; read process {process} from offset {offset} for them ...]\n"
        )
    }
}

/// Cuts `taken` to `limit` bytes of text, which is at least [`OutputLimit::SMALLEST_BYTES`].
pub(crate) fn excerpt(taken: Taken, limit: usize, process: ProcessNumber) -> Excerpt {
    let Taken { start, mut head, missing, mut tail } = taken;
    let whole = (head.len() + tail.len()) as u64 + missing.bytes;
    let end_offset = start + whole;
    let complete = missing.is_none();
    if complete {
        head.append(&mut tail);
        if text_len(&head) <= limit {
            let text = String::from_utf8_lossy(&head).into_owned();
            return Excerpt { text, offset: start, end_offset, omitted: None };
        }
    }
    // No number in the mark can be longer than this.
    let longest = Omitted {
        offset: end_offset,
        bytes: whole,
        lost_bytes: missing.lost,
        lost_uncounted: missing.uncounted,
    };
    let room = limit.saturating_sub(longest.mark(process).len());
    let head_bytes = prefix(&head, room / 2);
    let mut text = String::from_utf8_lossy(&head[..head_bytes]).into_owned();
    let rest = if complete { &head[head_bytes..] } else { &tail[..] };
    let tail_bytes = suffix(rest, room - text.len());
    let Missing { lost, uncounted, .. } = missing;
    let omitted = Omitted {
        offset: start + head_bytes as u64,
        bytes: whole - (head_bytes + tail_bytes) as u64,
        lost_bytes: lost,
        lost_uncounted: uncounted,
    };
    text.push_str(&omitted.mark(process));
    text.push_str(&String::from_utf8_lossy(&rest[rest.len() - tail_bytes..]));
    Excerpt { text, offset: start, end_offset, omitted: Some(omitted) }
}

/// Bytes of text that `bytes` become.
fn text_len(bytes: &[u8]) -> usize {
    pieces(bytes).map(|piece| piece.text).sum()
}

/// How many bytes from the front make at most `limit` bytes of text, no character cut.
pub(crate) fn prefix(bytes: &[u8], limit: usize) -> usize {
    let (mut taken, mut text) = (0, 0);
    for piece in pieces(bytes) {
        if text + piece.text > limit {
            return taken + piece.valid.map_or(0, |valid| valid.floor_char_boundary(limit - text));
        }
        taken += piece.bytes;
        text += piece.text;
    }
    taken
}

/// How many bytes from the back make at most `limit` bytes of text, no character cut.
fn suffix(bytes: &[u8], limit: usize) -> usize {
    let mut over = text_len(bytes).saturating_sub(limit);
    let mut dropped = 0;
    for piece in pieces(bytes) {
        if over == 0 {
            break;
        }
        if let Some(valid) = piece.valid.filter(|valid| valid.len() > over) {
            dropped += valid.ceil_char_boundary(over);
            break;
        }
        dropped += piece.bytes;
        over = over.saturating_sub(piece.text);
    }
    bytes.len() - dropped
}

/// A run of text, or one stretch that is none.
struct Piece<'a> {
    valid: Option<&'a str>,
    bytes: usize,
    text: usize,
}

fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let (valid, invalid) = (chunk.valid(), chunk.invalid());
        let text = Piece { valid: Some(valid), bytes: valid.len(), text: valid.len() };
        let other = Piece { valid: None, bytes: invalid.len(), text: char::REPLACEMENT_CHARACTER.len_utf8() };
        [Some(text), (!invalid.is_empty()).then_some(other)].into_iter().flatten()
    })
}

#[cfg(test)]
#[path = "excerpt_tests.rs"]
mod tests;
