//! Standard streams, exit codes, environment and directory, wherever the command runs.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;

use crate::support::{Server, file, noise, output, run, run_script, stderr, wait};

#[test]
fn stdout_and_stderr_stay_apart_and_the_exit_code_is_the_commands() {
    for server in Server::each() {
        let script = r"printf 'out\000\377\n'; printf 'err\000\376\n' >&2; exit 3";
        let output = output(run_script(&server.flags(), script));
        assert_eq!(output.stdout, b"out\0\xff\n", "{}", stderr(&output));
        assert_eq!(output.stderr, b"err\0\xfe\n");
        assert_eq!(output.status.code(), Some(3));
    }
}

#[test]
fn a_command_that_a_signal_ended_has_the_exit_code_that_shells_give() {
    for server in Server::each() {
        assert_eq!(output(run_script(&server.flags(), "kill -TERM $$")).status.code(), Some(143));
    }
}

#[test]
fn megabytes_of_stdin_come_back_unchanged_and_their_end_is_seen() {
    let sent = noise(/*len*/ 5_000_000);
    let (_dir, path) = file(&sent);
    for server in Server::each() {
        let mut from_file = run(&server.flags(), &["cat"]);
        from_file.stdin(File::open(&path).expect("the file is there"));
        assert!(output(from_file).stdout == sent, "from a file over {:?}", server.url());

        let mut from_pipe = run(&server.flags(), &["cat"]);
        let mut child = from_pipe.stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("it has a pipe");
        let feed = sent.clone();
        let feeding = thread::spawn(move || stdin.write_all(&feed).expect("all is taken"));
        let mut received = Vec::new();
        let mut stdout = child.stdout.take().expect("it has a pipe");
        stdout.read_to_end(&mut received).expect("it can be read");
        feeding.join().expect("feeding does not panic");
        assert!(received == sent, "from a pipe over {:?}", server.url());
        assert!(wait(&mut child).success());
    }
}

#[test]
fn a_command_that_does_not_read_its_stdin_is_not_held_up_by_it() {
    let (_dir, path) = file(&noise(/*len*/ 5_000_000));
    for server in Server::each() {
        let mut command = run_script(&server.flags(), "exec <&-; echo done");
        command.stdin(File::open(&path).expect("the file is there"));
        assert_eq!(output(command).stdout, b"done\n");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_without_a_word() {
    for server in Server::each() {
        let mut child = run(&server.flags(), &["yes"]).spawn().expect("the program starts");
        let mut stdout = child.stdout.take().expect("it has a pipe");
        let mut line = [0; 2];
        stdout.read_exact(&mut line).expect("a line");
        assert_eq!(&line, b"y\n");
        drop(stdout);
        assert_eq!(wait(&mut child).code(), Some(141));
        let mut words = String::new();
        child.stderr.take().expect("it has a pipe").read_to_string(&mut words).expect("text");
        assert_eq!(words, "");
    }
}

#[test]
fn a_slow_reader_loses_nothing() {
    for server in Server::each() {
        let mut child = run(&server.flags(), &["seq", "1", "4000000"]).spawn().expect("the program starts");
        let mut stdout = child.stdout.take().expect("it has a pipe");
        // Far more is written than is held anywhere, so the command has to wait for this reader, who takes a little at
        // a time and yields in between.
        let mut received = Vec::new();
        let mut piece = [0; 3000];
        loop {
            match stdout.read(&mut piece).expect("it can be read") {
                0 => break,
                read => received.extend_from_slice(&piece[..read]),
            }
            thread::yield_now();
        }
        assert!(wait(&mut child).success());
        assert!(received == count_to(/*last*/ 4_000_000), "over {:?}", server.url());
    }
}

pub(crate) fn count_to(last: u32) -> Vec<u8> {
    let mut text = Vec::new();
    for number in 1..=last {
        writeln!(text, "{number}").expect("writing to memory never fails");
    }
    text
}

#[test]
fn what_can_not_be_run_has_the_exit_code_that_shells_give_and_says_why() {
    for server in Server::each() {
        let missing = output(run(&server.flags(), &["no-such-program"]));
        assert_eq!(missing.status.code(), Some(127));
        assert!(stderr(&missing).contains("no-such-program"), "{}", stderr(&missing));
        let refused = output(run(&server.flags(), &["/etc/passwd"]));
        assert_eq!(refused.status.code(), Some(126));
        assert!(stderr(&refused).contains("/etc/passwd"), "{}", stderr(&refused));
        let mut flags = server.flags();
        flags.extend(["--cwd", "/no-such-directory"]);
        let nowhere = output(run(&flags, &["true"]));
        assert_eq!(nowhere.status.code(), Some(125));
        assert!(stderr(&nowhere).contains("/no-such-directory"), "{}", stderr(&nowhere));
    }
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_124() {
    for server in Server::each() {
        let mut flags = server.flags();
        flags.extend(["--timeout", "0.2"]);
        let output = output(run(&flags, &["sleep", "1000"]));
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(124), &b""[..]));
        assert!(stderr(&output).contains("0.2 s (--timeout)"), "{}", stderr(&output));
    }
}

#[test]
fn the_environment_here_is_handed_on_here_and_nowhere_else() {
    let script = "echo $OURS/$ADDED/${HOME:+home}";
    for server in Server::each() {
        let mut flags = server.flags();
        flags.extend(["--env", "ADDED=a=b"]);
        let mut command = run_script(&flags, script);
        command.env("OURS", "ours").env("HOME", "/root");
        let expected = if server.url().is_empty() { "ours/a=b/home\n" } else { "/a=b/home\n" };
        assert_eq!(String::from_utf8_lossy(&output(command).stdout), expected);
    }
}

#[test]
fn a_variable_without_a_value_is_refused_with_the_right_form() {
    let output = output(run(&["--env", "NAME"], &["true"]));
    assert!(!output.status.success());
    assert!(stderr(&output).contains("--env NAME=VALUE"), "{}", stderr(&output));
}

#[test]
fn the_directory_is_this_one_here_and_the_servers_elsewhere() {
    let (dir, _) = file(b"");
    let here = dir.path().canonicalize().expect("it is there");
    std::fs::create_dir(here.join("sub")).expect("it can be made");
    for server in Server::each() {
        let mut command = run(&server.flags(), &["pwd"]);
        command.current_dir(&here);
        let cwd = String::from_utf8_lossy(&output(command).stdout).trim().to_owned();
        let elsewhere = std::env::current_dir().expect("there is one");
        let expected = if server.url().is_empty() { here.clone() } else { elsewhere };
        assert_eq!(cwd, expected.to_string_lossy());
    }
    let mut relative = run(&["--cwd", "sub"], &["pwd"]);
    relative.current_dir(&here);
    let cwd = String::from_utf8_lossy(&output(relative).stdout).trim().to_owned();
    assert_eq!(cwd, here.join("sub").to_string_lossy());
}
