//! Memory of long answers, used again while others like them are on their way.
//!
//! What an answer of a mebibyte costs is to a quarter the kernel's handing out its memory and taking it back. A client that asks
//! for the next blocks of a file before it has the first ones gets them in the memory of those that have left. When none is on
//! its way any more, none is kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// See the module. One for the answers of a connection, of which only so many are on their way at a time: see
/// [`FileLimits`](codex_exec_server_core::limits::FileLimits).
#[derive(Debug, Default)]
pub(crate) struct Lending(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    /// Without content, and no more than were ever lent at a time.
    idle: Vec<Vec<u8>>,
    lent: usize,
}

/// Memory that comes back when nobody reads it any more.
struct Lent {
    bytes: Vec<u8>,
    home: Arc<Lending>,
}

impl Lending {
    /// Memory to write an answer in: used before, if there is some, or else none yet.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.lock().idle.pop().unwrap_or_default()
    }

    /// Gives `bytes` away until nobody holds them any more.
    pub(crate) fn lend(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        self.lock().lent += 1;
        Bytes::from_owner(Lent { bytes, home: Arc::clone(self) })
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // Each change of it is one that can't be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut shelf = self.home.lock();
        shelf.lent -= 1;
        let gone = if shelf.lent == 0 {
            std::mem::take(&mut shelf.idle)
        } else {
            shelf.idle.push(std::mem::take(&mut bytes));
            Vec::new()
        };
        // To give memory back to the system takes a while.
        drop(shelf);
        drop((gone, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_while_something_is_on_its_way_and_then_given_back() {
        let lending = Arc::new(Lending::default());
        assert_eq!(lending.take().capacity(), 0);
        let (first, second) = (lending.lend(Vec::with_capacity(100)), lending.lend(b"second".to_vec()));
        drop(first);
        let again = lending.take();
        assert_eq!((again.len(), again.capacity()), (0, 100));
        let third = lending.lend(again);
        assert_eq!(&second[..], b"second");
        drop(second);
        assert_eq!(lending.lock().idle.len(), 1);
        drop(third);
        let shelf = lending.lock();
        assert_eq!((shelf.idle.len(), shelf.lent), (0, 0));
    }
}
