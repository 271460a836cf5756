//! One block of an open file, on its way from the kernel into whatever its reader makes of it.

use std::fs::File;

use bytes::Bytes;

use super::read::read_at_into;

/// So much is read at a time where a block is taken piece by piece: what was read is still in the processor's cache when it is
/// made into something else. Whole groups of base64.
const PIECE_BYTES: u64 = 3 << 16;

/// See the module.
#[derive(Debug)]
pub struct Block<'a>(pub(super) Source<'a>);

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// In memory already, and whether the file ends with them.
    Here { bytes: Bytes, eof: bool },
    /// Still to be read, on this thread.
    File { file: &'a File, offset: u64, len: u64 },
}

impl Block<'_> {
    /// All of it, in `memory` if it has to be read, and whether the file ends with it.
    pub fn whole(self, memory: Vec<u8>) -> std::io::Result<(Vec<u8>, bool)> {
        match self.0 {
            Source::Here { bytes, eof } => Ok((bytes.into(), eof)),
            Source::File { file, offset, len } => {
                let bytes = read_at_into(memory, file, offset, len)?;
                let eof = is_end(file, offset, len, bytes.len() as u64)?;
                Ok((bytes, eof))
            }
        }
    }

    /// Shows all of it to `put`, bit by bit. Returns whether the file ends with it.
    pub fn pieces(self, mut put: impl FnMut(&[u8])) -> std::io::Result<bool> {
        let (file, offset, len) = match self.0 {
            Source::Here { bytes, eof } => {
                put(&bytes);
                return Ok(eof);
            }
            Source::File { file, offset, len } => (file, offset, len),
        };
        let mut piece = Vec::new();
        let mut read = 0;
        while read < len {
            let wanted = PIECE_BYTES.min(len - read);
            piece = read_at_into(piece, file, offset.saturating_add(read), wanted)?;
            put(&piece);
            read += piece.len() as u64;
            if (piece.len() as u64) < wanted {
                break;
            }
        }
        is_end(file, offset, len, read)
    }
}

/// Whether a file ends with the `read` bytes at `offset`, of which `len` were asked for.
fn is_end(file: &File, offset: u64, len: u64, read: u64) -> std::io::Result<bool> {
    let size = file.metadata()?.len();
    // Files of the kernel that tell no length go on for as long as there is something to read.
    Ok(read < len || (size > 0 && offset.saturating_add(len) >= size))
}
