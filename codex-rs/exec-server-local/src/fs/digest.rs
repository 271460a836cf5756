//! Checksums of files, taken where they are.

use std::io::Read;

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{FsDigestParams, FsDigestResponse};
use sha2::{Digest, Sha256};

use super::host::Interest;
use super::metadata::{etag, look_at};
use super::open::for_reading;
use super::place::{Links, Place};

/// What is read at a time; whether somebody still waits is looked at as often.
const PIECE_BYTES: usize = 256 << 10;

/// `fs/digest`
pub(super) fn of(params: &FsDigestParams, interest: &Interest) -> Result<FsDigestResponse, FsFault> {
    let place = Place::new(&params.path, Links::from_follow(params.follows_symlinks()))?;
    let (mut file, _) = for_reading(&place)?;
    let (mut digest, mut len) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        interest.check(&params.path)?;
        let left = params.len.map_or(u64::MAX, |all| all - len);
        let room = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        match file.read(&mut piece[..room]) {
            Ok(0) => break,
            Ok(read) => {
                digest.update(&piece[..read]);
                len += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(place.fault(error)),
        }
    }
    let stat = look_at(&file).map_err(|error| place.fault(error))?;
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(FsDigestResponse { sha256, len, etag: etag(&stat) })
}
