//! Bytes on their way to a stream: small pieces are gathered, large ones are kept as they are, all leave in
//! as few vectored writes as possible.
//!
//! What is gathered stands in blocks that are used again once they are written, so a flood that is encoded
//! straight into them allocates nothing and finds its memory still in the cache.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

/// Below this many bytes, copying is cheaper than one more entry in a vectored write.
const COPY_BELOW_BYTES: usize = 8 * 1024;
/// Size of the blocks that small pieces are gathered in.
const BLOCK_BYTES: usize = 32 * 1024;
/// The same while little is queued: a connection that is idle holds no more than this.
const FIRST_BLOCK_BYTES: usize = 1024;
/// So much is little: every answer but those that carry output or files.
const LITTLE_BYTES: usize = 8 * 1024;
/// How many pieces one system call may take. The kernel allows 1 024; the table for this many sits on the
/// stack.
const PIECES_PER_WRITE: usize = 64;

/// A queue of bytes. It has no bound of its own: its users look at [`Segments::len`] before they add.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Complete pieces, in order; none is empty.
    sealed: VecDeque<Piece>,
    /// What is gathered behind the last of them.
    gathering: Block,
    /// A block that was written, to gather in again.
    spare: Vec<u8>,
    /// Bytes in `sealed` and `gathering`.
    len: usize,
    /// The most that was queued since the queue was last empty.
    most: usize,
    /// Bytes that were ever written.
    written: u64,
}

#[derive(Debug)]
enum Piece {
    /// Somebody else's.
    Shared(Bytes),
    /// Our own.
    Block(Block),
}

/// Bytes of which the first few are written already.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    from: usize,
}

impl Block {
    fn unwritten(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    /// Keeps the memory alone.
    fn clear(&mut self) {
        self.bytes.clear();
        self.from = 0;
    }
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
        self.append(bytes.len(), |out| out.extend_from_slice(bytes));
    }

    /// Adds the bytes that `write` appends, about `len` of them.
    pub(crate) fn append(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.make_room(len);
        let before = self.gathering.bytes.len();
        write(&mut self.gathering.bytes);
        self.grew(self.gathering.bytes.len() - before);
    }

    /// Adds bytes, without a copy if there are many.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW_BYTES {
            self.extend(&bytes);
        } else {
            self.seal();
            self.grew(bytes.len());
            self.sealed.push_back(Piece::Shared(bytes));
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
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let sealed = self.sealed.iter().map(|piece| match piece {
            Piece::Shared(bytes) => &bytes[..],
            Piece::Block(block) => block.unwritten(),
        });
        let gathered = Some(self.gathering.unwritten()).filter(|bytes| !bytes.is_empty());
        let mut pieces = [IoSlice::new(&[]); PIECES_PER_WRITE];
        let mut count = 0;
        for (slot, piece) in pieces.iter_mut().zip(sealed.chain(gathered)) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        let written = match &pieces[..count] {
            // Most answers are one piece, and the plain call is the cheaper one.
            [piece] => ready!(Pin::new(stream).poll_write(cx, piece))?,
            pieces => ready!(Pin::new(stream).poll_write_vectored(cx, pieces))?,
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(()))
    }

    fn grew(&mut self, bytes: usize) {
        self.len += bytes;
        self.most = self.most.max(self.len);
    }

    fn advance(&mut self, mut written: usize) {
        self.len -= written;
        self.written += written as u64;
        while let Some(front) = self.sealed.front_mut() {
            let left = match front {
                Piece::Shared(bytes) => bytes.len(),
                Piece::Block(block) => block.unwritten().len(),
            };
            if written < left {
                match front {
                    Piece::Shared(bytes) => drop(bytes.split_to(written)),
                    Piece::Block(block) => block.from += written,
                }
                return;
            }
            written -= left;
            if let Some(Piece::Block(block)) = self.sealed.pop_front() {
                self.reuse(block);
            }
        }
        self.gathering.from += written;
        if self.gathering.unwritten().is_empty() {
            self.gathering.clear();
        }
        if self.is_empty() {
            // A flood has grown the blocks, and will want them again soon. When there was little to say for a while,
            // it is over, and a connection that is idle must not hold on to them.
            if self.most < BLOCK_BYTES {
                self.spare = Vec::new();
                let enough = if self.most <= LITTLE_BYTES { FIRST_BLOCK_BYTES } else { BLOCK_BYTES };
                if self.gathering.bytes.capacity() > enough {
                    self.gathering = Block::default();
                }
            }
            self.most = 0;
        }
    }

    /// Of two blocks the larger is worth keeping.
    fn reuse(&mut self, mut block: Block) {
        if block.bytes.capacity() > self.spare.capacity() {
            block.clear();
            self.spare = block.bytes;
        }
    }

    /// Makes room in the gathering block; starts another rather than moving what is there.
    fn make_room(&mut self, bytes: usize) {
        let block = &self.gathering.bytes;
        if block.capacity() - block.len() < bytes {
            self.seal();
            let least = if self.len + bytes <= LITTLE_BYTES { FIRST_BLOCK_BYTES } else { BLOCK_BYTES };
            if self.gathering.bytes.capacity() < bytes.max(least) {
                self.gathering.bytes = std::mem::take(&mut self.spare);
                self.gathering.bytes.reserve_exact(bytes.max(least));
            }
        }
    }

    /// Makes a piece of what is gathered, and the gathering block empty.
    fn seal(&mut self) {
        let unwritten = self.gathering.unwritten();
        if unwritten.len() >= COPY_BELOW_BYTES {
            self.sealed.push_back(Piece::Block(std::mem::take(&mut self.gathering)));
        } else if !unwritten.is_empty() {
            // A frame's header before its payload, mostly: not worth a block of its own.
            let bytes = unwritten.to_vec();
            self.sealed.push_back(Piece::Block(Block { bytes, from: 0 }));
        }
        self.gathering.clear();
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
                match index % 3 {
                    0 => segments.push(piece.into()),
                    1 => segments.extend(&piece),
                    _ => segments.append(piece.len(), |out| out.extend_from_slice(&piece)),
                }
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

    /// Queues what a flood queues at once, and writes it all.
    fn flood(segments: &mut Segments) {
        for _ in 0..2 {
            segments.append(/*len*/ 90_000, |out| out.resize(out.len() + 90_000, b'x'));
        }
        write_all(segments);
    }

    fn write_all(segments: &mut Segments) {
        let mut stream = Trickle { taken: Vec::new(), at_once: usize::MAX };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while !segments.is_empty() {
            assert!(matches!(segments.poll_write_some(&mut stream, &mut cx), Poll::Ready(Ok(()))));
        }
    }

    #[test]
    fn a_flood_uses_its_blocks_again_and_an_idle_queue_lets_go_of_them() {
        let mut segments = Segments::default();
        flood(&mut segments);
        let mut blocks = [segments.gathering.bytes.as_ptr(), segments.spare.as_ptr()];
        flood(&mut segments);
        let mut again = [segments.gathering.bytes.as_ptr(), segments.spare.as_ptr()];
        blocks.sort_unstable();
        again.sort_unstable();
        assert_eq!(again, blocks);
        segments.extend(b"little");
        write_all(&mut segments);
        assert_eq!(segments.spare.capacity(), 0);
        assert!(segments.gathering.bytes.capacity() <= FIRST_BLOCK_BYTES);
    }
}
