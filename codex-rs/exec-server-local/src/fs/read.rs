//! Reading files: whole, piece by piece so that nobody has to hold them, and parts by name.

use std::fs::File;
use std::io::Read;

use bytes::Bytes;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{
    FsReadFileParams, FsReadRangeParams, FsReadRangeResponse, MAX_BLOCK_BYTES, MAX_READ_FILE_BYTES,
};
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use super::confined::Opened;
use super::metadata::{device, etag, look_at};
use super::open::for_reading;
use super::place::{Links, Place};
use super::quick::Devices;

/// How often a part is read again because the file changed meanwhile. A file that always does is told as it was found.
const RANGE_TRIES: u32 = 4;

/// A regular file that was opened to be read from its beginning to its end.
///
/// It ends where the file ended when it was opened, or earlier if it shrinks meanwhile. Only files without a length, as in
/// `/proc`, are read until they end.
#[derive(Debug)]
pub struct WholeFile {
    uri: PathUri,
    file: File,
    /// What is left; of a file without a length, what may still come.
    left: u64,
    has_length: bool,
}

impl WholeFile {
    /// Opens it. May wait for a disk; whether the next one has to is learned on the way.
    pub(super) fn open(params: &FsReadFileParams, devices: &Devices) -> Result<Self, FsFault> {
        let place = Place::new(&params.path, Links::from_follow(params.follows_symlinks()))?;
        let (file, stat) = for_reading(&place)?;
        devices.learn(device(&stat), &place);
        if stat.stx_size > MAX_READ_FILE_BYTES {
            return Err(FsFault::TooLarge { path: place.uri, limit_bytes: MAX_READ_FILE_BYTES });
        }
        let has_length = stat.stx_size > 0;
        let left = if has_length { stat.stx_size } else { MAX_READ_FILE_BYTES + 1 };
        Ok(Self { uri: place.uri, file, left, has_length })
    }

    /// For the road from a helper to the server.
    pub(super) fn into_parts(self) -> (Opened, File) {
        (Opened { left: self.left, has_length: self.has_length }, self.file)
    }

    /// The other end of [`into_parts`](Self::into_parts).
    pub(super) fn from_parts(uri: PathUri, opened: Opened, file: File) -> Self {
        Self { uri, file, left: opened.left.min(MAX_READ_FILE_BYTES + 1), has_length: opened.has_length }
    }

    /// How many bytes will come at most, as far as that is known.
    #[must_use]
    pub const fn expected_bytes(&self) -> Option<u64> {
        if self.has_length { Some(self.left) } else { None }
    }

    /// Fills `buffer` as far as the file goes, and tells how far; less than all of it is the end. May wait for a disk.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FsFault> {
        let mut filled = 0;
        while filled < buffer.len() && self.left > 0 {
            let room = buffer.len() - filled;
            let wanted = usize::try_from(self.left).map_or(room, |left| left.min(room));
            match self.file.read(&mut buffer[filled..filled + wanted]) {
                Ok(0) => self.left = 0,
                Ok(read) => {
                    filled += read;
                    self.left -= read as u64;
                    if self.left == 0 && !self.has_length {
                        let limit_bytes = MAX_READ_FILE_BYTES;
                        return Err(FsFault::TooLarge { path: self.uri.clone(), limit_bytes });
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FsFault::io(&self.uri, error)),
            }
        }
        Ok(filled)
    }

    /// All of it.
    pub(super) fn read_to_end(mut self) -> Result<Bytes, FsFault> {
        const PIECE_BYTES: usize = 256 << 10;
        let mut bytes = Vec::new();
        let expected = self.expected_bytes().and_then(|expected| usize::try_from(expected).ok());
        let mut piece = expected.unwrap_or(PIECE_BYTES);
        loop {
            let before = bytes.len();
            bytes.resize(before + piece, 0);
            let read = self.read(&mut bytes[before..])?;
            bytes.truncate(before + read);
            if read < piece || expected.is_some() {
                return Ok(bytes.into());
            }
            piece = PIECE_BYTES;
        }
    }
}

/// `fs/readRange`
pub(super) fn range(params: &FsReadRangeParams) -> Result<FsReadRangeResponse, FsFault> {
    if !(1..=MAX_BLOCK_BYTES).contains(&params.len) {
        return Err(FsFault::RangeLength);
    }
    let place = Place::new(&params.path, Links::from_follow(params.follows_symlinks()))?;
    let (file, mut stat) = for_reading(&place)?;
    let fault = |error| place.fault(error);
    let mut tries = 0;
    let bytes = loop {
        let bytes = read_at(&file, params.offset, params.len).map_err(|error| place.fault(error))?;
        let after = look_at(&file).map_err(fault)?;
        tries += 1;
        // What was read while somebody wrote belongs to neither content.
        if etag(&after) == etag(&stat) || tries == RANGE_TRIES {
            break bytes;
        }
        stat = after;
    };
    let end = params.offset.saturating_add(bytes.len() as u64);
    Ok(FsReadRangeResponse {
        // Files of the kernel that tell no length go on for as long as there is something to read.
        eof: (bytes.len() as u64) < params.len || (stat.stx_size > 0 && end >= stat.stx_size),
        data_base64: bytes.into(),
        size: stat.stx_size,
        etag: etag(&stat),
    })
}

/// Up to `len` bytes at `offset`; fewer only at the end.
pub(super) fn read_at(file: &File, offset: u64, len: u64) -> std::io::Result<Bytes> {
    read_at_into(Vec::new(), file, offset, len).map(Bytes::from)
}

/// The same, in `bytes`, whose content is forgotten.
pub(super) fn read_at_into(
    mut bytes: Vec<u8>,
    file: &File,
    offset: u64,
    len: u64,
) -> std::io::Result<Vec<u8>> {
    bytes.clear();
    // The system counts with a sign, and nothing is that far.
    if i64::try_from(offset.saturating_add(len)).is_err() {
        return Ok(bytes);
    }
    let len = usize::try_from(len).expect("a block fits into memory");
    // Never cleared first: that would be another pass over all of it.
    bytes.reserve_exact(len);
    while bytes.len() < len {
        let at = offset + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // There may have been more room than was asked for.
    bytes.truncate(len);
    Ok(bytes)
}
