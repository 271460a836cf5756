//! How a connection is said goodbye to: the code and the reason of a WebSocket close frame.

use bytes::{BufMut, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::error::{ReadError, Violation};

/// Close codes of RFC 6455 that this project sends.
pub mod close_code {
    /// The conversation is complete.
    pub const NORMAL: u16 = 1000;
    /// The server is shutting down.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// The peer's close frame named no code. Never sent.
    pub const NONE: u16 = 1005;
    /// The peer sent text that is not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// The peer did something that is not allowed here.
    pub const POLICY: u16 = 1008;
    /// The peer sent more than the limit.
    pub const TOO_BIG: u16 = 1009;
    /// This side failed.
    pub const INTERNAL: u16 = 1011;
}

/// A control frame holds at most 125 bytes, and the code takes two of them.
const REASON_BYTES: usize = 123;

/// Why a connection was closed, in the words of the side that closed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    /// The code of the close frame; [`close_code::NONE`] if it named none.
    pub code: u16,
    /// The text of the close frame, often empty.
    pub reason: String,
}

impl CloseReason {
    /// The payload of the close frame that says this. A reason beyond 123 bytes is cut at a character; a code
    /// that must not be sent makes an empty payload, which the peer reads as [`close_code::NONE`].
    pub(crate) fn encode(&self) -> Bytes {
        if !CloseCode::from(self.code).is_allowed() {
            return Bytes::new();
        }
        let reason = &self.reason[..self.reason.floor_char_boundary(REASON_BYTES)];
        let mut payload = BytesMut::with_capacity(2 + reason.len());
        payload.put_u16(self.code);
        payload.put_slice(reason.as_bytes());
        payload.freeze()
    }

    /// Reads the payload of a close frame.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, ReadError> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() {
                Ok(Self { code: close_code::NONE, reason: String::new() })
            } else {
                Err(ReadError::Protocol(Violation::CloseCode))
            };
        };
        let code = u16::from_be_bytes(*code);
        if !CloseCode::from(code).is_allowed() {
            return Err(ReadError::Protocol(Violation::CloseCode));
        }
        let reason =
            std::str::from_utf8(reason).map_err(|_| ReadError::Protocol(Violation::CloseReasonNotUtf8))?;
        Ok(Self { code, reason: reason.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_says_what_it_was_given() {
        let given = CloseReason { code: 1009, reason: "too big".to_owned() };
        assert_eq!(CloseReason::decode(&given.encode()).unwrap(), given);
        assert_eq!(CloseReason::decode(b"").unwrap(), CloseReason { code: 1005, reason: String::new() });
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let given = CloseReason { code: 1000, reason: "é".repeat(100) };
        let sent = CloseReason::decode(&given.encode()).unwrap();
        assert_eq!(sent.reason, "é".repeat(61));
    }

    #[test]
    fn codes_that_must_not_be_sent_are_neither_sent_nor_accepted() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert_eq!(CloseReason { code, reason: "x".to_owned() }.encode(), Bytes::new(), "{code}");
            let error = CloseReason::decode(&code.to_be_bytes()).unwrap_err();
            assert!(matches!(error, ReadError::Protocol(Violation::CloseCode)), "{code}: {error}");
        }
        assert!(matches!(CloseReason::decode(b"\x03"), Err(ReadError::Protocol(Violation::CloseCode))));
        assert!(matches!(
            CloseReason::decode(b"\x03\xe8\xff"),
            Err(ReadError::Protocol(Violation::CloseReasonNotUtf8))
        ));
    }
}
