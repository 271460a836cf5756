//! Carrying out a view: detached trees are cloned, restricted, and only then put in their places.
//!
//! Everything that is shown is opened before anything is made read-only, and must be what it was when the server checked it.
//! A view of the machine's tree is made of the copy of it that came with the namespace, in its place: there is no other
//! tree to get back to. An empty one stands on top of that copy until it is complete; then the copy goes.
//!
//! Taking a mount away, or closing a tree that was never put anywhere, makes the kernel wait for all processors, which is
//! most of what a view could cost. So nothing is: what only serves to build hides below what covers it.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};
use rustix::process::{fchdir, pivot_root};

use super::devices::{self, Devices};
use crate::job::{Failure, Stage};
use crate::view::{Base, Identity, Step, View};

/// Where a mount may be put: `how` of the restrictions that it gets for itself, and `recursive` for those below it.
pub(super) const QUIET: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// Builds `view` and enters it. `terminal` tells whether descriptor 0 is a terminal, which then gets a place in it.
pub(super) fn build(view: &View, terminal: bool) -> Result<(), Failure> {
    detach()?;
    let sources = open_sources(view)?;
    let ground = Ground::lay(view.base == Base::Empty, view.host_devices, terminal)?;
    ground.finish(view, sources)
}

/// What all views of the machine's tree have in common and none of them can change: it is cut off from the machine's, nothing in it
/// gives rights, and it has small devices. Terminals, shared memory and a process table are each sandbox's own, and so not in
/// it.
pub(super) fn lay_base() -> Result<(), Failure> {
    detach()?;
    let devices = Devices::open(/*terminal*/ false).map_err(failed("/dev"))?;
    let root = Root::stand(/*empty*/ false, /*host_devices*/ false).map_err(failed("the new root"))?;
    devices.add_shared(&root).map(drop).map_err(failed("/dev"))
}

/// Nothing that is done here from now on reaches the machine's own tree, nor the other way round.
fn detach() -> Result<(), Failure> {
    set_attributes(CWD, "/", /*recursive*/ true, Attributes { private: true, ..Attributes::default() })
        .map_err(failed("/"))
}

/// What views have in common: a root, a process table and devices of their own. Nothing is read-only yet that a step could
/// show to be written.
pub(super) struct Ground {
    root: Root,
    masks: Masks,
    /// Of the devices; these stay so.
    writable: Vec<OwnedFd>,
}

impl Ground {
    /// The ground of views of the machine's tree, without a terminal, before it is known which; `on_base` tells that these mounts
    /// are a copy of those of [`lay_base`].
    pub(super) fn lay_ahead(on_base: bool) -> Result<Self, Failure> {
        if !on_base {
            detach()?;
            return Self::lay(/*empty*/ false, /*host_devices*/ false, /*terminal*/ false);
        }
        let root = Root::of_machine().map_err(failed("the new root"))?;
        let masks = Masks::new(&root).map_err(failed("masks"))?;
        root.add_proc(&masks).map_err(failed("/proc"))?;
        let dev = root.find(b"/dev").map_err(io::Error::from).map_err(failed("/dev"))?;
        let writable = devices::add_own(&dev).map_err(failed("/dev"))?;
        Ok(Self { root, masks, writable: writable.into() })
    }

    /// Builds `view`, which has this ground, and enters it.
    pub(super) fn build(self, view: &View) -> Result<(), Failure> {
        let sources = open_sources(view)?;
        self.finish(view, sources)
    }

    fn lay(empty: bool, host_devices: bool, terminal: bool) -> Result<Self, Failure> {
        // Where the machine's own devices are kept, a terminal has its place already.
        let devices = match host_devices {
            true => None,
            false => Some(Devices::open(terminal).map_err(failed("/dev"))?),
        };
        let root = Root::stand(empty, host_devices).map_err(failed("the new root"))?;
        // On an empty base the places for these are made; they come first, so that rules about what is below them hold.
        let masks = Masks::new(&root).map_err(failed("masks"))?;
        root.add_proc(&masks).map_err(failed("/proc"))?;
        let writable = match devices {
            Some(devices) => devices.add(&root).map_err(failed("/dev"))?.into(),
            None => Vec::new(),
        };
        Ok(Self { root, masks, writable })
    }

    fn finish(self, view: &View, sources: Vec<Option<OwnedFd>>) -> Result<(), Failure> {
        let Self { root, masks, writable } = self;
        let read_only = Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Attributes::default() };
        if view.base == (Base::Machine { writable: false }) {
            set_attributes(CWD, "/", /*recursive*/ true, read_only).map_err(failed("/"))?;
            for mount in &writable {
                let attributes = Attributes { clear: libc::MOUNT_ATTR_RDONLY, ..Attributes::default() };
                set_attributes(mount, "", /*recursive*/ false, attributes).map_err(failed("/dev"))?;
            }
        }
        let mut around = Vec::new();
        for (step, source) in view.steps.iter().zip(sources) {
            match (step, source) {
                (Step::Show { path, identity, .. }, Some(source)) => {
                    root.put(&source, path, Some(identity.directory)).map_err(failed_at(path))?;
                }
                (Step::Show { .. }, None) => {}
                (Step::Hide { path, directory }, _) => {
                    masks.hide(&root, path, *directory).map_err(failed_at(path))?;
                }
                (Step::HideAround { path }, _) => {
                    let hidden = tmpfs("0111", "64k", "64").map_err(failed_at(path))?;
                    root.put(&hidden, path, /*make*/ None).map_err(failed_at(path))?;
                    around.push(hidden);
                }
                (Step::Link { path, target }, _) => root.link(path, target).map_err(failed_at(path))?,
            }
        }
        if !view.host_devices && view.base != Base::Empty {
            masks.hide_control_groups(&root).map_err(failed("/sys/fs/cgroup"))?;
        }
        for mount in around.iter().chain((view.base == Base::Empty).then_some(&root.tree)) {
            set_attributes(mount, "", /*recursive*/ false, read_only).map_err(failed("the new root"))?;
        }
        root.enter().map_err(failed("the new root"))
    }
}

/// What each step shows, before anything is changed.
fn open_sources(view: &View) -> Result<Vec<Option<OwnedFd>>, Failure> {
    let source = |step: &Step| match step {
        Step::Show { path, writable, identity } => {
            clone_checked(path, *identity, *writable).map(Some).map_err(failed_at(path))
        }
        Step::Hide { .. } | Step::HideAround { .. } | Step::Link { .. } => Ok(None),
    };
    view.steps.iter().map(source).collect()
}

/// The tree that is being built.
pub(super) struct Root {
    pub(super) tree: OwnedFd,
    /// Whether it stands on top of the old root, and places are made where there are none.
    empty: bool,
}

impl Root {
    fn stand(empty: bool, host_devices: bool) -> io::Result<Self> {
        if empty {
            let tree = tmpfs("0755", "1m", "4k")?;
            move_mount(&tree, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            return Ok(Self { tree, empty });
        }
        let set = libc::MOUNT_ATTR_NOSUID | if host_devices { 0 } else { libc::MOUNT_ATTR_NODEV };
        // The root must be a mount for this, or it fails: what is around it would keep its rights.
        set_attributes(CWD, "/", /*recursive*/ true, Attributes { set, ..Attributes::default() })?;
        Self::of_machine()
    }

    /// The machine's tree as it is here.
    fn of_machine() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { tree: rustix::fs::open("/", flags, Mode::empty())?, empty: false })
    }

    /// Puts a detached tree at `path`. Where nothing is on an empty base, a place is made for a folder or a file.
    pub(super) fn put(&self, tree: &OwnedFd, path: &[u8], make: Option<bool>) -> io::Result<()> {
        let place = match self.find(path) {
            Err(Errno::NOENT) if self.empty || make.is_some() => {
                self.make(path, make.unwrap_or(true))?;
                self.find(path)?
            }
            found => found?,
        };
        Ok(move_mount(tree, "", &place, "", INTO_PLACE)?)
    }

    /// A path of the new tree, without links: where one is met, the machine has changed since it was looked at.
    pub(super) fn find(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        openat2(&self.tree, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), STAYING)
    }

    /// Makes what is missing of `path`. Only trees of this view can be written to; on others it fails.
    fn make(&self, path: &[u8], directory: bool) -> io::Result<()> {
        let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        let mut at = self.find(b"/")?;
        for (index, name) in names.iter().enumerate() {
            let last = index + 1 == names.len();
            let flags = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            let open =
                |at: &OwnedFd| openat2(at, *name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), flags);
            at = match open(&at) {
                Err(Errno::NOENT) if last && !directory => {
                    touch(&at, name)?;
                    open(&at)?
                }
                Err(Errno::NOENT) => {
                    mkdirat(&at, *name, Mode::from_raw_mode(0o755))?;
                    open(&at)?
                }
                found => found?,
            };
        }
        Ok(())
    }

    fn link(&self, path: &[u8], target: &[u8]) -> io::Result<()> {
        let at = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let (parent, name) = (if at == 0 { &b"/"[..] } else { &path[..at] }, &path[at + 1..]);
        let parent = match self.find(parent) {
            Err(Errno::NOENT) => {
                self.make(parent, /*directory*/ true)?;
                self.find(parent)?
            }
            found => found?,
        };
        match symlinkat(target, &parent, name) {
            // Something that is shown stands there.
            Err(Errno::EXIST | Errno::ROFS) => Ok(()),
            made => Ok(made?),
        }
    }

    /// A process table of this pid namespace, in which nothing can be changed: what user 0 may set there is not bound to
    /// capabilities, and holds for the whole machine. What the kernel shows in it of itself and of others, which no program
    /// needs, is hidden.
    fn add_proc(&self, masks: &Masks) -> io::Result<()> {
        let fs = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        // Linux 5.8; before that, processes of others are seen by number.
        let _ = fsconfig_set_string(&fs, "hidepid", "invisible");
        fsconfig_create(&fs)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let tree = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        self.put(&tree, b"/proc", /*make*/ None)?;
        masks.hide_kernel(&tree)
    }

    /// Makes the new tree the root and lets go of the old one, if that is another.
    fn enter(self) -> io::Result<()> {
        if self.empty {
            fchdir(&self.tree)?;
            // The old root ends up on top of the new one, where `.` finds it.
            pivot_root(".", ".")?;
            unmount(".", UnmountFlags::DETACH)?;
        }
        Ok(rustix::process::chdir("/")?)
    }
}

/// What stands in the place of something hidden: parts of one little file system, which is itself hidden.
struct Masks {
    tree: OwnedFd,
}

/// Can't be opened.
const FOLDER: &str = "d";
const FILE: &str = "f";
/// The same, but they may be opened: programs that look there find nothing instead of a refusal.
const EMPTY_FOLDER: &str = "e";
const EMPTY_FILE: &str = "g";

impl Masks {
    /// Read-only, and where `/proc` will cover it: parts of a tree that is attached nowhere can be copied only since Linux
    /// 6.15.
    fn new(root: &Root) -> io::Result<Self> {
        let tree = tmpfs("0755", "64k", "16")?;
        mkdirat(&tree, FOLDER, Mode::empty())?;
        mkdirat(&tree, EMPTY_FOLDER, Mode::from_raw_mode(0o555))?;
        drop(create(&tree, FILE.as_bytes(), /*mode*/ 0)?);
        drop(create(&tree, EMPTY_FILE.as_bytes(), /*mode*/ 0o444)?);
        let read_only =
            Attributes { set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOEXEC, ..Attributes::default() };
        set_attributes(&tree, "", /*recursive*/ false, read_only)?;
        root.put(&tree, b"/proc", /*make*/ None)?;
        Ok(Self { tree })
    }

    fn hide(&self, root: &Root, path: &[u8], directory: bool) -> io::Result<()> {
        self.put(if directory { FOLDER } else { FILE }, &root.find(path)?)
    }

    fn put(&self, name: &str, place: &OwnedFd) -> io::Result<()> {
        let copy = clone_tree(&self.tree, name)?;
        Ok(move_mount(&copy, "", place, "", INTO_PLACE)?)
    }

    fn hide_kernel(&self, proc: &OwnedFd) -> io::Result<()> {
        const FILES: [&str; 9] = [
            "kcore",
            "keys",
            "key-users",
            "kmsg",
            "kpagecount",
            "kpageflags",
            "kpagecgroup",
            "sysrq-trigger",
            "timer_list",
        ];
        for name in FILES {
            // Not every kernel has all of them.
            match openat2(proc, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), STAYING) {
                Err(Errno::NOENT) => {}
                place => self.put(EMPTY_FILE, &place?)?,
            }
        }
        Ok(())
    }

    /// The machine's.
    fn hide_control_groups(&self, root: &Root) -> io::Result<()> {
        match root.find(b"/sys/fs/cgroup") {
            Err(Errno::NOENT) => Ok(()),
            place => self.put(EMPTY_FOLDER, &place?),
        }
    }
}

/// Over no link, and never above where it begins.
const STAYING: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Both ends are descriptors.
const INTO_PLACE: MoveMountFlags =
    MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH.union(MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH);

const COPY: OpenTreeFlags =
    OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC).union(OpenTreeFlags::AT_RECURSIVE);

/// A detached copy of what is mounted at a path, with everything below.
pub(super) fn clone_tree(at: impl AsFd, path: &str) -> io::Result<OwnedFd> {
    Ok(open_tree(at, path, COPY)?)
}

/// The same for a path that must lead to what it led to before, over no link.
fn clone_checked(path: &[u8], identity: Identity, writable: bool) -> io::Result<OwnedFd> {
    let flags = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let place = openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), flags)?;
    let found = fstat(&place)?;
    let directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    if (found.st_dev, found.st_ino, directory) != (identity.device, identity.inode, identity.directory) {
        // It was replaced between the check and now.
        return Err(io::Error::from_raw_os_error(libc::ESTALE));
    }
    let tree = open_tree(&place, "", COPY | OpenTreeFlags::AT_EMPTY_PATH)?;
    let set = QUIET | if writable { 0 } else { libc::MOUNT_ATTR_RDONLY };
    set_attributes(&tree, "", /*recursive*/ true, Attributes { set, ..Attributes::default() })?;
    Ok(tree)
}

/// A detached file system in memory. Every one has a size and a number of files that it can't outgrow.
pub(super) fn tmpfs(mode: &str, size: &str, inodes: &str) -> io::Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "mode", mode)?;
    fsconfig_set_string(&fs, "size", size)?;
    fsconfig_set_string(&fs, "nr_inodes", inodes)?;
    fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

pub(super) fn touch(at: &OwnedFd, name: &[u8]) -> io::Result<()> {
    create(at, name, /*mode*/ 0o644).map(drop)
}

fn create(at: &OwnedFd, name: &[u8], mode: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(at, name, flags, Mode::from_raw_mode(mode))?)
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attributes {
    /// `MOUNT_ATTR_…` that are added.
    pub(super) set: u64,
    /// Those that are taken away, of mounts that were made here.
    pub(super) clear: u64,
    /// Whether mounts stop to be passed on to and from others.
    pub(super) private: bool,
}

pub(super) fn set_attributes(
    at: impl AsFd,
    path: &str,
    recursive: bool,
    attributes: Attributes,
) -> io::Result<()> {
    let path = CString::new(path)?;
    let attr = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: if attributes.private { libc::MS_PRIVATE } else { 0 },
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let at: BorrowedFd<'_> = at.as_fd();
    // SAFETY: a NUL-terminated path and a structure of the size that is passed with it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn failed(what: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure {
        stage: Stage::View,
        errno: error.raw_os_error().unwrap_or(libc::EIO),
        detail: what.to_owned(),
    }
}

fn failed_at(path: &[u8]) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| failed(&String::from_utf8_lossy(path))(error)
}
