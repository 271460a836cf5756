//! Hearing about changes.

use std::collections::BTreeSet;

use codex_exec_server_core::service::{FileSystem as _, FileWatch, FsError};
use codex_exec_server_protocol::fs::{FsChangeKind, FsWatchParams, WatchId};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_testkit::patiently;

use crate::place::{Place, code, uri};

cases! {
    everywhere {
        a_machine_that_can_not_watch_says_so
    }
    not_on_reference {
        what_happens_to_the_children_of_a_directory_is_told: "it has no such method"
        directories_that_appear_are_watched_with_all_that_is_in_them: "it has no such method"
        a_move_is_a_removal_here_and_a_creation_there: "it has no such method"
        what_is_excluded_is_not_told: "it has no such method"
        the_end_of_what_is_watched_is_told: "it has no such method"
        a_file_is_watched_by_its_name: "it has no such method"
        who_takes_changes_too_slowly_is_told_to_look_again: "it has no such method"
        a_watch_that_makes_no_sense_is_refused: "it has no such method"
    }
}

#[tokio::test]
async fn a_watch_that_is_to_be_confined_is_refused() {
    let sandboxed = crate::sandboxed::Sandboxed::new();
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = sandboxed.watch(watch(uri(folder.path()), /*recursive*/ true)).await;
    let refusal = outcome.map(drop).expect_err("it is refused").to_string();
    assert!(
        refusal.starts_with("a watch can't be confined by this server, so nothing is watched"),
        "{refusal}"
    );
    assert!(refusal.ends_with("(-32602)"), "{refusal}");
}

fn watch(path: PathUri, recursive: bool) -> FsWatchParams {
    FsWatchParams { watch_id: WatchId(0), path, recursive, exclude: Vec::new(), sandbox: None }
}

/// A watch and everything that it has told.
struct Watching {
    watch: Box<dyn FileWatch>,
    seen: BTreeSet<String>,
}

impl Watching {
    async fn set(place: &Place, params: FsWatchParams) -> Self {
        Self { watch: place.watch(params).await.expect("it can be watched"), seen: BTreeSet::new() }
    }

    /// Waits until all of `expected` has been told since the last call, as `+name`, `~name` or `-name`; gives all that
    /// was told meanwhile.
    async fn sees(&mut self, place: &Place, expected: &[&str]) -> BTreeSet<String> {
        while !expected.iter().all(|one| self.seen.contains(*one)) {
            let what = format!("{expected:?} beside {:?}", self.seen);
            let changes = patiently(&what, self.watch.next()).await.expect("it goes on").expect("it goes on");
            assert!(!changes.resync && !changes.ended, "{changes:?}");
            self.seen.extend(changes.changes.iter().map(|change| told(place, &change.path, change.kind)));
        }
        std::mem::take(&mut self.seen)
    }

    /// Waits for the last word; gives all that was told before.
    async fn end(mut self, place: &Place) -> BTreeSet<String> {
        loop {
            let changes =
                patiently("the end", self.watch.next()).await.expect("the end is told").expect("it goes on");
            self.seen.extend(changes.changes.iter().map(|change| told(place, &change.path, change.kind)));
            if changes.ended {
                assert!(!changes.resync);
                assert!(patiently("nothing", self.watch.next()).await.is_none());
                return self.seen;
            }
        }
    }
}

fn told(place: &Place, path: &PathUri, kind: FsChangeKind) -> String {
    let folder = uri(std::fs::canonicalize(place.path("")).expect("it is there"));
    let name = path.as_str().strip_prefix(folder.as_str()).expect("it is below");
    let mark = match kind {
        FsChangeKind::Created => '+',
        FsChangeKind::Modified => '~',
        FsChangeKind::Removed => '-',
    };
    format!("{mark}{}", name.trim_start_matches('/'))
}

fn set(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(|&one| one.to_owned()).collect()
}

async fn a_machine_that_can_not_watch_says_so(place: Place) {
    match place.watch(watch(place.uri(""), /*recursive*/ false)).await {
        Ok(_) | Err(FsError::Unsupported("fsWatch")) => {}
        Err(other) => panic!("{other:?}"),
    }
}

async fn what_happens_to_the_children_of_a_directory_is_told(place: Place) {
    place.folder("d");
    place.file("old", "");
    let mut watching = Watching::set(&place, watch(place.uri(""), /*recursive*/ false)).await;
    place.file("new", "text");
    watching.sees(&place, &["+new"]).await;
    place.file("new", "another text");
    watching.sees(&place, &["~new"]).await;
    std::fs::set_permissions(place.path("old"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("it is ours");
    watching.sees(&place, &["~old"]).await;
    std::fs::remove_file(place.path("old")).expect("it is there");
    watching.sees(&place, &["-old"]).await;
    // What happens further below is not.
    place.file("d/f", "");
    place.folder("e");
    place.file("e/f", "");
    place.file("last", "");
    let seen = watching.sees(&place, &["+e", "+last"]).await;
    assert!(!seen.iter().any(|one| one.ends_with("/f")), "{seen:?}");
}

async fn directories_that_appear_are_watched_with_all_that_is_in_them(place: Place) {
    place.folder("there/before");
    let link = place.link("there", "way");
    let mut watching = Watching::set(&place, watch(link, /*recursive*/ true)).await;
    let real = std::fs::canonicalize(place.path("there")).expect("it is there");
    assert_eq!(*watching.watch.path(), uri(real));
    place.file("there/before/f", "");
    watching.sees(&place, &["+there/before/f"]).await;
    for number in 0..20 {
        let folder = format!("there/a{number}/b/c");
        place.folder(&folder);
        let file = format!("{folder}/f");
        place.file(&file, "one");
        let made = ["", "/b", "/b/c", "/b/c/f"].map(|name| format!("+there/a{number}{name}"));
        watching.sees(&place, &made.each_ref().map(String::as_str)).await;
        place.file(&file, "two");
        watching.sees(&place, &[&format!("~{file}")]).await;
        std::fs::remove_dir_all(place.path(format!("there/a{number}"))).expect("it is there");
        watching.sees(&place, &[&format!("-{file}"), &format!("-there/a{number}")]).await;
    }
}

async fn a_move_is_a_removal_here_and_a_creation_there(place: Place) {
    place.folder("in/d/deep");
    place.file("in/d/deep/f", "");
    place.file("in/x", "");
    place.folder("out");
    let mut watching = Watching::set(&place, watch(place.uri("in"), /*recursive*/ true)).await;
    let mv =
        |from: &str, to: &str| std::fs::rename(place.path(from), place.path(to)).expect("it can be moved");
    mv("in/x", "in/y");
    assert_eq!(watching.sees(&place, &["-in/x", "+in/y"]).await, set(&["-in/x", "+in/y"]));
    mv("in/d", "in/e");
    let moved = ["-in/d", "+in/e", "+in/e/deep", "+in/e/deep/f"];
    assert_eq!(watching.sees(&place, &moved).await, set(&moved));
    place.file("in/e/deep/f", "changed");
    watching.sees(&place, &["~in/e/deep/f"]).await;
    // Out of sight.
    mv("in/e", "out/e");
    watching.sees(&place, &["-in/e"]).await;
    place.file("out/e/deep/f", "changed again");
    place.file("in/last", "");
    let seen = watching.sees(&place, &["+in/last"]).await;
    assert!(!seen.iter().any(|one| one.ends_with("/f")), "{seen:?}");
    mv("out/e", "in/back");
    watching.sees(&place, &["+in/back/deep/f"]).await;
}

async fn what_is_excluded_is_not_told(place: Place) {
    place.folder("target/deep");
    let mut params = watch(place.uri(""), /*recursive*/ true);
    params.exclude = vec!["target".into(), "**/*.log".into()];
    let mut watching = Watching::set(&place, params).await;
    place.file("target/deep/f", "");
    place.file("a.log", "");
    place.folder("d");
    place.file("d/b.log", "");
    place.file("d/last", "");
    let seen = watching.sees(&place, &["+d/last"]).await;
    assert!(!seen.iter().any(|one| one.contains("target") || one.ends_with(".log")), "{seen:?}");
}

async fn the_end_of_what_is_watched_is_told(place: Place) {
    for recursive in [false, true] {
        place.folder("d/e");
        place.file("d/f", "");
        let watching = Watching::set(&place, watch(place.uri("d"), recursive)).await;
        std::fs::remove_dir_all(place.path("d")).expect("it is there");
        let seen = watching.end(&place).await;
        assert!(["-d", "-d/e", "-d/f"].iter().all(|one| seen.contains(*one)), "{seen:?}");
        place.folder("d");
        let watching = Watching::set(&place, watch(place.uri("d"), recursive)).await;
        std::fs::rename(place.path("d"), place.path("elsewhere")).expect("it can be moved");
        assert!(watching.end(&place).await.contains("-d"));
        std::fs::remove_dir(place.path("elsewhere")).expect("it is there");
    }
}

async fn a_file_is_watched_by_its_name(place: Place) {
    place.file("f", "");
    place.file("other", "");
    let mut watching = Watching::set(&place, watch(place.uri("f"), /*recursive*/ false)).await;
    place.file("other", "changed");
    place.file("f", "changed");
    assert_eq!(watching.sees(&place, &["~f"]).await, set(&["~f"]));
    // As editors save.
    place.file("f.new", "replaced");
    std::fs::rename(place.path("f.new"), place.path("f")).expect("it can be moved");
    watching.sees(&place, &["+f"]).await;
    std::fs::remove_file(place.path("f")).expect("it is there");
    assert!(watching.end(&place).await.contains("-f"));
}

async fn who_takes_changes_too_slowly_is_told_to_look_again(place: Place) {
    place.file("a", "");
    let mut watch = place.watch(watch(place.uri(""), /*recursive*/ true)).await.expect("it can be watched");
    // Far more than the kernel's queue and everything on the way hold, and cheap: two changes each.
    let (a, b) = (place.path("a"), place.path("b"));
    let moving = tokio::task::spawn_blocking(move || {
        for _ in 0..60_000 {
            std::fs::rename(&a, &b).expect("it can be moved");
            std::fs::rename(&b, &a).expect("it can be moved");
        }
    });
    moving.await.expect("it ends");
    let next = async |watch: &mut Box<dyn FileWatch>| {
        patiently("a change", watch.next()).await.expect("it goes on").expect("it goes on")
    };
    while !next(&mut watch).await.resync {}
    // It goes on, with directories that appear; the queue may still have been full when the first of them did.
    'again: for number in 0.. {
        place.folder(&format!("d{number}"));
        place.file(&format!("d{number}/f"), "");
        let path = place.path(format!("d{number}/f"));
        let expected = uri(std::fs::canonicalize(path).expect("it is there"));
        loop {
            let changes = next(&mut watch).await;
            if changes.changes.iter().any(|change| change.path == expected) {
                break 'again;
            }
            if changes.resync {
                continue 'again;
            }
        }
    }
}

async fn a_watch_that_makes_no_sense_is_refused(place: Place) {
    let refused = async |params: FsWatchParams| place.watch(params).await.map(|_| ());
    assert_eq!(code(refused(watch(place.uri("none"), /*recursive*/ false)).await), -32004);
    let malformed = FsWatchParams { exclude: vec!["a[".into()], ..watch(place.uri(""), /*recursive*/ true) };
    assert_eq!(code(refused(malformed).await), -32602);
}
