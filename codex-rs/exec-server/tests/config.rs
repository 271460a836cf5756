//! Settings as people give them to the binary: files, variables, flags.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use codex_exec_server_client::{Client, ClientConfig, Dialer};
use codex_exec_server_transport::client::ConnectOptions;

const PROGRAM: &str = env!("CARGO_BIN_EXE_codex-exec-server");

/// A folder with settings in it.
struct Home(tempfile::TempDir);

impl Home {
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let home = Self(folder);
        std::fs::write(home.file(), text).expect("it can be written");
        home
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }

    /// The program, with nothing in its environment but the one file that it reads.
    fn program(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("CODEX_EXEC_SERVER_CONFIG", self.file()).env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

fn run(command: &mut Command) -> Output {
    command.output().expect("it starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn what_holds_is_printed_with_its_origin_and_nobody_is_served() {
    let home = Home::with(
        "[server]\nlisten = \"ws://127.0.0.1:1\"\n\n[server.limits]\nsessions = 2\nrequests_in_flight = 3\n",
    );
    let output = run(home
        .program()
        .env("CODEX_EXEC_SERVER_LIMITS_SESSIONS", "4")
        .env("CODEX_EXEC_SERVER_LIMITS_PROCESSES_PER_SESSION", "5")
        .args(["serve", "--print-config", "--listen", "ws://127.0.0.1:6"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    for line in [
        "listen = \"ws://127.0.0.1:6\"  # --listen".to_owned(),
        "sessions = 4  # CODEX_EXEC_SERVER_LIMITS_SESSIONS".into(),
        "processes_per_session = 5  # CODEX_EXEC_SERVER_LIMITS_PROCESSES_PER_SESSION".into(),
        format!("requests_in_flight = 3  # {}:6", home.file().display()),
        "# token_file is not set".into(),
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in\n{printed}");
    }
}

#[test]
fn what_is_printed_can_be_used_as_a_file_and_says_the_same() {
    let home = Home::with("");
    let first = run(home.program().args(["--config", "none", "--print-config"]));
    let copy = home.0.path().join("copy.toml");
    std::fs::write(&copy, &first.stdout).expect("it can be written");
    let second = run(home.program().args(["--print-config", "--config"]).arg(&copy));
    assert!(second.status.success(), "{}", text(&second.stderr));
    let values = |output: &Output| -> Vec<String> {
        text(&output.stdout).lines().filter_map(|line| Some(line.split_once("  # ")?.0.to_owned())).collect()
    };
    assert_eq!(values(&first), values(&second));
    assert!(text(&second.stdout).contains("copy.toml:"), "{}", text(&second.stdout));
}

#[test]
fn a_mistake_anywhere_is_told_with_its_place_before_anything_is_served() {
    for (file, variables, flags, words) in [
        ("[sevrer]\n", &[][..], &[][..], "config.toml:1: `sevrer` is not known here; did you mean `server`?"),
        (
            "\n[server.limits]\nsessions = 0\n",
            &[],
            &[],
            "config.toml:3: `server.limits.sessions` is 0; it must be",
        ),
        ("[server\n", &[], &[], "config.toml:1:"),
        (
            "",
            &[("CODEX_EXEC_SERVER_LIMITS_SESSIONS", "x")],
            &[],
            "CODEX_EXEC_SERVER_LIMITS_SESSIONS is \"x\"; it must be",
        ),
        ("", &[("CODEX_EXEC_SERVER_CONFIG", "/no/such/file")], &[], "/no/such/file can't be read"),
        ("", &[], &["--config", "/no/such/file"], "/no/such/file can't be read"),
    ] {
        let output = run(Home::with(file).program().envs(variables.iter().copied()).args(flags));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{said}");
        assert_eq!(output.stdout, b"");
        assert!(said.contains(words), "{said} does not say {words}");
    }
}

#[test]
fn a_variable_with_a_slip_in_its_name_is_noticed() {
    let home = Home::with("");
    let output = run(home.program().env("CODEX_EXEC_SERVER_LISTN", "x").arg("--print-config"));
    let said = text(&output.stderr);
    assert!(
        said.contains("CODEX_EXEC_SERVER_LISTN has no effect; did you mean CODEX_EXEC_SERVER_LISTEN?"),
        "{said}"
    );
}

#[test]
fn help_explains_the_layers() {
    let output = run(Home::with("").program().args(["serve", "--help"]));
    let help = text(&output.stdout);
    for words in [
        "/etc/codex-exec-server/config.toml",
        "~/.config",
        "variables",
        "--print-config",
        "CODEX_EXEC_SERVER_CONFIG",
    ] {
        assert!(help.contains(words), "{words} is not in\n{help}");
    }
}

/// A server that is killed when it is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn bounds_from_a_file_are_those_that_clients_are_told() {
    let home =
        Home::with("[server]\nlisten = \"unix://SOCKET\"\n[server.limits]\ndetached_session_sec = 7.5\n");
    let socket = home.0.path().join("socket");
    let file = std::fs::read_to_string(home.file()).expect("it is there");
    std::fs::write(home.file(), file.replace("SOCKET", socket.to_str().expect("text")))
        .expect("it can be written");
    let mut server = Serving(home.program().spawn().expect("it starts"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().expect("it has a pipe")).read_line(&mut line).expect("text");
    assert_eq!(Path::new(line.trim_end().strip_prefix("unix://").expect("as in the file")), socket);
    let dialer = Dialer::url(line.trim_end().to_owned(), ConnectOptions::default());
    let client = Client::connect(dialer, ClientConfig::default()).await.expect("it serves");
    let limits = client.peer().limits.clone().expect("it tells");
    assert_eq!(limits.detached_session_ms, 7_500);
    client.close().await;
}
