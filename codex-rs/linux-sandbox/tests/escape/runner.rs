//! Runs attempts: this same program is started inside, told which one to try, and answers with its exit code.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_exec_server_core::limits::Limits;
use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_core::service::{ExecBackend as _, ExecError, ExecProcess};
use codex_exec_server_local::{LocalBackend, Sandbox, Support};
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{ProcessStartParams, SandboxDenial};
use codex_exec_server_protocol::sandbox::SandboxContext;
use codex_exec_server_testkit::is_mapped;
use codex_linux_sandbox::Launcher;
use serde_json::{Value, json};

use super::attempt::{Attempt, Ending, Through};
use super::scene::Scene;

/// The number of the attempt to try, and where.
const ATTEMPT: &str = "ESCAPE_ATTEMPT";
/// Path of the launcher, for the attempt that runs it by itself.
const LAUNCHER: &str = "ESCAPE_LAUNCHER";
const SCENE: &str = "ESCAPE_SCENE";
/// Where copies of the programs lie that an ordinary user can run.
const PROGRAMS: &str = "ESCAPE_PROGRAMS";
const ORDINARY_USER: u32 = 65534;

/// What is said inside when an attempt was made, and nothing got through.
const TRIED: &str = "tried inside";
/// What a process ends with that is to fail.
const FAILED: i32 = 42;

/// Something that ran.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) output: String,
    denied: bool,
    denials: Vec<SandboxDenial>,
}

impl Ran {
    /// Whether it was reported that this call was kept from something by this rule.
    fn tells(&self, operation: &str, rule: &str) -> bool {
        let told = |denial: &SandboxDenial| denial.operation == operation && denial.rule == rule;
        self.denied && self.denials.iter().any(told)
    }
}

/// A backend with sandboxes.
pub(crate) fn backend() -> LocalBackend {
    backend_with(&sandbox())
}

/// The sandboxes of this machine.
pub(crate) fn sandbox() -> Sandbox {
    let launcher = Launcher::open(&launcher_program()).expect("the launcher was built");
    let sandbox = Sandbox::new(launcher);
    if let Support::None { reason } = sandbox.support() {
        panic!("no sandbox can be enforced here: {reason}");
    }
    sandbox
}

pub(crate) fn backend_with(sandbox: &Sandbox) -> LocalBackend {
    let environment = [
        ("SERVER_SECRET".into(), "server".into()),
        ("SERVER_NAME".into(), "plain".into()),
        ("PATH".into(), "/usr/bin:/bin".into()),
    ]
    .into();
    LocalBackend::with_sandbox(environment, Limits::default(), /*state_directory*/ None, sandbox.clone())
}

/// A backend whose launchers stand by.
pub(crate) fn backend_standing_by() -> (LocalBackend, Sandbox) {
    let sandbox = sandbox().standing_by();
    assert_eq!(sandbox.support(), &Support::Full);
    (backend_with(&sandbox), sandbox)
}

/// The launcher, as it can be run in any directory. Inside, the one who tries is told where it is.
pub(crate) fn launcher_program() -> PathBuf {
    if let Some(told) = std::env::var_os(LAUNCHER) {
        return told.into();
    }
    let built = || {
        let built = std::path::absolute(env!("CARGO_BIN_EXE_codex-linux-sandbox"));
        built.expect("there is a working directory")
    };
    programs().map_or_else(built, |programs| programs.join("launcher"))
}

fn programs() -> Option<PathBuf> {
    std::env::var_os(PROGRAMS).map(PathBuf::from)
}

/// This program, as it can be run inside.
pub(crate) fn this_program() -> PathBuf {
    programs()
        .map_or_else(|| std::env::current_exe().expect("it has a path"), |programs| programs.join("escape"))
}

pub(crate) async fn start(
    backend: &LocalBackend,
    argv: &[&str],
    cwd: &Path,
    env: &[(&str, &str)],
    sandbox: Option<SandboxContext>,
) -> Result<Arc<dyn ExecProcess>, ExecError> {
    backend.start(parameters(argv, cwd, env, sandbox)).await
}

fn parameters(
    argv: &[&str],
    cwd: &Path,
    env: &[(&str, &str)],
    sandbox: Option<SandboxContext>,
) -> ProcessStartParams {
    let id = ProcessId::from(uuid::Uuid::new_v4().to_string());
    let mut params = ProcessStartParams::new(
        id,
        argv.iter().map(|&argument| argument.to_owned()).collect(),
        PathUri::try_from(cwd).expect("an absolute path"),
    );
    params.env =
        env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>();
    params.sandbox = sandbox;
    params
}

/// Starts what `params` say with `change` laid over them, as a client would that wrote them by hand.
async fn start_changed(
    backend: &LocalBackend,
    params: &ProcessStartParams,
    change: &Value,
) -> Result<Arc<dyn ExecProcess>, String> {
    let mut written = serde_json::to_value(params).expect("parameters can be written");
    merge(&mut written, change);
    let params = serde_json::from_value(written).map_err(|error| error.to_string())?;
    backend.start(params).await.map_err(|error| error.to_string())
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("it is one").remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// Follows a process to its close.
pub(crate) async fn finish(process: &dyn ExecProcess) -> Ran {
    let mut events = process.subscribe(Seq::START);
    let (mut ended, mut output) = (None, Vec::new());
    while let Some(event) = events.next().await {
        match event.expect("a local process can be followed") {
            ExecProcessEvent::Output { bytes, .. } => output.extend_from_slice(&bytes),
            ExecProcessEvent::Exited { exit, .. } => ended = Some(exit),
            ExecProcessEvent::Gap { .. } | ExecProcessEvent::Closed { .. } => {}
        }
    }
    let exit = ended.expect("it ended");
    Ran {
        code: exit.code,
        output: String::from_utf8_lossy(&output).into_owned(),
        denied: exit.sandbox_denied == Some(true),
        denials: exit.denials.map(|denials| denials.to_vec()).unwrap_or_default(),
    }
}

/// Tries every attempt on `backend`, and fails with the list of what got through.
pub(crate) fn run_all(attempts: &[Attempt], backend: impl FnOnce() -> LocalBackend) {
    if std::env::var_os(ATTEMPT).is_some() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (mut failures, mut tried) = (Vec::new(), 0);
    runtime.block_on(async {
        let backend = backend();
        for attempt in attempts {
            if let Some(missing) = (attempt.missing)() {
                println!("skipped: {} {}: {missing}", attempt.number, attempt.name);
                continue;
            }
            tried += 1;
            let mut through = Through::default();
            run_one(&backend, attempt, &mut through).await;
            failures.extend(
                through.0.into_iter().map(|what| format!("{} {}: {what}", attempt.number, attempt.name)),
            );
        }
        backend.shut_down().await;
    });
    assert!(failures.is_empty(), "got through:\n{}", failures.join("\n"));
    println!("{tried} attempts were blocked");
}

async fn run_one(backend: &LocalBackend, attempt: &Attempt, through: &mut Through) {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::set_up(folder.path());
    (attempt.prepare)(&scene);
    let program = this_program();
    let program = program.to_str().expect("its path is text");
    let launcher = launcher_program();
    let launcher = launcher.to_str().expect("its path is text");
    let number = attempt.number.to_string();
    let parent = std::process::id().to_string();
    let env = [
        (ATTEMPT, number.as_str()),
        (SCENE, scene.root().to_str().expect("its path is text")),
        (LAUNCHER, launcher),
        ("PATH", "/usr/bin:/bin"),
        ("TEST_PARENT", parent.as_str()),
        ("RUST_BACKTRACE", "0"),
    ];
    let argv = [program, "--exact", "inside", "--nocapture", "--test-threads=1"];
    let context = scene.context(attempt.profile);
    let params = || parameters(&argv, &scene.workspace(), &env, Some(context.clone()));
    for (change, told) in (attempt.refused)(&scene) {
        match start_changed(backend, &params(), &change).await {
            Ok(process) => {
                finish(&*process).await;
                through.note(format!("it ran with {change}"), /*got_through*/ true);
            }
            Err(error) => {
                through.note(format!("{change}: {error}, and not: {told}"), !error.contains(told));
            }
        }
    }
    match start_changed(backend, &params(), &(attempt.change)(&scene)).await {
        Ok(process) => {
            if attempt.ending == Ending::Terminated {
                until_tried(&*process).await;
                process.terminate(/*grace*/ None).await.expect("it may be ended");
            }
            let ran = finish(&*process).await;
            let expected = match attempt.ending {
                Ending::Exits => 0,
                Ending::Terminated => 128 + 9,
                Ending::Told(operation, rule) => {
                    through.note(
                        format!("denials are not told: {:?}", ran.denials),
                        !ran.tells(operation, rule),
                    );
                    FAILED
                }
            };
            through.note(format!("exit {}\n{}", ran.code, ran.output), ran.code != expected);
            through.note("it never ran", !ran.output.contains(TRIED));
        }
        Err(error) => through.note(format!("it did not start: {error}"), /*got_through*/ true),
    }
    (attempt.check)(&scene, through);
}

/// Waits until a process says that it has tried.
async fn until_tried(process: &dyn ExecProcess) {
    let mut events = process.subscribe(Seq::START);
    let mut output = Vec::new();
    while !String::from_utf8_lossy(&output).contains(TRIED) {
        // One that ended before has said why.
        let Some(event) = events.next().await else { return };
        if let ExecProcessEvent::Output { bytes, .. } = event.expect("a local process can be followed") {
            output.extend_from_slice(&bytes);
        }
    }
}

/// Inside: tries the one that the environment names.
pub(crate) fn try_inside(attempts: &[Attempt]) {
    let (Ok(number), Ok(scene)) = (std::env::var(ATTEMPT), std::env::var(SCENE)) else { return };
    let scene = Scene::at(scene);
    let number: u16 = number.parse().expect("a number");
    let attempt = attempts.iter().find(|attempt| attempt.number == number).expect("it is in the table");
    (attempt.control)(&scene);
    let mut through = Through::default();
    (attempt.attempt)(&scene, &mut through);
    assert!(through.0.is_empty(), "got through: {}", through.0.join(", "));
    println!("{TRIED}");
    match attempt.ending {
        Ending::Exits => {}
        Ending::Told(..) => std::process::exit(FAILED),
        Ending::Terminated => loop {
            std::thread::park();
        },
    }
}

/// Runs the test of this name as an ordinary user; where the tests run as one anyway there is nothing to add.
pub(crate) fn run_all_as_ordinary_user(test: &str) {
    if !rustix::process::geteuid().is_root() || programs().is_some() {
        println!("skipped: this is an ordinary user already");
        return;
    }
    if !is_mapped(ORDINARY_USER) {
        println!("skipped: the user namespace of this test knows no user {ORDINARY_USER}");
        return;
    }
    // Where the programs were built, nobody else may be able to go.
    let folder = tempfile::tempdir().expect("a folder");
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode")
    };
    mode(folder.path(), /*mode*/ 0o755);
    for (from, to) in [(launcher_program(), "launcher"), (this_program(), "escape")] {
        let to = folder.path().join(to);
        std::fs::copy(from, &to).expect("a copy");
        mode(&to, /*mode*/ 0o755);
    }
    let ran = std::process::Command::new(folder.path().join("escape"))
        .args(["--exact", test, "--nocapture"])
        .env(PROGRAMS, folder.path())
        .env("TMPDIR", "/tmp")
        .current_dir("/")
        .uid(ORDINARY_USER)
        .gid(ORDINARY_USER)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{text}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(text.contains("attempts were blocked"), "{text}");
}
