//! The binary as a server: what it says, what it refuses, and how it ends.

#[path = "serve/state.rs"]
mod state;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_codex-exec-server");

fn server(flags: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.env("CODEX_EXEC_SERVER_CONFIG", "none");
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

fn line(child: &mut Child) -> (String, impl Read + use<>) {
    let mut stdout = BufReader::new(child.stdout.take().expect("it has a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("text");
    (line.trim_end().to_owned(), stdout)
}

fn terminate(child: &Child) {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("pids are small")), Signal::SIGTERM)
        .expect("it runs");
}

#[test]
fn the_only_line_on_standard_output_is_the_real_url() {
    for flags in
        [&[][..], &["serve"], &["--listen", "ws://127.0.0.1:0"], &["serve", "--listen", "ws://[::1]:0"]]
    {
        let mut child = server(flags);
        let (url, mut rest) = line(&mut child);
        let port = url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        assert!(url.starts_with("ws://") && port.is_some_and(|port| port != 0), "{url}");
        terminate(&child);
        assert!(child.wait().expect("it ends").success());
        let mut more = String::new();
        rest.read_to_string(&mut more).expect("text");
        assert_eq!(more, "");
    }
}

#[test]
fn what_contradicts_itself_is_refused_at_the_start_with_the_flag_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path.to_str().expect("text").to_owned()
    };
    let (token, short) = (file("token", "secret\n"), file("short", "too short\n"));
    let hex = "0".repeat(64);
    let capability = ["--ws-auth", "capability-token"];
    let signed = ["--ws-auth", "signed-bearer-token"];
    for (flags, words) in [
        (vec!["--listen", "ws://localhost:1"], "localhost"),
        (vec!["--listen", "http://127.0.0.1:1"], "http"),
        (vec!["--listen", "ws://0.0.0.0:0"], "--ws-auth"),
        (vec!["--listen", "unix://relative"], "relative"),
        (vec!["--ws-token-file", &token], "--ws-token-file needs --ws-auth capability-token"),
        (vec!["--ws-issuer", "me"], "--ws-issuer needs --ws-auth signed-bearer-token"),
        (capability.to_vec(), "exactly one of --ws-token-file and --ws-token-sha256"),
        (
            [&capability[..], &["--ws-token-file", &token, "--ws-token-sha256", &hex]].concat(),
            "exactly one of",
        ),
        ([&capability[..], &["--ws-token-sha256", "abc"]].concat(), "64"),
        ([&capability[..], &["--ws-token-file", "/no/such/file"]].concat(), "/no/such/file"),
        (
            [&capability[..], &["--ws-token-file", &token, "--listen", "stdio"]].concat(),
            "no effect on --listen stdio",
        ),
        (signed.to_vec(), "--ws-shared-secret-file"),
        ([&signed[..], &["--ws-shared-secret-file", &short]].concat(), "32 bytes"),
        (
            [&signed[..], &["--ws-shared-secret-file", &short, "--ws-token-file", &token]].concat(),
            "--ws-token-file",
        ),
        (vec!["--console", "--listen", "stdio"], "--console has no effect on --listen stdio"),
        (vec!["--console=perhaps"], "--console"),
        (vec!["--concurrent-requests", "0"], "--concurrent-requests"),
    ] {
        let output = server(&flags).wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{flags:?} was accepted");
        assert_eq!(output.stdout, b"", "{flags:?}");
        assert!(stderr.contains(words), "{flags:?} says {stderr}");
    }
}

/// Status line and body of what is at `path`.
fn get(url: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(url.trim_start_matches("ws://")).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("it answers");
    let end = response.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&response[..end]).into_owned();
    (head.lines().next().unwrap_or_default().to_owned(), response.split_off(end + 4))
}

#[test]
fn with_a_console_it_says_where_that_is_and_shows_it_with_all_that_it_needs() {
    let mut child = server(&["serve", "--console"]);
    let (url, _stdout) = line(&mut child);
    let mut stderr = BufReader::new(child.stderr.take().expect("it has a pipe"));
    let mut said = String::new();
    stderr.read_line(&mut said).expect("text");
    let place = url.replace("ws://", "http://");
    assert_eq!(said, format!("codex-exec-server: console at {place}/console/\n"));
    let (status, page) = get(&url, "/console/");
    let page = String::from_utf8(page).expect("text");
    assert!(status.contains(" 200 ") && page.contains("<title>Console"), "{status}");
    let needed: Vec<&str> =
        ["href=\"", "src=\""].iter().flat_map(|start| page.split(start).skip(1)).collect();
    let files = needed.iter().filter_map(|rest| rest.split('"').next()).filter(|name| !name.starts_with('#'));
    let files: Vec<&str> = files.collect();
    assert!(files.contains(&"console.js") && files.contains(&"console.css"), "{files:?}");
    for name in files {
        let (status, content) = get(&url, &format!("/console/{name}"));
        assert!(status.contains(" 200 ") && !content.is_empty(), "{name}: {status}");
        let is_gzip = content.starts_with(&[0x1f, 0x8b]);
        assert_eq!(is_gzip, name.starts_with("console."), "{name} is kept otherwise");
    }
    terminate(&child);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn without_a_console_there_is_none() {
    for flags in [&[][..], &["--console=false"]] {
        let mut child = server(flags);
        let (url, _stdout) = line(&mut child);
        assert!(get(&url, "/console/").0.contains(" 404 "), "{flags:?}");
        assert!(get(&url, "/").0.contains(" 400 "), "{flags:?}");
        terminate(&child);
        assert!(child.wait().expect("it ends").success());
    }
}

#[test]
fn a_server_that_is_told_to_stop_ends_its_processes_and_then_itself() {
    let mut child = server(&[]);
    let (url, _) = line(&mut child);
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--connect", &url, "--", "sh", "-c", "echo $$; exec sleep 1000"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = command.spawn().expect("the program starts");
    let (os_pid, _) = line(&mut running);
    let process = Path::new("/proc").join(&os_pid);
    assert!(process.exists());
    terminate(&child);
    assert!(child.wait().expect("it ends").success());
    assert!(!process.exists(), "process {os_pid} outlived its server");
    // It would go on trying to resume for a while.
    running.kill().expect("it can be killed");
    running.wait().expect("it ends");
}

#[test]
fn over_stdio_it_ends_with_its_input_and_says_nothing_of_its_own() {
    let mut command = Command::new(PROGRAM);
    command.env("CODEX_EXEC_SERVER_CONFIG", "none");
    command.args(["--listen", "stdio"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let request = "{\"id\":1,\"method\":\"nope\"}\n\n[]\n";
    child.stdin.take().expect("it has a pipe").write_all(request.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let lines: Vec<&str> = std::str::from_utf8(&output.stdout).expect("text").lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("does not implement `nope`"));
    assert!(lines[1].contains("failed to parse JSON-RPC message from exec-server stdio: "));
    assert_eq!(output.stderr, b"");
}
