//! `fs/readDirectory`: a directory as a whole, or in pages.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_protocol::fs::{FsReadDirectoryParams, FsReadDirectoryResponse, MAX_LISTED_ENTRIES};
use codex_exec_server_protocol::listing_result::{Entry, Listing};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat};

use super::beside::Beside;
use super::directory::{Reading, list, open, room};
use super::halves::{self, MIDDLE};
use super::host::{FsHost, Interest};
use super::metadata::{kind, look};
use super::place::{child, native, native_bare};

/// When so many entries were read, 0.1 ms, a second thread that found a processor has begun.
const PATIENCE_ENTRIES: usize = 400;

/// Lists for `params`, on this thread alone.
pub(super) fn read(
    host: &FsHost,
    params: &FsReadDirectoryParams,
    interest: &Interest,
) -> Result<FsReadDirectoryResponse, FsFault> {
    let wanted = Wanted::new(host.limits(), params.clone(), interest.clone())?;
    let Part { listing: entries, more, .. } = wanted.alone(Vec::new())?;
    Ok(FsReadDirectoryResponse { entries, more })
}

/// Lists for `params` into `listing`, on threads that may wait for a disk. Returns that, and whether there are more entries behind
/// it. Given up when the future is dropped.
pub(super) async fn read_into<L: Listing>(
    host: &Arc<FsHost>,
    params: FsReadDirectoryParams,
    listing: L,
) -> Result<(L, bool), FsFault> {
    let (interest, _interested) = Interest::new();
    let path = params.path.clone();
    let wanted = Arc::new(Wanted::new(host.limits(), params, interest)?);
    let begin = {
        let (wanted, host) = (Arc::clone(&wanted), Arc::clone(host));
        move || {
            let is_page = wanted.params.max_entries.is_some();
            if is_page { wanted.alone(listing) } else { wanted.first_half(&host, listing) }
        }
    };
    let Part { mut listing, entries, more, rest } = host.blocking(&path, begin).await?;
    if let Some(rest) = rest {
        let rest = rest.outcome().await.unwrap_or(Err(FsFault::GivenUp(path)))?;
        wanted.check(entries + rest.entries)?;
        listing.append(rest.listing);
    }
    Ok((listing, more))
}

/// What is to be listed.
struct Wanted {
    params: FsReadDirectoryParams,
    path: PathBuf,
    /// Entries of all of it.
    limit: usize,
    interest: Interest,
}

/// A part of a directory, or all of it.
struct Part<L> {
    listing: L,
    entries: usize,
    /// Whether there are more than were asked for.
    more: bool,
    /// The rest, if another thread reads it.
    rest: Option<Beside<Result<Part<L>, FsFault>>>,
}

impl Wanted {
    fn new(limits: &FileLimits, params: FsReadDirectoryParams, interest: Interest) -> Result<Self, FsFault> {
        let path = native(&params.path)?;
        Ok(Self { params, path, limit: limits.listed_entries, interest })
    }

    fn open(&self) -> Result<OwnedFd, FsFault> {
        open(&self.path).map_err(|error| self.fault(error))
    }

    fn fault(&self, error: impl Into<std::io::Error>) -> FsFault {
        FsFault::io(&self.params.path, error)
    }

    /// Fails if so many entries are too many.
    fn check(&self, entries: usize) -> Result<(), FsFault> {
        if entries <= self.limit {
            return Ok(());
        }
        Err(FsFault::TooManyEntries { path: self.params.path.clone(), limit: self.limit as u64 })
    }

    /// Reads on, before `until` or to the end. `entries` is how many there were before; `met` is told of each.
    fn read_on(
        &self,
        reading: &mut Reading<'_>,
        until: Option<u64>,
        entries: &mut usize,
        listing: &mut impl Listing,
        met: impl Fn(usize),
    ) -> Result<(), FsFault> {
        let read = reading.go_on(until, |name, kind, dir| {
            *entries += 1;
            self.check(*entries)?;
            met(*entries);
            self.interest.check(&self.params.path)?;
            show(&self.path, name, kind, dir, listing);
            Ok(())
        });
        read.unwrap_or_else(|error| Err(self.fault(error)))
    }

    /// All that is asked for.
    fn alone<L: Listing>(&self, mut listing: L) -> Result<Part<L>, FsFault> {
        match self.params.max_entries {
            Some(limit) => {
                let (entries, more) = self.page(limit, &mut listing)?;
                Ok(Part { listing, entries, more, rest: None })
            }
            None => self.rest_of(&self.open()?, listing),
        }
    }

    /// The first half, while another thread reads the second; or all of it where it has no halves.
    fn first_half<L: Listing>(self: &Arc<Self>, host: &FsHost, listing: L) -> Result<Part<L>, FsFault> {
        let dir = self.open()?;
        let rest = halves::second(&dir).and_then(|dir| {
            let (wanted, listing) = (Arc::clone(self), listing.part());
            Beside::offer(host, move || wanted.rest_of(&dir, listing))
        });
        match rest {
            Some(rest) => self.half_of(&dir, rest, listing),
            None => self.rest_of(&dir, listing),
        }
    }

    /// The first half of `dir`, and the second as well if nobody has begun with that by then.
    fn half_of<L: Listing>(
        &self,
        dir: &OwnedFd,
        rest: Beside<Result<Part<L>, FsFault>>,
        mut listing: L,
    ) -> Result<Part<L>, FsFault> {
        let (mut room, mut entries) = (room(), 0);
        let mut reading = Reading::new(dir, room.spare_capacity_mut());
        self.read_on(&mut reading, Some(MIDDLE), &mut entries, &mut listing, |entries| {
            if entries == PATIENCE_ENTRIES {
                rest.make_way();
            }
        })?;
        let rest = Some(rest).filter(Beside::was_begun);
        if rest.is_none() {
            self.read_on(&mut reading, /*until*/ None, &mut entries, &mut listing, |_| {})?;
        }
        Ok(Part { listing, entries, more: false, rest })
    }

    /// What stands behind the place of the opening `dir`.
    fn rest_of<L: Listing>(&self, dir: &OwnedFd, mut listing: L) -> Result<Part<L>, FsFault> {
        let (mut room, mut entries) = (room(), 0);
        let mut reading = Reading::new(dir, room.spare_capacity_mut());
        self.read_on(&mut reading, /*until*/ None, &mut entries, &mut listing, |_| {})?;
        Ok(Part { listing, entries, more: false, rest: None })
    }

    /// The first names behind `after`: how many, and whether there are more. The whole directory is looked at for each page, so that no page has
    /// to be remembered; only what may be in this one is held.
    fn page(&self, limit: u64, listing: &mut impl Listing) -> Result<(usize, bool), FsFault> {
        let most = MAX_LISTED_ENTRIES.min(self.limit as u64);
        if !(1..=most).contains(&limit) {
            return Err(FsFault::PageLength(most));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let after = self.params.after.as_ref().map(native_bare).transpose()?;
        let after = after.as_deref().and_then(Path::file_name);
        let mut names = BinaryHeap::new();
        let mut more = false;
        let listed = list(&self.path, |name, kind, _| {
            self.interest.check(&self.params.path)?;
            if after.is_none_or(|after| name.as_bytes() > after.as_bytes()) {
                names.push(Named { name: name.to_owned(), kind });
                if names.len() > limit {
                    names.pop();
                    more = true;
                }
            }
            Ok(())
        });
        listed.unwrap_or_else(|error| Err(self.fault(error)))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(CWD, &self.path, flags, Mode::empty()).map_err(|error| self.fault(error))?;
        let names = names.into_sorted_vec();
        let entries = names.len();
        for Named { name, kind } in names {
            self.interest.check(&self.params.path)?;
            show(&self.path, &name, kind, &dir, listing);
        }
        Ok((entries, more))
    }
}

fn show(path: &Path, name: &OsStr, kind: FileType, dir: impl AsFd, listing: &mut impl Listing) {
    let is_symlink = kind == FileType::Symlink;
    let target = if is_symlink {
        // One that leads nowhere is neither, but still there.
        look(dir, Path::new(name), AtFlags::empty()).map_or(FileType::Unknown, |stat| self::kind(&stat))
    } else {
        kind
    };
    // Looked at once: of a long directory this is what takes time, beside the kernel.
    let (file_name, told) = match name.to_str() {
        Some(text) => (Cow::Borrowed(text), None),
        None => (name.to_string_lossy(), child(path, name)),
    };
    listing.list(Entry {
        file_name: &file_name,
        is_directory: target == FileType::Directory,
        is_file: target == FileType::RegularFile,
        is_symlink,
        path: told.as_ref(),
    });
}

/// A name and what it is, in the order of the name's bytes.
#[derive(PartialEq, Eq)]
struct Named {
    name: OsString,
    kind: FileType,
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.as_bytes().cmp(other.name.as_bytes())
    }
}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
