//! Making and listing directories.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use codex_exec_server_protocol::fs::{FsCreateDirectoryParams, FsReadDirectoryParams};
use codex_exec_server_protocol::path_uri::PathUri;

use crate::place::{Place, code};
use crate::reading::read;

file_cases! {
    everywhere {
        a_directory_is_made_with_its_parents_unless_told_otherwise
        a_directory_is_not_made_through_links_where_that_is_not_wanted
        a_listing_tells_what_each_entry_leads_to
        a_long_directory_is_listed_with_each_of_its_entries_once
        what_is_no_directory_is_not_listed
    }
    not_on_reference {
        broken_links_are_listed: "it leaves them out"
        a_name_that_is_no_text_can_be_used_again: "it is told with replacements, and can't be used"
    }
}

fn make(path: PathUri) -> FsCreateDirectoryParams {
    FsCreateDirectoryParams { path, recursive: None, follow_symlinks: None, sandbox: None }
}

fn list(path: PathUri) -> FsReadDirectoryParams {
    FsReadDirectoryParams { path, max_entries: None, after: None, sandbox: None }
}

async fn a_directory_is_made_with_its_parents_unless_told_otherwise(place: Place) {
    place.create_directory(make(place.uri("a/b/c"))).await.expect("it can be made");
    assert!(place.path("a/b/c").is_dir());
    place.create_directory(make(place.uri("a/b"))).await.expect("one that exists is fine");
    place.file("f", "");
    place.link("f", "to-file");
    place.link("a", "to-folder");
    place.create_directory(make(place.uri("to-folder"))).await.expect("it leads to one");
    let alone = |name: &str| FsCreateDirectoryParams { recursive: Some(false), ..make(place.uri(name)) };
    place.create_directory(alone("g")).await.expect("it can be made");
    for (params, expected) in [
        (make(place.uri("f")), -32603),
        (make(place.uri("to-file")), -32603),
        (make(place.uri("f/x")), -32603),
        (alone("g"), -32603),
        (alone("none/x"), -32004),
    ] {
        let text = format!("{params:?}");
        assert_eq!(code(place.create_directory(params).await), expected, "{text}");
    }
}

async fn a_directory_is_not_made_through_links_where_that_is_not_wanted(place: Place) {
    place.folder("d");
    place.link("d", "way");
    let without =
        |name: &str| FsCreateDirectoryParams { follow_symlinks: Some(false), ..make(place.uri(name)) };
    assert_eq!(code(place.create_directory(without("way/x")).await), -32603);
    assert_eq!(code(place.create_directory(without("way")).await), -32603);
    place.create_directory(without("d/x/y")).await.expect("there is no link in it");
    assert!(place.path("d/x/y").is_dir());
}

async fn a_listing_tells_what_each_entry_leads_to(place: Place) {
    place.folder("d");
    place.file("f", "");
    place.link("d", "to-d");
    place.link("f", "to-f");
    nix::unistd::mkfifo(&place.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    let listing = place.read_directory(list(place.uri(""))).await.expect("it is there");
    let found: BTreeMap<_, _> = listing
        .entries
        .into_iter()
        .map(|entry| (entry.file_name, (entry.is_directory, entry.is_file)))
        .collect();
    let expected = [
        ("d", (true, false)),
        ("f", (false, true)),
        ("to-d", (true, false)),
        ("to-f", (false, true)),
        ("fifo", (false, false)),
    ];
    assert_eq!(found, expected.map(|(name, flags)| (name.to_owned(), flags)).into());
}

async fn a_long_directory_is_listed_with_each_of_its_entries_once(place: Place) {
    // Long for the file system, which counts bytes, and with something to escape in each.
    let names: BTreeSet<_> = (0..1000).map(|number| format!("\"{number:0>200}")).collect();
    place.folder("d");
    for name in &names {
        place.file(&format!("d/{name}"), "");
    }
    let listing = place.read_directory(list(place.uri("d"))).await.expect("it is there");
    assert_eq!(listing.entries.len(), names.len());
    assert!(listing.entries.iter().all(|entry| entry.is_file && !entry.is_directory));
    let found: BTreeSet<_> = listing.entries.into_iter().map(|entry| entry.file_name).collect();
    assert_eq!(found, names);
}

async fn what_is_no_directory_is_not_listed(place: Place) {
    place.file("f", "");
    assert_eq!(code(place.read_directory(list(place.uri("f"))).await), -32603);
    assert_eq!(code(place.read_directory(list(place.uri("none"))).await), -32004);
}

async fn broken_links_are_listed(place: Place) {
    place.link("nowhere", "broken");
    let listing = place.read_directory(list(place.uri(""))).await.expect("it is there");
    let [entry] = &listing.entries[..] else { panic!("{listing:?}") };
    assert_eq!(entry.file_name, "broken");
    assert!(entry.is_symlink && !entry.is_file && !entry.is_directory);
}

async fn a_name_that_is_no_text_can_be_used_again(place: Place) {
    let name = OsStr::from_bytes(b"caf\xe9");
    std::fs::write(place.path(name), "coffee").expect("it can be written");
    let listing = place.read_directory(list(place.uri(""))).await.expect("it is there");
    let [entry] = &listing.entries[..] else { panic!("{listing:?}") };
    assert_eq!(entry.file_name, "caf\u{fffd}");
    let path = entry.path.clone().expect("where it is");
    assert_eq!(path, place.uri(name));
    assert_eq!(place.read_file(read(path)).await.expect("it is there"), "coffee");
}
