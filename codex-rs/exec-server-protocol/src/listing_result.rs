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
    fn push(&mut self, entry: Entry<'_>);

    /// An empty one, for entries that will stand behind those of this one. So two can be made at the same time.
    #[must_use]
    fn part(&self) -> Self;

    /// Adds the entries of a part.
    fn append(&mut self, part: Self);
}

impl Listing for Vec<FsDirectoryEntry> {
    fn push(&mut self, entry: Entry<'_>) {
        self.push(entry.into());
    }

    fn part(&self) -> Self {
        Self::new()
    }

    fn append(&mut self, mut part: Self) {
        self.append(&mut part);
    }
}

/// An answer that is being put together.
#[derive(Debug)]
pub struct ListingResult {
    /// Of a part, the entries alone. A comma stands behind each of them.
    text: String,
}

impl ListingResult {
    /// The answer to `id`, without entries yet.
    #[must_use]
    pub fn begin(id: &RequestId) -> Self {
        let id = serde_json::to_string(id).expect("an id always serializes");
        Self { text: format!(r#"{{"id":{id},"result":{{"entries":["#) }
    }

    /// The whole message. `more`: others come behind these.
    #[must_use]
    pub fn finish(mut self, more: bool) -> String {
        if self.text.ends_with(',') {
            self.text.pop();
        }
        self.text.push_str(if more { r#"],"more":true}}"# } else { "]}}" });
        self.text
    }
}

impl Listing for ListingResult {
    fn push(&mut self, entry: Entry<'_>) {
        let Entry { file_name, is_directory, is_file, is_symlink, path } = entry;
        let text = &mut self.text;
        text.push_str(r#"{"fileName":"#);
        push_string(text, file_name);
        text.push_str(match (is_directory, is_file) {
            (false, true) => r#","isDirectory":false,"isFile":true"#,
            (true, false) => r#","isDirectory":true,"isFile":false"#,
            (false, false) => r#","isDirectory":false,"isFile":false"#,
            (true, true) => r#","isDirectory":true,"isFile":true"#,
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
        Self { text: String::new() }
    }

    fn append(&mut self, part: Self) {
        self.text.push_str(&part.text);
    }
}

/// Whether a byte stands for itself in a JSON string. A table, since a listing asks this of each byte of each name.
static IS_PLAIN: [bool; 256] = {
    let mut is_plain = [true; 256];
    let mut byte = 0;
    while byte < b' ' {
        is_plain[byte as usize] = false;
        byte += 1;
    }
    is_plain[b'"' as usize] = false;
    is_plain[b'\\' as usize] = false;
    is_plain
};

/// Appends `value` as a JSON string. Hardly a name has anything in it that must be escaped.
fn push_string(text: &mut String, value: &str) {
    if value.bytes().all(|byte| IS_PLAIN[usize::from(byte)]) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::to_string(value).expect("a string always serializes"));
    }
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
                if at < cut { &mut result } else { &mut part }.push(entry.into());
            }
            result.append(part);
            prop_assert_eq!(result.finish(more), encode_result(&id, &FsReadDirectoryResponse { entries, more }));
        }
    }
}
