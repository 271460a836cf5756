//! `fs/glob`: paths by their names.

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::search_fault::SearchFault;
use codex_exec_server_core::service::SearchEnd;
use codex_exec_server_protocol::fs::{FsEntryKind, FsGlobParams, FsWalkEntry};
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::io::Errno;

use super::super::globs::Globs;
use super::feed::Feed;
use super::tree::{Go, Root};
use super::wanted;

/// What an entry takes besides its path, in memory and on the wire, about.
const ENTRY_BYTES: usize = 32;

/// What a find takes in memory, about.
pub(super) fn weight(found: &FsWalkEntry) -> usize {
    found.path.as_str().len() + ENTRY_BYTES
}

/// See the module.
pub(in crate::fs) fn find(params: &FsGlobParams, feed: &Feed<FsWalkEntry>) -> Result<SearchEnd, FsFault> {
    let wanted = wanted(params.max_matches)?;
    let patterns = Globs::new(&params.patterns)?;
    if patterns.is_empty() {
        return Err(SearchFault::NoPatterns.into());
    }
    let Root::Tree(mut tree) = Root::look(&params.path, &params.scope)? else {
        return Err(FsFault::io(&params.path, Errno::NOTDIR));
    };
    let mut matches = 0;
    tree.walk(|entry| {
        feed.check()?;
        if !patterns.matches(entry.relative) {
            return Ok(Go::On);
        }
        let Ok(path) = PathUri::try_from(entry.path) else { return Ok(Go::On) };
        let kind = if entry.is_directory { FsEntryKind::Directory } else { FsEntryKind::File };
        let found = FsWalkEntry { path, kind };
        let bytes = weight(&found);
        feed.put(found, bytes)?;
        matches += 1;
        Ok(if matches == wanted { Go::Stop } else { Go::On })
    })?;
    Ok(SearchEnd { matches, truncated: matches == wanted || tree.overflowed, unreadable: tree.unreadable })
}
