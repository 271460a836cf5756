//! Long directories, read from both halves.

use std::collections::BTreeSet;
use std::fs;

use codex_exec_server_protocol::fs::FsDirectoryEntry;
use codex_exec_server_protocol::path_uri::PathUri;
use tempfile::TempDir;

use super::*;

/// So many names of this length make a directory long.
const ENTRIES: usize = 1000;

fn name(number: usize) -> String {
    format!("{number:0>200}")
}

fn long_directory() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..ENTRIES {
        fs::write(folder.path().join(name(number)), "").unwrap();
    }
    folder
}

fn params(folder: &TempDir) -> FsReadDirectoryParams {
    let path = PathUri::try_from(folder.path()).unwrap();
    FsReadDirectoryParams { path, max_entries: None, after: None, sandbox: None }
}

/// What is listed of `folder` within `limits`.
async fn listed(folder: &TempDir, limits: FileLimits) -> Result<(Vec<FsDirectoryEntry>, bool), FsFault> {
    read_into(&FsHost::new(limits), params(folder), Vec::new()).await
}

fn names(entries: &[FsDirectoryEntry]) -> BTreeSet<String> {
    entries.iter().map(|entry| entry.file_name.clone()).collect()
}

fn wanted(folder: &TempDir) -> (Wanted, super::super::host::Interested) {
    let (interest, interested) = Interest::new();
    (Wanted::new(&FileLimits::default(), params(folder), interest).unwrap(), interested)
}

#[tokio::test]
async fn a_long_directory_is_listed_whole_however_many_threads_there_may_be() {
    let folder = long_directory();
    let expected: BTreeSet<_> = (0..ENTRIES).map(name).collect();
    for threads in [1, 2, 32] {
        let limits = FileLimits { threads, ..FileLimits::default() };
        let (entries, more) = listed(&folder, limits).await.unwrap();
        assert_eq!((entries.len(), more), (ENTRIES, false), "{threads}");
        assert_eq!(names(&entries), expected);
    }
}

#[tokio::test]
async fn whoever_has_the_first_half_reads_the_second_if_nobody_comes_to_it() {
    let folder = long_directory();
    let (wanted, _interested) = wanted(&folder);
    let (rest, run) =
        Beside::new(|| -> Result<Part<Vec<FsDirectoryEntry>>, FsFault> { panic!("it is done by then") });
    let part = wanted.half_of(&wanted.open().unwrap(), rest, Vec::new()).unwrap();
    run();
    assert!(part.rest.is_none());
    assert_eq!((part.entries, names(&part.listing)), (ENTRIES, (0..ENTRIES).map(name).collect()));
}

#[tokio::test]
async fn the_bound_on_entries_is_one_for_both_halves() {
    let folder = long_directory();
    // Neither half has as many.
    let limits = |listed_entries| FileLimits { listed_entries, ..FileLimits::default() };
    let fault = listed(&folder, limits(ENTRIES - 1)).await.unwrap_err();
    assert!(matches!(fault, FsFault::TooManyEntries { limit: 999, .. }), "{fault}");
    assert_eq!(listed(&folder, limits(ENTRIES)).await.unwrap().0.len(), ENTRIES);
}

#[test]
fn what_stays_is_listed_once_while_other_entries_come_and_go() {
    let folder = long_directory();
    let (wanted, _interested) = wanted(&folder);
    let dir = wanted.open().unwrap();
    let Some(second) = halves::second(&dir) else {
        eprintln!("skipped: a directory in {} has no halves", folder.path().display());
        return;
    };
    let (mut room, mut first, mut count) = (room(), Vec::new(), 0);
    let mut reading = Reading::new(&dir, room.spare_capacity_mut());
    wanted.read_on(&mut reading, Some(MIDDLE), &mut count, &mut first, |_| {}).unwrap();
    // The hashes of a thousand names are not all in one half.
    assert!((100..ENTRIES - 100).contains(&count), "{count}");
    for number in 0..ENTRIES {
        match number % 2 {
            0 => fs::remove_file(folder.path().join(name(number))).unwrap(),
            _ => fs::write(folder.path().join(name(ENTRIES + number)), "").unwrap(),
        }
    }
    let rest = wanted.rest_of(&second, Vec::new()).unwrap();
    let seen: Vec<_> = first.into_iter().chain(rest.listing).map(|entry| entry.file_name).collect();
    for number in (1..ENTRIES).step_by(2) {
        let times = seen.iter().filter(|seen| **seen == name(number)).count();
        assert_eq!(times, 1, "{number}");
    }
}

#[test]
fn a_directory_that_goes_while_it_is_read_is_a_fault_and_no_shorter_listing() {
    let folder = long_directory();
    let (wanted, _interested) = wanted(&folder);
    let dir = wanted.open().unwrap();
    let path = folder.path().to_owned();
    drop(folder);
    assert!(!path.exists());
    let Err(fault) = wanted.rest_of(&dir, Vec::new()) else { panic!("it is gone") };
    assert!(fault.to_string().contains("No such file"), "{fault}");
}

#[test]
fn nothing_is_read_for_nobody() {
    let folder = long_directory();
    let (wanted, interested) = wanted(&folder);
    drop(interested);
    let Err(fault) = wanted.alone(Vec::new()) else { panic!("nobody waits") };
    assert!(matches!(fault, FsFault::GivenUp(_)), "{fault}");
}

#[test]
fn a_short_directory_has_no_halves() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "").unwrap();
    let (wanted, _interested) = wanted(&folder);
    assert!(halves::second(&wanted.open().unwrap()).is_none());
}
