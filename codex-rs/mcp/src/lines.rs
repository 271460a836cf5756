//! Cuts a stream of bytes into lines, however the stream was cut before.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

/// A line goes on beyond what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {limit_bytes} bytes")]
pub struct LineTooLong {
    /// The most that a line may have, without its newline.
    pub limit_bytes: usize,
}

/// See the module. Holds one incomplete line, and one chunk while lines are taken out of it.
#[derive(Debug)]
pub(crate) struct Lines {
    limit_bytes: usize,
    /// The beginning of a line whose end has not come; never holds a newline.
    begun: BytesMut,
    /// What came behind that and was not looked at yet.
    chunk: Bytes,
}

impl Lines {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, begun: BytesMut::new(), chunk: Bytes::new() }
    }

    /// Takes a chunk. The lines of the one before must have been taken out.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "a chunk would be lost");
        self.chunk = chunk;
    }

    /// The next whole line, without its newline; `None` until more is pushed. Afterwards nothing is left of the chunk.
    ///
    /// A line that lies within one chunk is not copied.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        let end = memchr(b'\n', &self.chunk);
        let piece = self.chunk.split_to(end.unwrap_or(self.chunk.len()));
        if self.begun.len() + piece.len() > self.limit_bytes {
            return Err(LineTooLong { limit_bytes: self.limit_bytes });
        }
        if end.is_none() {
            self.begun.extend_from_slice(&piece);
            return Ok(None);
        }
        // The newline itself.
        let _ = self.chunk.split_to(1);
        if self.begun.is_empty() {
            return Ok(Some(piece));
        }
        self.begun.extend_from_slice(&piece);
        Ok(Some(self.begun.split().freeze()))
    }

    /// What stands behind the last newline, at the end of the stream.
    pub(crate) fn rest(&mut self) -> Option<Bytes> {
        (!self.begun.is_empty()).then(|| self.begun.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines of a stream that comes in `chunks`, and what follows the last newline.
    fn lines_of(
        limit_bytes: usize,
        chunks: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<Vec<Bytes>, LineTooLong> {
        let mut lines = Lines::new(limit_bytes);
        let mut seen = Vec::new();
        for chunk in chunks {
            lines.push(chunk.into());
            while let Some(line) = lines.next()? {
                seen.push(line);
            }
        }
        seen.extend(lines.rest());
        Ok(seen)
    }

    #[test]
    fn a_line_ends_at_its_newline_and_nowhere_else() {
        let chunks =
            ["{\"a\":1}\r\n\n{\"b\"", ":\"\u{2028}", "\"}\nrest"].map(|text| text.as_bytes().to_vec());
        let expected: Vec<Bytes> = ["{\"a\":1}\r", "", "{\"b\":\"\u{2028}\"}", "rest"]
            .map(|line| Bytes::from(line.to_owned()))
            .to_vec();
        assert_eq!(lines_of(/*limit_bytes*/ 100, chunks), Ok(expected));
    }

    #[test]
    fn a_line_of_the_full_length_passes_and_one_byte_more_does_not() {
        assert_eq!(lines_of(/*limit_bytes*/ 4, [b"1234\n".to_vec()]).map(|lines| lines.len()), Ok(1));
        let too_long = Err(LineTooLong { limit_bytes: 4 });
        assert_eq!(lines_of(/*limit_bytes*/ 4, [b"12345\n".to_vec()]), too_long);
        // It is refused as soon as it is too long, not when it ends.
        assert_eq!(lines_of(/*limit_bytes*/ 4, [b"123".to_vec(), b"45".to_vec()]), too_long);
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_lines(
            texts in prop::collection::vec("[^\\n]{0,12}", 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            ends_with_newline in any::<bool>(),
        ) {
            let mut stream = texts.join("\n").into_bytes();
            if ends_with_newline {
                stream.push(b'\n');
            }
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks = at.windows(2).map(|cut| stream[cut[0]..cut[1]].to_vec());
            let whole = stream.split(|byte| *byte == b'\n').map(Bytes::copy_from_slice);
            let mut expected: Vec<Bytes> = whole.collect();
            if expected.last().is_some_and(Bytes::is_empty) {
                expected.pop();
            }
            prop_assert_eq!(lines_of(usize::MAX, chunks), Ok(expected));
        }
    }
}
