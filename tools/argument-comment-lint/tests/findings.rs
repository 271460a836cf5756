//! Code in, findings out: which calls are understood, and which arguments are asked about.

mod support;

use support::{Folder, asked, asked_with, below, places};

const NONE: [&str; 0] = [];

#[test]
fn a_finding_tells_its_place_and_what_to_write() {
    let folder = Folder::new("fn f() {\n    other::walk(\"ä\", true, None);\n}\n");
    let findings = folder.findings();
    assert_eq!(findings.len(), 2);
    let place = below(&folder, "one/src/lib.rs");
    assert_eq!(
        findings[0].to_string(),
        format!(
            "{}:2:22: `true` doesn't say what `walk` takes it for: write `/*recursive*/ true`",
            place.display()
        )
    );
}

#[test]
fn functions_are_known_by_path_import_alias_and_glob() {
    for (import, function) in [
        ("use other::walk;", "walk"),
        ("use other::tree::walk;", "walk"),
        ("use other::{tree::walk as stroll};", "stroll"),
        ("use other::tree;", "tree::walk"),
        ("use other::tree::{self};", "tree::walk"),
        ("use other::tree as forest;", "forest::walk"),
        ("use other::*;", "walk"),
        ("", "other::walk"),
        ("", "::other::tree::walk"),
    ] {
        let code = format!("{import}\nfn f() {{ {function}(\n\"\",\ntrue, Some(1)); }}");
        assert_eq!(places(&code), ["4:1 /*recursive*/"], "{code}");
    }
}

#[test]
fn a_function_of_this_file_hides_one_that_is_imported() {
    let items = "fn walk(path: &str, quickly: bool, steps: u8) {}";
    assert_eq!(asked_with(items, "walk(\"\", true, 5);"), ["quickly", "steps"]);
}

#[test]
fn what_belongs_to_other_libraries_is_left_alone() {
    assert_eq!(asked("std::thread::sleep(Duration::from_secs(5)); tokio::fs::walk(\"\", true, None);"), NONE);
    let imported = places("use elsewhere::walk;\nfn f() { walk(\"\", true, None); }");
    assert_eq!(imported, NONE);
    // The same name, but not the type of ours.
    let foreign = places("use elsewhere::Log;\nfn f(log: Log) { Log::new(5); log.read(1, None); }");
    assert_eq!(foreign, NONE);
}

#[test]
fn fields_of_tuple_structs_and_variants_have_no_names() {
    let items = "struct Seq(u64); enum Event { Exited(i32) }";
    assert_eq!(
        asked_with(items, "Some(5); Ok::<_, ()>(true); Seq(0); Event::Exited(1); Some(None::<u8>);"),
        NONE
    );
}

#[test]
fn methods_are_known_by_the_type_of_their_receiver() {
    // Declared, constructed, of a field, returned, through wrappers, awaited.
    assert_eq!(asked("let log = Log::new(4); log.read(0, None);"), ["retain_bytes", "after", "max_bytes"]);
    assert_eq!(asked_with("fn g(log: &mut Log) { log.inner.push(1, 2); }", ""), ["first", "second"]);
    assert_eq!(
        asked_with("fn g(log: std::sync::Arc<Log>) { log.read(x, y).seek(-1, true); }", ""),
        ["row", "exact"]
    );
    assert_eq!(asked_with("async fn g(log: Log) { log.follow(x).await.unwrap().seek(0, y); }", ""), ["row"]);
    assert_eq!(
        asked_with(
            "async fn g(log: Log) -> Result<(), ()> { if let Ok(page) = log.follow(x).await { page.seek(0, y); } Ok(()) }",
            ""
        ),
        ["row"]
    );
    assert_eq!(
        asked("let log = std::sync::Mutex::new(Log::new(limit)); log.lock().unwrap().read(0, y);"),
        ["after"]
    );
}

#[test]
fn a_method_that_other_types_have_too_is_asked_about_on_ours_alone() {
    assert_eq!(asked("let mut list = Vec::new(); list.push(1, 2);"), NONE);
    assert_eq!(asked("mystery().push(1, 2); mystery().read(0, None);"), NONE);
    // A rare name is enough, if all that have it agree.
    assert_eq!(
        asked_with("impl Log { fn replay(&self, since: u64, fast: bool) {} }", "mystery().replay(1, true);"),
        ["since", "fast"]
    );
    let disagree = "impl Log { fn replay(&self, since: u64, fast: bool) {} }
                    impl Page { fn replay(&self, from: u64, fast: bool) {} }";
    assert_eq!(asked_with(disagree, "mystery().replay(1, true);"), ["fast"]);
    assert_eq!(
        asked_with(disagree, "mystery().replay(/*from*/ 1, x); mystery().replay(/*since*/ 1, x);"),
        NONE
    );
    assert_eq!(asked_with(disagree, "mystery().replay(/*until*/ 1, x);"), ["?"]);
}

#[test]
fn generic_parameters_and_traits_stand_for_their_methods() {
    assert_eq!(
        asked_with("fn g<C: Clock>(clock: &C) { clock.wait(5, true); }", ""),
        ["at_least_ms", "precise"]
    );
    assert_eq!(asked_with("fn g<C>(clock: &C) where C: Clock { clock.wait(5, y); }", ""), ["at_least_ms"]);
    assert_eq!(
        asked_with("fn g(clock: &dyn Clock, two: impl Clock) { clock.wait(5, y); two.wait(x, true); }", ""),
        ["at_least_ms", "precise"]
    );
    assert_eq!(
        asked_with("struct S; impl Clock for S {} fn g(s: S) { s.wait(5, y); S::wait(&s, 5, y); }", ""),
        ["at_least_ms", "at_least_ms"]
    );
    let variants = "enum Repeat { Never } impl Repeat { fn push(self, sent: bool, late: bool) {} }";
    assert_eq!(asked_with(variants, "Repeat::Never.push(true, x);"), ["sent"]);
    let turbofish = "fn parse<T>(text: &str, strict: bool) {}";
    assert_eq!(asked_with(turbofish, "parse::<Vec<u8>>(\"\", true);"), ["strict"]);
}

#[test]
fn self_is_the_type_of_the_impl() {
    let items = "struct Own { log: Log } impl Own {
        fn make(level: u8, deep: bool) -> Self { todo!() }
        fn go(&self) { Self::make(1, true); self.step(2, 3); self.log.read(0, x); <Own>::make(level, true); }
        fn step(&self, wide: u8, high: u8) {} }";
    assert_eq!(asked_with(items, ""), ["level", "deep", "wide", "high", "after", "deep"]);
}

#[test]
fn closures_have_parameters_too() {
    assert_eq!(asked("let draw = |wide: u8, high: u8| wide + high; draw(1, 2);"), ["wide", "high"]);
    assert_eq!(asked("let walk = |(a, b): (u8, u8), deep| a; walk(x, true);"), ["deep"]);
    // A function that was passed has no names, even where a function of that name exists.
    assert_eq!(asked_with("fn g(walk: impl Fn(&str, bool, u8)) { walk(\"\", true, 5); }", ""), NONE);
    assert_eq!(asked("items.iter().for_each(|item| walk(item, true, x));"), ["recursive"]);
}

#[test]
fn calls_nest_and_chain_over_lines() {
    let body = "
        walk(
            text(Log::new(1).read(
                2, // The first.
                None,
            )),
            true,
            // Everything.
            None,
        );";
    assert_eq!(asked(body), ["retain_bytes", "after", "max_bytes", "recursive", "depth"]);
    assert_eq!(
        asked("let page = Log::new(n).read(a, b).seek(1, true).seek(2, false);"),
        ["row", "exact", "row", "exact"]
    );
}

#[test]
fn comments_that_name_the_parameter_are_enough_and_others_are_wrong() {
    assert_eq!(asked("walk(\"\", /*recursive*/ true, /*depth*/ None);"), NONE);
    assert_eq!(asked("walk(\"\",\n /*recursive*/\n true, /* all the way */ /*depth*/ None);"), NONE);
    assert_eq!(asked("walk(\"\", /*recursively*/ true, /*depth*/ None);"), ["recursive"]);
    // Wrong on an argument that needs none.
    assert_eq!(asked("walk(/*place*/ \"\", flag, x);"), ["path"]);
    assert_eq!(asked("walk(/*path*/ \"\", flag, x);"), NONE);
    // Prose is no name, and a line comment is none either.
    assert_eq!(asked("walk(/* the root */ \"\", /* yes */ true, // depth\n None);"), ["recursive", "depth"]);
    assert_eq!(asked("walk(\"\", true /*recursive*/, x);"), ["recursive"]);
    // What isn't known can't be wrong.
    assert_eq!(asked("mystery(/*whatever*/ true);"), NONE);
}

#[test]
fn texts_that_look_like_comments_are_texts() {
    assert_eq!(asked(r####"walk("/*recursive*/", true, None);"####), ["recursive", "depth"]);
    assert_eq!(asked(r####"walk(r#"a " /*recursive*/ , "#, true, x);"####), ["recursive"]);
    assert_eq!(asked(r####"walk("//", /*recursive*/ true, x); walk(b"/*", '"', true);"####), ["depth"]);
    assert_eq!(
        asked(r####"walk("\" /*", true, x); walk(c"*/", /* " */ true, x);"####),
        ["recursive", "recursive"]
    );
}

#[test]
fn macros_are_looked_into_where_they_hold_expressions_or_blocks() {
    assert_eq!(asked("assert_eq!(Log::new(n).read(0, y), true, \"{}\", 5);"), ["after"]);
    assert_eq!(
        asked("vec![Log::new(5); 3]; println!(\"{}\", walk(\"\", true, x));"),
        ["retain_bytes", "recursive"]
    );
    assert_eq!(asked("select! { x = walk(\"\", true, None) => {} }"), NONE);
    assert_eq!(
        asked("select! { page = next() => { Log::new(5); } _ = end => { log.mystery(5) } }"),
        ["retain_bytes"]
    );
    assert_eq!(
        asked_with(
            "proptest! { #[test] fn any(x in 0..5, log in logs()) { Log::new(5).read(x, None); } }",
            ""
        ),
        ["retain_bytes", "max_bytes"]
    );
    // Bound by the macro to who knows what.
    assert_eq!(asked("let log = Log::new(x); select! { log = next() => { log.read(0, None); } }"), NONE);
    assert_eq!(asked_with("macro_rules! m { ($x:expr) => { walk(\"\", true, $x) } }", ""), NONE);
}

#[test]
fn what_the_call_says_already_is_not_asked_for() {
    let items =
        "fn set_nodelay(nodelay: bool) {} fn take_n(n: u8, value: bool) {} fn pair((a, b): P, _: u8) {}
                 fn unused(_depth: u8, r#type: u8) {}";
    assert_eq!(asked_with(items, "set_nodelay(true); take_n(5, true); pair(true, 5);"), NONE);
    assert_eq!(asked_with(items, "unused(1, 2);"), ["depth", "type"]);
}

#[test]
fn functions_of_the_same_name_are_told_apart_by_arity_and_module() {
    let items = "mod a { pub fn open(path: &str, create: bool) {} } mod b { pub fn open(path: &str, append: bool) {} }
                 mod c { pub fn open(path: &str, append: bool, mode: u32) {} }";
    assert_eq!(
        asked_with(items, "a::open(\"\", true); b::open(\"\", true); c::open(\"\", x, 5);"),
        ["create", "append", "mode"]
    );
}

#[test]
fn positions_hold_behind_a_shebang_and_a_byte_order_mark() {
    assert_eq!(places("#!/usr/bin/env run\nfn f() { other::walk(\"\", true, x); }"), ["2:26 /*recursive*/"]);
    let folder = Folder::new("\u{feff}fn f() { other::walk(\"\", true, x); }");
    assert_eq!(folder.mended(), "\u{feff}fn f() { other::walk(\"\", /*recursive*/ true, x); }");
}
