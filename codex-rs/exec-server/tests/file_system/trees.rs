//! Walking and removing trees.

use codex_exec_server_protocol::fs::{FsRemoveParams, FsWalkOptions, FsWalkParams};
use codex_exec_server_protocol::path_uri::PathUri;

use crate::place::{Place, code};

file_cases! {
    everywhere {
        a_tree_is_walked_breadth_first_and_in_order
        bounds_of_a_walk_are_kept_and_told
        a_walk_enters_each_directory_once
        a_walk_of_anything_but_a_directory_is_empty
        a_walk_that_asks_for_too_much_is_refused
        files_and_trees_are_removed
        a_link_is_removed_itself
        what_is_not_there_is_as_good_as_removed_unless_it_must_be
        removal_without_following_links_is_for_single_entries
    }
    not_on_reference {
        a_directory_that_can_not_be_read_is_told: "it was never seen with one"
    }
}

pub(crate) fn remove(path: PathUri) -> FsRemoveParams {
    FsRemoveParams { path, recursive: None, force: None, follow_symlinks: None, sandbox: None }
}

fn walk(path: PathUri) -> FsWalkParams {
    let options = FsWalkOptions {
        max_depth: 64,
        max_directories: 100,
        max_entries: 100,
        follow_directory_symlinks: false,
        prune_hidden_directories: false,
    };
    FsWalkParams { path, options, sandbox: None }
}

/// What a walk finds, relative to the case's folder, directories with a slash; and whether it was cut short.
async fn found(place: &Place, params: FsWalkParams) -> (String, bool) {
    let answer = place.walk(params).await.expect("it is there");
    assert!(answer.errors.is_empty(), "{answer:?}");
    let root = place.uri("").to_string();
    let root = root.strip_suffix('/').unwrap_or(&root).to_owned();
    let names: Vec<_> = answer
        .entries
        .iter()
        .map(|entry| {
            let name = entry.path.as_str().strip_prefix(&root).expect("it is below").trim_start_matches('/');
            let is_directory = entry.kind == codex_exec_server_protocol::fs::FsEntryKind::Directory;
            format!("{name}{}", if is_directory { "/" } else { "" })
        })
        .collect();
    (names.join(" "), answer.truncated)
}

fn plant(place: &Place) {
    place.folder("d/deep/deeper");
    place.folder("d/.hid");
    for name in ["a", "d/f", "d/.hid/q"] {
        place.file(name, "");
    }
    place.link("a", "l");
    place.link("nowhere", "broken");
    place.link("d", "way");
}

fn with(place: &Place, change: impl FnOnce(&mut FsWalkOptions)) -> FsWalkParams {
    let mut params = walk(place.uri(""));
    change(&mut params.options);
    params
}

async fn a_tree_is_walked_breadth_first_and_in_order(place: Place) {
    plant(&place);
    let all = "a d/ d/.hid/ d/deep/ d/f d/.hid/q d/deep/deeper/";
    assert_eq!(found(&place, walk(place.uri(""))).await, (all.into(), false));
    let pruned = with(&place, |options| options.prune_hidden_directories = true);
    assert_eq!(found(&place, pruned).await, ("a d/ d/.hid/ d/deep/ d/f d/deep/deeper/".into(), false));
}

async fn bounds_of_a_walk_are_kept_and_told(place: Place) {
    plant(&place);
    for (params, expected) in [
        (with(&place, |options| options.max_depth = 0), ("a d/", false)),
        (with(&place, |options| options.max_depth = 1), ("a d/ d/.hid/ d/deep/ d/f", false)),
        (with(&place, |options| options.max_directories = 1), ("a d/", true)),
        (with(&place, |options| options.max_directories = 2), ("a d/ d/.hid/ d/deep/ d/f", true)),
    ] {
        assert_eq!(found(&place, params).await, (expected.0.into(), expected.1));
    }
    let few = with(&place, |options| options.max_entries = 1);
    assert_eq!(found(&place, few).await, ("a".into(), true));
}

async fn a_walk_enters_each_directory_once(place: Place) {
    plant(&place);
    place.link("..", "d/up");
    let params = with(&place, |options| options.follow_directory_symlinks = true);
    let expected = "a d/ way/ d/.hid/ d/deep/ d/f d/up/ d/.hid/q d/deep/deeper/";
    assert_eq!(found(&place, params).await, (expected.into(), false));
}

async fn a_walk_of_anything_but_a_directory_is_empty(place: Place) {
    plant(&place);
    for name in ["a", "l", "way"] {
        assert_eq!(found(&place, walk(place.uri(name))).await, (String::new(), false), "{name}");
    }
    let mut params = walk(place.uri("way"));
    params.options.follow_directory_symlinks = true;
    assert_eq!(found(&place, params).await.0, "way/.hid/ way/deep/ way/f way/.hid/q way/deep/deeper/");
    assert_eq!(code(place.walk(walk(place.uri("none"))).await), -32004);
}

async fn a_walk_that_asks_for_too_much_is_refused(place: Place) {
    let too_far =
        "filesystem walk limits exceed maximums: depth=64, directories=10000, entries=50000 (-32600)";
    let nowhere = "filesystem walk limits must be greater than zero (-32600)";
    for (params, text) in [
        (with(&place, |options| options.max_depth = 65), too_far),
        (with(&place, |options| options.max_directories = 10_001), too_far),
        (with(&place, |options| options.max_entries = 50_001), too_far),
        (with(&place, |options| options.max_directories = 0), nowhere),
        (with(&place, |options| options.max_entries = 0), nowhere),
    ] {
        assert_eq!(place.walk(params).await.expect_err("refused").to_string(), text);
    }
}

async fn a_directory_that_can_not_be_read_is_told(place: Place) {
    // It goes away between the listing and the look into it, for whoever has looked at the first one only.
    if nix::unistd::getuid().is_root() {
        // Root may read everything but a process that is gone.
        println!("skipped: root is not refused anything here");
        return;
    }
    place.folder("secret");
    std::fs::set_permissions(place.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .expect("it is ours");
    let answer = place.walk(walk(place.uri(""))).await.expect("it is there");
    assert_eq!(answer.errors.len(), 1);
    assert_eq!(answer.errors[0].path, place.uri("secret"));
}

async fn files_and_trees_are_removed(place: Place) {
    plant(&place);
    place.remove(remove(place.uri("a"))).await.expect("it can be removed");
    assert!(!place.path("a").exists());
    let alone = FsRemoveParams { recursive: Some(false), ..remove(place.uri("d")) };
    assert_eq!(code(place.remove(alone.clone()).await), -32603);
    assert!(place.path("d/f").exists());
    place.remove(remove(place.uri("d"))).await.expect("it can be removed");
    assert!(!place.path("d").exists());
    place.folder("d");
    place.remove(alone).await.expect("it is empty");
    assert!(!place.path("d").exists());
}

async fn a_link_is_removed_itself(place: Place) {
    plant(&place);
    for name in ["way/", "l", "broken"] {
        place.remove(remove(place.uri(name))).await.expect("it can be removed");
    }
    assert!(place.path("d/f").exists() && place.path("a").exists());
    assert!(["way", "l", "broken"].iter().all(|name| !place.path(name).is_symlink()));
}

async fn what_is_not_there_is_as_good_as_removed_unless_it_must_be(place: Place) {
    place.file("f", "");
    place.remove(remove(place.uri("none/x"))).await.expect("it is not there");
    let strict = FsRemoveParams { force: Some(false), ..remove(place.uri("none")) };
    assert_eq!(code(place.remove(strict).await), -32004);
    assert_eq!(code(place.remove(remove(place.uri("f/x"))).await), -32603);
}

async fn removal_without_following_links_is_for_single_entries(place: Place) {
    plant(&place);
    let without = |name: &str, recursive| FsRemoveParams {
        recursive: Some(recursive),
        follow_symlinks: Some(false),
        ..remove(place.uri(name))
    };
    let error = place.remove(without("a", /*recursive*/ true)).await.expect_err("not supported");
    assert_eq!(error.to_string(), "recursive no-follow removal is unsupported (-32603)");
    assert_eq!(code(place.remove(without("way/f", /*recursive*/ false)).await), -32603);
    assert_eq!(code(place.remove(without("way", /*recursive*/ false)).await), -32600);
    assert!(place.path("d/f").exists() && place.path("way").is_symlink());
    place.remove(without("d/f", /*recursive*/ false)).await.expect("there is no link in it");
    assert!(!place.path("d/f").exists());
}
