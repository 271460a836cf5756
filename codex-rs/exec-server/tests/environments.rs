//! Environments that lead to the real program, behind its standard streams and behind a socket.

use std::path::Path;
use std::process::Stdio;

use codex_exec_server_client::environments::{EnvironmentError, EnvironmentManager, parse};
use codex_exec_server_client::{ClientConfig, ClientError, DialError};
use codex_exec_server_core::process_event::{ExecProcessEvent, Exit, Proof};
use codex_exec_server_core::service::{ExecBackend, ExecProcess};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::ProcessStartParams;
use codex_exec_server_testkit::shell;
use codex_exec_server_transport::client::ConnectError;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_codex-exec-server");

fn manager(file: &str) -> EnvironmentManager {
    let config = parse(Path::new("/nowhere/environments.toml"), file).expect("it is good");
    EnvironmentManager::new(config, &ClientConfig::default(), /*local*/ None)
}

/// As `ssh` would: something that speaks on standard error first, then becomes the server.
fn through_a_program() -> EnvironmentManager {
    manager(&format!(
        "default = \"box\"\n[[environments]]\nid = \"box\"\nprogram = \"sh\"\n\
         args = [\"-c\", \"echo 'Warning: a new host' >&2; exec '{PROGRAM}' --listen stdio --config none\"]\n"
    ))
}

fn script(text: &str) -> ProcessStartParams {
    serde_json::from_value(shell("p", text)).expect("these are parameters")
}

/// Output up to the first of `count` bytes or the end; with the proof, where it ended.
async fn output(process: &dyn ExecProcess, count: usize) -> (Vec<u8>, Option<Proof>) {
    let (mut events, mut output) = (process.subscribe(Seq::START), Vec::new());
    while output.len() < count {
        match events.next().await.expect("it has not ended").expect("it can be followed") {
            ExecProcessEvent::Output { bytes, .. } => output.extend_from_slice(&bytes),
            ExecProcessEvent::Closed { proof, .. } => return (output, Some(proof)),
            ExecProcessEvent::Gap { .. } => panic!("output is missing"),
            ExecProcessEvent::Exited { .. } => {}
        }
    }
    (output, None)
}

#[tokio::test]
async fn megabytes_come_whole_through_a_program() {
    let manager = through_a_program();
    let backend =
        manager.default_environment().expect("there is one").backend().await.expect("it is reached");
    let process = backend.start(script("head -c 8388608 /dev/zero")).await.expect("it starts");
    let (output, proof) = output(&*process, usize::MAX).await;
    assert_eq!((output.len(), proof), (8 << 20, Some(Proof::Checksum)));
    manager.close().await;
}

#[tokio::test]
async fn when_the_client_goes_the_program_ends_and_so_do_the_processes_behind_it() {
    let manager = through_a_program();
    let backend =
        manager.default_environment().expect("there is one").backend().await.expect("it is reached");
    let process = backend.start(script("echo $PPID $$; exec sleep 1000")).await.expect("it starts");
    let (line, _) = output(&*process, /*count*/ 1).await;
    let line = String::from_utf8(line).expect("text");
    let os_pids: Vec<_> = line.split_whitespace().map(|pid| Path::new("/proc").join(pid)).collect();
    assert!(os_pids.len() == 2 && os_pids.iter().all(|process| process.exists()), "{line}");
    manager.close().await;
    assert!(!os_pids.iter().any(|process| process.exists()), "{line} live on");
}

/// A server that wants the token `secret`, and where it listens.
async fn guarded(folder: &Path) -> (Child, String) {
    let token = folder.join("token");
    std::fs::write(&token, "secret").expect("it can be written");
    let mut child = Command::new(PROGRAM)
        .env("SERVER_SECRET", "of the server")
        .args(["--config", "none", "--ws-auth", "capability-token", "--ws-token-file"])
        .arg(token)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it has a pipe")).lines();
    let url = lines.next_line().await.expect("it can be read").expect("it says where it listens");
    (child, url)
}

#[tokio::test]
async fn the_token_of_the_file_opens_a_guarded_server_and_another_one_does_not() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (_server, url) = guarded(folder.path()).await;
    let with = |token: &str| {
        manager(&format!("[[environments]]\nid = \"box\"\nurl = \"{url}\"\nauth_bearer_token = \"{token}\""))
    };
    let good = with("secret");
    let backend = good.get("box").expect("it is there").backend().await.expect("it is reached");
    let process = backend.start(script("echo here")).await.expect("it starts");
    assert_eq!(output(&*process, usize::MAX).await.0, b"here\n");
    good.close().await;
    let error =
        with("guess").get("box").expect("it is there").client().await.map(|_| ()).expect_err("it is wrong");
    let EnvironmentError::Connect { source: ClientError::Dial(dial), .. } = &error else { panic!("{error}") };
    assert!(matches!(&**dial, DialError::Connect(ConnectError::Unauthorized { .. })), "{error}");
    assert!(!error.to_string().contains("guess"), "{error}");
}

/// What a script said and how it ended in a sandbox where everything may be read; `None` where there are no sandboxes.
async fn confined(backend: &dyn ExecBackend, network: &str, text: &str) -> Option<(String, Exit)> {
    let everything = json!({ "path": { "type": "special", "value": { "kind": "root" } }, "access": "read" });
    let permissions = json!({
        "type": "managed", "file_system": { "type": "restricted", "entries": [everything] }, "network": network,
    });
    let mut params = shell(network, text);
    params["sandbox"] = json!({ "permissions": permissions, "windowsSandboxLevel": "disabled" });
    let params = serde_json::from_value(params).expect("these are parameters");
    let process = match backend.start(params).await {
        Ok(process) => process,
        Err(error) if error.to_string().contains("cannot be enforced on this executor") => {
            println!("skipped: {error}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let (mut events, mut output, mut ended) = (process.subscribe(Seq::START), Vec::new(), None);
    while let Some(event) = events.next().await {
        match event.expect("it can be followed") {
            ExecProcessEvent::Output { bytes, .. } => output.extend_from_slice(&bytes),
            ExecProcessEvent::Exited { exit, .. } => ended = Some(exit),
            ExecProcessEvent::Gap { .. } | ExecProcessEvent::Closed { .. } => {}
        }
    }
    Some((String::from_utf8_lossy(&output).into_owned(), ended.expect("it ended")))
}

/// Attempts 68 and 69 of the sandbox's escape suite.
#[tokio::test]
async fn a_confined_process_has_no_use_of_its_own_server_and_finds_neither_token_nor_environment() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (_server, url) = guarded(folder.path()).await;
    let manager =
        manager(&format!("[[environments]]\nid = \"box\"\nurl = \"{url}\"\nauth_bearer_token = \"secret\""));
    let backend = manager.get("box").expect("it is there").backend().await.expect("it is reached");
    let token = folder.path().join("token");
    let token = token.display();
    let program = std::path::absolute(PROGRAM).expect("there is a working directory");
    let back = format!("CODEX_EXEC_SERVER_CONFIG=none '{}' run --connect '{url}'", program.display());
    let script = format!(
        "{back} -- echo came-back 2>&1\n\
         {back} --token-file '{token}' -- echo came-back-with-it 2>&1\n\
         grep -q secret '{token}' && echo token-was-read\n\
         grep -a -l SERVER_SECRET /proc/[0-9]*/environ && echo environment-was-read\n\
         echo x > /nowhere-to-write\n\
         exit 3"
    );
    for network in ["restricted", "enabled"] {
        let Some((output, exit)) = confined(&*backend, network, &script).await else { break };
        for through in ["came-back", "token-was-read", "environment-was-read", "of the server"] {
            assert!(!output.contains(through), "{network}: {output}");
        }
        // With the network it is reached, and asks who that is.
        assert_eq!(output.contains("--token-file PATH"), network == "enabled", "{network}: {output}");
        assert_eq!((exit.code, exit.sandbox_denied), (3, Some(true)), "{network}: {output}");
        // Over the wire, where the kernel can tell.
        if let Some(denials) = exit.denials {
            let told = |path: &str, rule: &str| {
                let path = format!("file://{path}");
                denials.iter().any(|denial| {
                    denial.path.as_ref().is_some_and(|told| told.to_string() == path) && denial.rule == rule
                })
            };
            assert!(told("/nowhere-to-write", "read /"), "{network}: {denials:?}");
        }
    }
    manager.close().await;
}

#[tokio::test]
async fn an_encrypted_address_is_good_in_a_file_and_says_at_its_use_what_to_do_instead() {
    let manager =
        manager("[[environments]]\nid = \"box\"\nurl = \"wss://127.0.0.1:1\"\nauth_bearer_token = \"t\"");
    let error =
        manager.get("box").expect("it is there").client().await.map(|_| ()).expect_err("there is no TLS");
    let EnvironmentError::Connect { source: ClientError::Dial(dial), .. } = &error else { panic!("{error}") };
    assert!(matches!(&**dial, DialError::Connect(ConnectError::TlsUnsupported(_))), "{error}");
    assert!(error.to_string().contains("use ws:// or a tunnel"), "{error}");
}
