//! A line of a file as it is shown: without its end, not too long, as text, with the places that match.

use std::ops::Range;

use codex_exec_server_protocol::fs::{FsTextRange, MAX_SEARCH_LINE_BYTES, MAX_SEARCH_RANGES};

/// What stands before the first match of a line that is too long.
const LEAD_BYTES: usize = MAX_SEARCH_LINE_BYTES / 4;

/// The line without its end.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The beginning of a line, as much as is shown.
pub(super) fn beginning(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[window(line, /*focus*/ 0)]).into_owned()
}

/// A line and what was found in it, in order.
pub(super) fn show(line: &[u8], found: &[Range<usize>]) -> (String, Vec<FsTextRange>) {
    let window = window(line, found.first().map_or(0, |first| first.start));
    let shown = &line[window.clone()];
    let text = String::from_utf8_lossy(shown).into_owned();
    let units = Units::of(shown);
    let ranges = found
        .iter()
        .filter(|range| range.start <= window.end && range.end >= window.start)
        .take(MAX_SEARCH_RANGES)
        .map(|range| {
            let at = |position: usize| units.at(position.clamp(window.start, window.end) - window.start);
            FsTextRange { start: at(range.start), end: at(range.end) }
        })
        .collect();
    (text, ranges)
}

/// The part of a line that is shown; it does not begin or end within a character.
fn window(line: &[u8], focus: usize) -> Range<usize> {
    if line.len() <= MAX_SEARCH_LINE_BYTES {
        return 0..line.len();
    }
    let goes_on = |position: usize| line.get(position).is_some_and(|byte| byte & 0xc0 == 0x80);
    let start = focus.saturating_sub(LEAD_BYTES).min(line.len() - MAX_SEARCH_LINE_BYTES);
    let end = start + MAX_SEARCH_LINE_BYTES;
    // What is no UTF-8 may have any number of such bytes; a character has three at most.
    let start = (start..start + 4).find(|position| !goes_on(*position)).unwrap_or(start);
    let end = (end - 3..=end).rev().find(|position| !goes_on(*position)).unwrap_or(end);
    start..end
}

/// How many UTF-16 units of a text's lossy reading go before each of its bytes.
enum Units {
    /// As many as bytes.
    Ascii,
    Counted(Vec<u32>),
}

impl Units {
    fn of(text: &[u8]) -> Self {
        if text.is_ascii() {
            return Self::Ascii;
        }
        let mut before = Vec::with_capacity(text.len() + 1);
        let mut count = 0;
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                before.extend(std::iter::repeat_n(count, character.len_utf8()));
                count += u32::from(character > '\u{ffff}') + 1;
            }
            if !chunk.invalid().is_empty() {
                before.extend(std::iter::repeat_n(count, chunk.invalid().len()));
                count += 1;
            }
        }
        before.push(count);
        Self::Counted(before)
    }

    fn at(&self, position: usize) -> u32 {
        match self {
            Self::Ascii => u32::try_from(position).expect("a line that is shown is short"),
            Self::Counted(before) => before[position],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[u8], found: &[(usize, usize)]) -> (String, Vec<(u32, u32)>) {
        let found: Vec<Range<usize>> = found.iter().map(|&(start, end)| start..end).collect();
        let (text, ranges) = show(line, &found);
        (text, ranges.iter().map(|range| (range.start, range.end)).collect())
    }

    #[test]
    fn places_are_counted_as_editors_count_them() {
        // a ä 𝄞 x: 1, 2, 4 and 1 bytes; 1, 1, 2 and 1 units.
        let line = "aä𝄞x".as_bytes();
        assert_eq!(shown(line, &[(0, 1), (1, 3), (3, 7), (7, 8)]).1, [(0, 1), (1, 2), (2, 4), (4, 5)]);
        assert_eq!(shown(b"\xff\xfeab", &[(2, 3)]), ("\u{fffd}\u{fffd}ab".into(), vec![(2, 3)]));
        assert_eq!(shown(b"", &[(0, 0)]), (String::new(), vec![(0, 0)]));
    }

    #[test]
    fn a_long_line_is_shown_around_its_first_match() {
        let mut line = vec![b'.'; 100_000];
        line[50_000..50_003].copy_from_slice(b"yes");
        let (text, ranges) = shown(&line, &[(50_000, 50_003), (99_000, 99_003)]);
        assert_eq!(text.len(), MAX_SEARCH_LINE_BYTES);
        assert_eq!(ranges, [(1024, 1027)]);
        assert_eq!(&text[1024..1027], "yes");
        // At its end there is more before it.
        let (text, ranges) = shown(&line, &[(99_990, 100_000)]);
        assert_eq!((text.len(), ranges), (4096, vec![(4086, 4096)]));
        // One match that is longer than what is shown.
        assert_eq!(shown(&line, &[(0, 100_000)]).1, [(0, 4096)]);
    }

    #[test]
    fn a_cut_leaves_characters_whole() {
        for lead in 0..4 {
            let line = format!("{}{}", "x".repeat(lead), "𝄞".repeat(3_000)).into_bytes();
            let (text, _) = shown(&line, &[(6_000, 6_004)]);
            assert!(text.chars().all(|character| character != '\u{fffd}'), "{lead}");
            assert!(text.len() > MAX_SEARCH_LINE_BYTES - 8);
            assert!(beginning(&line).chars().all(|character| character != '\u{fffd}'));
        }
    }

    #[test]
    fn lines_are_shown_without_their_ends() {
        for (line, bare) in [("a\r\n", "a"), ("a\n", "a"), ("a", "a"), ("\n", ""), ("a\r\r\n", "a\r")] {
            assert_eq!(without_end(line.as_bytes()), bare.as_bytes());
        }
    }
}
