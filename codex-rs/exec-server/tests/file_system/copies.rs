//! Copying files and trees.

use codex_exec_server_protocol::fs::FsCopyParams;
use codex_exec_server_testkit::patiently;

use crate::place::{Place, code, uri};
use crate::reading::noise;

file_cases! {
    everywhere {
        a_file_is_copied_over_another
        a_tree_is_copied_into_what_is_there
        a_link_is_copied_as_a_link
        a_directory_is_copied_only_where_that_is_asked_for
        a_directory_is_not_copied_into_itself
        what_can_not_be_copied_is_refused
    }
    not_on_reference {
        a_file_is_not_copied_onto_itself: "it empties it"
        a_sparse_file_of_64_gib_is_copied_with_its_holes: "it fills them"
    }
}

fn copy(place: &Place, from: &str, to: &str) -> FsCopyParams {
    FsCopyParams {
        source_path: place.uri(from),
        destination_path: place.uri(to),
        recursive: true,
        sandbox: None,
    }
}

async fn a_file_is_copied_over_another(place: Place) {
    let content = noise(/*len*/ 300_000);
    place.file("f", &content);
    std::fs::set_permissions(place.path("f"), std::os::unix::fs::PermissionsExt::from_mode(0o751))
        .expect("it is ours");
    place.file("g", noise(/*len*/ 400_000));
    for to in ["g", "h"] {
        place.copy(FsCopyParams { recursive: false, ..copy(&place, "f", to) }).await.expect("copied");
        assert!(place.content(to) == content);
        let mode = std::fs::metadata(place.path(to)).expect("it is there").permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o7777, 0o751, "{to}");
    }
}

async fn a_tree_is_copied_into_what_is_there(place: Place) {
    place.folder("a/x/y");
    place.file("a/x/y/f", "new");
    place.folder("b/x");
    place.file("b/x/kept", "kept");
    place.copy(copy(&place, "a", "b")).await.expect("copied");
    assert_eq!((place.content("b/x/y/f"), place.content("b/x/kept")), (b"new".to_vec(), b"kept".to_vec()));
}

async fn a_link_is_copied_as_a_link(place: Place) {
    place.link("nowhere", "broken");
    place.copy(copy(&place, "broken", "copied")).await.expect("copied");
    let target = std::fs::read_link(place.path("copied")).expect("a link");
    assert_eq!(target.to_str(), Some("nowhere"));
    assert_eq!(code(place.copy(copy(&place, "broken", "copied")).await), -32603);
}

async fn a_directory_is_copied_only_where_that_is_asked_for(place: Place) {
    place.folder("d");
    let params = FsCopyParams { recursive: false, ..copy(&place, "d", "e") };
    let error = place.copy(params).await.expect_err("refused");
    assert_eq!(error.to_string(), "fs/copy requires recursive: true when sourcePath is a directory (-32600)");
    assert!(!place.path("e").exists());
}

async fn a_directory_is_not_copied_into_itself(place: Place) {
    place.folder("d/sub");
    place.link("d", "way");
    for to in ["d", "d/sub", "d/new", "d/new/er", "way/sub/x"] {
        let error = place.copy(copy(&place, "d", to)).await.expect_err("refused");
        assert_eq!(
            error.to_string(),
            "fs/copy cannot copy a directory to itself or one of its descendants (-32600)",
            "{to}"
        );
    }
    assert_eq!(std::fs::read_dir(place.path("d")).expect("it is there").count(), 1);
}

async fn what_can_not_be_copied_is_refused(place: Place) {
    place.folder("d");
    place.file("f", "");
    nix::unistd::mkfifo(&place.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    for (from, to, expected) in [
        ("none", "x", -32004),
        ("fifo", "x", -32600),
        ("d", "f", -32603),
        ("f", "d", -32603),
        ("f", "none/x", -32004),
    ] {
        let outcome = patiently("a refusal", place.copy(copy(&place, from, to))).await;
        assert_eq!(code(outcome), expected, "{from} to {to}");
    }
    let device = FsCopyParams { source_path: uri("/dev/zero"), ..copy(&place, "f", "x") };
    assert_eq!(code(place.copy(device).await), -32600);
}

async fn a_file_is_not_copied_onto_itself(place: Place) {
    place.file("f", "precious");
    place.link("f", "link");
    std::fs::hard_link(place.path("f"), place.path("hard")).expect("it can be made");
    place.folder("d");
    for (from, to) in [("f", "f"), ("f", "link"), ("f", "hard"), ("hard", "f"), ("f", "d/../f")] {
        let error = place.copy(copy(&place, from, to)).await.expect_err("refused");
        assert_eq!(error.to_string(), "fs/copy cannot copy a file to itself (-32600)", "{from} to {to}");
        assert_eq!(error.data().expect("told").path, place.uri(to));
        assert_eq!(place.content("f"), b"precious");
    }
}

async fn a_sparse_file_of_64_gib_is_copied_with_its_holes(place: Place) {
    use std::os::unix::fs::{FileExt, MetadataExt};
    place.file("sparse", "");
    let file = std::fs::File::options().write(true).open(place.path("sparse")).expect("it is there");
    file.set_len(64 << 30).expect("the file system has sparse files");
    file.write_all_at(b"island", 10 << 30).expect("it can be written");
    let copying = place.copy(copy(&place, "sparse", "copied"));
    patiently("a copy", copying).await.expect("copied");
    let copied = std::fs::File::open(place.path("copied")).expect("it is there");
    let found = copied.metadata().expect("it is there");
    assert_eq!(found.len(), 64 << 30);
    assert!(found.blocks() < 10_000, "{} blocks", found.blocks());
    let mut island = [0; 6];
    copied.read_exact_at(&mut island, 10 << 30).expect("it can be read");
    assert_eq!(&island, b"island");
}
