//! Bytes on their way to a stream: small pieces are gathered, large ones are kept as they are, all leave in
//! as few vectored writes as possible.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// Below this many bytes, copying is cheaper than one more entry in a vectored write.
const COPY_BELOW_BYTES: usize = 8 * 1024;
/// Size of the blocks that small pieces are gathered in.
const BLOCK_BYTES: usize = 32 * 1024;
/// How many pieces one system call may take. The kernel allows 1 024; the table for this many sits on the
/// stack.
const PIECES_PER_WRITE: usize = 64;

/// A queue of bytes. It has no bound of its own: its users look at [`Segments::len`] before they add.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Complete pieces, in order; none is empty.
    sealed: VecDeque<Bytes>,
    /// Small pieces gathered behind the last sealed one.
    gathering: BytesMut,
    /// Bytes in both.
    len: usize,
    /// Bytes that were ever written.
    written: u64,
}

impl Segments {
    /// Bytes not yet written.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes will have been written once everything that is queued now is out.
    pub(crate) fn end(&self) -> u64 {
        self.written + self.len as u64
    }

    /// Whether everything up to `end` is out; see [`Segments::end`].
    pub(crate) fn has_written(&self, end: u64) -> bool {
        self.written >= end
    }

    /// Whether everything has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds bytes by copying them.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        self.gathering.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Adds bytes, without a copy if there are many.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW_BYTES {
            self.extend(&bytes);
        } else {
            self.seal();
            self.len += bytes.len();
            self.sealed.push_back(bytes);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes once, as much as the stream takes; ready when that made progress or nothing is left.
    pub(crate) fn poll_write_some<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.seal();
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut pieces = [IoSlice::new(&[]); PIECES_PER_WRITE];
        let mut count = 0;
        for (slot, piece) in pieces.iter_mut().zip(&self.sealed) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        let written = ready!(Pin::new(stream).poll_write_vectored(cx, &pieces[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.len -= written;
        self.written += written as u64;
        while written > 0 {
            let Some(first) = self.sealed.front_mut() else { break };
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            self.sealed.pop_front();
        }
    }

    /// Makes room in the gathering block; starts another rather than moving what is there.
    fn room(&mut self, bytes: usize) {
        if self.gathering.capacity() - self.gathering.len() < bytes {
            self.seal();
            self.gathering.reserve(bytes.max(BLOCK_BYTES));
        }
    }

    fn seal(&mut self) {
        if !self.gathering.is_empty() {
            self.sealed.push_back(self.gathering.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream that takes at most so many bytes at a time.
    struct Trickle {
        taken: Vec<u8>,
        at_once: usize,
    }

    impl AsyncWrite for Trickle {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.at_once);
            self.taken.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let mut count = 0;
            for piece in pieces {
                let taken = piece.len().min(self.at_once - count);
                self.taken.extend_from_slice(&piece[..taken]);
                count += taken;
            }
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    proptest! {
        #[test]
        fn whatever_is_added_leaves_in_order_however_little_is_taken(
            sizes in prop::collection::vec(prop_oneof![0..40_usize, 8_000..9_000_usize, 30_000..40_000_usize], 0..12),
            at_once in prop_oneof![300..9_000_usize, 9_000..200_000_usize],
        ) {
            let mut segments = Segments::default();
            let mut expected = Vec::new();
            for (index, size) in sizes.iter().enumerate() {
                let piece = vec![index as u8; *size];
                expected.extend_from_slice(&piece);
                if index % 2 == 0 { segments.push(piece.into()) } else { segments.extend(&piece) }
            }
            prop_assert_eq!(segments.len(), expected.len());
            let mut stream = Trickle { taken: Vec::new(), at_once };
            let mut cx = Context::from_waker(std::task::Waker::noop());
            while !segments.is_empty() {
                prop_assert!(matches!(segments.poll_write_some(&mut stream, &mut cx), Poll::Ready(Ok(()))));
            }
            prop_assert!(stream.taken == expected);
        }
    }

    #[test]
    fn many_small_messages_leave_in_one_write() {
        let mut segments = Segments::default();
        for _ in 0..1_000 {
            segments.push(Bytes::from_static(b"{\"id\":1,\"result\":{}}"));
        }
        let mut stream = Trickle { taken: Vec::new(), at_once: usize::MAX };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(segments.poll_write_some(&mut stream, &mut cx).is_ready());
        assert!(segments.is_empty());
    }
}
