//! Which failures there are, and how they are told apart.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use codex_exec_server_local::os::{Command, Limit, LimitKind, Size, SpawnError, Stage, Stdio, spawn};

use crate::support::shell;

fn failure(command: &Command) -> SpawnError {
    match spawn(command) {
        Ok(_) => panic!("{command:?} must not start"),
        Err(error) => error,
    }
}

/// The system's own words for an error, which callers pass on.
fn words(error: &SpawnError) -> String {
    error.os_error().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn an_empty_program_is_missing() {
    for argv in [vec![], vec![""], vec!["", "argument"]] {
        let mut command = Command::new(argv, "/");
        assert_eq!(failure(&command), SpawnError::MissingProgram { terminal: false });
        assert_eq!(failure(&command).to_string(), "missing program for pipe spawn");
        command.stdio = Stdio::Pty(Size::default());
        assert_eq!(failure(&command).to_string(), "missing program for PTY spawn");
    }
}

#[test]
fn a_missing_program_and_a_missing_directory_differ_though_the_kernels_word_is_the_same() {
    let program = failure(&Command::new(["/nonexistent/program"], "/"));
    let path = PathBuf::from("/nonexistent/program");
    assert_eq!(program, SpawnError::Program { path, errno: libc::ENOENT });
    let directory = failure(&Command::new(["/bin/true"], "/nonexistent/directory"));
    let path = PathBuf::from("/nonexistent/directory");
    assert_eq!(directory, SpawnError::WorkingDirectory { path, errno: libc::ENOENT });
    for error in [program, directory] {
        assert_eq!(words(&error), "No such file or directory (os error 2)");
        assert!(error.to_string().ends_with(": No such file or directory (os error 2)"), "{error}");
    }
}

#[test]
fn a_bare_name_that_no_directory_has_is_reported_by_its_name() {
    let mut command = Command::new(["no-such-program"], "/");
    command.env = vec![("PATH".into(), "/usr/bin:/etc/passwd:/nonexistent".into())];
    let path = PathBuf::from("no-such-program");
    assert_eq!(failure(&command), SpawnError::Program { path, errno: libc::ENOENT });
}

#[test]
fn a_file_as_the_working_directory() {
    let error = failure(&Command::new(["/bin/true"], "/etc/passwd"));
    let path = PathBuf::from("/etc/passwd");
    assert_eq!(error, SpawnError::WorkingDirectory { path, errno: libc::ENOTDIR });
    assert_eq!(words(&error), "Not a directory (os error 20)");
}

#[test]
fn a_file_that_is_not_executable() {
    let error = failure(&Command::new(["/etc/passwd"], "/"));
    assert_eq!(error, SpawnError::Program { path: PathBuf::from("/etc/passwd"), errno: libc::EACCES });
    assert_eq!(words(&error), "Permission denied (os error 13)");
}

#[test]
fn a_refusal_on_the_search_path_is_remembered_but_a_later_match_wins() {
    let mut command = Command::new(["passwd", "--help"], "/");
    command.env = vec![("PATH".into(), "/nonexistent:/etc:/nonexistent".into())];
    let path = PathBuf::from("/etc/passwd");
    assert_eq!(failure(&command), SpawnError::Program { path, errno: libc::EACCES });

    let directory = tempfile::tempdir().expect("a temporary directory");
    std::os::unix::fs::symlink("/bin/true", directory.path().join("passwd")).expect("a link");
    command.env = vec![("PATH".into(), format!("/etc:{}", directory.path().display()).into())];
    spawn(&command).expect("the second directory has a program");
}

#[test]
fn a_file_of_unknown_format_is_not_given_to_a_shell() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("script");
    std::fs::write(&path, "echo no first line\n").expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let error = failure(&Command::new([&path], "/"));
    assert_eq!(error, SpawnError::Program { path, errno: libc::ENOEXEC });
    assert_eq!(words(&error), "Exec format error (os error 8)");
}

#[test]
fn a_nul_byte_is_refused_wherever_it_stands() {
    let nul = || OsString::from_vec(b"a\0b".to_vec());
    let check = |what, change: &dyn Fn(&mut Command)| {
        let mut command = shell("true");
        change(&mut command);
        let error = failure(&command);
        assert_eq!(error, SpawnError::NulByte { what });
        assert_eq!(error.errno(), None);
    };
    check("argv", &|command| command.argv[0] = nul());
    check("argv", &|command| command.argv.push(nul()));
    check("arg0", &|command| command.arg0 = Some(nul()));
    check("cwd", &|command| command.cwd = PathBuf::from(nul()));
    check("env name", &|command| command.env.push((nul(), "value".into())));
    check("env value", &|command| command.env.push(("NAME".into(), nul())));
}

#[test]
fn an_argument_list_beyond_the_kernels_bound_is_the_programs_error() {
    let long = "x".repeat(1 << 18);
    let error = failure(&Command::new(["/bin/true", &long], "/"));
    assert_eq!(error, SpawnError::Program { path: PathBuf::from("/bin/true"), errno: libc::E2BIG });
}

#[test]
fn a_limit_that_the_kernel_refuses_is_named() {
    let mut command = shell("true");
    // Beyond what the kernel lets anybody have.
    command.limits = vec![Limit { kind: LimitKind::OpenFiles, value: u64::MAX }];
    let error = failure(&command);
    assert_eq!(error, SpawnError::Setup { stage: Stage::Limits, errno: libc::EPERM });
    assert_eq!(error.to_string(), "set resource limits: Operation not permitted (os error 1)");
}
