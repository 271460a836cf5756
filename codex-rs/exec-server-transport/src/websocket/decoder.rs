//! From bytes to messages and control frames. No IO: the reader brings the bytes.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{Role, mask};
use crate::close::CloseReason;
use crate::error::{ReadError, Violation};
use crate::limits::WireLimits;
use crate::message::{MessageKind, Received};

/// Most bytes a control frame may carry.
const CONTROL_BYTES: u64 = 125;
/// A payload up to this size is made room for at once. Beyond it the buffer grows with what has arrived, so
/// that a peer has to send memory in order to take it.
const RESERVE_BYTES: usize = 1024 * 1024;

/// A mask begins anew behind every such step.
const MASK_STEP: usize = 8;

/// Something complete that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Message(Received),
    Ping(Bytes),
    Pong(Bytes),
    Close(CloseReason),
}

/// Where in the frames of one direction we are.
#[derive(Debug)]
pub(super) struct Decoder {
    role: Role,
    frame_limit: usize,
    message_limit: usize,
    /// The header of the frame whose payload is arriving, and the size of that payload.
    frame: Option<(FrameHeader, usize)>,
    /// How much of that payload is unmasked: while the rest is still on its way, and what has come at hand. A multiple of
    /// [`MASK_STEP`].
    unmasked: usize,
    /// The fragments of an unfinished message.
    partial: Option<(MessageKind, BytesMut)>,
}

impl Decoder {
    pub(super) fn new(role: Role, limits: &WireLimits) -> Self {
        Self {
            role,
            frame_limit: limits.frame_bytes,
            message_limit: limits.message_bytes,
            frame: None,
            unmasked: 0,
            partial: None,
        }
    }

    /// Takes the next complete thing out of `buffer`, or says that more bytes are needed. After an error the
    /// buffer makes no sense any more.
    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Incoming>, ReadError> {
        loop {
            if self.frame.is_none() {
                self.frame = self.read_header(buffer)?;
            }
            match &self.frame {
                Some((_, payload_bytes)) if *payload_bytes <= buffer.len() => {}
                Some((FrameHeader { mask: Some(key), .. }, _)) => {
                    let end = buffer.len() - buffer.len() % MASK_STEP;
                    mask::apply(&mut buffer[self.unmasked..end], *key);
                    self.unmasked = end;
                    return Ok(None);
                }
                _ => return Ok(None),
            }
            let Some((header, payload_bytes)) = self.frame.take() else { return Ok(None) };
            let mut payload = buffer.split_to(payload_bytes);
            let masked = std::mem::take(&mut self.unmasked);
            if let Some(key) = header.mask {
                mask::apply(&mut payload[masked..], key);
            }
            if let Some(incoming) = self.take_frame(&header, payload)? {
                return Ok(Some(incoming));
            }
        }
    }

    /// How many bytes to make room for in `buffer` so that the present frame gets on; 0 if its end is not
    /// known.
    pub(super) fn wants(&self, buffer: &BytesMut) -> usize {
        let Some((_, payload_bytes)) = &self.frame else { return 0 };
        payload_bytes.saturating_sub(buffer.len()).min(RESERVE_BYTES.max(buffer.len()))
    }

    /// Reads a header and refuses everything that can be refused before the payload arrives.
    fn read_header(&self, buffer: &mut BytesMut) -> Result<Option<(FrameHeader, usize)>, ReadError> {
        let mut cursor = Cursor::new(&*buffer);
        let (header, frame_bytes) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            Err(tungstenite::Error::Protocol(error)) => return Err(violation(Violation::Header(error))),
            Err(error) => return Err(ReadError::Io(std::io::Error::other(error))),
        };
        let header_bytes = cursor.position() as usize;
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(violation(Violation::ReservedBits));
        }
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(violation(Violation::Unmasked)),
            (Role::Client, Some(_)) => return Err(violation(Violation::Masked)),
            _ => {}
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(violation(Violation::FragmentedControl)),
            OpCode::Control(_) if frame_bytes > CONTROL_BYTES => {
                return Err(violation(Violation::ControlTooBig));
            }
            OpCode::Control(_) => {}
            OpCode::Data(data) => self.check_data(data, frame_bytes)?,
        }
        buffer.advance(header_bytes);
        // Within a limit that is a usize, so the cast loses nothing.
        Ok(Some((header, frame_bytes as usize)))
    }

    fn check_data(&self, data: Data, frame_bytes: u64) -> Result<(), ReadError> {
        let gathered = match (data, &self.partial) {
            (Data::Continue, None) => return Err(violation(Violation::UnexpectedContinuation)),
            (Data::Continue, Some((_, partial))) => partial.len(),
            (_, Some(_)) => return Err(violation(Violation::InterruptedMessage)),
            (_, None) => 0,
        };
        if frame_bytes > self.frame_limit as u64 {
            return Err(ReadError::FrameTooBig { frame_bytes, limit_bytes: self.frame_limit });
        }
        if gathered as u64 + frame_bytes > self.message_limit as u64 {
            return Err(ReadError::MessageTooBig { limit_bytes: self.message_limit });
        }
        Ok(())
    }

    /// What a complete frame amounts to; nothing if it is a fragment with more to come.
    fn take_frame(&mut self, header: &FrameHeader, payload: BytesMut) -> Result<Option<Incoming>, ReadError> {
        let kind = match header.opcode {
            OpCode::Control(Control::Ping) => return Ok(Some(Incoming::Ping(payload.freeze()))),
            OpCode::Control(Control::Pong) => return Ok(Some(Incoming::Pong(payload.freeze()))),
            OpCode::Control(Control::Close) => {
                return CloseReason::decode(&payload).map(|r| Some(Incoming::Close(r)));
            }
            OpCode::Data(Data::Continue) => {
                let Some((kind, mut gathered)) = self.partial.take() else {
                    return Err(violation(Violation::UnexpectedContinuation));
                };
                gathered.extend_from_slice(&payload);
                return Ok(self.finish(header.is_final, kind, gathered));
            }
            OpCode::Data(Data::Text) => MessageKind::Text,
            OpCode::Data(Data::Binary) => MessageKind::Binary,
            OpCode::Data(Data::Reserved(code)) | OpCode::Control(Control::Reserved(code)) => {
                let error = tungstenite::error::ProtocolError::InvalidOpcode(code);
                return Err(violation(Violation::Header(error)));
            }
        };
        Ok(self.finish(header.is_final, kind, payload))
    }

    fn finish(&mut self, is_final: bool, kind: MessageKind, bytes: BytesMut) -> Option<Incoming> {
        if is_final {
            return Some(Incoming::Message(Received { kind, bytes: bytes.freeze() }));
        }
        self.partial = Some((kind, bytes));
        None
    }
}

fn violation(violation: Violation) -> ReadError {
    ReadError::Protocol(violation)
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
