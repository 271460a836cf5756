//! Calls that a policy can deny, and where their paths and addresses stand.
//!
//! The kernel decides about each of them by itself; they are looked at only to say afterwards what was denied.

use libc::c_long;
use serde::{Deserialize, Serialize};

use crate::bpf::{Action, Line, When};

/// What a call does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Opens it; the argument with this number has the flags.
    Open(usize),
    /// Opens it to write it, made if need be.
    Create,
    /// Makes it, where nothing is.
    Make,
    /// Makes it, or takes the place of what is there.
    Replace,
    /// Changes what is there, through a link.
    Change,
    /// Changes or removes what is there, be it a link.
    ChangeItself,
}

/// Where a path stands among a call's arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathAt {
    /// The folder that it starts from, if it names one.
    pub(crate) folder: Option<usize>,
    pub(crate) path: usize,
    pub(crate) deed: Deed,
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watched {
    pub(crate) call: c_long,
    pub(crate) name: &'static str,
    pub(crate) paths: &'static [PathAt],
}

/// The numbers of a folder and of a path that starts from it.
const fn at((folder, path): (usize, usize), deed: Deed) -> PathAt {
    PathAt { folder: Some(folder), path, deed }
}

#[cfg(target_arch = "x86_64")]
const FIRST: usize = 0;
#[cfg(target_arch = "x86_64")]
const SECOND: usize = 1;

#[cfg(target_arch = "x86_64")]
const fn plain(path: usize, deed: Deed) -> PathAt {
    PathAt { folder: None, path, deed }
}

const fn watched(call: c_long, name: &'static str, paths: &'static [PathAt]) -> Watched {
    Watched { call, name, paths }
}

use Deed::{Change, ChangeItself, Make, Open, Replace};

/// Calls about files, but for those that only read.
const FILES: &[Watched] = &[
    watched(libc::SYS_openat, "openat", &[at((0, 1), Open(2))]),
    watched(libc::SYS_mkdirat, "mkdirat", &[at((0, 1), Make)]),
    watched(libc::SYS_unlinkat, "unlinkat", &[at((0, 1), ChangeItself)]),
    watched(libc::SYS_renameat2, "renameat2", &[at((0, 1), ChangeItself), at((2, 3), Replace)]),
    watched(libc::SYS_renameat, "renameat", &[at((0, 1), ChangeItself), at((2, 3), Replace)]),
    watched(libc::SYS_linkat, "linkat", &[at((2, 3), Make)]),
    watched(libc::SYS_symlinkat, "symlinkat", &[at((1, 2), Make)]),
    watched(libc::SYS_mknodat, "mknodat", &[at((0, 1), Make)]),
    watched(libc::SYS_fchmodat, "fchmodat", &[at((0, 1), Change)]),
    watched(libc::SYS_fchownat, "fchownat", &[at((0, 1), Change)]),
    watched(libc::SYS_utimensat, "utimensat", &[at((0, 1), Change)]),
    watched(libc::SYS_truncate, "truncate", &[PathAt { folder: None, path: 0, deed: Change }]),
    watched(libc::SYS_setxattr, "setxattr", &[PathAt { folder: None, path: 0, deed: Change }]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_open, "open", &[plain(FIRST, Open(1))]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_creat, "creat", &[plain(FIRST, Deed::Create)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_mkdir, "mkdir", &[plain(FIRST, Make)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_rmdir, "rmdir", &[plain(FIRST, ChangeItself)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_unlink, "unlink", &[plain(FIRST, ChangeItself)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_rename, "rename", &[plain(FIRST, ChangeItself), plain(SECOND, Replace)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_link, "link", &[plain(SECOND, Make)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_symlink, "symlink", &[plain(SECOND, Make)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_mknod, "mknod", &[plain(FIRST, Make)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_chmod, "chmod", &[plain(FIRST, Change)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_chown, "chown", &[plain(FIRST, Change)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_lchown, "lchown", &[plain(FIRST, ChangeItself)]),
    #[cfg(target_arch = "x86_64")]
    watched(libc::SYS_utimes, "utimes", &[plain(FIRST, Change)]),
];

/// The call with this number.
pub(crate) fn find(call: c_long) -> Option<&'static Watched> {
    FILES.iter().find(|watched| watched.call == call)
}

/// What an opening has that may change something.
pub(crate) const WRITING: u32 =
    (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC).cast_unsigned();

/// Which calls are to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// Those that change files.
    pub(crate) changes: bool,
    /// Those that open files to read them.
    pub(crate) reads: bool,
    /// Those that reach for an address.
    pub(crate) addresses: bool,
}

impl Watch {
    /// How many different ones there are.
    pub(crate) const KINDS: usize = 8;

    /// The number of this one, below [`KINDS`](Self::KINDS).
    pub(crate) fn index(self) -> usize {
        usize::from(self.changes) | usize::from(self.reads) << 1 | usize::from(self.addresses) << 2
    }
}

/// The lines of a filter that tell of them.
pub(crate) fn lines(watch: Watch) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |call, when: Vec<When>| lines.push(Line { call, when, action: Action::Ask });
    for watched in FILES.iter().filter(|_| watch.changes) {
        let when = match (watched.paths, watched.call) {
            ([PathAt { deed: Open(flags), .. }], _) if !watch.reads => {
                vec![When::AnyOf(u32::try_from(*flags).unwrap_or(0), WRITING)]
            }
            // Without a path it is about an open file, which was opened before.
            (_, libc::SYS_utimensat) => vec![When::AnyOf(1, u32::MAX)],
            _ => Vec::new(),
        };
        line(watched.call, when);
    }
    if watch.addresses {
        line(libc::SYS_connect, Vec::new());
        line(libc::SYS_sendto, vec![When::AnyOf(4, u32::MAX)]);
    }
    lines
}
