//! Connections that are refused, and connections that break.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;

use crate::streams::count_to;
use crate::support::{
    PATIENCE, Proxy, Running, Server, await_line, file, lines, output, program, run, run_script, stderr, wait,
};

#[test]
fn every_byte_and_the_exit_code_arrive_over_a_connection_that_breaks_again_and_again() {
    let server = Server::websocket(&[]);
    // Cut in the middle of frames, in places that have nothing to do with each other, and once at the very beginning.
    // Each time everything that was carried may be lost in a kernel, which is less than what the server retains.
    let budgets = vec![3_000_017, 1, 2_432_101, 70_001, 4_500_003, 300_007, 2_345_679, 4_000_037];
    let cuts = budgets.len();
    let proxy = Proxy::before(&server, budgets);
    let script = "seq 1 4000000 & seq 1 200000 >&2; wait; exit 42";
    let mut child =
        run_script(&["--quiet", "--connect", &proxy.url], script).spawn().expect("the program starts");
    let mut stderr = child.stderr.take().expect("it has a pipe");
    let reading = thread::spawn(move || {
        let mut words = Vec::new();
        stderr.read_to_end(&mut words).expect("it can be read");
        words
    });
    let mut received = Vec::new();
    child.stdout.take().expect("it has a pipe").read_to_end(&mut received).expect("it can be read");
    let words = String::from_utf8(reading.join().expect("reading does not panic")).expect("text");
    assert_eq!(wait(&mut child).code(), Some(42), "{words}");
    assert!(
        received == count_to(/*last*/ 4_000_000),
        "{} bytes of {}",
        received.len(),
        count_to(/*last*/ 4_000_000).len()
    );
    assert_eq!(words.as_bytes(), count_to(/*last*/ 200_000), "{words}");
    assert_eq!(proxy.cuts.try_iter().count(), cuts);
}

#[test]
fn stdin_survives_a_broken_connection_without_loss_or_repetition() {
    let server = Server::websocket(&[]);
    let proxy = Proxy::before(&server, vec![900_000, 1_100_003, 400_009]);
    let sent = count_to(/*last*/ 500_000);
    let (_dir, path) = file(&sent);
    let mut command = run(&["--connect", &proxy.url], &["cat"]);
    command.stdin(std::fs::File::open(&path).expect("the file is there"));
    let output = output(command);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(output.stdout == sent, "{} bytes of {}", output.stdout.len(), sent.len());
    assert_eq!(proxy.cuts.try_iter().count(), 3);
}

#[test]
fn an_end_that_came_while_nobody_was_connected_is_learned_afterwards() {
    let server = Server::websocket(&[]);
    let (_dir, path) = file(b"");
    // The command goes on when the file is gone, which is when the connection has been cut.
    let proxy = Proxy::before(&server, vec![1 << 20]);
    let script = format!(
        "head -c 3000000 /dev/zero; while [ -e {path} ]; do sleep 0.05; done; echo end >&2; exit 9",
        path = path.display()
    );
    let mut child = run_script(&["--connect", &proxy.url], &script).spawn().expect("the program starts");
    let words = lines(child.stderr.take().expect("it has a pipe"));
    let mut stdout = child.stdout.take().expect("it has a pipe");
    let reading = thread::spawn(move || {
        let mut received = Vec::new();
        stdout.read_to_end(&mut received).expect("it can be read");
        received.len()
    });
    match proxy.cuts.recv_timeout(PATIENCE) {
        Ok(()) => std::fs::remove_file(&path).expect("it is there"),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("nothing was cut"),
    }
    await_line(&words, "end");
    assert_eq!(wait(&mut child).code(), Some(9));
    assert_eq!(reading.join().expect("reading does not panic"), 3_000_000);
}

#[test]
fn a_server_that_has_forgotten_the_session_ends_the_command_line_with_125() {
    // A path, unlike a port, can't be taken by somebody else in between.
    let mut server = Server::unix();
    let mut command = run_script(&server.flags(), "printf half >&2; exec sleep 1000");
    command.stderr(Stdio::piped());
    let mut running = Running::start(command);
    let mut stderr = running.child.stderr.take().expect("it has a pipe");
    let mut half = [0; 4];
    stderr.read_exact(&mut half).expect("the command writes it");
    assert_eq!(&half, b"half");
    let url = server.url().to_owned();
    server.kill();
    // The same address, another server.
    let other = Server::start(program(), &url, &[], /*dir*/ None);
    assert_eq!(running.wait().code(), Some(125));
    let mut words = String::new();
    stderr.read_to_string(&mut words).expect("text");
    let words: Vec<&str> = words.lines().collect();
    // Behind the command's unfinished line, not in it.
    assert_eq!(words[0], "");
    assert_eq!(words[1], "codex-exec-server: connection lost, resuming (45 s left)");
    assert!(words[2].contains("can't be resumed"), "{words:?}");
    assert_eq!(words.len(), 3, "{words:?}");
    drop(other);
}

#[test]
fn where_nobody_listens_the_answer_says_how_to_start_a_server() {
    for url in ["ws://127.0.0.1:1", "unix:///no/such/socket"] {
        let output = output(run(&["--connect", url], &["true"]));
        assert_eq!(output.status.code(), Some(125));
        let hint = format!("is the server running? start it there with: codex-exec-server --listen {url}\n");
        assert!(stderr(&output).ends_with(&hint), "{}", stderr(&output));
    }
}

#[test]
fn a_server_that_wants_a_token_gets_it_from_a_file_or_the_answer_says_so() {
    let (_dir, path) = file(b"secret\n");
    let path = path.to_str().expect("text");
    let (_other, wrong) = file(b"guess\n");
    let server = Server::websocket(&["--ws-auth", "capability-token", "--ws-token-file", path]);
    let with = |token: Option<&str>| -> Command {
        let mut flags = server.flags();
        flags.extend(token.into_iter().flat_map(|token| ["--token-file", token]));
        run(&flags, &["echo", "in"])
    };
    let without = output(with(/*token*/ None));
    assert_eq!(without.status.code(), Some(125));
    assert!(stderr(&without).contains("--token-file PATH"), "{}", stderr(&without));
    let guessed = output(with(wrong.to_str()));
    assert_eq!(guessed.status.code(), Some(125));
    assert!(stderr(&guessed).contains("check that --token-file"), "{}", stderr(&guessed));
    let right = output(with(Some(path)));
    assert_eq!((right.status.code(), &right.stdout[..]), (Some(0), &b"in\n"[..]));
}
