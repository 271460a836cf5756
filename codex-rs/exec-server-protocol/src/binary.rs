//! Bytes that travel as they are: a fixed little header, a name, and the bytes. Flag `binaryOutput`.
//!
//! A binary message says what one JSON message would have said, without base64 around the bytes and without text to
//! parse around that. Numbers are little-endian:
//!
//! | at | size | |
//! | --- | --- | --- |
//! | 0 | 1 | kind: 1 [`Head::Output`], 2 [`Head::Body`], 3 [`Head::Block`], 4 [`Pack`], 5 [`Head::Range`] |
//! | 1 | 1 | detail: of output its stream (0 stdout, 1 stderr, 2 pty); of a pack 0; of the others 1 for the last, otherwise 0 |
//! | 2 | 2 | length of the name in bytes |
//! | 4 | 4 | length of the payload in bytes |
//! | 8 | 8 | seq: of output and bodies as in JSON; of a range the length of its file; otherwise 0 |
//! | 16 | 8 | offset of the payload's first byte; of a pack 0 |
//! | 24 | | the name, which is UTF-8: process id, request id of the body, JSON text of the request's id (of a range, and the etag); of a pack none |
//! | | | the payload |
//!
//! The name stands in every message, so nothing has to be agreed on before the first one, and nothing is lost with a
//! connection. The lengths make up the whole message, so one that was cut short is noticed. A kind is never a byte that
//! JSON may begin with: JSON may come in binary messages, too.

mod pack;

use bytes::Bytes;
pub use pack::Pack;

use crate::fs::{FsReadBlockResponse, FsReadRangeResponse};
use crate::http::{HttpBodyDeltaNotification, HttpRequestId};
use crate::ids::{ProcessId, Seq};
use crate::process::{OutputStream, ProcessOutputNotification};
use crate::rpc::RequestId;

/// Bytes before the name.
pub const HEADER_BYTES: usize = 24;

/// The last block of a file, or the last piece of a body.
const LAST: u8 = 1;

/// What a binary message says about its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head<'a> {
    /// As the notification `process/output`.
    Output {
        /// Whose.
        process_id: &'a ProcessId,
        /// Its position.
        seq: Seq,
        /// Where it came from.
        stream: OutputStream,
        /// Output bytes of the process before it, over all its streams.
        offset: u64,
    },
    /// As the notification `http/request/bodyDelta` without an error; a body that broke off says so in JSON.
    Body {
        /// The stream.
        request_id: &'a HttpRequestId,
        /// Number of this piece, from 1 without gaps.
        seq: u64,
        /// Bytes of the body before it.
        offset: u64,
        /// Whether this is the last piece.
        done: bool,
    },
    /// As the result of `fs/readBlock`: it is the answer to that request, and no other follows.
    Block {
        /// The request that is answered.
        id: &'a RequestId,
        /// As in the request.
        offset: u64,
        /// As in the result.
        eof: bool,
    },
    /// As the result of `fs/readRange`, for a request that says `binary`. Flag `binaryRanges`.
    Range {
        /// The request that is answered.
        id: &'a RequestId,
        /// As in the request.
        offset: u64,
        /// As in the result.
        eof: bool,
        /// As in the result.
        size: u64,
        /// As in the result.
        etag: &'a str,
    },
}

impl Head<'_> {
    /// What goes before a payload of `payload_bytes`. `None` if the header has no room for the length of the name (64
    /// KiB) or of the payload (4 GiB): then the message goes as JSON.
    #[must_use]
    pub fn encode(&self, payload_bytes: usize) -> Option<Vec<u8>> {
        let text;
        let (kind, detail, name, seq, offset) = match *self {
            Self::Output { process_id, seq, stream, offset } => {
                (Kind::Output, detail_of(stream), process_id.as_str(), seq.0, offset)
            }
            Self::Body { request_id, seq, offset, done } => {
                (Kind::Body, if done { LAST } else { 0 }, request_id.0.as_str(), seq, offset)
            }
            Self::Block { id, offset, eof } => {
                text = serde_json::to_string(id).ok()?;
                (Kind::Block, if eof { LAST } else { 0 }, text.as_str(), 0, offset)
            }
            Self::Range { id, offset, eof, size, etag } => {
                text = serde_json::to_string(&(id, etag)).ok()?;
                (Kind::Range, if eof { LAST } else { 0 }, text.as_str(), size, offset)
            }
        };
        let mut head = Vec::with_capacity(HEADER_BYTES + name.len());
        head.extend_from_slice(&[kind as u8, detail]);
        head.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
        head.extend_from_slice(&u32::try_from(payload_bytes).ok()?.to_le_bytes());
        head.extend_from_slice(&seq.to_le_bytes());
        head.extend_from_slice(&offset.to_le_bytes());
        head.extend_from_slice(name.as_bytes());
        Some(head)
    }
}

/// The first byte of a message.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Output = 1,
    Body = 2,
    Block = 3,
    Pack = 4,
    Range = 5,
}

impl Kind {
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Output),
            2 => Some(Self::Body),
            3 => Some(Self::Block),
            4 => Some(Self::Pack),
            5 => Some(Self::Range),
            _ => None,
        }
    }
}

/// A binary message in the words of the JSON message that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BinaryMessage {
    /// `process/output`.
    Output(ProcessOutputNotification),
    /// `http/request/bodyDelta`, behind `offset` bytes of the body.
    Body {
        /// Bytes of the body before it.
        offset: u64,
        /// The piece.
        delta: HttpBodyDeltaNotification,
    },
    /// The answer to the `fs/readBlock` that was sent as `id`.
    Block {
        /// The request that is answered.
        id: RequestId,
        /// Where the block begins.
        offset: u64,
        /// The result.
        response: FsReadBlockResponse,
    },
    /// Several `process/output`, as if each had come by itself. Never from a server that was not asked for packs.
    Pack(Vec<ProcessOutputNotification>),
    /// The answer to the `fs/readRange` that was sent as `id`.
    Range {
        /// The request that is answered.
        id: RequestId,
        /// Where the range begins.
        offset: u64,
        /// The result.
        response: FsReadRangeResponse,
    },
}

/// Why a binary message can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// It ends within its header.
    #[error("binary message of {bytes} bytes is shorter than its header of {HEADER_BYTES}")]
    Header {
        /// Its length.
        bytes: usize,
    },
    /// A kind that nobody announced.
    #[error("binary message is of unknown kind {0}")]
    Kind(u8),
    /// A detail that its kind does not have.
    #[error("binary message of kind {kind} has unknown detail {detail}")]
    Detail {
        /// Its kind.
        kind: u8,
        /// The detail.
        detail: u8,
    },
    /// A block has no `seq`, and a pack has none.
    #[error("binary message of kind {kind} has seq {seq} instead of 0")]
    Seq {
        /// Its kind.
        kind: u8,
        /// What stands there.
        seq: u64,
    },
    /// It was cut short, or something follows it.
    #[error("binary message has {bytes} bytes instead of the {announced} that its header announces")]
    Length {
        /// Its length.
        bytes: usize,
        /// What it should be.
        announced: u64,
    },
    /// The name is no UTF-8, or that of a pack.
    #[error("name in a binary message is not UTF-8, or that of a pack, which has none")]
    Name,
    /// The name of a block is no id of a request.
    #[error("binary message answers {0:?}, which is no id of a request")]
    RequestId(String),
    /// The name of a range is no id of a request with an etag.
    #[error("binary message answers {0:?}, which is no id of a request with an etag")]
    Range(String),
}

impl BinaryMessage {
    /// Whether `message`, which came as binary, is one of these; otherwise it is JSON or nothing.
    #[must_use]
    pub fn is_one(message: &[u8]) -> bool {
        !matches!(message.first(), None | Some(b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n'))
    }

    /// Takes a message apart. Its payload shares the memory of `message`.
    ///
    /// # Errors
    /// Says what is wrong with it; see [`BinaryError`].
    pub fn decode(message: &Bytes) -> Result<Self, BinaryError> {
        let header: &[u8; HEADER_BYTES] =
            message.first_chunk().ok_or(BinaryError::Header { bytes: message.len() })?;
        let [kind_byte, detail, n0, n1, _, _, _, _, numbers @ ..] = *header;
        let kind = Kind::of(kind_byte).ok_or(BinaryError::Kind(kind_byte))?;
        let name_bytes = usize::from(u16::from_le_bytes([n0, n1]));
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&numbers[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let (seq, offset) = (number(/*at*/ 0), number(/*at*/ 8));
        let announced = announced_bytes(header);
        if message.len() as u64 != announced {
            return Err(BinaryError::Length { bytes: message.len(), announced });
        }
        let name = std::str::from_utf8(&message[HEADER_BYTES..HEADER_BYTES + name_bytes])
            .map_err(|_| BinaryError::Name)?;
        let payload = message.slice(HEADER_BYTES + name_bytes..);
        let unknown_detail = BinaryError::Detail { kind: kind_byte, detail };
        let last = match detail {
            0 => Ok(false),
            LAST => Ok(true),
            _ => Err(unknown_detail.clone()),
        };
        Ok(match kind {
            Kind::Output => Self::Output(ProcessOutputNotification {
                process_id: name.into(),
                seq: Seq(seq),
                stream: stream_of(detail).ok_or(unknown_detail)?,
                chunk: payload.into(),
                offset: Some(offset),
            }),
            Kind::Body => {
                let request_id = HttpRequestId(name.to_owned());
                let (delta_base64, done) = (payload.into(), last?);
                let delta = HttpBodyDeltaNotification {
                    request_id,
                    seq,
                    delta_base64,
                    done,
                    error: None,
                    cause: None,
                };
                Self::Body { offset, delta }
            }
            Kind::Block | Kind::Pack if seq != 0 => return Err(BinaryError::Seq { kind: kind_byte, seq }),
            Kind::Pack if detail != 0 => return Err(unknown_detail),
            Kind::Pack if !name.is_empty() => return Err(BinaryError::Name),
            Kind::Pack => Self::Pack(pack::unpack(payload)?),
            Kind::Block => Self::Block {
                id: serde_json::from_str(name).map_err(|_| BinaryError::RequestId(name.to_owned()))?,
                offset,
                response: FsReadBlockResponse { chunk: payload.into(), eof: last? },
            },
            Kind::Range => {
                let (id, etag) =
                    serde_json::from_str(name).map_err(|_| BinaryError::Range(name.to_owned()))?;
                let response =
                    FsReadRangeResponse { data_base64: payload.into(), eof: last?, size: seq, etag };
                Self::Range { id, offset, response }
            }
        })
    }
}

/// Bytes of the whole message, as its header says.
fn announced_bytes(header: &[u8; HEADER_BYTES]) -> u64 {
    let [_, _, n0, n1, p0, p1, p2, p3, ..] = *header;
    let (name, payload) = (u16::from_le_bytes([n0, n1]), u32::from_le_bytes([p0, p1, p2, p3]));
    HEADER_BYTES as u64 + u64::from(name) + u64::from(payload)
}

const fn detail_of(stream: OutputStream) -> u8 {
    match stream {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
        OutputStream::Pty => 2,
    }
}

const fn stream_of(detail: u8) -> Option<OutputStream> {
    match detail {
        0 => Some(OutputStream::Stdout),
        1 => Some(OutputStream::Stderr),
        2 => Some(OutputStream::Pty),
        _ => None,
    }
}

#[cfg(test)]
#[path = "binary_tests.rs"]
mod tests;
