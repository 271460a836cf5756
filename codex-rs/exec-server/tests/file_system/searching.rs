//! Finding paths by their names and lines by their content.

use codex_exec_server_core::service::{FileSearch, Found, FsError, SearchEnd};
use codex_exec_server_protocol::fs::{
    FsEntryKind, FsGlobParams, FsSearchMatch, FsSearchParams, FsSearchScope, FsWalkEntry, MAX_SEARCH_MATCHES,
    MAX_SEARCH_PATTERN_BYTES, MAX_SEARCH_RANGES,
};
use codex_exec_server_testkit::patiently;

use crate::metadata::of;
use crate::place::{Place, code, uri};

file_cases! {
    everywhere {
        a_machine_that_can_not_search_says_so
    }
    not_on_reference {
        paths_are_found_by_globs: "it has no such method"
        what_is_hidden_or_ignored_is_found_where_that_is_asked_for: "it has no such method"
        rules_hold_below_where_they_stand_and_the_deepest_counts: "it has no such method"
        directories_behind_links_are_entered_once_where_that_is_asked_for: "it has no such method"
        lines_are_found_with_what_is_around_them: "it has no such method"
        patterns_are_taken_as_they_are_meant: "it has no such method"
        files_are_searched_as_the_text_that_they_are: "it has no such method"
        long_lines_and_many_ranges_are_cut: "it has no such method"
        a_search_stops_at_as_many_matches_as_were_wanted: "it has no such method"
        what_can_not_be_looked_at_is_counted: "it has no such method"
        a_search_that_makes_no_sense_is_refused: "it has no such method"
        a_slow_reader_holds_up_nothing_but_its_own_search: "it has no such method"
    }
}

/// Everything that a search finds, and how it ends.
pub(crate) async fn all<T: std::fmt::Debug + PartialEq>(
    mut search: Box<dyn FileSearch<T>>,
) -> Result<(Vec<T>, SearchEnd), FsError> {
    let mut found = Vec::new();
    loop {
        match patiently("the search to go on", search.next()).await? {
            Found::Matches(matches) => {
                assert!(!matches.is_empty());
                found.extend(matches);
            }
            Found::End(end) => {
                assert_eq!(search.next().await.expect("it has ended"), Found::End(end));
                return Ok((found, end));
            }
        }
    }
}

fn glob(place: &Place, patterns: &[&str]) -> FsGlobParams {
    FsGlobParams::new(place.uri(""), patterns.iter().map(|&pattern| pattern.to_owned()).collect())
}

fn search(place: &Place, pattern: &str) -> FsSearchParams {
    FsSearchParams::new(place.uri(""), pattern)
}

/// What was found below the case's folder, in order; directories with a slash.
fn names(place: &Place, found: &[FsWalkEntry]) -> String {
    let root = place.uri("").to_string();
    let mut names: Vec<_> = found
        .iter()
        .map(|entry| {
            let name = entry.path.as_str().strip_prefix(root.trim_end_matches('/')).expect("it is below");
            let slash = if entry.kind == FsEntryKind::Directory { "/" } else { "" };
            format!("{}{slash}", name.trim_start_matches('/'))
        })
        .collect();
    names.sort();
    names.join(" ")
}

async fn paths(place: &Place, params: FsGlobParams) -> String {
    let (found, end) = all(place.glob(params)).await.expect("it comes to its end");
    let expected = SearchEnd { matches: found.len() as u64, truncated: false, unreadable: 0 };
    assert_eq!(end, expected);
    names(place, &found)
}

/// `name:line text` of what was found, in order.
fn lines(place: &Place, found: &[FsSearchMatch]) -> Vec<String> {
    let root = place.uri("").to_string();
    let mut lines: Vec<_> = found
        .iter()
        .map(|found| {
            let name = found.path.as_str().strip_prefix(root.trim_end_matches('/')).expect("it is below");
            format!("{}:{} {}", name.trim_start_matches('/'), found.line, found.text)
        })
        .collect();
    lines.sort();
    lines
}

async fn a_machine_that_can_not_search_says_so(place: Place) {
    place.file("f", "text");
    let outcomes = [
        all(place.glob(glob(&place, &["*"]))).await.map(|(_, end)| end.matches),
        all(place.search(search(&place, "text"))).await.map(|(_, end)| end.matches),
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Ok(1) | Err(FsError::Unsupported("fsSearch"))), "{outcome:?}");
    }
}

async fn paths_are_found_by_globs(place: Place) {
    for folder in ["src/deep", "target/src", "grün"] {
        place.folder(folder);
    }
    for file in ["a.rs", "src/b.rs", "src/deep/c.rs", "src/deep/c.txt", "target/src/d.rs", "grün/e.rs"] {
        place.file(file, "");
    }
    place.link("a.rs", "link.rs");
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9.rs");
    std::fs::write(place.path(name), "").expect("it can be written");
    for (patterns, expected) in [
        (&["*.rs"][..], "a.rs caf%E9.rs"),
        (&["src/**/*.rs"], "src/b.rs src/deep/c.rs"),
        (&["**/{c,d}.*"], "src/deep/c.rs src/deep/c.txt target/src/d.rs"),
        (&["src", "**/deep"], "src/ src/deep/"),
        (&["none"], ""),
        (&["gr??n/*", "[ab].rs"], "a.rs gr%C3%BCn/e.rs"),
    ] {
        assert_eq!(paths(&place, glob(&place, patterns)).await, expected, "{patterns:?}");
    }
    let mut params = glob(&place, &["**/*.rs"]);
    params.scope.exclude = vec!["target".into(), "**/deep".into()];
    assert_eq!(paths(&place, params).await, "a.rs caf%E9.rs gr%C3%BCn/e.rs src/b.rs");
    // From another beginning, and through a link to it.
    place.link("src", "way");
    for beginning in ["src", "way"] {
        let params = FsGlobParams { path: place.uri(beginning), ..glob(&place, &["deep/*"]) };
        assert_eq!(paths(&place, params).await, format!("{beginning}/deep/c.rs {beginning}/deep/c.txt"));
    }
}

async fn what_is_hidden_or_ignored_is_found_where_that_is_asked_for(place: Place) {
    place.folder(".config");
    place.folder("out/deep");
    for file in [".config/x", ".env", "out/deep/x", "keep.log", "other.log", "x"] {
        place.file(file, "here");
    }
    place.file(".gitignore", "out/\n*.log\n!keep.log\n");
    for (hidden, ignored, expected) in [
        (false, false, "keep.log x"),
        (true, false, ".config/ .config/x .env .gitignore keep.log x"),
        (false, true, "keep.log other.log out/ out/deep/ out/deep/x x"),
        (true, true, ".config/ .config/x .env .gitignore keep.log other.log out/ out/deep/ out/deep/x x"),
    ] {
        let scope =
            FsSearchScope { include_hidden: hidden, include_ignored: ignored, ..FsSearchScope::default() };
        let params = FsGlobParams { scope: scope.clone(), ..glob(&place, &["**"]) };
        assert_eq!(paths(&place, params).await, expected, "hidden: {hidden}, ignored: {ignored}");
        let params = FsSearchParams { scope, ..search(&place, "here") };
        let (found, _) = all(place.search(params)).await.expect("it comes to its end");
        let files = expected.split(' ').filter(|name| !name.ends_with('/') && *name != ".gitignore");
        assert_eq!(found.len(), files.count());
    }
}

async fn rules_hold_below_where_they_stand_and_the_deepest_counts(place: Place) {
    for folder in ["a/b", "a/repo/.git/info", "a/repo/sub"] {
        place.folder(folder);
    }
    for file in ["a/x", "a/y", "a/b/x", "a/b/y", "a/repo/x", "a/repo/y", "a/repo/z", "a/repo/sub/z"] {
        place.file(file, "");
    }
    place.file(".gitignore", "x\n");
    place.file(".ignore", "y\n");
    place.file("a/b/.gitignore", "!x\n");
    place.file("a/b/.ignore", "!y\n");
    // Git's rules end at a repository, the others do not.
    place.file("a/repo/.git/info/exclude", "z\n");
    place.file("a/repo/.gitignore", "!/z\n");
    let find = |path: &str| FsGlobParams { path: place.uri(path), ..glob(&place, &["**/?"]) };
    assert_eq!(paths(&place, find("")).await, "a/ a/b/ a/b/x a/b/y a/repo/x a/repo/z");
    // Also of what stands above where the search begins.
    assert_eq!(paths(&place, find("a/b")).await, "a/b/x a/b/y");
    assert_eq!(paths(&place, find("a/repo/sub")).await, "");
    // A list that is a pipe is not waited for.
    nix::unistd::mkfifo(&place.path("a/.gitignore"), nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    assert_eq!(paths(&place, find("a")).await, "a/b/ a/b/x a/b/y a/repo/x a/repo/z");
}

async fn directories_behind_links_are_entered_once_where_that_is_asked_for(place: Place) {
    place.folder("d");
    place.file("d/f", "once");
    place.link("..", "d/up");
    place.link("d", "way");
    place.link("d/f", "to-file");
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("g"), "once").expect("it can be written");
    place.link(outside.path().to_str().expect("text"), "out");
    assert_eq!(paths(&place, glob(&place, &["**"])).await, "d/ d/f");
    let scope = FsSearchScope { follow_directory_symlinks: true, ..FsSearchScope::default() };
    let params = FsSearchParams { scope, ..search(&place, "once") };
    let (found, _) = all(place.search(params)).await.expect("it comes to its end");
    let found = lines(&place, &found);
    // Whichever name comes first.
    assert!(
        found == ["d/f:1 once", "out/g:1 once"] || found == ["out/g:1 once", "way/f:1 once"],
        "{found:?}"
    );
}

async fn lines_are_found_with_what_is_around_them(place: Place) {
    place.file("f", "one\ntwo\nthree\nfour\nfive\nsix\nseven");
    let around = async |pattern: &str, context_lines| {
        let params = FsSearchParams { context_lines, ..search(&place, pattern) };
        let (found, _) = all(place.search(params)).await.expect("it comes to its end");
        let shown = |found: &FsSearchMatch| {
            format!("{} {}:{} {}", found.before.join(","), found.line, found.text, found.after.join(","))
        };
        found.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(around("o", /*context_lines*/ 0).await, [" 1:one ", " 2:two ", " 4:four "]);
    assert_eq!(
        around("o", /*context_lines*/ 1).await,
        [" 1:one two", "one 2:two three", "three 4:four five"]
    );
    assert_eq!(
        around("t|x", /*context_lines*/ 2).await,
        ["one 2:two three,four", "one,two 3:three four,five", "four,five 6:six seven"]
    );
    assert_eq!(around("seven", /*context_lines*/ 20).await, ["one,two,three,four,five,six 7:seven "]);
    // A search of one file finds it, whatever would keep it from being found.
    let hidden = place.file(".f", "a\nb");
    let params = FsSearchParams { path: hidden, include: vec!["*.rs".into()], ..search(&place, "b") };
    let (found, _) = all(place.search(params)).await.expect("it comes to its end");
    assert_eq!(lines(&place, &found), [".f:2 b"]);
}

async fn patterns_are_taken_as_they_are_meant(place: Place) {
    place.folder("d");
    place.file("a.rs", "fn Main() { a.b }\r\nfn axb\r\n");
    place.file("d/b.rs", "a.b");
    place.file("d/c.txt", "a.b");
    let find = async |change: fn(&mut FsSearchParams), pattern: &str| {
        let mut params = search(&place, pattern);
        change(&mut params);
        let (found, _) = all(place.search(params)).await.expect("it comes to its end");
        let ranges = found.iter().flat_map(|found| &found.ranges).map(|range| (range.start, range.end));
        (lines(&place, &found).join(" | "), ranges.collect::<Vec<_>>())
    };
    let (found, _) = find(|_| {}, "a.b").await;
    assert_eq!(found, "a.rs:1 fn Main() { a.b } | a.rs:2 fn axb | d/b.rs:1 a.b | d/c.txt:1 a.b");
    let (found, _) = find(|params| params.literal = true, "a.b").await;
    assert_eq!(found, "a.rs:1 fn Main() { a.b } | d/b.rs:1 a.b | d/c.txt:1 a.b");
    let (found, ranges) = find(|params| params.ignore_case = true, "MAIN").await;
    assert_eq!((found.as_str(), ranges), ("a.rs:1 fn Main() { a.b }", vec![(3, 7)]));
    assert_eq!(find(|_| {}, "MAIN").await.0, "");
    let (found, _) = find(|params| params.include = vec!["d/*.rs".into()], "a.b").await;
    assert_eq!(found, "d/b.rs:1 a.b");
    // The end of a line is none of the text, whichever it is.
    let (found, ranges) = find(|_| {}, "axb$").await;
    assert_eq!((found.as_str(), ranges), ("a.rs:2 fn axb", vec![(3, 6)]));
    assert_eq!(find(|_| {}, "^fn axb$|^a[.]b$").await.0, "a.rs:2 fn axb | d/b.rs:1 a.b | d/c.txt:1 a.b");
    assert_eq!(find(|_| {}, "}$").await.0, "a.rs:1 fn Main() { a.b }");
    let (_, ranges) = find(|params| params.include = vec!["*.rs".into()], "a").await;
    assert_eq!(ranges, [(4, 5), (12, 13), (3, 4)]);
}

async fn files_are_searched_as_the_text_that_they_are(place: Place) {
    place.file("latin", b"caf\xe9 needle \xff");
    place.file("wide", b"\xff\xfen\0e\0e\0d\0l\0e\0\n\0\xe4\0\n\0");
    place.file("marked", b"\xef\xbb\xbfneedle");
    place.file("binary", b"one\0needle");
    place.file("late", [&b"needle\n".repeat(20_000)[..], b"\0\nneedle\n"].concat());
    place.file("units", "grün 𝄞 needle");
    let params = FsSearchParams {
        scope: FsSearchScope { exclude: vec!["late".into()], ..FsSearchScope::default() },
        ..search(&place, "needle")
    };
    let (found, end) = all(place.search(params)).await.expect("it comes to its end");
    assert_eq!(end.unreadable, 0);
    assert_eq!(
        lines(&place, &found),
        ["latin:1 caf\u{fffd} needle \u{fffd}", "marked:1 needle", "units:1 grün 𝄞 needle", "wide:1 needle"]
    );
    let units = found.iter().find(|found| found.text.starts_with("grün")).expect("it is there");
    assert_eq!((units.ranges[0].start, units.ranges[0].end), (8, 14));
    let params = FsSearchParams { path: place.uri("late"), ..search(&place, "needle") };
    let (found, _) = all(place.search(params)).await.expect("it comes to its end");
    assert!(found.len() <= 20_000, "what follows a NUL is no text");
    assert!(found.iter().enumerate().all(|(index, found)| found.line == index as u64 + 1));
}

async fn long_lines_and_many_ranges_are_cut(place: Place) {
    place
        .file("f", format!("{}needle{}\n{}", "x".repeat(1_000_000), "y".repeat(100_000), "ab".repeat(2_000)));
    let params = FsSearchParams { context_lines: 1, ..search(&place, "needle") };
    let (found, _) = all(place.search(params)).await.expect("it comes to its end");
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!(found.text.len(), 4096);
    let range = found.ranges[0];
    assert_eq!(&found.text[range.start as usize..range.end as usize], "needle");
    assert_eq!(found.after[0].len(), 4000);
    let (found, _) = all(place.search(search(&place, "a"))).await.expect("it comes to its end");
    assert_eq!(found[0].ranges.len(), MAX_SEARCH_RANGES);
}

async fn a_search_stops_at_as_many_matches_as_were_wanted(place: Place) {
    for number in 0..20 {
        place.file(&format!("f{number}"), "one\ntwo\none\nfour");
    }
    for wanted in [1, 7, 20] {
        let params = FsGlobParams { max_matches: Some(wanted), ..glob(&place, &["*"]) };
        let (found, end) = all(place.glob(params)).await.expect("it comes to its end");
        assert_eq!((found.len() as u64, end.truncated), (wanted, true));
        let params = FsSearchParams { max_matches: Some(wanted), context_lines: 1, ..search(&place, "one") };
        let (found, end) = all(place.search(params)).await.expect("it comes to its end");
        assert_eq!((found.len() as u64, end.truncated), (wanted, true));
        assert!(found.iter().all(|found| found.after.len() == 1), "what is around the last one is shown");
    }
    let params = FsGlobParams { max_matches: Some(21), ..glob(&place, &["*"]) };
    let (found, end) = all(place.glob(params)).await.expect("it comes to its end");
    assert_eq!((found.len(), end.truncated), (20, false));
}

async fn what_can_not_be_looked_at_is_counted(place: Place) {
    place.file("good", "needle");
    place.file("long", [&b"needle\n"[..], &vec![b'x'; 9 << 20], b"\nneedle"].concat());
    place.folder("d");
    place.file("d/.gitignore", vec![b'#'; (1 << 20) + 1]);
    nix::unistd::mkfifo(&place.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    let mut deep = place.path("d");
    for _ in 0..256 {
        deep.push("d");
        std::fs::create_dir(&deep).expect("it can be made");
    }
    let (found, end) = all(place.search(search(&place, "needle"))).await.expect("it comes to its end");
    assert_eq!(lines(&place, &found), ["good:1 needle", "long:1 needle"]);
    // The long line, the long list, and the directory that is too deep.
    assert_eq!((end.unreadable, end.truncated), (3, false));
}

async fn a_search_that_makes_no_sense_is_refused(place: Place) {
    let file = place.file("f", "text");
    let long = "x".repeat(MAX_SEARCH_PATTERN_BYTES + 1);
    let refused = async |params: FsSearchParams| {
        all(place.search(params)).await.expect_err("it is refused").to_string()
    };
    for (params, words) in [
        (search(&place, "a("), "pattern: "),
        (search(&place, "a\nb"), "pattern: "),
        (search(&place, r"(\w{500}){500}"), "pattern: "),
        (search(&place, &long), "may have 16384 bytes, got 16385 (-32602)"),
        (FsSearchParams { include: vec!["a[".into()], ..search(&place, "a") }, "glob `a[`: "),
        (
            FsSearchParams { context_lines: 21, ..search(&place, "a") },
            "contextLines must be between 0 and 20, got 21 (-32602)",
        ),
        (
            FsSearchParams { max_matches: Some(0), ..search(&place, "a") },
            "maxMatches must be between 1 and 100000, got 0 (-32602)",
        ),
        (
            FsSearchParams { max_matches: Some(MAX_SEARCH_MATCHES + 1), ..search(&place, "a") },
            "got 100001 (-32602)",
        ),
        (FsSearchParams { path: uri("/dev/zero"), ..search(&place, "a") }, "is not a file (-32600)"),
    ] {
        let said = refused(params).await;
        assert!(said.contains(words), "{said}");
    }
    let missing = FsSearchParams { path: place.uri("none"), ..search(&place, "a") };
    assert_eq!(code(all(place.search(missing)).await), -32004);
    for (params, expected) in [
        (glob(&place, &[]), -32602),
        (glob(&place, &["{a"]), -32602),
        (glob(&place, &[&long]), -32602),
        (FsGlobParams { path: file, ..glob(&place, &["*"]) }, -32603),
        (FsGlobParams { path: place.uri("none"), ..glob(&place, &["*"]) }, -32004),
    ] {
        assert_eq!(code(all(place.glob(params)).await), expected);
    }
}

async fn a_slow_reader_holds_up_nothing_but_its_own_search(place: Place) {
    let count = 60_000;
    let text: String = (1..=count).map(|number| format!("line {number}\n")).collect();
    place.file("f", text);
    let mut slow = place.search(search(&place, "line"));
    let Found::Matches(first) = slow.next().await.expect("it finds something") else { panic!("{slow:?}") };
    // It stands, and everything else goes on.
    let (found, _) = all(place.search(search(&place, "line 77$"))).await.expect("it comes to its end");
    assert_eq!(lines(&place, &found), ["f:77 line 77"]);
    patiently("a question", place.get_metadata(of(place.uri("f")))).await.expect("it is there");
    let (rest, end) = all(slow).await.expect("it goes on");
    assert_eq!(end.matches, count);
    let numbers = first.iter().chain(&rest).map(|found| found.line);
    assert!(numbers.eq(1..=count), "each once and in order");
}
