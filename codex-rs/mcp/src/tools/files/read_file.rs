//! `read_file`: part of a text file.

use codex_exec_server_core::service::FsError;
use codex_exec_server_protocol::fs::{FsReadFileParams, FsReadRangeParams, MAX_BLOCK_BYTES};
use codex_exec_server_protocol::path_uri::PathUri;
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{on, place};
use crate::tools::tool::{AgentTool, Answer, ToolError, Workshop};

/// How much one answer gives if nobody says: what an agent can still take in.
const DEFAULT_BYTES: u64 = 64 << 10;

/// See the module.
pub(crate) struct ReadFileTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The file: absolute, or relative to the machine's working directory.
    path: String,
    /// Where to begin, in bytes from the start of the file [default: 0].
    #[serde(default)]
    offset: u64,
    /// How many bytes at most, up to 1048576 [default: 65536].
    max_bytes: Option<u64>,
}

/// A stretch of a file.
struct Stretch {
    bytes: Vec<u8>,
    size: u64,
    /// Of a server that tells it.
    etag: Option<String>,
}

impl AgentTool for ReadFileTool {
    const NAME: &'static str = "read_file";
    const DESCRIPTION: &'static str = "Reads a text file of the machine, or part of it, without starting a command. Tells \
        the file's size and its etag, which write_file takes to change only what you have seen. Bytes that are no UTF-8 \
        are shown as U+FFFD, and that is told.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("Read a file").read_only(true).open_world(false)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let Arguments { path, offset, max_bytes } = arguments;
        let len = max_bytes.unwrap_or(DEFAULT_BYTES);
        if !(1..=MAX_BLOCK_BYTES).contains(&len) {
            return Err(ToolError::Arguments(format!(
                "max_bytes must be from 1 to {MAX_BLOCK_BYTES}, got {len}"
            )));
        }
        let Stretch { mut bytes, size, etag } =
            read(workshop, place(workshop, &path)?, offset, len).await.map_err(on(&path))?;
        let is_cut = offset + (bytes.len() as u64) < size;
        if is_cut {
            leave_half_a_character(&mut bytes);
        }
        let next_offset = offset + bytes.len() as u64;
        let text = String::from_utf8_lossy(&bytes);
        let is_text = matches!(text, std::borrow::Cow::Borrowed(_));
        let mut summary = format!("{path}: {size} bytes, from {offset} to {next_offset}.");
        if next_offset < size {
            summary.push_str(&format!(" Go on with offset {next_offset}."));
        }
        if !is_text {
            summary
                .push_str(" What is no UTF-8 is shown as U+FFFD: this is not the file's content as it is.");
        }
        let facts = json!({
            "size": size,
            "offset": offset,
            "nextOffset": next_offset,
            "isEnd": next_offset >= size,
            "isText": is_text,
            "etag": etag,
        });
        Ok(Answer { summary, output: text.into_owned(), facts })
    }
}

/// By a ranged read, and from the whole file where a server can't do that.
async fn read(workshop: &Workshop, path: PathUri, offset: u64, len: u64) -> Result<Stretch, FsError> {
    let params = FsReadRangeParams {
        path: path.clone(),
        offset,
        len,
        follow_symlinks: None,
        sandbox: None,
        binary: false,
    };
    match workshop.files.read_range(params).await {
        Ok(range) => {
            Ok(Stretch { bytes: range.data_base64.to_vec(), size: range.size, etag: Some(range.etag) })
        }
        Err(FsError::Unsupported(_)) => {
            let params = FsReadFileParams { path, follow_symlinks: None, sandbox: None };
            let whole = workshop.files.read_file(params).await?;
            let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(whole.len());
            let bytes = whole[at(offset)..at(offset.saturating_add(len))].to_vec();
            Ok(Stretch { bytes, size: whole.len() as u64, etag: None })
        }
        Err(error) => Err(error),
    }
}

/// A character that the end of a stretch cuts in two comes whole with the next one, unless there is nothing else.
fn leave_half_a_character(bytes: &mut Vec<u8>) {
    if let Err(error) = std::str::from_utf8(bytes)
        && error.error_len().is_none()
        && error.valid_up_to() > 0
    {
        bytes.truncate(error.valid_up_to());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_with_a_whole_character_unless_it_is_shorter_than_one_or_no_text() {
        for (stretch, left) in [
            ("aä".as_bytes(), "aä".as_bytes()),
            (&"aä".as_bytes()[..2], b"a"),
            (&"ä".as_bytes()[..1], &"ä".as_bytes()[..1]),
            (b"a\xff", b"a\xff"),
            (b"", b""),
        ] {
            let mut bytes = stretch.to_vec();
            leave_half_a_character(&mut bytes);
            assert_eq!(bytes, left);
        }
    }
}
