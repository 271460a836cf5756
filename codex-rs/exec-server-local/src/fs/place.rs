//! From a path on the wire to a place in the system.
//!
//! Paths are bytes, taken from the URI once. Where links must not be followed, every directory on the way is opened by
//! itself, so that what was checked is what is used: nobody can put a link there in between.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::path_uri::{HostOs, PathUri};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat};

/// Whether links may stand in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// They lead on.
    Follow,
    /// Nowhere in it.
    Refuse,
}

impl Links {
    pub(super) const fn from_follow(follow: bool) -> Self {
        if follow { Self::Follow } else { Self::Refuse }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) uri: PathUri,
    /// The whole path.
    pub(super) path: PathBuf,
    pub(super) links: Links,
    /// Where `name` is looked up; the whole path from anywhere if there is none.
    parent: Option<OwnedFd>,
    name: PathBuf,
}

/// The native path.
pub(crate) fn native(uri: &PathUri) -> Result<PathBuf, FsFault> {
    native_within(uri).map(Cow::into_owned)
}

/// As [`native`], as it stands in the URI if nothing in it is escaped.
pub(super) fn native_within(uri: &PathUri) -> Result<Cow<'_, Path>, FsFault> {
    if uri.has_encoded_separator() {
        return Err(FsFault::EncodedSeparator(uri.clone()));
    }
    let bytes =
        uri.to_host_path_bytes(HostOs::Linux).map_err(|foreign| FsFault::ForeignPath(foreign.to_string()))?;
    Ok(match bytes {
        Cow::Borrowed(bytes) => Path::new(OsStr::from_bytes(bytes)).into(),
        Cow::Owned(bytes) => PathBuf::from(OsString::from_vec(bytes)).into(),
    })
}

/// As [`native`], without slashes at the end: they would make the system follow a link that is meant itself.
pub(super) fn native_bare(uri: &PathUri) -> Result<PathBuf, FsFault> {
    let path = native(uri)?;
    let bytes = path.as_os_str().as_bytes();
    let kept = bytes.iter().rposition(|byte| *byte != b'/').map_or(1, |last| last + 1);
    Ok(PathBuf::from(OsStr::from_bytes(&bytes[..kept])))
}

/// The path of `name` in the directory `path`.
pub(super) fn child(path: &Path, name: &OsStr) -> Option<PathUri> {
    PathUri::from_path_bytes(path.join(name).as_os_str().as_bytes()).ok()
}

impl Place {
    pub(super) fn new(uri: &PathUri, links: Links) -> Result<Self, FsFault> {
        let path = native(uri)?;
        let place = |parent, name| Self { uri: uri.clone(), path: path.clone(), links, parent, name };
        match links {
            Links::Follow => Ok(place(/*parent*/ None, path.clone())),
            Links::Refuse => {
                let (parent, name) = open_parent(&path).map_err(|error| FsFault::io(uri, error))?;
                Ok(place(Some(parent), name))
            }
        }
    }

    /// Where [`Self::name`] is looked up.
    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.parent.as_ref().map_or(CWD, AsFd::as_fd)
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// What an open adds so that a link at the end is an error.
    pub(super) fn open_flags(&self) -> OFlags {
        match self.links {
            Links::Follow => OFlags::CLOEXEC,
            Links::Refuse => OFlags::CLOEXEC | OFlags::NOFOLLOW,
        }
    }

    /// What a look adds so that a link at the end is seen itself.
    pub(super) fn look_flags(&self) -> AtFlags {
        match self.links {
            Links::Follow => AtFlags::empty(),
            Links::Refuse => AtFlags::SYMLINK_NOFOLLOW,
        }
    }

    pub(super) fn fault(&self, error: impl Into<std::io::Error>) -> FsFault {
        FsFault::io(&self.uri, error)
    }

    pub(super) fn not_a_file(&self) -> FsFault {
        FsFault::NotAFile { path: self.uri.clone(), native: self.path.display().to_string() }
    }
}

/// Opens the directory that holds the last component, through directories alone.
fn open_parent(path: &Path) -> rustix::io::Result<(OwnedFd, PathBuf)> {
    let mut components = path.components().peekable();
    components.next_if_eq(&Component::RootDir);
    let mut dir = openat(CWD, "/", DIRECTORY, Mode::empty())?;
    while let Some(component) = components.next() {
        let name = component.as_os_str();
        if components.peek().is_none() {
            return Ok((dir, name.into()));
        }
        dir = openat(&dir, name, DIRECTORY, Mode::empty())?;
    }
    Ok((dir, ".".into()))
}

/// Opens a directory and nothing else, not even a link to one.
pub(super) const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
