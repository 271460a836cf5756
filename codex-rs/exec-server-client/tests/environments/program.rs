//! Servers behind a program's standard streams; the programs are shells that do what the test says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_exec_server_client::environments::{
    Ending, EnvironmentConfig, EnvironmentError, EnvironmentId, EnvironmentManager, EnvironmentsConfig,
    ProgramConfig, ProgramError, TransportConfig,
};
use codex_exec_server_client::{Client, ClientConfig, ClientError, RequestError, Status};
use codex_exec_server_protocol::methods::{EnvironmentStatus, NoParams};

/// A shell command that answers `initialize`, which is the first line that it is sent.
const ANSWER: &str = r#"read -r request; echo '{"id":1,"result":{"sessionId":"s","environmentInfo":{"shell":{"name":"sh","path":"/bin/sh"},"capabilities":{}}}}'"#;

fn program(program: &str, args: &[&str]) -> ProgramConfig {
    ProgramConfig {
        program: program.into(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: BTreeMap::new(),
        cwd: None,
    }
}

fn shell(script: &str) -> ProgramConfig {
    program("sh", &["-c", script])
}

fn manager_with(config: ProgramConfig, client: &ClientConfig) -> EnvironmentManager {
    let remote = EnvironmentConfig {
        id: EnvironmentId::new("box").expect("it is good"),
        transport: TransportConfig::Program(config),
        initialize_timeout: None,
        required_skills: Vec::new(),
    };
    let config = EnvironmentsConfig { remotes: vec![remote], ..EnvironmentsConfig::local_only() };
    EnvironmentManager::new(config, client, /*local*/ None)
}

fn manager(config: ProgramConfig) -> EnvironmentManager {
    manager_with(config, &ClientConfig::default())
}

async fn client(manager: &EnvironmentManager) -> Result<Client, EnvironmentError> {
    manager.get("box").expect("it is there").client().await
}

async fn failure(config: ProgramConfig) -> (ProgramError, String) {
    let manager = manager(config);
    let error = client(&manager).await.map(|_| ()).expect_err("there is no server");
    manager.close().await;
    let text = error.to_string();
    assert!(text.starts_with("environment box: "), "{text}");
    let EnvironmentError::Program { source, .. } = error else { panic!("{text}") };
    ((*source).clone(), text)
}

/// A file that programs hold open for writing: reading it to its end waits until all of them are dead.
struct Held {
    folder: tempfile::TempDir,
    /// This test holds it too until it asks, so that a program may end before it has opened it.
    own: File,
}

impl Held {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("held");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .expect("it can be made");
        // For both, which waits for nobody.
        let own = File::options().read(true).write(true).open(path).expect("it can be opened");
        Self { folder, own }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("held")
    }

    /// `config` as a program that holds it from its start on.
    fn by(&self, mut config: ProgramConfig) -> ProgramConfig {
        config.env.insert("HELD".into(), self.path().to_str().expect("text").into());
        config
    }

    /// Resolves when everybody who held it is dead; tells what they wrote.
    async fn released(self) -> String {
        let reading = tokio::task::spawn_blocking(move || self.read());
        reading.await.expect("no panic")
    }

    /// As [`Self::released`], on this thread.
    fn read(self) -> String {
        let reader = File::open(self.path()).expect("it can be opened");
        drop(self.own);
        std::io::read_to_string(reader).expect("it can be read")
    }
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).expect("it can be read");
    text
}

#[tokio::test]
async fn a_program_gets_its_arguments_variables_and_directory_and_leads_to_a_server() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let held = Held::new();
    let script = format!(r#"exec 3>"$HELD"; printf '%s|' "$@" "$MINE" "$PWD" >&3; {ANSWER}; cat >/dev/null"#);
    let mut config = held.by(program("sh", &["-c", &script, "sh", "a b", "*"]));
    config.env.insert("MINE".into(), "x y".into());
    config.cwd = Some(folder.path().canonicalize().expect("it is there"));
    let cwd = config.cwd.clone().expect("just set");
    let manager = manager(config);
    let client = client(&manager).await.expect("there is a server");
    assert_eq!(client.peer().session_id.to_string(), "s");
    manager.close().await;
    assert_eq!(held.released().await, format!("a b|*|x y|{}|", cwd.display()));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let (error, text) = failure(program("no-such-program-anywhere", &[])).await;
    assert!(matches!(error, ProgramError::NotFound(name) if name == "no-such-program-anywhere"), "{text}");
    assert!(text.contains("give its path in `program`"), "{text}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_not_taken_for_a_missing_program() {
    for (cwd, words) in [("/no/such/folder", "No such file"), ("/dev/null", "not a directory")] {
        let mut config = shell("exit");
        config.cwd = Some(cwd.into());
        let (error, text) = failure(config).await;
        assert!(matches!(error, ProgramError::Directory { .. }), "{text}");
        assert!(text.contains(cwd) && text.contains(words) && text.contains("correct `cwd`"), "{text}");
    }
}

#[tokio::test]
async fn a_program_that_may_not_be_run_is_no_missing_one() {
    let (error, text) = failure(program("/dev/null", &[])).await;
    assert!(matches!(error, ProgramError::NotStarted { .. }), "{text}");
    assert!(text.contains("/dev/null") && text.contains("ermission denied"), "{text}");
}

#[tokio::test]
async fn a_program_that_ends_early_tells_its_exit_code_and_its_last_words() {
    let script =
        "for n in 1 2 3 4 5 6 7 8 9; do echo line $n >&2; done; printf 'no route to host' >&2; exit 255";
    let (error, text) = failure(shell(script)).await;
    assert!(matches!(error, ProgramError::Ended { ending: Ending::Code(255), .. }), "{text}");
    assert!(text.contains("sh ended with exit code 255; it said: line 3 | "), "{text}");
    assert!(text.ends_with("line 9 | no route to host"), "{text}");
}

#[tokio::test]
async fn a_program_that_is_killed_tells_by_which_signal() {
    let (error, text) = failure(shell("kill -9 $$")).await;
    assert!(matches!(error, ProgramError::Ended { ending: Ending::Signal(9), .. }), "{text}");
}

#[tokio::test]
async fn a_program_that_prints_something_else_is_quoted() {
    let (error, text) = failure(shell("echo 'Welcome to box!'; echo beware >&2; cat >/dev/null")).await;
    assert!(matches!(error, ProgramError::NotAServer { .. }), "{text}");
    assert!(text.contains("\"Welcome to box!\"") && text.contains("--listen stdio"), "{text}");
}

#[tokio::test]
async fn a_program_that_says_nothing_fails_in_time_and_is_ended() {
    let held = Held::new();
    let config = held.by(shell("exec 3>\"$HELD\"; echo password: >&2; exec sleep 1000"));
    let client_config =
        ClientConfig { initialize_timeout: Duration::from_millis(300), ..ClientConfig::default() };
    let manager = manager_with(config, &client_config);
    let error = client(&manager).await.map(|_| ()).expect_err("nobody answered");
    let text = error.to_string();
    let EnvironmentError::Program { source, .. } = error else { panic!("{text}") };
    assert!(
        matches!(&*source, ProgramError::Silent { after, .. } if *after == Duration::from_millis(300)),
        "{text}"
    );
    assert!(text.contains("initialize_timeout_sec"), "{text}");
    held.released().await;
}

#[tokio::test]
async fn a_program_that_only_closes_its_output_is_told_apart_and_ended() {
    let held = Held::new();
    let (error, text) =
        failure(held.by(shell(
            "exec 3>\"$HELD\"; echo bye >&2; trap '' TERM; exec >&-; while :; do sleep 1000; done",
        )))
        .await;
    assert!(matches!(error, ProgramError::HungUp { .. }), "{text}");
    assert!(text.contains("it said: bye"), "{text}");
    held.released().await;
}

#[tokio::test]
async fn a_refusal_of_the_server_behind_it_is_the_servers() {
    let refuse =
        r#"read -r request; echo '{"id":1,"error":{"code":-32000,"message":"full"}}'; cat >/dev/null"#;
    let (error, text) = failure(shell(refuse)).await;
    assert!(matches!(error, ProgramError::Client { source: ClientError::Refused(_), .. }), "{text}");
    assert!(text.contains("full"), "{text}");
}

#[tokio::test]
async fn closing_ends_the_program_with_all_that_it_started_even_if_it_clings() {
    let held = Held::new();
    // Neither the end of its input nor SIGTERM impresses either of them.
    let script =
        format!("exec 3>\"$HELD\"; trap '' TERM; sleep 1000 & {ANSWER}; while :; do sleep 1000; done");
    let manager = manager(held.by(shell(&script)));
    client(&manager).await.expect("there is a server");
    manager.close().await;
    held.released().await;
}

#[tokio::test]
async fn a_program_ends_with_the_last_handle_to_its_client() {
    let held = Held::new();
    let manager = manager(held.by(shell(&format!("exec 3>\"$HELD\"; {ANSWER}; exec sleep 1000"))));
    let client = client(&manager).await.expect("there is a server");
    drop((manager, client));
    held.released().await;
}

#[test]
fn a_program_ends_with_the_runtime_too() {
    let held = Held::new();
    let runtime = tokio::runtime::Runtime::new().expect("there is one");
    let script = format!("exec 3>\"$HELD\"; trap '' TERM; {ANSWER}; while :; do sleep 1000; done");
    let manager = manager(held.by(shell(&script)));
    runtime.block_on(client(&manager)).expect("there is a server");
    drop(runtime);
    held.read();
}

#[tokio::test]
async fn a_lost_program_is_not_started_again_for_the_same_client_but_for_the_next() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let log = folder.path().join("starts");
    // It ends at the next line after `initialized`.
    let script = format!(
        "echo start >>'{}'; {ANSWER}; read -r line; read -r line; echo gone >&2; exit 7",
        log.display()
    );
    let manager = manager(shell(&script));
    let first = client(&manager).await.expect("there is a server");
    let error = first.call::<EnvironmentStatus>(&NoParams {}).await.expect_err("it ended");
    let RequestError::Client(error) = error else { panic!("{error}") };
    assert_eq!(error.to_string(), "sh ended with exit code 7; it said: gone");
    assert!(matches!(first.status().now(), Status::Failed(_)));
    assert_eq!(read(&log), "start\n");
    client(&manager).await.expect("there is a server again");
    assert_eq!(read(&log), "start\nstart\n");
    manager.close().await;
}
