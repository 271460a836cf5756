//! Many processes: their bound, what makes room, and the list.

use codex_exec_server_unified_exec::{ProcessNumber, UnifiedExec, UnifiedExecError};

use crate::support::{ALL, input, shell, started, tests_near_and_far};

tests_near_and_far! {
    what_has_ended_makes_room_the_least_recently_asked_for_first
    what_runs_never_makes_room
    a_list_names_what_is_known_and_how_it_is
}

async fn what_has_ended_makes_room_the_least_recently_asked_for_first(exec: UnifiedExec) {
    for n in 1..=4 {
        let report = exec.exec_command(shell("echo x")).await.expect("it runs");
        assert_eq!(report.process, ProcessNumber(n));
    }
    exec.write_stdin(ProcessNumber(1), input("")).await.expect("it is known");
    exec.exec_command(shell("exit 0")).await.expect("there is room");
    let known: Vec<_> = exec.list().iter().map(|listed| listed.process.0).collect();
    assert_eq!(known, [1, 3, 4, 5]);
    let refused = exec.read(ProcessNumber(2), /*offset*/ 0, ALL).await.expect_err("it made room");
    assert!(matches!(refused, UnifiedExecError::Forgotten(ProcessNumber(2))), "{refused:?}");
}

async fn what_runs_never_makes_room(exec: UnifiedExec) {
    for _ in 0..4 {
        exec.exec_command(started("sleep 1000")).await.expect("it runs");
    }
    let refused = exec.exec_command(shell("exit 0")).await.expect_err("there is no room");
    let UnifiedExecError::TooManyProcesses { limit: 4, least_recent: ProcessNumber(1) } = refused else {
        panic!("{refused:?}")
    };
    exec.terminate(ProcessNumber(3), /*grace*/ None, ALL).await.expect("it is known");
    let report = exec.exec_command(shell("echo x")).await.expect("there is room");
    // A refused command takes no number.
    assert_eq!((report.output.text.as_str(), report.process), ("x\n", ProcessNumber(5)));
    exec.shut_down().await;
}

async fn a_list_names_what_is_known_and_how_it_is(exec: UnifiedExec) {
    exec.exec_command(shell("exit 9")).await.expect("it runs");
    exec.exec_command(started("sleep 1000")).await.expect("it runs");
    let listed = exec.list();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].state.exit_code(), &listed[0].command.argv[2]), (Some(9), &"exit 9".to_owned()));
    assert!(listed[1].state.is_running() && !listed[1].tty && listed[1].unread_bytes == 0);
    exec.shut_down().await;
}
