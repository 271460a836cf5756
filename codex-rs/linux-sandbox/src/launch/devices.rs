//! A small `/dev`: what programs need, and nothing that leads to hardware or to others.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, fstat, mkdirat, open, symlinkat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::mounts::{Attributes, Root, clone_tree, set_attributes, tmpfs, touch};

/// Shown as they are.
const NODES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// What shared memory may take. It counts as the process's memory as well.
const SHARED_MEMORY: &str = "256m";

/// What is shown of the machine's devices: taken before anything covers them.
pub(super) struct Devices {
    nodes: Vec<OwnedFd>,
    terminal: Option<OwnedFd>,
}

impl Devices {
    /// `terminal` tells whether descriptor 0 is a terminal, which then gets a place among them.
    pub(super) fn open(terminal: bool) -> io::Result<Self> {
        let node = |name: &&str| clone_tree(CWD, &format!("/dev/{name}"));
        let nodes = NODES.iter().map(node).collect::<io::Result<_>>()?;
        Ok(Self { nodes, terminal: if terminal { Some(open_terminal()?) } else { None } })
    }

    /// Returns those mounts among them that are there to be written to.
    pub(super) fn add(self, root: &Root) -> io::Result<[OwnedFd; 2]> {
        let (dev, terminal) = self.attach(root)?;
        let own = add_own(&dev)?;
        if let Some(terminal) = &terminal {
            put(terminal, &dev, "console")?;
            take_terminal(&dev)?;
        }
        close(&dev)?;
        Ok(own)
    }

    /// Those that sandboxes may have in common: none of them can be changed.
    pub(super) fn add_shared(self, root: &Root) -> io::Result<()> {
        let (dev, _) = self.attach(root)?;
        close(&dev)
    }

    /// A folder with the nodes and places for the others, and the terminal that is to have one of these.
    fn attach(self, root: &Root) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
        let dev = tmpfs("0755", "64k", "64")?;
        // Its places are made before it is attached; the nodes come after, since only an attached tree takes mounts.
        for node in NODES {
            touch(&dev, node.as_bytes())?;
        }
        for folder in ["pts", "shm"] {
            mkdirat(&dev, folder, Mode::from_raw_mode(0o755))?;
        }
        for (link, target) in [
            ("fd", "/proc/self/fd"),
            ("ptmx", "pts/ptmx"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            symlinkat(target, &dev, link)?;
        }
        if self.terminal.is_some() {
            touch(&dev, b"console")?;
        }
        root.put(&dev, b"/dev", /*make*/ None)?;
        for (name, node) in NODES.iter().zip(&self.nodes) {
            put(node, &dev, name)?;
        }
        Ok((dev, self.terminal))
    }
}

/// Terminals and shared memory of a sandbox's own: there to be written to.
pub(super) fn add_own(dev: &OwnedFd) -> io::Result<[OwnedFd; 2]> {
    let (terminals, memory) = (terminals()?, tmpfs("1777", SHARED_MEMORY, "16k")?);
    put(&terminals, dev, "pts")?;
    put(&memory, dev, "shm")?;
    Ok([terminals, memory])
}

/// Nothing can be added or taken away any more.
fn close(dev: &OwnedFd) -> io::Result<()> {
    let read_only =
        Attributes { set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOEXEC, ..Attributes::default() };
    set_attributes(dev, "", /*recursive*/ false, read_only)
}

fn put(tree: &OwnedFd, dev: &OwnedFd, name: &str) -> io::Result<()> {
    Ok(move_mount(tree, "", dev, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Terminals of the sandbox's own.
fn terminals() -> io::Result<OwnedFd> {
    let fs = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "ptmxmode", "0666")?;
    fsconfig_set_string(&fs, "mode", "0620")?;
    fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// The process's own terminal belongs to the machine's terminals, which are not to be seen. It gets a place among the
/// devices.
fn open_terminal() -> io::Result<OwnedFd> {
    let stdin = std::io::stdin();
    // The descriptor's own mount is the server's, which can't be cloned here: the terminal is found by its path, and must be
    // the same one.
    let path = rustix::fs::readlink("/proc/self/fd/0", Vec::new())?;
    let found = open(path.as_c_str(), OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    let (own, found_stat) = (fstat(&stdin)?, fstat(&found)?);
    if (own.st_dev, own.st_ino, own.st_rdev) != (found_stat.st_dev, found_stat.st_ino, found_stat.st_rdev) {
        return Err(io::Error::from_raw_os_error(libc::ESTALE));
    }
    Ok(open_tree(
        &found,
        "",
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH,
    )?)
}

/// Opens it anew in its place, so that its name is found and `/dev/stdout` leads to it.
#[allow(unsafe_code)]
fn take_terminal(dev: &OwnedFd) -> io::Result<()> {
    let opened =
        rustix::fs::openat(dev, "console", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&opened);
    for descriptor in 0..3 {
        // SAFETY: replaces the three by another way to the same terminal.
        if unsafe { libc::dup2(number, descriptor) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
