//! The kernel's table of processes, as `/proc` shows it.
//!
//! Owns reading and parsing. Leaves conclusions to `tree` and `orphans`: whatever is read here is
//! about a number, and may be about another process by the time it is used.

use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, RawDir, SeekFrom, openat, readlinkat, seek};
use rustix::io::Errno;

/// An open `/proc` that shows our own pid namespace.
pub(super) struct ProcTable {
    directory: OwnedFd,
}

/// What one process's `stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// `b'Z'` for a zombie.
    pub(super) state: u8,
    pub(super) parent: i32,
    /// 0 when the session's leader is in an outer pid namespace.
    pub(super) session: i32,
}

impl ProcTable {
    /// # Errors
    /// When `/proc` is not mounted, or (as `ENOENT`) shows another pid namespace, whose numbers mean other
    /// processes here.
    pub(super) fn open() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, c"/proc", flags, Mode::empty())?;
        let own = readlinkat(&directory, c"self", [0_u8; 16])?;
        if own.to_bytes() != std::process::id().to_string().as_bytes() {
            return Err(Errno::NOENT.into());
        }
        Ok(Self { directory })
    }

    /// The numbers of all processes, ascending as the kernel lists them.
    pub(super) fn pids(&self) -> io::Result<Vec<i32>> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut pids = Vec::with_capacity(256);
        seek(&self.directory, SeekFrom::Start(0))?;
        let mut entries = RawDir::new(&self.directory, &mut buffer);
        while let Some(entry) = entries.next() {
            if let Some(pid) = entry?.file_name().to_str().ok().and_then(|name| name.parse().ok()) {
                pids.push(pid);
            }
        }
        Ok(pids)
    }

    /// `None` when there is no such process (any more).
    pub(super) fn stat(&self, pid: i32) -> Option<Stat> {
        // The longest that the kernel writes is some 400 bytes.
        let mut buffer = [0; 1024];
        parse_stat(self.read(pid, "stat", &mut buffer)?)
    }

    /// Soft and hard value of the limit that holds the brand, in the form that any user may read. `None` when
    /// there is no such process.
    pub(super) fn brand_limits_text(&self, pid: i32) -> Option<(u64, u64)> {
        let mut buffer = [0; 4096];
        parse_limits(self.read(pid, "limits", &mut buffer)?)
    }

    /// Zombies whose parent is this process.
    pub(super) fn zombie_children_of_this_process(&self) -> io::Result<Vec<i32>> {
        let own = std::process::id().cast_signed();
        let is_ours = |stat: Stat| stat.parent == own && stat.state == b'Z';
        let mut pids = self.pids()?;
        pids.retain(|&pid| self.stat(pid).is_some_and(is_ours));
        Ok(pids)
    }

    fn read<'b>(&self, pid: i32, file: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
        let mut path = [0_u8; 32];
        write!(&mut path[..], "{pid}/{file}").ok()?;
        let end = path.iter().position(|&byte| byte == 0)?;
        let file =
            openat(&self.directory, &path[..end], OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let length = rustix::io::read(&file, &mut *buffer).ok()?;
        // The name of a program may be any bytes. It is of no interest, so it need only not get in the way.
        for byte in &mut buffer[..length] {
            *byte = if byte.is_ascii() { *byte } else { b'?' };
        }
        std::str::from_utf8(&buffer[..length]).ok()
    }
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses, which may itself hold parentheses and spaces.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let _process_group = fields.next()?;
    let session = fields.next()?.parse().ok()?;
    Some(Stat { state, parent, session })
}

fn parse_limits(text: &str) -> Option<(u64, u64)> {
    let rest = text.lines().find_map(|line| line.strip_prefix("Max realtime timeout"))?;
    let mut values = rest.split_ascii_whitespace().map(|value| match value {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some((values.next()??, values.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_cannot_pose_as_other_fields() {
        let text = "77 (a) R 9 (b) S 1 2 3 4 5\n";
        assert_eq!(parse_stat(text), Some(Stat { state: b'S', parent: 1, session: 3 }));
    }

    #[test]
    fn own_entry_agrees_with_the_system_calls() {
        let table = ProcTable::open().expect("/proc is mounted");
        let own = std::process::id().cast_signed();
        let stat = table.stat(own).expect("this process exists");
        assert_eq!(stat.parent.cast_unsigned(), std::os::unix::process::parent_id());
        assert!(table.pids().expect("/proc is readable").contains(&own));
        let limits = crate::os::sys::limits_of(own, crate::os::mark::RESOURCE).expect("this process exists");
        assert_eq!(table.brand_limits_text(own), Some(limits));
    }
}
