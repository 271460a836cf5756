//! Login shells inside whose files are not read each time: where they are read, and what is shared.

use codex_exec_server_core::service::ExecBackend as _;
use codex_exec_server_local::LocalBackend;
use codex_exec_server_protocol::environment::ShellInfo;
use codex_exec_server_protocol::ids::ProcessId;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{ProcessStartParams, ShellSnapshot};
use codex_exec_server_protocol::sandbox::SandboxContext;

use super::runner::{backend, finish};
use super::scene::{Profile, Scene};

/// What a login bash says in the scope `s`, with the workspace as its home.
async fn says(
    backend: &LocalBackend,
    scene: &Scene,
    sandbox: Option<SandboxContext>,
    script: &str,
) -> String {
    let shell = ShellInfo { name: "bash".into(), path: "/bin/bash".into() };
    let argv = ["/bin/bash", "-lc", script].map(str::to_owned).to_vec();
    let workspace = scene.workspace();
    let id = ProcessId::from(uuid::Uuid::new_v4().to_string());
    let params = ProcessStartParams {
        env: [
            ("HOME".to_owned(), workspace.to_str().expect("text").to_owned()),
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ]
        .into(),
        sandbox,
        shell_snapshot: Some(ShellSnapshot { scope_id: "s".into(), shell }),
        ..ProcessStartParams::new(id, argv, PathUri::try_from(&*workspace).expect("a path"))
    };
    finish(&*backend.start(params).await.expect("it starts")).await.output
}

#[tokio::test(flavor = "multi_thread")]
async fn login_files_are_read_under_the_profile_of_the_command_and_once_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::set_up(folder.path());
    let (backend, outside) = (backend(), scene.outside().join("made"));
    let ran = scene.workspace().join("ran");
    let profile = format!(
        "echo ran >> {}; hello() {{ echo hello; }}; : 2> /dev/null > {}\n",
        ran.display(),
        outside.display()
    );
    std::fs::write(scene.workspace().join(".profile"), profile).expect("it is written");
    let times = || std::fs::read_to_string(&ran).map_or(0, |text| text.lines().count());
    let context = || Some(scene.context(Profile::Workspace));
    // The second descriptor that a list shows is its own.
    let script = "hello; ls /proc/self/fd | wc -l; tr '\\0' ' ' < /proc/$$/cmdline | cut -d ' ' -f 2";
    for _ in 0..2 {
        let said = says(&backend, &scene, context(), script).await;
        assert_eq!(said, "hello\n4\n-c\n");
    }
    assert_eq!(times(), 1);
    assert!(!outside.exists(), "login files are confined while they are read");
    // What was read inside is for those inside alone.
    assert_eq!(says(&backend, &scene, /*sandbox*/ None, script).await, "hello\n4\n-c\n");
    assert_eq!(times(), 2);
    assert!(outside.exists(), "without a profile they are not");
    backend.shut_down().await;
}
