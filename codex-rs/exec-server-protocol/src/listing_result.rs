//! The answer to `fs/readDirectory`, put together as JSON text while the directory is read.
//!
//! Equal, byte for byte, to what [`encode_result`](crate::rpc::encode_result) makes of the same answer, without holding the
//! entries one by one first: of a long directory that is more memory than the text, and more time than the reading.

use std::fmt::Write as _;

use crate::fs::FsDirectoryEntry;
use crate::path_uri::PathUri;
use crate::rpc::RequestId;

/// What is told of one entry; see [`FsDirectoryEntry`].
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The bare name; what is not UTF-8 in it is replaced.
    pub file_name: &'a str,
    /// Whether it is, or leads to, a directory.
    pub is_directory: bool,
    /// Whether it is, or leads to, a regular file.
    pub is_file: bool,
    /// Whether the entry itself is a symbolic link.
    pub is_symlink: bool,
    /// Where it is; only for a name that is not UTF-8.
    pub path: Option<&'a PathUri>,
}

impl<'a> From<&'a FsDirectoryEntry> for Entry<'a> {
    fn from(entry: &'a FsDirectoryEntry) -> Self {
        let FsDirectoryEntry { file_name, is_directory, is_file, is_symlink, path } = entry;
        Self {
            file_name,
            is_directory: *is_directory,
            is_file: *is_file,
            is_symlink: *is_symlink,
            path: path.as_ref(),
        }
    }
}

impl From<Entry<'_>> for FsDirectoryEntry {
    fn from(entry: Entry<'_>) -> Self {
        Self {
            file_name: entry.file_name.to_owned(),
            is_directory: entry.is_directory,
            is_file: entry.is_file,
            is_symlink: entry.is_symlink,
            path: entry.path.cloned(),
        }
    }
}

/// What is made of a directory while it is read, entry by entry.
pub trait Listing: Send + Sized + 'static {
    /// Adds an entry.
    fn list(&mut self, entry: Entry<'_>);

    /// An empty one, for entries that will stand behind those of this one. So two can be made at the same time.
    #[must_use]
    fn part(&self) -> Self;

    /// Adds the entries of a part.
    fn append(&mut self, part: Self);
}

impl Listing for Vec<FsDirectoryEntry> {
    fn list(&mut self, entry: Entry<'_>) {
        self.push(entry.into());
    }

    fn part(&self) -> Self {
        Self::new()
    }

    fn append(&mut self, mut part: Self) {
        self.append(&mut part);
    }
}

/// So much of an answer is put together in one piece; then the next is begun, so that a long answer is never moved to grow.
const PIECE_BYTES: usize = 64 << 10;
/// What is left of a piece by then: more than all but the strangest entries take.
const ENTRY_BYTES: usize = 512;

/// An answer that is being put together.
#[derive(Debug)]
pub struct ListingResult {
    /// The text. Of a part, the entries alone; a comma stands behind each of them.
    pieces: Vec<String>,
}

impl ListingResult {
    /// The answer to `id`, without entries yet.
    #[must_use]
    pub fn begin(id: &RequestId) -> Self {
        let id = serde_json::to_string(id).expect("an id always serializes");
        Self { pieces: vec![format!(r#"{{"id":{id},"result":{{"entries":["#)] }
    }

    /// The whole message, in pieces. `more`: others come behind these.
    #[must_use]
    pub fn finish(mut self, more: bool) -> Vec<String> {
        if let Some(last) = self.pieces.last_mut()
            && last.ends_with(',')
        {
            last.pop();
        }
        let text = self.room();
        text.push_str(if more { r#"],"more":true}}"# } else { "]}}" });
        self.pieces
    }

    /// Where the next entry goes.
    fn room(&mut self) -> &mut String {
        if self.pieces.last().is_none_or(|last| last.len() > PIECE_BYTES - ENTRY_BYTES) {
            self.pieces.push(String::with_capacity(PIECE_BYTES));
        }
        self.pieces.last_mut().expect("one was added")
    }
}

impl Listing for ListingResult {
    fn list(&mut self, entry: Entry<'_>) {
        let Entry { file_name, is_directory, is_file, is_symlink, path } = entry;
        let text = self.room();
        text.push_str(r#"{"fileName":""#);
        push_escaped(text, file_name);
        text.push_str(match (is_directory, is_file) {
            (false, true) => r#"","isDirectory":false,"isFile":true"#,
            (true, false) => r#"","isDirectory":true,"isFile":false"#,
            (false, false) => r#"","isDirectory":false,"isFile":false"#,
            (true, true) => r#"","isDirectory":true,"isFile":true"#,
        });
        if is_symlink {
            text.push_str(r#","isSymlink":true"#);
        }
        if let Some(path) = path {
            let path = serde_json::to_string(path).expect("a path always serializes");
            // Writing to a string never fails.
            let _ = write!(text, r#","path":{path}"#);
        }
        text.push_str("},");
    }

    fn part(&self) -> Self {
        Self { pieces: Vec::new() }
    }

    fn append(&mut self, mut part: Self) {
        self.pieces.append(&mut part.pieces);
    }
}

/// Appends what stands for `value` between the quotes of a JSON string. Hardly a name has anything in it that must be escaped.
fn push_escaped(text: &mut String, value: &str) {
    if is_plain(value.as_bytes()) {
        text.push_str(value);
    } else {
        let quoted = serde_json::to_string(value).expect("a string always serializes");
        text.push_str(&quoted[1..quoted.len() - 1]);
    }
}

/// Whether every byte stands for itself in a JSON string. Eight are looked at at once, the last ones twice if need be, since a
/// listing asks this of each of its names.
fn is_plain(bytes: &[u8]) -> bool {
    match bytes.last_chunk() {
        Some(last) => bytes.as_chunks().0.iter().chain([last]).all(|word| are_plain(*word)),
        None => {
            let mut word = [b' '; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            are_plain(word)
        }
    }
}

/// The same of eight bytes: none is a control character, a quote or a backslash.
fn are_plain(bytes: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    let word = u64::from_ne_bytes(bytes);
    // A byte that is less than the other takes the top bit from what is borrowed for it; one that had it before does not count.
    let has_less = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word & TOPS != 0;
    let has = |byte: u8| has_less(word ^ (ONES * u64::from(byte)), /*than*/ 1);
    !(has_less(word, b' ') || has(b'"') || has(b'\\'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fs::FsReadDirectoryResponse;
    use crate::rpc::encode_result;

    fn entry() -> impl Strategy<Value = FsDirectoryEntry> {
        let path = any::<bool>().prop_map(|is_told| is_told.then(|| "file:///a/%FF".parse().expect("a URI")));
        ("(?s).{0,12}", any::<[bool; 3]>(), path).prop_map(|(file_name, flags, path)| {
            let [is_directory, is_file, is_symlink] = flags;
            FsDirectoryEntry { file_name, is_directory, is_file, is_symlink, path }
        })
    }

    proptest! {
        #[test]
        fn any_entries_in_any_parts_make_the_text_that_the_whole_would(
            entries in proptest::collection::vec(entry(), 0..6),
            cut in 0..7_usize,
            more: bool,
        ) {
            let id = RequestId::String("a\"b".into());
            let mut result = ListingResult::begin(&id);
            let mut part = result.part();
            for (at, entry) in entries.iter().enumerate() {
                if at < cut { &mut result } else { &mut part }.list(entry.into());
            }
            result.append(part);
            prop_assert_eq!(result.finish(more).concat(), encode_result(&id, &FsReadDirectoryResponse { entries, more }));
        }
    }

    #[test]
    fn a_long_answer_is_made_in_pieces_none_of_which_was_moved() {
        let name = "x".repeat(200);
        let entries = vec![
            FsDirectoryEntry {
                file_name: name,
                is_directory: false,
                is_file: true,
                is_symlink: true,
                path: None
            };
            2000
        ];
        let id = RequestId::Integer(1);
        let mut result = ListingResult::begin(&id);
        entries.iter().for_each(|entry| result.list(entry.into()));
        let pieces = result.finish(/*more*/ false);
        // The first has the beginning alone.
        assert!(pieces[1..].iter().all(|piece| piece.capacity() == PIECE_BYTES), "none has grown");
        assert!(pieces.len() > 8, "{}", pieces.len());
        assert_eq!(pieces.concat(), encode_result(&id, &FsReadDirectoryResponse { entries, more: false }));
    }

    #[test]
    fn plain_is_what_is_written_as_it_is() {
        for byte in 0..=0x7f_u8 {
            for place in 0..12 {
                let mut text = *b"abcdefghijkl";
                text[place] = byte;
                let text = std::str::from_utf8(&text).expect("ASCII");
                for text in [text, &text[..place + 1], &text[place..]] {
                    let is_plain_to_serde =
                        serde_json::to_string(text).expect("a string").len() == text.len() + 2;
                    assert_eq!(is_plain(text.as_bytes()), is_plain_to_serde, "{text:?}");
                }
            }
        }
        assert!(is_plain("".as_bytes()) && is_plain("ünïcödé \u{7f}\u{80}\u{2028}".as_bytes()));
    }
}
