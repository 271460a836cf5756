//! Work inside that must go on, and what those outside learn of it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_core::service::{ExecBackend as _, ExecError, ServiceFuture};
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{ExitReason, ProcessSignal, ProcessStartParams};
use codex_exec_server_unified_exec::{
    Approver, Decision, Denied, ExecCommand, Proposed, SandboxReview, UnifiedExec, UnifiedExecConfig,
};

use super::runner::{Ran, backend, finish, start};
use super::scene::{Profile, Scene};

const PATH: (&str, &str) = ("PATH", "/usr/local/bin:/usr/bin:/bin");

fn scene() -> (tempfile::TempDir, Scene) {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::set_up(folder.path());
    (folder, scene)
}

async fn shell(scene: &Scene, profile: Profile, script: &str) -> Ran {
    let backend = backend();
    let env = [PATH, ("HOME", scene.workspace().to_str().expect("text").to_owned().leak())];
    let argv = ["/bin/sh", "-ec", script];
    let started = start(&backend, &argv, &scene.workspace(), &env, Some(scene.context(profile))).await;
    finish(&*started.expect("it starts")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_signals_and_output_are_those_of_the_program() {
    let (_folder, scene) = scene();
    let ran = shell(&scene, Profile::Workspace, "echo out; echo err >&2; exit 3").await;
    assert_eq!((ran.code, ran.output.contains("out"), ran.output.contains("err")), (3, true, true));
    assert_eq!(shell(&scene, Profile::Workspace, "kill -TERM $$").await.code, 128 + 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_the_program_and_a_kill_everybody() {
    let (_folder, scene) = scene();
    let backend = backend();
    let script = "trap 'echo caught; exit 7' USR1; echo ready; while :; do sleep 1; done";
    let context = || Some(scene.context(Profile::Workspace));
    let argv = ["/bin/sh", "-c", script];
    let process = start(&backend, &argv, &scene.workspace(), &[PATH], context()).await.expect("it starts");
    let mut events = process.subscribe(Seq::START);
    let ready = events.next().await.expect("it says so").expect("it can be followed");
    assert!(matches!(ready, ExecProcessEvent::Output { .. }));
    process.signal(ProcessSignal::Usr1).await.expect("it may be signalled");
    assert_eq!(finish(&*process).await.code, 7);

    // One that left session and group, and holds the output open.
    let script = "setsid sleep 1000 & echo ready; sleep 1000";
    let argv = ["/bin/sh", "-c", script];
    let process = start(&backend, &argv, &scene.workspace(), &[PATH], context()).await.expect("it starts");
    process.subscribe(Seq::START).next().await.expect("it says so").expect("it can be followed");
    let ended = process.terminate(/*grace*/ None).await.expect("it may be ended");
    assert_eq!(ended.survivors, Some(0));
    let mut events = process.subscribe(Seq::START);
    let mut reason = None;
    while let Some(event) = events.next().await {
        if let ExecProcessEvent::Exited { exit, .. } = event.expect("it can be followed") {
            reason = exit.reason;
        }
    }
    assert_eq!(reason, Some(ExitReason::Terminated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_a_name_a_size_and_a_session_inside() {
    let (_folder, scene) = scene();
    let backend = backend();
    for profile in [Profile::Workspace, Profile::Offline] {
        let script = "test -t 0 && stty size && echo to-tty >/dev/tty && echo to-stdout >/dev/stdout";
        let mut params = ProcessStartParams::new(
            ProcessId::from(format!("{profile:?}")),
            ["/bin/sh", "-ec", script].map(str::to_owned).to_vec(),
            PathUri::try_from(scene.workspace().as_path()).expect("an absolute path"),
        );
        params.tty = true;
        params.env.insert(PATH.0.to_owned(), PATH.1.to_owned());
        params.sandbox = Some(scene.context(profile));
        let process = backend.start(params).await.expect("it starts");
        let ran = finish(&*process).await;
        assert_eq!((ran.code, ran.output.as_str()), (0, "24 80\r\nto-tty\r\nto-stdout\r\n"), "{profile:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_leaves_behind_ends_with_it() {
    let (_folder, scene) = scene();
    // The daemon holds the output open; that the output ends proves that the daemon did.
    let ran = shell(&scene, Profile::Workspace, "setsid sh -c 'sleep 1000; echo survived' & exit 0").await;
    assert_eq!((ran.code, ran.output.as_str()), (0, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_run_is_told_as_without_a_sandbox() {
    let (_folder, scene) = scene();
    let backend = backend();
    let context = || Some(scene.context(Profile::ReadOnly));
    let refused = |outcome: Result<_, ExecError>| match outcome.map(|_: Arc<_>| ()) {
        Err(ExecError::Refused(error)) => (error.code, error.data.expect("it says what")["what"].clone()),
        other => panic!("{other:?}"),
    };
    let missing = start(&backend, &["/nowhere/at-all"], &scene.workspace(), &[PATH], context()).await;
    assert_eq!(refused(missing), (-32603, "program".into()));
    let nowhere = start(&backend, &["/bin/true"], Path::new("/nowhere"), &[PATH], context()).await;
    assert_eq!(refused(nowhere), (-32603, "cwd".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_request_changes_what_the_launcher_does() {
    let (_folder, scene) = scene();
    let backend = backend();
    let evil = scene.workspace().join("evil");
    std::fs::write(&evil, format!("#!/bin/sh\ntouch {}\n", scene.outside().join("escaped").display()))
        .expect("a file");
    for name in ["bwrap", "sh", "rg", "codex-linux-sandbox"] {
        std::fs::copy(&evil, scene.workspace().join(name)).expect("a copy");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(scene.workspace().join(name), mode).expect("its mode");
    }
    let workspace = scene.workspace();
    let workspace = workspace.to_str().expect("text");
    for env in [
        ("LD_PRELOAD", "/nowhere/evil.so"),
        ("LD_AUDIT", "/nowhere/evil.so"),
        ("PATH", workspace),
        ("PATH", "."),
        ("PATH", ""),
        ("TMPDIR", "/"),
        ("HOME", "/"),
    ] {
        let argv = ["/bin/sh", "-c", "echo ran; echo x > ../outside/escaped"];
        let context = Some(scene.context(Profile::Workspace));
        let process = start(&backend, &argv, &scene.workspace(), &[env], context).await.expect("it starts");
        let ran = finish(&*process).await;
        assert!(ran.output.contains("ran") && ran.code != 0, "{env:?}: {}", ran.output);
        assert!(scene.outside_is_as_it_was(), "{env:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_reported_and_ordinary_failures_are_not() {
    let (_folder, scene) = scene();
    let backend = backend();
    let workspace = scene.workspace();
    let workspace = workspace.display();
    for (profile, script, denied) in [
        (Profile::ReadOnly, "echo x > /etc/x", true),
        (Profile::ReadOnly, "exit 3", false),
        // 109: who got on without it was not kept from anything.
        (Profile::ReadOnly, "echo x > /etc/x; exit 0", false),
        // 105: nothing is said about it.
        (Profile::ReadOnly, "echo x 2>/dev/null > /etc/x || exit 4", true),
        (Profile::ReadOnly, "mkdir /etc/x 2>/dev/null || exit 4", true),
        (Profile::ReadOnly, "rm -f /usr/bin/env 2>/dev/null || exit 4", true),
        (Profile::ReadOnly, "chmod 600 /etc/hostname 2>/dev/null || exit 4", true),
        (Profile::Workspace, "mkdir .git 2>/dev/null || exit 4", true),
        (Profile::Workspace, "ln -s /etc l && echo x 2>/dev/null > l/x || exit 4", true),
        (Profile::Secrets, "cat .env 2>/dev/null || exit 4", true),
        (Profile::Secrets, "cat key.pem 2>/dev/null || exit 4", true),
        // 107, 108: words, and permissions that have nothing to do with it.
        (Profile::Workspace, "echo sandbox: permission denied; exit 5", false),
        (Profile::Workspace, "mkdir d && chmod 500 d && touch d/f || exit 5", false),
        (Profile::Workspace, "touch none/f || exit 5", false),
        (Profile::Workspace, "cat none || exit 5", false),
        (Profile::Workspace, "echo x > /dev/null; touch f && mv f g && rm g && exit 5", false),
        (Profile::Workspace, "mkdir -p /usr/bin && exit 5", false),
    ] {
        let context = Some(scene.context(profile));
        let argv = ["/bin/sh", "-c", script];
        let process = start(&backend, &argv, &scene.workspace(), &[PATH], context).await.expect("it starts");
        finish(&*process).await;
        let read =
            process.read(Seq::START, /*max_bytes*/ None, Duration::ZERO).await.expect("it can be read");
        assert_eq!(read.sandbox_denied, Some(denied), "{script} in {workspace}");
        for name in ["l", "d"] {
            let _ = std::fs::remove_file(scene.workspace().join(name));
            let _ = std::fs::remove_dir(scene.workspace().join(name));
        }
    }
}

/// What a process was kept from: call, path or address, rule.
async fn denials(scene: &Scene, profile: Profile, script: &str) -> Vec<(String, String, String)> {
    let backend = backend();
    let argv = ["/bin/sh", "-c", script];
    let started = start(&backend, &argv, &scene.workspace(), &[PATH], Some(scene.context(profile))).await;
    let mut events = started.expect("it starts").subscribe(Seq::START);
    while let Some(event) = events.next().await {
        if let ExecProcessEvent::Exited { exit, .. } = event.expect("it can be followed") {
            let denials = exit.denials.expect("this kernel can tell");
            let told = denials.iter().map(|denial| {
                let path = denial.path.as_ref().map(ToString::to_string);
                let subject = path.or_else(|| denial.address.clone()).unwrap_or_default();
                (denial.operation.clone(), subject, denial.rule.clone())
            });
            return told.collect();
        }
    }
    panic!("it never ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_denial_is_told_with_its_call_its_path_and_the_rule_that_decided() {
    let (_folder, scene) = scene();
    let workspace = scene.workspace();
    let workspace = workspace.to_str().expect("text");
    let denial = |operation: &str, subject: String, rule: String| (operation.to_owned(), subject, rule);
    let told = denials(&scene, Profile::ReadOnly, "echo x > /etc/x; echo x > /etc/x; exit 1").await;
    assert_eq!(told, [denial("openat", "file:///etc/x".into(), "read /".into())]);
    let told = denials(&scene, Profile::Secrets, "cat .env; exit 0").await;
    let (uri, rule) = (format!("file://{workspace}/.env"), format!("deny {workspace}/.env"));
    assert_eq!(told, [denial("openat", uri, rule)]);
    assert_eq!(denials(&scene, Profile::Workspace, "echo x > f; cat f; rm f").await, []);
    // At most so many.
    let script = "for n in $(seq 1 100); do echo x > /etc/$n; done 2>/dev/null";
    assert_eq!(denials(&scene, Profile::ReadOnly, script).await.len(), 32);

    let tools = [
        // 106: nothing is said about it.
        (
            "python3",
            "python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 9), 1)' 2>/dev/null || exit 4",
            denial("connect", "192.0.2.1:9".into(), "network restricted".into()),
        ),
        // A debugger.
        (
            "strace",
            "strace true 2>/dev/null || exit 4",
            denial("ptrace", String::new(), "never allowed".into()),
        ),
        (
            "gdb",
            "gdb -nx -batch -ex run --args /bin/true >/dev/null 2>&1; exit 4",
            denial("ptrace", String::new(), "never allowed".into()),
        ),
        (
            "unshare",
            "unshare --user true 2>/dev/null || exit 4",
            denial("unshare", String::new(), "never allowed".into()),
        ),
    ];
    for (tool, script, expected) in tools {
        if !is_there(tool) {
            println!("skipped: there is no {tool}");
            continue;
        }
        let told = denials(&scene, Profile::Workspace, script).await;
        assert!(told.contains(&expected), "{tool}: {told:?}");
    }
}

fn is_there(tool: &str) -> bool {
    let there = Command::new("/bin/sh")
        .args(["-c", &format!("command -v {tool}")])
        .env_clear()
        .env(PATH.0, PATH.1)
        .output();
    there.is_ok_and(|there| there.status.success())
}

/// Lets commands run once more without their sandboxes.
#[derive(Debug)]
struct Lenient;

impl Approver for Lenient {
    fn review<'a>(&'a self, _: Proposed<'a>) -> ServiceFuture<'a, Decision> {
        Box::pin(async { Decision::Approve })
    }

    fn review_without_sandbox<'a>(&'a self, denied: Denied<'a>) -> ServiceFuture<'a, Decision> {
        let denials = denied.exit.denials.as_ref().expect("this kernel can tell");
        assert!(denials.iter().any(|denial| denial.rule == "read /"), "{denials:?}");
        assert!(denied.output.contains("Read-only file system"), "{}", denied.output);
        Box::pin(async { Decision::Approve })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_write_is_approved_and_done_without_the_sandbox() {
    let (_folder, scene) = scene();
    let config = UnifiedExecConfig { max_yield_time: Duration::from_secs(3600), ..Default::default() };
    let exec = UnifiedExec::new(Arc::new(backend()) as _, Arc::new(Lenient), config);
    let file = scene.outside().join("written");
    let mut command = ExecCommand::argv(["/bin/sh", "-c", &format!("echo done > {}", file.display())]);
    command.sandbox = Some(scene.context(Profile::ReadOnly));
    command.collect.yield_time = Duration::from_secs(3600);
    let report = exec.exec_command(command).await.expect("it was approved");
    assert_eq!(report.sandbox_review, Some(SandboxReview::RetriedWithout));
    assert_eq!(report.state.exit_code(), Some(0));
    assert_eq!(std::fs::read(file).expect("it was written"), b"done\n");
}

/// What tools find themselves and their folders by. Where the toolchain of these tests is known, its `cargo` is meant.
fn tool_environment(scene: &Scene) -> Vec<(&'static str, String)> {
    let folder = scene.workspace().to_str().expect("text").to_owned();
    let cargo = std::env::var_os("CARGO").map(std::path::PathBuf::from);
    let cargo = cargo.as_deref().and_then(Path::parent).map(|folder| format!(":{}", folder.display()));
    vec![
        ("PATH", format!("{}{}", PATH.1, cargo.unwrap_or_default())),
        ("HOME", folder.clone()),
        ("TMPDIR", folder.clone()),
        ("CARGO_HOME", format!("{folder}/cargo-home")),
        ("npm_config_update_notifier", "false".into()),
    ]
}

/// Whether a script succeeds without a sandbox.
fn runs(env: &[(&str, String)], script: &str) -> bool {
    let env = env.iter().map(|(name, value)| (name, value));
    let ran = Command::new("/bin/sh").args(["-c", script]).env_clear().envs(env).output();
    ran.is_ok_and(|ran| ran.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_work_inside() {
    let tools = [
        (
            "git",
            "git init -q repo && cd repo && git -c user.name=n -c user.email=e commit -q --allow-empty -m m && cd .. && git clone -q repo copy && git -C copy log --oneline",
        ),
        (
            "python3",
            "python3 -m venv --without-pip v && v/bin/python -c 'import multiprocessing, ssl, socket; print(socket.socketpair())'",
        ),
        (
            "tar",
            "mkdir d && seq 1 50 | while read n; do echo $n > d/$n; done && tar cf d.tar d && tar xf d.tar",
        ),
        (
            "cargo",
            "cargo init -q --vcs none --name p p && cd p && cargo build -q --offline && target/debug/p && cargo test -q --offline",
        ),
        (
            "npm",
            "echo '{\"name\":\"p\",\"version\":\"1.0.0\",\"scripts\":{\"test\":\"node test.js\"}}' > package.json && echo 'require(\"assert\")(1)' > test.js && npm test",
        ),
        ("cc", "echo 'int main(void) { return 0; }' > m.c && cc -o m m.c && ./m"),
        (
            "node",
            "node -e 'require(\"http\").createServer((q, r) => r.end()).listen(0, function () { require(\"http\").get(this.address().port && {port: this.address().port}, () => process.exit(0)) })'",
        ),
    ];
    for (tool, script) in tools {
        let (_folder, scene) = scene();
        let env = tool_environment(&scene);
        // It must be able to do this much where nothing keeps it from anything.
        if !runs(&env, &format!("{tool} --version")) {
            println!("skipped: there is no {tool}");
            continue;
        }
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let backend = backend();
        let (argv, context) = (["/bin/sh", "-ec", script], Some(scene.context(Profile::Workspace)));
        let started = start(&backend, &argv, &scene.workspace(), &env, context).await;
        let ran = finish(&*started.expect("it starts")).await;
        assert_eq!(ran.code, 0, "{tool}: {}", ran.output);
    }
}
