//! What a path is, and where it leads.

use codex_exec_server_protocol::fs::{FsCanonicalizeParams, FsGetMetadataParams};
use codex_exec_server_protocol::path_uri::PathUri;

use crate::place::{Place, code, uri};

file_cases! {
    everywhere {
        a_path_is_described
        a_link_is_told_and_followed
        a_link_that_must_not_be_followed_is_told
        what_is_missing_is_told
        a_path_without_links_is_found
    }
    not_on_reference {
        permissions_and_owner_are_told: "it does not tell them"
        an_etag_changes_with_the_content_and_not_by_itself: "it has none"
    }
}

pub(crate) fn of(path: PathUri) -> FsGetMetadataParams {
    FsGetMetadataParams { path, follow_symlinks: None, sandbox: None }
}

async fn a_path_is_described(place: Place) {
    place.file("f", "12345");
    place.folder("d");
    // Asked twice, since what a service finds in memory it may answer in another way.
    for _ in 0..2 {
        let file = place.get_metadata(of(place.uri("f"))).await.expect("it is there");
        assert_eq!((file.is_file, file.is_directory, file.is_symlink, file.size), (true, false, false, 5));
        let modified = std::fs::metadata(place.path("f")).expect("it is there").modified().expect("known");
        let modified = modified.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        assert_eq!(u128::try_from(file.modified_at_ms).expect("after 1970"), modified);
        let folder = place.get_metadata(of(place.uri("d"))).await.expect("it is there");
        assert_eq!((folder.is_file, folder.is_directory, folder.is_symlink), (false, true, false));
        let device = place.get_metadata(of(uri("/dev/null"))).await.expect("it is there");
        assert_eq!((device.is_file, device.is_directory), (false, false));
    }
}

async fn a_link_is_told_and_followed(place: Place) {
    place.file("f", "12345");
    place.link("f", "link");
    for _ in 0..2 {
        let link = place.get_metadata(of(place.uri("link"))).await.expect("it is there");
        assert_eq!((link.is_file, link.is_symlink, link.size), (true, true, 5));
    }
}

async fn a_link_that_must_not_be_followed_is_told(place: Place) {
    place.file("f", "");
    place.folder("d");
    place.link("f", "link");
    place.link("d", "way");
    place.file("d/f", "");
    let without = |name: &str| FsGetMetadataParams { follow_symlinks: Some(false), ..of(place.uri(name)) };
    let error = place.get_metadata(without("link")).await.expect_err("it is a link");
    assert_eq!(error.to_string(), "path contains a symbolic link (-32600)");
    assert_eq!(code(place.get_metadata(without("way/f")).await), -32603);
    assert!(place.get_metadata(without("d/f")).await.expect("there is no link in it").is_file);
    assert!(place.get_metadata(without("")).await.expect("it is there").is_directory);
}

async fn what_is_missing_is_told(place: Place) {
    place.file("f", "");
    place.link("nowhere", "broken");
    place.link("loop", "loop");
    for _ in 0..2 {
        for (name, expected) in
            [("none", -32004), ("none/x", -32004), ("broken", -32004), ("f/x", -32603), ("loop", -32603)]
        {
            assert_eq!(code(place.get_metadata(of(place.uri(name))).await), expected, "{name}");
        }
    }
}

async fn a_path_without_links_is_found(place: Place) {
    let real = std::fs::canonicalize(place.path("")).expect("it is there");
    place.folder("d");
    place.file("d/f", "");
    place.link("d", "way");
    let path = |name: &str| FsCanonicalizeParams { path: place.uri(name), sandbox: None };
    for name in ["d/f", "way/f"] {
        let found = place.canonicalize(path(name)).await.expect("it is there");
        assert_eq!(found.path, uri(real.join("d/f")));
    }
    assert_eq!(code(place.canonicalize(path("none")).await), -32004);
}

async fn permissions_and_owner_are_told(place: Place) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    place.file("f", "");
    std::fs::set_permissions(place.path("f"), PermissionsExt::from_mode(0o4750)).expect("it is ours");
    let expected = std::fs::metadata(place.path("f")).expect("it is there");
    for _ in 0..2 {
        let found = place.get_metadata(of(place.uri("f"))).await.expect("it is there");
        assert_eq!(found.mode, Some(0o4750));
        assert_eq!((found.uid, found.gid), (Some(expected.uid()), Some(expected.gid())));
        let inode = found.inode.expect("told");
        assert!(inode.ends_with(&format!(":{}", expected.ino())), "{inode}");
    }
}

async fn an_etag_changes_with_the_content_and_not_by_itself(place: Place) {
    let etag =
        async || place.get_metadata(of(place.uri("f"))).await.expect("it is there").etag.expect("told");
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..50 {
        let params = crate::writing::write(place.uri("f"), format!("{number:02}"));
        let told = place.write_file(params).await.expect("it can be written").etag.expect("told");
        assert_eq!(etag().await, told);
        assert_eq!(etag().await, told, "nothing happened in between");
        assert!(seen.insert(told), "write {number} looks like another of the same length");
    }
}
