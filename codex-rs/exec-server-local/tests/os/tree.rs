//! Whether a killed tree is dead to the last leaf, and nobody else is.

use std::time::Instant;

use codex_exec_server_local::os::{Child, Command, KillReport, Signal, Spawned, kill_tree, spawn};

use crate::support::{
    finish, read_line, read_to_end, runs, shell, shell_on_terminal, shell_with_stdin, soon, stdout_of, wait,
};

/// Kills everything and requires that nothing survived.
fn kill(child: &Child) -> usize {
    let report = kill_tree(child, soon()).expect("/proc is mounted");
    assert!(report.survivors.is_empty(), "{report:?}");
    report.killed
}

/// Reads one process number from a child's output.
fn announced(spawned: &Spawned) -> i32 {
    let line = read_line(stdout_of(spawned));
    line.trim().parse().unwrap_or_else(|_| panic!("not a process number: {line:?}"))
}

#[test]
fn a_descendant_in_its_own_session_without_parent_or_descriptors_is_reached() {
    // The root waits for a line, because a terminal hangs up when its session leader ends.
    let script = "setsid sh -c 'echo $$; exec <&- >&- 2>&-; exec sleep 1000' & read line; exit 0";
    for command in [shell_with_stdin(script), shell_on_terminal(script)] {
        let spawned = spawn(&command).expect("starts");
        let descendant = announced(&spawned);
        let input = spawned.stdin.as_ref().unwrap_or_else(|| stdout_of(&spawned));
        rustix::io::write(input, b"\n").expect("it reads");
        assert_eq!(wait(&spawned.child).code(), 0);
        assert!(runs(descendant));
        // The root is dead and reaped; only the mark connects the two.
        assert_eq!(kill(&spawned.child), 1);
        assert!(!runs(descendant));
    }
}

#[test]
fn a_tree_of_several_sessions_dies_with_its_root() {
    let script = "setsid sh -c 'sleep 1000 & setsid sleep 1000 & wait' & sleep 1000 & echo $$; wait";
    let spawned = spawn(&shell(script)).expect("starts");
    announced(&spawned);
    assert!(kill(&spawned.child) >= 2);
    assert_eq!(wait(&spawned.child).code(), 137);
    // Nobody holds the pipes any more.
    assert_eq!(finish(spawned).stdout, "");
}

#[test]
fn a_process_that_has_dropped_the_mark_is_found_by_kinship() {
    let unmark = "prlimit --pid $$ --rttime=5000000:5000000";
    // The inner shell is found by its parent and its session, the sleeper by its session once the inner shell
    // is found.
    let script = format!("setsid sh -c '{unmark}; sleep 1000 & echo $!; wait' & wait");
    let spawned = spawn(&shell(&script)).expect("starts");
    let sleeper = announced(&spawned);
    assert_eq!(kill(&spawned.child), 3);
    assert!(!runs(sleeper));
}

#[test]
fn an_orphan_without_the_mark_is_found_in_the_session_of_a_root_that_is_not_reaped() {
    let script = "prlimit --pid $$ --rttime=5000000:5000000; sleep 1000 & echo $!; exec >&- 2>&-";
    let spawned = spawn(&shell(script)).expect("starts");
    let sleeper = announced(&spawned);
    crate::support::readable(&spawned.child);
    assert_eq!(kill(&spawned.child), 1);
    assert!(!runs(sleeper));
}

#[test]
fn a_burst_of_forks_is_caught_up_with() {
    let script = "f() { [ $1 -gt 0 ] || exec sleep 1000; f $(($1-1)) & f $(($1-1)) & wait; }; echo go; f 7";
    let spawned = spawn(&shell(script)).expect("starts");
    assert_eq!(read_line(stdout_of(&spawned)), "go\n");
    kill(&spawned.child);
    assert_eq!(finish(spawned).exit.code(), 137);
}

#[test]
fn a_burst_of_forks_into_new_sessions_is_caught_up_with() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = directory.path().join("burst");
    // Each of at most 127 processes leaves its parent's session and group.
    let text = "[ $1 -gt 0 ] || exec sleep 1000\nsetsid sh $0 $(($1-1)) &\nsetsid sh $0 $(($1-1)) &\nwait\n";
    std::fs::write(&script, text).expect("a file");
    let spawned = spawn(&shell(&format!("echo go; exec sh {} 6", script.display()))).expect("starts");
    assert_eq!(read_line(stdout_of(&spawned)), "go\n");
    kill(&spawned.child);
    assert_eq!(finish(spawned).exit.code(), 137);
}

#[test]
fn a_process_that_flees_from_session_to_session_is_caught() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = directory.path().join("flee");
    // At any time one or two processes live, each for a millisecond or so.
    std::fs::write(&script, "setsid sh $0 &\n").expect("a file");
    let spawned = spawn(&shell(&format!("echo go; exec sh {}", script.display()))).expect("starts");
    assert_eq!(read_line(stdout_of(&spawned)), "go\n");
    wait(&spawned.child);
    kill(&spawned.child);
    // Each of them holds the pipe.
    assert_eq!(read_to_end(stdout_of(&spawned)), "");
}

#[test]
fn a_larger_tree_than_is_held_at_once_is_killed_all_the_same() {
    let script = "i=0; while [ $i -lt 600 ]; do sleep 1000 & i=$((i+1)); done; echo $$; wait";
    let spawned = spawn(&shell(script)).expect("starts");
    announced(&spawned);
    assert_eq!(kill(&spawned.child), 601);
    assert_eq!(finish(spawned).exit.code(), 137);
}

#[test]
fn a_stopped_process_is_killed_like_any_other() {
    let spawned = spawn(&shell("echo $$; kill -STOP $$")).expect("starts");
    announced(&spawned);
    assert_eq!(kill(&spawned.child), 1);
}

#[test]
fn another_tree_of_the_same_server_is_not_touched() {
    let script = "setsid sleep 1000 & echo $!; wait";
    let bystander = spawn(&shell(script)).expect("starts");
    let spared = announced(&bystander);
    let victim = spawn(&shell(script)).expect("starts");
    let hit = announced(&victim);
    assert_eq!(kill(&victim.child), 2);
    assert!(!runs(hit) && runs(spared));
    assert_eq!(bystander.child.try_wait().expect("it is ours"), None);
    assert_eq!(kill(&bystander.child), 2);
}

#[test]
fn a_tree_that_is_gone_is_killed_in_no_time_and_no_number() {
    let spawned = spawn(&shell("exit 0")).expect("starts");
    wait(&spawned.child);
    assert_eq!(kill_tree(&spawned.child, soon()).expect("/proc is mounted"), KillReport::default());
}

#[test]
fn a_deadline_in_the_past_still_kills_but_does_not_wait() {
    let spawned = spawn(&shell("sleep 1000 & wait")).expect("starts");
    let report = kill_tree(&spawned.child, Instant::now()).expect("/proc is mounted");
    assert!(report.killed + report.survivors.len() >= 1, "{report:?}");
    assert_eq!(wait(&spawned.child).code(), 137);
    kill(&spawned.child);
}

/// Set for the copy of this program that plays the inner server.
const INNER: &str = "TEST_INNER_SERVER";

#[test]
fn a_server_within_a_tree_kills_its_own_trees_and_dies_with_its_outer_one() {
    if std::env::var_os(INNER).is_some() {
        return inner_server();
    }
    let this = std::env::current_exe().expect("this program");
    let name = "tree::a_server_within_a_tree_kills_its_own_trees_and_dies_with_its_outer_one";
    let mut command =
        Command::new([this.as_os_str(), "--exact".as_ref(), name.as_ref(), "--nocapture".as_ref()], "/");
    command.env = vec![(INNER.into(), "1".into()), ("PATH".into(), "/usr/bin:/bin".into())];
    let spawned = spawn(&command).expect("starts");
    let mut output = String::new();
    while !output.contains("inner child ") {
        let line = read_line(stdout_of(&spawned));
        assert_ne!(line, "", "the inner server failed after {output:?}");
        output += &line;
    }
    let orphan: i32 = output
        .rsplit_once("inner child ")
        .and_then(|(_, number)| number.trim().parse().ok())
        .expect("a process number");
    // The inner server is killed alone first, so that only the mark is left.
    spawned.child.signal(Signal::KILL).expect("may be signalled");
    wait(&spawned.child);
    assert!(runs(orphan));
    assert_eq!(kill(&spawned.child), 1);
    assert!(!runs(orphan));
}

fn inner_server() {
    let orphan = "setsid sh -c 'echo $$; exec <&- >&- 2>&-; exec sleep 1000' & exec >&- 2>&-; exit 0";
    let first = spawn(&shell(orphan)).expect("starts");
    let second = spawn(&shell(orphan)).expect("starts");
    let (hit, spared) = (announced(&first), announced(&second));
    wait(&first.child);
    wait(&second.child);
    assert_eq!(kill(&first.child), 1);
    assert!(!runs(hit) && runs(spared));
    println!("inner child {spared}");
    // Until killed from outside.
    loop {
        std::thread::park();
    }
}
