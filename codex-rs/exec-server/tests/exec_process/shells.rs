//! Login shells whose files need not be read at each start (`shellSnapshot`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::environment::ShellInfo;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy, ProcessStartParams, ShellSnapshot};

use crate::place::Backend;
use crate::steps::{Seen, start, text};

cases! {
    everywhere {
        login_files_are_read_once_for_each_scope_and_folder
        what_login_files_leave_is_there_each_time
        a_posix_shell_is_told_its_options_and_its_environment
        variables_that_a_request_names_win_over_those_of_login_files
        a_command_gets_its_arguments_its_stdin_and_its_terminal
        a_file_of_bash_that_login_files_do_not_read_is_read_too
        login_files_that_end_the_shell_end_it_as_ever
        other_commands_are_started_as_they_are
        scopes_without_a_name_and_shells_of_other_kinds_are_refused
    }
    not_on_reference {
        a_zsh_is_told_its_aliases_and_reads_its_command_with_them: "it has read the whole command before it learns of them"
        all_that_login_files_leave_is_there_each_time: "it leaves out variables that are not exported, and the umask"
        a_complaint_names_the_line_that_it_is_about: "what it puts before a command counts as lines of it"
        a_variable_of_the_first_start_is_not_found_by_the_next: "it is found there"
        another_home_has_other_login_files: "a scope has those of its first start"
        what_login_files_leave_running_is_not_waited_for: "it waits for ten seconds, and then goes without"
    }
}

/// A home with login files. Each time that they are read leaves a line in `ran`.
struct Home(tempfile::TempDir);

impl Home {
    fn with(profile: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("a folder"));
        home.write(".profile", &format!("echo ran >> {}/ran\n{profile}\n", home.path().display()));
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("it is written");
    }

    /// How often login files were read since this was asked last.
    fn ran(&self) -> usize {
        let log = self.path().join("ran");
        let lines = std::fs::read_to_string(&log).map_or(0, |text| text.lines().count());
        let _ = std::fs::remove_file(log);
        lines
    }

    /// `script` as the command of a login bash, in the scope `s`.
    fn bash(&self, id: &str, script: &str) -> ProcessStartParams {
        self.shell("bash", id, script)
    }

    fn shell(&self, name: &str, id: &str, script: &str) -> ProcessStartParams {
        let shell = ShellInfo { name: name.to_owned(), path: format!("/bin/{name}") };
        let argv = [&shell.path, "-lc", script].map(str::to_owned).to_vec();
        ProcessStartParams {
            env: BTreeMap::from([
                ("HOME".to_owned(), self.path().display().to_string()),
                ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ]),
            shell_snapshot: Some(ShellSnapshot { scope_id: "s".to_owned(), shell }),
            ..ProcessStartParams::new(id.into(), argv, folder("/"))
        }
    }
}

fn folder(path: &str) -> PathUri {
    PathUri::from_path_bytes(path.as_bytes()).expect("a path")
}

/// The same start without a snapshot.
fn plain(params: ProcessStartParams) -> ProcessStartParams {
    ProcessStartParams {
        shell_snapshot: None,
        process_id: format!("{}-plain", params.process_id).into(),
        ..params
    }
}

fn in_scope(mut params: ProcessStartParams, scope: &str) -> ProcessStartParams {
    params.shell_snapshot.as_mut().expect("it has one").scope_id = scope.to_owned();
    params
}

/// What a command says on stdout. It has nothing to complain of.
async fn said(backend: &Backend, params: ProcessStartParams) -> String {
    let seen = Seen::all(&start(backend, params).await).await;
    assert_eq!((text(&seen.stderr).as_str(), seen.code()), ("", 0), "{}", text(&seen.stdout));
    text(&seen.stdout)
}

/// The command says the same however it is started: plainly, as the first of a scope, and as a later one.
async fn says_the_same(backend: &Backend, params: impl Fn(&str) -> ProcessStartParams) -> String {
    let plainly = said(backend, plain(params("plainly"))).await;
    for id in ["first", "second", "third"] {
        assert_eq!(said(backend, params(id)).await, plainly, "{id}");
    }
    plainly
}

async fn login_files_are_read_once_for_each_scope_and_folder(backend: Backend) {
    let home = Home::with("export FROM=profile");
    for id in ["a", "b", "c"] {
        assert_eq!(said(&backend, home.bash(id, "echo $FROM")).await, "profile\n");
    }
    assert_eq!(home.ran(), 1);
    for id in ["d", "e"] {
        assert_eq!(said(&backend, in_scope(home.bash(id, "echo $FROM"), "t")).await, "profile\n");
    }
    assert_eq!(home.ran(), 1);
    let elsewhere = ProcessStartParams { cwd: folder("/usr"), ..home.bash("f", "echo $FROM; pwd") };
    assert_eq!(said(&backend, elsewhere).await, "profile\n/usr\n");
    assert_eq!(home.ran(), 1);
    said(&backend, plain(home.bash("g", "echo $FROM"))).await;
    assert_eq!(home.ran(), 1);
}

async fn what_login_files_leave_is_there_each_time(backend: Backend) {
    let home = Home::with(
        "shopt -s extglob expand_aliases nullglob\n\
         greet() { case $1 in +(a)) echo \"hello from $FROM\";; esac; }\n\
         outer() { cat <<'END'\n  kept as it is: $FROM `nothing` \\\nEND\n}\n\
         passed_on() { echo \"passed on: $FROM\"; }; export -f passed_on\n\
         alias say='echo said:' say2='say \"it'\"'\"'s\"'\n\
         export FROM='a \"profile\"\n of two lines' ADDED=$((1 + 1))\n\
         set -o noclobber -o pipefail -u",
    );
    let script = "greet aaa\nouter\nsay twice; say2\nbash -c passed_on\necho /no/such* $ADDED $-\n\
                  echo a > \"$HOME/kept\" && echo b > \"$HOME/kept\"; set -o | grep pipefail\ntrue";
    let home_ref = &home;
    let params = |id: &str| {
        // The file is there after the first.
        let _ = std::fs::remove_file(home_ref.path().join("kept"));
        let mut params = home_ref.bash(id, &script.replace("&& echo b > \"$HOME/kept\"", "2>&1"));
        params.env.insert("LC_ALL".into(), "C".into());
        params
    };
    let told = says_the_same(&backend, params).await;
    assert!(
        told.starts_with("hello from a \"profile\"\n of two lines\n  kept as it is: $FROM `nothing` \\\n"),
        "{told}"
    );
    assert!(told.contains("said: twice\nsaid: it's\npassed on: a"), "{told}");
}

async fn a_posix_shell_is_told_its_options_and_its_environment(backend: Backend) {
    let home = Home::with("export FROM=profile; set -f; set -C");
    let told =
        says_the_same(&backend, |id| home.shell("sh", id, "echo $FROM /*; echo $0; set -o | grep noclobber"))
            .await;
    assert!(told.starts_with("profile /*\n/bin/sh\n"), "{told}");
    // Plainly once, and once for the scope.
    assert_eq!(home.ran(), 2);
}

async fn variables_that_a_request_names_win_over_those_of_login_files(backend: Backend) {
    let home = Home::with("export NAMED=profile SET=profile NEW=profile HOME_OF=$HOME; unset GONE");
    let policy = EnvPolicy {
        inherit: EnvInherit::None,
        ignore_default_excludes: true,
        exclude: Vec::new(),
        set: BTreeMap::from([("SET".to_owned(), "policy".to_owned())]),
        include_only: Vec::new(),
    };
    for id in ["a", "b"] {
        let mut params = home
            .bash(id, "echo $NAMED $SET $NEW $GONE; [ \"$HOME_OF\" = \"$HOME\" ] && env | grep -c ^PATH=");
        params.env.insert("NAMED".to_owned(), format!("request {id}"));
        params.env.insert("GONE".to_owned(), "stays".to_owned());
        params.env_policy = Some(policy.clone());
        assert_eq!(said(&backend, params).await, format!("request {id} policy profile stays\n1\n"));
    }
    assert_eq!(home.ran(), 1);
}

async fn a_command_gets_its_arguments_its_stdin_and_its_terminal(backend: Backend) {
    let home = Home::with("read_nothing=$(cat)");
    for id in ["a", "b"] {
        let mut params = home.bash(id, "echo \"$0 $1 $#\"; read line; echo \"got $line\"; exit 5");
        params.argv.extend(["name", "first one", ""].map(str::to_owned));
        params.pipe_stdin = true;
        let process = start(&backend, params).await;
        process.write(b"a word\n"[..].into()).await.expect("it takes it");
        let seen = Seen::all(&process).await;
        assert_eq!((text(&seen.stdout).as_str(), seen.code()), ("name first one 2\ngot a word\n", 5));
    }
    assert_eq!(home.ran(), 1);
    let params =
        ProcessStartParams { tty: true, ..home.bash("c", "[ -t 0 ] && [ -t 1 ] && echo on a terminal") };
    let seen = Seen::all(&start(&backend, params).await).await;
    assert_eq!((text(&seen.pty).as_str(), home.ran()), ("on a terminal\r\n", 0));
}

async fn a_file_of_bash_that_login_files_do_not_read_is_read_too(backend: Backend) {
    let home = Home::with("export FROM=profile");
    home.write(".bashrc", "export FROM=\"$FROM and rc\"; rc_function() { echo \"a function of $FROM\"; }");
    for id in ["a", "b"] {
        assert_eq!(said(&backend, home.bash(id, "rc_function")).await, "a function of profile and rc\n");
    }
}

async fn login_files_that_end_the_shell_end_it_as_ever(backend: Backend) {
    let home = Home::with("echo good-bye; exit 3");
    for id in ["a", "b"] {
        let seen = Seen::all(&start(&backend, home.bash(id, "echo hello")).await).await;
        assert_eq!((text(&seen.stdout).as_str(), seen.code()), ("good-bye\n", 3));
    }
    // Once in vain, and once for each start: it is not tried again and again.
    assert_eq!(home.ran(), 3);
}

async fn other_commands_are_started_as_they_are(backend: Backend) {
    let home = Home::with("export FROM=profile");
    for (id, argv, wanted) in [
        ("a", &["/bin/bash", "-c", "echo none: $FROM"][..], "none:\n"),
        ("b", &["/bin/echo", "-lc", "word"], "-lc word\n"),
        ("c", &["bash", "-lc", "echo $FROM"], "profile\n"),
        ("d", &["/bin/bash", "-l", "-c", "echo $FROM"], "profile\n"),
    ] {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(said(&backend, ProcessStartParams { argv, ..home.bash(id, "") }).await, wanted);
    }
    assert_eq!(home.ran(), 2);
}

async fn scopes_without_a_name_and_shells_of_other_kinds_are_refused(backend: Backend) {
    let home = Home::with("");
    let other = |name: &str| {
        let mut params = home.bash("p", "true");
        params.shell_snapshot.as_mut().expect("it has one").shell.name = name.to_owned();
        params
    };
    let scope = "shell snapshot scope must be non-empty and at most 256 bytes";
    for (params, wanted) in [
        (in_scope(home.bash("p", "true"), ""), scope),
        (in_scope(home.bash("p", "true"), &"x".repeat(257)), scope),
        (
            in_scope(ProcessStartParams { argv: vec!["/bin/true".to_owned()], ..home.bash("p", "") }, ""),
            scope,
        ),
        (other("fish"), "shell snapshots are unsupported for shell `fish`"),
        (other(""), "shell snapshots are unsupported for shell ``"),
    ] {
        match backend.start(params).await {
            Err(ExecError::Refused(error)) => {
                assert_eq!(error.code, -32602);
                assert!(error.message.starts_with(wanted), "{}", error.message);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(home.ran(), 0);
    said(&backend, in_scope(home.bash("p", "true"), &"x".repeat(256))).await;
}

async fn all_that_login_files_leave_is_there_each_time(backend: Backend) {
    let home = Home::with(
        "plain='two\nlines'; list=(a 'b c'); declare -A map=([k]='v w'); declare -r FIXED=1; declare -i number=6\n\
         IFS=:; umask 027; export BASH_ENV=/dev/null; unset UNSET",
    );
    let script = "echo \"$plain|${list[1]}|${map[k]}|$FIXED|${#IFS}$IFS|$BASH_ENV|${UNSET-gone}\"\nnumber=1+1; echo $number; umask\n\
                  (FIXED=2) 2> /dev/null || echo fixed; ls /proc/self/fd | wc -l; sh -c 'echo ${BASH_ENV}'";
    let told = says_the_same(&backend, |id| home.bash(id, script)).await;
    assert!(told.starts_with("two\nlines|b c|v w|1|1:|/dev/null|gone\n2\n0027\nfixed\n"), "{told}");
}

async fn a_zsh_is_told_its_aliases_and_reads_its_command_with_them(backend: Backend) {
    if !Path::new("/bin/zsh").exists() {
        println!("skipped: there is no /bin/zsh; tools/test-peers.sh installs it");
        return;
    }
    let home = Home::with("");
    home.write(
        ".zprofile",
        &format!(
            "echo ran >> {}/ran\nalias say='echo said:' two='say \"it'\\''s\"; say'\nalias -g TWICE='| sed p'\n\
             greet() {{ echo \"hello $1\"; }}\nsetopt extendedglob\nexport FROM=profile",
            home.path().display()
        ),
    );
    let script =
        "say 'it'\\''s' TWICE\ntwo more\n\ngreet $FROM; echo $0 $1 $# /etc/passwd(#q.) # the end\nsay \"\n\"";
    let params = |id: &str| {
        let mut params = home.shell("zsh", id, script);
        params.argv.extend(["name", "first one"].map(str::to_owned));
        params
    };
    let told = says_the_same(&backend, params).await;
    assert_eq!(
        told,
        "said: it's\nsaid: it's\nsaid: it's\nsaid: more\nhello profile\nname first one 1 /etc/passwd\nsaid: \n\n"
    );
    // Plainly once, and once for the scope.
    assert_eq!(home.ran(), 2);
    for id in ["a", "b"] {
        let seen = Seen::all(&start(&backend, home.shell("zsh", id, "say x; exit 7")).await).await;
        assert_eq!((text(&seen.stdout).as_str(), seen.code()), ("said: x\n", 7), "{id}");
    }
}

async fn a_complaint_names_the_line_that_it_is_about(backend: Backend) {
    let home = Home::with("");
    let complaint = async |params| {
        let seen = Seen::all(&start(&backend, params).await).await;
        (text(&seen.stderr), seen.code())
    };
    let script = "true\nno-such-command";
    let plainly = complaint(plain(home.bash("plainly", script))).await;
    assert_eq!(plainly, ("/bin/bash: line 2: no-such-command: command not found\n".to_owned(), 127));
    for id in ["a", "b"] {
        assert_eq!(complaint(home.bash(id, script)).await, plainly);
    }
}

async fn a_variable_of_the_first_start_is_not_found_by_the_next(backend: Backend) {
    let home = Home::with("export FROM=profile");
    let mut first = home.bash("a", "echo $SECRET $FROM");
    first.env.insert("SECRET".to_owned(), "of the first".to_owned());
    assert_eq!(said(&backend, first).await, "of the first profile\n");
    assert_eq!(said(&backend, home.bash("b", "echo ${SECRET-none} $FROM")).await, "none profile\n");
    assert_eq!(home.ran(), 1);
}

async fn another_home_has_other_login_files(backend: Backend) {
    let homes: Vec<Home> = ["one", "two"].map(|name| Home::with(&format!("export FROM={name}"))).into();
    for id in ["a", "b"] {
        for (home, name) in homes.iter().zip(["one", "two"]) {
            let told = said(&backend, home.bash(&format!("{id}-{name}"), "echo $FROM")).await;
            assert_eq!(told, format!("{name}\n"));
        }
    }
    assert_eq!(homes.iter().map(Home::ran).collect::<Vec<_>>(), [1, 1]);
}

async fn what_login_files_leave_running_is_not_waited_for(backend: Backend) {
    let home = Home::with("");
    // It holds the streams of the shell that started it, and ends when it is told to.
    let fifo: PathBuf = home.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    home.write(".bashrc", &format!("(read line < {}) & export FROM=rc", fifo.display()));
    assert_eq!(said(&backend, home.bash("a", "echo $FROM")).await, "rc\n");
    // Whoever reads is there, which opening it shows.
    std::fs::write(&fifo, "end\n").expect("somebody reads");
    assert_eq!(said(&backend, home.bash("b", "echo $FROM")).await, "rc\n");
}
