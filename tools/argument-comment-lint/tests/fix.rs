//! Mending: nothing but comments changes, nothing is left to say, and a second time changes nothing.

mod support;

use std::process::Command;

use proptest::prelude::*;
use support::Folder;

fn mended(body: &str) -> String {
    let code = |body: &str| format!("use other::*;\nfn function() {{\n{body}\n}}\n");
    let text = Folder::new(&code(body)).mended();
    let body = text.strip_prefix("use other::*;\nfn function() {\n").expect("nothing else changed");
    body.strip_suffix("\n}\n").expect("nothing else changed").to_owned()
}

#[test]
fn comments_are_written_before_their_arguments() {
    assert_eq!(mended("walk(\"\", true, None);"), "walk(\"\", /*recursive*/ true, /*depth*/ None);");
    assert_eq!(
        mended("    walk(\n        \"\",\n        // All.\n        true,\n        x,\n    )"),
        "    walk(\n        \"\",\n        // All.\n        /*recursive*/ true,\n        x,\n    )"
    );
    assert_eq!(mended("Log::new(n).read(a, b).seek(-1, x);"), "Log::new(n).read(a, b).seek(/*row*/ -1, x);");
}

#[test]
fn wrong_names_are_replaced_and_loose_ones_tightened() {
    assert_eq!(mended("walk(\"\", /*deep*/ true, x);"), "walk(\"\", /*recursive*/ true, x);");
    assert_eq!(mended("walk(\"\", /* recursive */ true, x);"), "walk(\"\", /*recursive*/ true, x);");
    assert_eq!(mended("walk(\"\", /*recursive=*/ true, x);"), "walk(\"\", /*recursive*/ true, x);");
    assert_eq!(mended("walk(\"\", /* yes! */ true, x);"), "walk(\"\", /* yes! */ /*recursive*/ true, x);");
}

#[test]
fn what_rustfmt_makes_of_it_has_nothing_to_say_either() {
    let body = "    let page = Log::new(1_000_000).read(1_000_000, None).seek(-1_000_000, true).seek(-2_000_000, false);
    assert_eq!(Log::new(1_000_000).read(1_000_000, None).seek(-1_000_000, true).seek(-2_000_000, false), page);
    walk(\"a text that is long enough to make the line one that has to be broken somewhere\", true, None);";
    let folder = Folder::new(&format!("use other::*;\nfn function() {{\n{body}\n}}\n"));
    folder.mended();
    let rustfmt = std::env::var_os("RUSTFMT").unwrap_or_else(|| "rustfmt".into());
    let formatted =
        Command::new(rustfmt).args(["--edition", "2024"]).arg(folder.path().join("one/src/lib.rs")).status();
    match formatted {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) => return eprintln!("SKIPPED: rustfmt can't be run here: {error}"),
    }
    assert_eq!(folder.findings(), []);
    assert!(folder.read("one/src/lib.rs").matches("/*").count() == 16, "{}", folder.read("one/src/lib.rs"));
}

/// An argument, with how many findings it brings where a name is asked for.
#[derive(Debug, Clone)]
enum Argument {
    Opaque(&'static str),
    Plain(&'static str),
    Call(&'static str, Vec<(Gap, Argument)>),
}

/// What stands between a delimiter and an argument.
#[derive(Debug, Clone, Copy)]
enum Gap {
    Nothing,
    Line,
    Prose,
    LineComment,
    /// The comment that is asked for.
    Right,
    Wrong,
}

const CALLS: [(&str, &[&str]); 4] = [
    ("walk", &["path", "recursive", "depth"]),
    ("Log::new", &["retain_bytes"]),
    ("log.read", &["after", "max_bytes"]),
    ("{ mystery }", &["", ""]),
];

impl Argument {
    fn render(&self, name: &str, gap: Gap, out: &mut String, findings: &mut usize) {
        *findings += match (gap, self) {
            _ if name.is_empty() => 0,
            (Gap::Wrong, _) => 1,
            (Gap::Right, _) => 0,
            (_, Self::Opaque(_)) => 1,
            _ => 0,
        };
        match gap {
            Gap::Nothing => {}
            Gap::Line => out.push_str("\n    "),
            Gap::Prose => out.push_str("/* so, \"it\" ( is */ "),
            Gap::LineComment => out.push_str("// /*no*/ \"\n"),
            Gap::Right => out.push_str(&format!("/*{name}*/ ")),
            Gap::Wrong => out.push_str("/*wrong*/"),
        }
        match self {
            Self::Opaque(text) | Self::Plain(text) => out.push_str(text),
            Self::Call(function, arguments) => {
                let names = CALLS.iter().find(|(name, _)| name == function).expect("it is one of these").1;
                out.push_str(function);
                out.push('(');
                for (name, (gap, argument)) in names.iter().zip(arguments) {
                    argument.render(name, *gap, out, findings);
                    out.push_str(", ");
                }
                out.push(')');
            }
        }
    }
}

fn gap() -> impl Strategy<Value = Gap> {
    use Gap::*;
    proptest::sample::select(vec![Nothing, Line, Prose, LineComment, Right, Wrong])
}

fn argument() -> impl Strategy<Value = Argument> {
    let opaque = proptest::sample::select(vec!["true", "false", "None", "5", "-1", "0.5"]);
    let plain = proptest::sample::select(vec![
        "x",
        "\"/*recursive*/\"",
        "r#\"// \" \"#",
        "'\"'",
        "b\"*/\"",
        "|a| true",
    ]);
    let leaf = prop_oneof![opaque.prop_map(Argument::Opaque), plain.prop_map(Argument::Plain)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let calls = proptest::sample::select(CALLS.to_vec());
        (calls, proptest::collection::vec((gap(), inner), 3)).prop_map(|((function, names), arguments)| {
            Argument::Call(function, arguments.into_iter().take(names.len()).collect())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mending_changes_comments_alone_leaves_nothing_to_say_and_is_done_once(argument in argument()) {
        let (mut body, mut expected) = (String::new(), 0);
        argument.render("", Gap::Nothing, &mut body, &mut expected);
        let before = format!("use other::*;\nfn function(log: Log) {{\n    {body};\n}}\n");
        let folder = Folder::new(&before);
        prop_assert_eq!(folder.findings().len(), expected, "{}", before);
        let after = folder.mended();
        prop_assert_eq!(folder.findings(), []);
        prop_assert_eq!(folder.mended(), after.clone());
        let tokens = |text: &str| text.parse::<proc_macro2::TokenStream>().expect("it is Rust").to_string();
        prop_assert_eq!(tokens(&before), tokens(&after));
    }
}
