//! `cat` and `ls`: what is in files and directories of the machine that is named.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::json;

use crate::home::Home;
use crate::support::{PATIENCE, Proxy, Server, noise, output, stderr, wait};

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// `command` with the flags that lead to `server`, and then these.
pub(crate) fn words<'a>(command: &'a str, server: &'a Server, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec![command];
    words.extend(server.flags());
    words.extend(more);
    words
}

#[test]
fn what_is_in_files_is_printed_as_it_is_from_every_machine() {
    for server in Server::each() {
        let home = Home::new();
        let (long, short) = (noise(/*len*/ 3_000_001), b"short\n");
        let paths = ["long", "short"].map(|name| home.path().join(name));
        std::fs::write(&paths[0], &long).expect("it can be written");
        std::fs::write(&paths[1], short).expect("it can be written");
        let args = words("cat", &server, &[text(&paths[0]), text(&paths[1]), "/proc/version"]);
        let printed = output(home.command(&args));
        assert!(printed.status.success(), "{}", stderr(&printed));
        let version = std::fs::read("/proc/version").expect("it is there");
        assert!(printed.stdout == [&long[..], short, &version].concat());
        assert_eq!(stderr(&printed), "");
    }
}

#[test]
fn a_connection_that_is_cut_again_and_again_costs_a_file_nothing() {
    let (home, server) = (Home::new(), Server::websocket(&[]));
    let proxy = Proxy::before(&server, vec![200_000, 1_000_000, 3_000_000]);
    let (content, path) = (noise(/*len*/ 6 << 20), home.path().join("f"));
    std::fs::write(&path, &content).expect("it can be written");
    let printed = output(home.command(&["cat", "--connect", &proxy.url, text(&path)]));
    assert!(printed.status.success(), "{}", stderr(&printed));
    assert!(printed.stdout == content, "{} bytes", printed.stdout.len());
    for _ in 0..3 {
        proxy.cuts.recv_timeout(PATIENCE).expect("each connection is cut");
    }
}

#[test]
fn what_can_not_be_read_is_told_and_the_rest_is_printed() {
    for server in Server::each() {
        let home = Home::new();
        std::fs::write(home.path().join("f"), "text").expect("it can be written");
        let [none, file] = ["none", "f"].map(|name| home.path().join(name));
        let args = words("cat", &server, &[text(&none), text(home.path()), text(&file), "/dev/zero"]);
        let (code, printed, said) = home.outcome(&args);
        assert_eq!((code, printed.as_str()), (Some(1), "text"), "{said}");
        for (path, why) in [
            (text(&none), "No such file or directory"),
            (text(home.path()), "is not a file"),
            ("/dev/zero", "is not a file"),
        ] {
            let told = said.lines().find(|line| line.starts_with(&format!("codex-exec-server: {path}: ")));
            assert!(told.is_some_and(|line| line.contains(why) && !line.contains("-32")), "{path}: {said}");
        }
    }
}

#[test]
fn nobody_waits_for_a_file_that_nobody_reads() {
    let home = Home::new();
    let path = home.path().join("f");
    std::fs::write(&path, noise(/*len*/ 1 << 20)).expect("it can be written");
    let mut child = home.command(&["cat", text(&path)]).spawn().expect("it starts");
    drop(child.stdout.take());
    assert_eq!(wait(&mut child).code(), Some(141));
}

#[test]
fn a_relative_path_begins_where_the_machines_programs_run() {
    let home = Home::new();
    std::fs::write(home.path().join("f"), "text").expect("it can be written");
    let mut here = home.command(&["cat", "f"]);
    here.current_dir(home.path());
    assert_eq!(output(here).stdout, b"text");
    // A server of these tests runs in their own folder.
    let there = std::env::current_dir().expect("there is one").join("no such file");
    let server = Server::websocket(&[]);
    let mut command = home.command(&words("cat", &server, &["no such file"]));
    command.current_dir(home.path());
    let said = stderr(&output(command));
    assert!(said.contains(&format!(": {}: ", text(&there))), "{said}");
}

#[test]
fn a_directory_is_listed_by_name_with_what_its_entries_are() {
    for server in Server::each() {
        let home = Home::new();
        let folder = home.path().join("d");
        std::fs::create_dir(&folder).expect("it can be made");
        std::fs::create_dir(folder.join("sub")).expect("it can be made");
        let odd = OsStr::from_bytes(b"caf\xe9\n");
        for (name, content) in [(OsStr::new("b"), "12345"), (OsStr::new(".a"), ""), (odd, "x")] {
            std::fs::write(folder.join(name), content).expect("it can be written");
        }
        std::fs::set_permissions(folder.join("b"), PermissionsExt::from_mode(0o640)).expect("it is ours");
        symlink("b", folder.join("link")).expect("it can be made");
        symlink("nowhere", folder.join("broken")).expect("it can be made");
        let printed = output(home.command(&words("ls", &server, &[text(&folder)])));
        assert_eq!(printed.stdout, b".a\nb\nbroken\ncaf\xe9\n\nlink\nsub\n", "{}", stderr(&printed));

        let printed = output(home.command(&words("ls", &server, &["-l", text(&folder)])));
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        let line = |name: &str| printed.lines().find(|line| line.ends_with(&format!("Z  {name}")));
        assert!(
            line("b").is_some_and(|line| line.starts_with("-rw-r-----") && line.contains(" 5  20")),
            "{printed}"
        );
        assert!(line("sub").is_some_and(|line| line.starts_with("drwx")), "{printed}");
        assert!(line("link").is_some_and(|line| line.starts_with("lrw-r-----")), "{printed}");
        assert!(printed.contains("l?????????  "), "{printed}");

        let told = home.json(&words("ls", &server, &["--json", "-l", text(&folder)]));
        assert_eq!(told["path"], text(&folder));
        let entries = told["entries"].as_array().expect("a list");
        let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().expect("text")).collect();
        assert_eq!(kinds, ["file", "file", "symlink", "file", "symlink", "directory"]);
        assert_eq!((&entries[1]["size"], &entries[1]["mode"]), (&json!(5), &json!(0o640)));
        assert_eq!(
            (&entries[3]["nameBase64"], &entries[0]["nameBase64"]),
            (&json!("Y2Fm6Qo="), &json!(null))
        );
        let told = home.json(&words("ls", &server, &["--json", text(&folder)]));
        assert_eq!(told["entries"][1], json!({"name": "b", "kind": "file"}));
    }
}

#[test]
fn a_single_file_is_listed_alone_and_nothing_is_told() {
    let home = Home::new();
    std::fs::write(home.path().join("f"), "text").expect("it can be written");
    let path = home.path().join("f");
    assert_eq!(home.says(&["ls", text(&path)]), format!("{}\n", text(&path)));
    let said = home.is_undone(&["ls", text(&home.path().join("none"))]);
    assert!(said.contains("/none: No such file or directory"), "{said}");
}

/// Each command about files and sites, asked for something that is not there.
fn about_nothing<'a>(none: &'a str, there: &'a str) -> [(&'a str, Vec<&'a str>); 5] {
    [
        ("cat", vec![none]),
        ("ls", vec![none]),
        ("cp", vec![there, "."]),
        ("edit", vec![none]),
        ("fetch", vec!["http://no-such-host.invalid/"]),
    ]
}

#[test]
fn the_exit_code_says_whether_it_is_not_there_or_nobody_could_be_asked() {
    for server in Server::each() {
        let home = Home::new();
        // Below a file, so that there is nothing which could be made.
        std::fs::write(home.path().join("f"), "").expect("it can be written");
        let none = home.path().join("f/none");
        let there = format!(":{}", text(&none));
        for (command, args) in about_nothing(text(&none), &there) {
            home.is_undone(&words(command, &server, &args));
        }
    }
    let home = Home::new();
    for (command, args) in about_nothing("/none", ":/none") {
        let nobody = ["--connect", "unix:///no/such/socket"];
        home.fails(&[&[command][..], &nobody, &args].concat());
    }
}

#[test]
fn the_rule_of_exit_codes_is_in_the_help_of_each_command() {
    let home = Home::new();
    for (command, _) in about_nothing("", "") {
        let help = home.says(&[command, "--help"]);
        assert!(
            help.contains("The exit code is 1 when something could not be done because of what it is about"),
            "{help}"
        );
    }
}
