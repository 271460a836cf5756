//! Several pieces of output in one message. Flag `outputPacking`.
//!
//! What a browser takes for a message hardly depends on its length, so pieces of a line each cost it a hundred times what
//! they need to. The payload of a pack is binary messages of kind 1, one behind the other; each stands for its own
//! notification `process/output`, as if it had come by itself.

use bytes::Bytes;

use super::{BinaryError, BinaryMessage, HEADER_BYTES, Kind, announced_bytes};
use crate::process::ProcessOutputNotification;

/// A pack that is being filled.
#[derive(Debug, Default)]
pub struct Pack {
    /// The header, which is written last, and what was put in; nothing at all while that is nothing.
    bytes: Vec<u8>,
    records: usize,
}

impl Pack {
    /// Adds the message of `head`, which is that of a piece of output, and `payload`.
    pub fn push(&mut self, head: &[u8], payload: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_BYTES, 0);
        }
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(payload);
        self.records += 1;
    }

    /// Whether nothing was put in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes of everything that was put in.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len().saturating_sub(HEADER_BYTES)
    }

    /// The message, after which this is empty again. A single piece goes as what it is. `None` if there is none.
    ///
    /// # Panics
    /// If 4 GiB were put in, for which the header has no room.
    pub fn take(&mut self) -> Option<Bytes> {
        let payload_bytes = u32::try_from(self.len()).expect("whoever fills it bounds it");
        let Self { mut bytes, records } = std::mem::take(self);
        match records {
            0 => None,
            1 => Some(Bytes::from(bytes).slice(HEADER_BYTES..)),
            _ => {
                bytes[0] = Kind::Pack as u8;
                bytes[4..8].copy_from_slice(&payload_bytes.to_le_bytes());
                Some(bytes.into())
            }
        }
    }
}

/// What is in a pack with this payload. Each piece shares its memory.
pub(super) fn unpack(mut payload: Bytes) -> Result<Vec<ProcessOutputNotification>, BinaryError> {
    let mut records = Vec::new();
    while !payload.is_empty() {
        let header = payload.first_chunk().ok_or(BinaryError::Header { bytes: payload.len() })?;
        if header[0] != Kind::Output as u8 {
            return Err(BinaryError::Kind(header[0]));
        }
        let announced = announced_bytes(header);
        let bytes = usize::try_from(announced)
            .ok()
            .filter(|bytes| *bytes <= payload.len())
            .ok_or(BinaryError::Length { bytes: payload.len(), announced })?;
        if let BinaryMessage::Output(record) = BinaryMessage::decode(&payload.split_to(bytes))? {
            records.push(record);
        }
    }
    Ok(records)
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
