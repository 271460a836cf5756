//! What `ls -l` tells of each entry, asked for by thousands.

use std::path::PathBuf;

use chrono::DateTime;
use codex_exec_server_core::service::{FileSystem, FsError};
use codex_exec_server_protocol::fs::{
    FsGetMetadataParams, FsGetMetadataResponse, FsStatManyParams, FsStatResult, MAX_STAT_PATHS,
};
use codex_exec_server_protocol::path_uri::PathUri;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use serde::Serialize;

use crate::cli::Failure;
use crate::cli::files::{Kind, about, shown, uri};

/// Questions on their way at once to a server that takes them one by one only.
const AHEAD: usize = 64;

/// Of what an entry is, or leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    pub(super) size: u64,
    /// Permission bits; absent where the server does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<u32>,
    pub(super) modified_at_ms: i64,
}

impl From<&FsGetMetadataResponse> for Details {
    fn from(told: &FsGetMetadataResponse) -> Self {
        Self { size: told.size, mode: told.mode, modified_at_ms: told.modified_at_ms }
    }
}

/// One answer for each path, `None` for what leads nowhere or is gone by now.
pub(super) async fn ask(files: &dyn FileSystem, paths: &[PathBuf]) -> Result<Vec<Option<Details>>, Failure> {
    let uris = paths.iter().map(|path| uri(path)).collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::with_capacity(uris.len());
    for (uris, paths) in uris.chunks(MAX_STAT_PATHS).zip(paths.chunks(MAX_STAT_PATHS)) {
        let params = FsStatManyParams { paths: uris.to_vec(), follow_symlinks: None, sandbox: None };
        match files.stat_many(params).await {
            Ok(answer) => found.extend(answer.results.iter().map(|result| match result {
                FsStatResult::Found { metadata } => Some(Details::from(metadata)),
                FsStatResult::Failed { .. } => None,
            })),
            Err(FsError::Unsupported(_)) => found.extend(ask_each(files, uris).await?),
            Err(error) => {
                return Err(about(paths.first().map_or_else(String::new, |path| shown(path)), &error));
            }
        }
    }
    Ok(found)
}

async fn ask_each(files: &dyn FileSystem, uris: &[PathUri]) -> Result<Vec<Option<Details>>, Failure> {
    let mut found = Vec::with_capacity(uris.len());
    for uris in uris.chunks(AHEAD) {
        let asking: FuturesOrdered<_> = uris
            .iter()
            .map(|uri| {
                let path = uri.clone();
                files.get_metadata(FsGetMetadataParams { path, follow_symlinks: None, sandbox: None })
            })
            .collect();
        for outcome in asking.collect::<Vec<_>>().await {
            found.push(match outcome {
                Ok(told) => Some(Details::from(&told)),
                Err(error) if error.refusal().is_some() => None,
                Err(error) => return Err(error.into()),
            });
        }
    }
    Ok(found)
}

/// As `ls` writes it: `-rw-r--r--`; question marks where the bits are not known.
pub(super) fn mode_letters(kind: Kind, mode: Option<u32>) -> String {
    let kind = match kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Other => '?',
    };
    let Some(mode) = mode else { return format!("{kind}?????????") };
    // Set-user-id, set-group-id and sticky are told in the place of who may execute.
    let special = [(0o4000, 's'), (0o2000, 's'), (0o1000, 't')];
    let mut letters = String::from(kind);
    for (class, (bit, letter)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * class);
        letters.push(if bits & 4 == 0 { '-' } else { 'r' });
        letters.push(if bits & 2 == 0 { '-' } else { 'w' });
        letters.push(match (mode & bit == 0, bits & 1 == 0) {
            (true, true) => '-',
            (true, false) => 'x',
            (false, true) => letter.to_ascii_uppercase(),
            (false, false) => letter,
        });
    }
    letters
}

/// `2026-11-28 07:04:44Z`
pub(super) fn time(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms);
    time.map_or_else(|| "-".to_owned(), |time| time.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_written_as_everywhere() {
        for (kind, mode, expected) in [
            (Kind::File, Some(0o644), "-rw-r--r--"),
            (Kind::Directory, Some(0o1777), "drwxrwxrwt"),
            (Kind::File, Some(0o6755), "-rwsr-sr-x"),
            (Kind::File, Some(0o7000), "---S--S--T"),
            (Kind::Symlink, None, "l?????????"),
        ] {
            assert_eq!(mode_letters(kind, mode), expected);
        }
    }

    #[test]
    fn a_time_is_written_in_universal_time() {
        assert_eq!(time(/*ms*/ 1_795_849_484_123), "2026-11-28 07:04:44Z");
        assert_eq!(time(/*ms*/ -1), "1969-12-31 23:59:59Z");
        assert_eq!(time(i64::MAX), "-");
    }
}
