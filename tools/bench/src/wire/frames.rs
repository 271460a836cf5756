//! WebSocket frames: finding them in a buffer of received bytes, and writing masked ones. No IO, no JSON.

use std::ops::Range;

use crate::error::BenchError;

/// Bytes asked of the socket at a time. Large enough that a system call is nothing beside the copy, small
/// enough to stay in a core's cache.
const READ_BYTES: usize = 256 * 1024;
/// A message beyond this is refused: no row asks for anything near it.
const MESSAGE_LIMIT_BYTES: usize = 256 * 1024 * 1024;
/// Masking is there to keep scripts in browsers from confusing proxies, which a fixed key on a direct
/// connection is enough not to do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The same, several times over.
const WIDE_MASK: [u8; 32] = {
    let mut wide = [0; 32];
    let mut at = 0;
    while at < wide.len() {
        wide[at] = MASK[at % MASK.len()];
        at += 1;
    }
    wide
};

/// What a frame, or a message put together from fragments, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    /// Text or binary. Both carry JSON; text is what is sent.
    Data,
    Close,
    Ping,
    Pong,
}

/// Received bytes, and the frame last found in them.
pub(super) struct Inbox {
    buffer: Vec<u8>,
    /// Received and not yet looked at.
    unread: Range<usize>,
    /// Payload of the last frame.
    frame: Range<usize>,
    /// Fragments so far. Servers seldom fragment, so this is usually empty.
    message: Vec<u8>,
    /// Whether the data message under way, or the last one, came in fragments.
    fragmented: bool,
    /// Whether the last payload is `message` rather than `frame`; a control frame between fragments is not.
    assembled: bool,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; READ_BYTES],
            unread: 0..0,
            frame: 0..0,
            message: Vec::new(),
            fragmented: false,
            assembled: false,
        }
    }

    /// Where received bytes go. Moves what is unread to the front, and grows only for a frame larger than the
    /// buffer. Ends the life of the last payload.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.unread.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        &mut self.buffer[self.unread.end..]
    }

    /// Tells how many bytes were put into the room.
    pub(super) fn filled(&mut self, count: usize) {
        self.unread.end += count;
    }

    /// The next whole message or control frame, if it is there; its bytes are then
    /// [`payload`](Self::payload).
    pub(super) fn take_frame(&mut self) -> Result<Option<Opcode>, BenchError> {
        loop {
            let Some((first, payload)) = self.header()? else {
                return Ok(None);
            };
            if payload.end > self.unread.end {
                return Ok(None);
            }
            self.unread.start = payload.end;
            self.frame = payload.clone();
            self.assembled = false;
            let last = first & 0x80 != 0;
            let opcode = match first & 0x0f {
                0x8 => return Ok(Some(Opcode::Close)),
                0x9 => return Ok(Some(Opcode::Ping)),
                0xa => return Ok(Some(Opcode::Pong)),
                0x0..=0x2 => Opcode::Data,
                other => return Err(BenchError::Protocol(format!("websocket opcode {other}"))),
            };
            let continued = first & 0x0f == 0;
            if !continued {
                self.message.clear();
                self.fragmented = !last;
            }
            if self.fragmented {
                self.message.extend_from_slice(&self.buffer[payload]);
                self.assembled = true;
            }
            if last {
                return Ok(Some(opcode));
            }
        }
    }

    /// Bytes of what [`take_frame`](Self::take_frame) found last.
    pub(super) fn payload(&self) -> &[u8] {
        if self.assembled { &self.message } else { &self.buffer[self.frame.clone()] }
    }

    /// First byte and place of the payload of the frame at the front, once its header is there.
    fn header(&self) -> Result<Option<(u8, Range<usize>)>, BenchError> {
        let bytes = &self.buffer[self.unread.clone()];
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        if second & 0x80 != 0 {
            return Err(BenchError::Protocol("a masked frame from a server".to_owned()));
        }
        let (skip, length) = match second {
            126 => match rest.first_chunk() {
                Some(&length) => (4, u64::from(u16::from_be_bytes(length))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(&length) => (10, u64::from_be_bytes(length)),
                None => return Ok(None),
            },
            short => (2, u64::from(short)),
        };
        let start = self.unread.start + skip;
        match usize::try_from(length) {
            Ok(length) if length <= MESSAGE_LIMIT_BYTES => Ok(Some((first, start..start + length))),
            _ => Err(BenchError::Protocol(format!("a frame of {length} bytes, limit {MESSAGE_LIMIT_BYTES}"))),
        }
    }
}

/// Appends one whole masked frame; [`Opcode::Data`] as text.
pub(super) fn push_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let code = match opcode {
        Opcode::Data => 0x1,
        Opcode::Close => 0x8,
        Opcode::Ping => 0x9,
        Opcode::Pong => 0xa,
    };
    out.push(0x80 | code);
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    let mut chunks = out[start..].chunks_exact_mut(WIDE_MASK.len());
    for chunk in &mut chunks {
        // A fixed length lets the compiler use wide registers.
        for (byte, mask) in chunk.iter_mut().zip(WIDE_MASK) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(MASK.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
