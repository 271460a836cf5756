//! A file that a child finds open beside its first three descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, memfd_create};
use rustix::io::fcntl_dupfd_cloexec;

/// A sealed file in memory, which any number of children may be handed. Who holds it can only read it.
#[derive(Debug, Clone)]
pub struct Carried(Arc<OwnedFd>);

impl Carried {
    /// The number at which a child finds it.
    pub const NUMBER: i32 = 3;

    /// A file that holds `bytes`.
    ///
    /// # Errors
    /// When there is no memory or no descriptor for it.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        let file = memfd_create("carried", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
            rest = &rest[written..];
        }
        // Every child of a scope is handed this very file: none may change what the next one reads.
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        // A child puts a copy in its place, and only a copy outlives `execve`.
        Ok(Self(Arc::new(fcntl_dupfd_cloexec(&file, Self::NUMBER + 1)?)))
    }

    /// What it holds.
    ///
    /// # Errors
    /// None that memory would give.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(fstat(&self.0)?.st_size).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let offset = filled as u64;
            match rustix::io::retry_on_intr(|| rustix::io::pread(&self.0, &mut bytes[filled..], offset))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(bytes)
    }
}

impl AsFd for Carried {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The same file, not one that holds the same.
impl PartialEq for Carried {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Carried {}
