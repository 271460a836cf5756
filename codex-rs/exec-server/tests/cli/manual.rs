//! Help, completions and manual pages.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::home::Home;
use crate::support::wait;

const COMMANDS: [&str; 13] =
    ["run", "ps", "attach", "logs", "kill", "cat", "cp", "ls", "edit", "info", "serve", "completions", "man"];

/// Runs another program on `input`; `None` where there is none such.
fn through(program: &str, args: &[&str], input: &str) -> Option<String> {
    let spawned = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: {program}: {error}");
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("it has a pipe");
    let feed = input.to_owned();
    let feeding = std::thread::spawn(move || stdin.write_all(feed.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    let _ = feeding.join().expect("no panic");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program} {args:?}: {errors}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn completions_are_scripts_that_their_shells_take() {
    let home = Home::new();
    for (shell, check) in [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
        let script = home.says(&["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        through(shell, check, &script);
    }
}

#[test]
fn completions_of_bash_complete() {
    let home = Home::new();
    let script = home.says(&["completions", "bash"]);
    let ask = r#"
COMP_WORDS=(codex-exec-server att); COMP_CWORD=1
_codex__exec__server codex-exec-server att codex-exec-server
echo "${COMPREPLY[@]}"
COMP_WORDS=(codex-exec-server logs --fo); COMP_CWORD=2
_codex__exec__server codex-exec-server --fo logs
echo "${COMPREPLY[@]}"
"#;
    if let Some(said) = through("bash", &["-s"], &format!("{script}\n{ask}")) {
        assert_eq!(said, "attach\n--follow\n");
    }
}

#[test]
fn the_manual_renders_without_a_complaint() {
    let home = Home::new();
    let page = home.says(&["man"]);
    assert!(page.contains(".TH codex-exec-server 1"), "{page}");
    let folder = home.path().join("man1");
    std::fs::create_dir(&folder).expect("a folder");
    assert_eq!(home.says(&["man", "--dir", folder.to_str().expect("text")]), "");
    let mut pages = vec![page];
    for command in COMMANDS {
        let page = std::fs::read_to_string(folder.join(format!("codex-exec-server-{command}.1")));
        pages.push(page.unwrap_or_else(|error| panic!("{command}: {error}")));
    }
    for page in pages {
        if let Some(text) = through("groff", &["-man", "-Tutf8", "-ww"], &page) {
            assert!(text.contains("Examples") || text.contains("codex-exec-server"), "{text}");
        }
    }
    let nowhere = home.fails(&["man", "--dir", "/no/such/folder"]);
    assert!(nowhere.contains("/no/such/folder/codex-exec-server.1: "), "{nowhere}");
}

#[test]
fn every_command_for_people_teaches_by_example() {
    let home = Home::new();
    for command in
        ["run", "ps", "attach", "logs", "kill", "cat", "cp", "ls", "edit", "info", "completions", "man"]
    {
        let help = home.says(&[command, "--help"]);
        assert!(help.contains("Examples:\n  codex-exec-server "), "{command}: {help}");
    }
    assert!(home.says(&["--help"]).contains("Examples:"));
}

#[test]
fn nobody_waits_for_a_manual_that_nobody_reads() {
    let home = Home::new();
    let mut child = home.command(&["completions", "bash"]).spawn().expect("it starts");
    drop(child.stdout.take());
    wait(&mut child);
}
