//! The file of a Unix socket listener: private from its first moment, never taken from a live server, gone in
//! the end.

use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use tokio::net::{UnixListener, UnixStream};

/// Only the owner may connect.
const MODE: u32 = 0o600;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long another server that is starting in the same directory is waited for.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why a Unix socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    /// Another server answers there.
    #[error("another server is listening on {}", .0.display())]
    InUse(PathBuf),
    /// There is something that is not a socket; it is not ours to remove.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The kernel has room for about 100 bytes of path.
    #[error("{} is too long for a unix socket path, use a shorter one", .0.display())]
    PathTooLong(PathBuf),
    /// Other servers keep the directory locked.
    #[error("directory {} stays locked by another process", .0.display())]
    Locked(PathBuf),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A listening socket and its file, which is removed on drop unless someone has put another one in its place.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file that was made.
    identity: (u64, u64),
}

impl BoundSocket {
    pub(crate) async fn bind(path: &Path) -> Result<Self, UnixSocketError> {
        let io_error = |source: io::Error| UnixSocketError::Io { path: path.to_owned(), source };
        let address = UnixAddr::new(path).map_err(|_| UnixSocketError::PathTooLong(path.to_owned()))?;

        // Looking whether the old socket is dead, removing it and binding the new one are three steps. Two
        // servers that start at once must not interleave them, or one would remove the other's fresh socket.
        let _lock = lock_directory(path).await?;
        remove_stale(path).await?;

        let socket = socket::socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
        .map_err(|errno| io_error(errno.into()))?;
        // Binding gives the file the mode of the socket, less the umask. Setting it first leaves no moment in
        // which others may connect, and leaves the umask of the process alone.
        let socket = File::from(socket);
        socket.set_permissions(Permissions::from_mode(MODE)).map_err(io_error)?;
        let socket = OwnedFd::from(socket);
        socket::bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &address)
            .map_err(|errno| io_error(errno.into()))?;

        let metadata = std::fs::symlink_metadata(path).map_err(io_error)?;
        let backlog = Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN);
        socket::listen(&socket, backlog).map_err(|errno| io_error(errno.into()))?;
        let listener = UnixListener::from_std(socket.into()).map_err(io_error)?;
        Ok(Self { listener, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        let is_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if is_ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the socket file");
        }
    }
}

/// Removes the socket of a dead server, and refuses to touch anything else.
async fn remove_stale(path: &Path) -> Result<(), UnixSocketError> {
    let io_error = |source: io::Error| UnixSocketError::Io { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(UnixSocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        // A server with a full backlog is busy, but alive.
        Ok(_) => Err(UnixSocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(UnixSocketError::InUse(path.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io_error)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(error)),
    }
}

/// Locks the directory of `path` until the result is dropped. Locking it leaves no file behind.
async fn lock_directory(path: &Path) -> Result<File, UnixSocketError> {
    let io_error = |source: io::Error| UnixSocketError::Io { path: path.to_owned(), source };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let handle = File::open(directory).map_err(io_error)?;
    for _ in 0..LOCK_TRIES {
        match handle.try_lock() {
            Ok(()) => return Ok(handle),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(io_error(error)),
        }
    }
    Err(UnixSocketError::Locked(directory.to_owned()))
}
