//! Running a command: what its report says.

use std::time::Duration;

use codex_exec_server_core::process_event::Exit;
use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::ExitReason;
use codex_exec_server_unified_exec::{
    ExecCommand, OutputLimit, ProcessNumber, ProcessState, UnifiedExec, UnifiedExecError, WriteStdin,
};
use tokio::time::timeout;

use crate::support::{ALL, input, shell, started, tests_near_and_far, to_the_end, until};

tests_near_and_far! {
    a_command_that_ends_in_time_reports_its_output_and_code
    a_shell_line_runs_in_the_users_shell
    a_command_runs_where_and_with_what_it_was_asked_to
    credentials_are_not_inherited_unless_asked_for
    a_command_that_goes_on_is_reported_as_running_and_followed_by_its_number
    a_command_on_a_terminal_sees_one_of_that_size
    a_command_that_runs_for_too_long_is_ended_and_says_so
    output_that_a_child_holds_open_is_told_apart_from_the_end
    terminating_reports_the_last_output_and_reaches_descendants
    a_call_that_is_dropped_leaves_its_command_alone_or_ends_it_as_asked
    what_can_not_be_started_is_refused_in_the_machines_words
    what_makes_no_sense_is_refused_before_anything_runs
    shutting_down_ends_everything_and_takes_no_more
}

async fn a_command_that_ends_in_time_reports_its_output_and_code(exec: UnifiedExec) {
    let report = exec.exec_command(shell("echo out; echo err >&2; exit 3")).await.expect("it runs");
    let ProcessState::Exited { exit: Exit { code: 3, sandbox_denied: Some(false), .. }, output_open: false } =
        report.state
    else {
        panic!("{:?}", report.state)
    };
    assert_eq!((report.output.text.as_str(), report.output.omitted), ("out\nerr\n", None));
    assert_eq!((report.output.offset, report.output.end_offset), (0, 8));
    assert!(report.wall_time > Duration::ZERO);
}

async fn a_shell_line_runs_in_the_users_shell(exec: UnifiedExec) {
    let mut command = ExecCommand::shell("printf '%s' \"$((6 * 7))\"");
    command.collect = to_the_end();
    let report = exec.exec_command(command).await.expect("it runs");
    assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("42", Some(0)));
}

async fn a_command_runs_where_and_with_what_it_was_asked_to(exec: UnifiedExec) {
    let mut command = shell("pwd; echo $GREETING; cat");
    command.cwd = Some(PathUri::from_path_bytes(b"/usr").expect("a path"));
    command.env.insert("GREETING".into(), "good day".into());
    let report = exec.exec_command(command).await.expect("it runs");
    // Without `stdin` there is none to wait for.
    assert_eq!(report.output.text, "/usr\ngood day\n");
}

async fn credentials_are_not_inherited_unless_asked_for(exec: UnifiedExec) {
    // What a policy makes of names is shown by one that sets them first.
    let mut command = shell("echo ${PATH:+path} ${SOME_TOKEN:-none}");
    command.env_policy.as_mut().expect("there is one").exclude.push("SOME_*".into());
    let report = exec.exec_command(command.clone()).await.expect("it runs");
    assert_eq!(report.output.text, "path none\n");
    command.env.insert("SOME_TOKEN".into(), "given".into());
    let report = exec.exec_command(command.clone()).await.expect("it runs");
    assert_eq!(report.output.text, "path given\n");
    command.env_policy = None;
    command.program = codex_exec_server_unified_exec::Program::Argv(vec!["/usr/bin/env".into()]);
    let report = exec.exec_command(command).await.expect("it runs");
    assert_eq!(report.output.text, "SOME_TOKEN=given\n");
}

async fn a_command_that_goes_on_is_reported_as_running_and_followed_by_its_number(exec: UnifiedExec) {
    let report = exec.exec_command(started("echo ready; read line; echo got $line; exit 5")).await;
    let report = report.expect("it runs");
    assert!(report.state.is_running() && report.state.exit_code().is_none());
    let number = report.process;
    let (text, report) = until(&exec, report, "ready\n").await;
    assert_eq!(text, "ready\n");
    assert!(report.state.is_running());
    let report = exec.write_stdin(number, input("this\n")).await.expect("it reads");
    assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("got this\n", Some(5)));
    assert_eq!(report.output.offset, 6);
    // All was told: asked again, it has nothing to add.
    let report = exec.write_stdin(number, input("")).await.expect("it is known");
    assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("", Some(5)));
}

async fn a_command_on_a_terminal_sees_one_of_that_size(exec: UnifiedExec) {
    let mut command = shell("test -t 0 && test -t 1 && stty size");
    command.tty = true;
    command.size = Some(codex_exec_server_protocol::process::PtySize { rows: 7, cols: 99 });
    let report = exec.exec_command(command).await.expect("it runs");
    assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("7 99\r\n", Some(0)));
}

async fn a_command_that_runs_for_too_long_is_ended_and_says_so(exec: UnifiedExec) {
    let mut command = shell("echo begun; sleep 1000");
    command.timeout = Some(Duration::from_millis(1));
    let report = exec.exec_command(command).await.expect("it runs");
    let exit = report.state.exit().expect("it ended");
    assert_eq!(exit.reason, Some(ExitReason::TimedOut));
}

async fn output_that_a_child_holds_open_is_told_apart_from_the_end(exec: UnifiedExec) {
    // The child keeps stdout, and reads the pipe that only this test writes to.
    let report = exec.exec_command(started("exec 3<&0; echo parent; (read line <&3) & exit 4")).await;
    let report = report.expect("it runs");
    let (number, mut text) = (report.process, report.output.text);
    loop {
        let poll = WriteStdin { collect: crate::support::for_ms(5), ..WriteStdin::default() };
        let report = exec.write_stdin(number, poll).await.expect("it is known");
        text.push_str(&report.output.text);
        if let ProcessState::Exited { exit, output_open } = &report.state {
            assert_eq!((exit.code, *output_open), (4, true));
            break;
        }
    }
    assert_eq!(text, "parent\n");
    // It takes no input any more, and says so; ending it ends what holds its output.
    let refused = exec.write_stdin(number, input("x\n")).await.expect_err("it has exited");
    assert!(matches!(refused, UnifiedExecError::NotRunning { process, .. } if process == number));
    let report = exec.terminate(number, /*grace*/ None, ALL).await.expect("it is known");
    assert!(report.state.is_final() && report.state.exit_code() == Some(4), "{:?}", report.state);
}

async fn terminating_reports_the_last_output_and_reaches_descendants(exec: UnifiedExec) {
    let report =
        exec.exec_command(started("setsid sleep 1000 & echo $!; sleep 1000")).await.expect("it runs");
    let number = report.process;
    let (text, _) = until(&exec, report, "\n").await;
    let report = exec.terminate(number, /*grace*/ None, ALL).await.expect("it is known");
    let exit = report.state.exit().expect("it ended");
    assert_eq!((exit.code, exit.reason), (137, Some(ExitReason::Terminated)));
    let status = std::fs::read_to_string(format!("/proc/{}/stat", text.trim()));
    assert!(status.is_err() || status.is_ok_and(|status| status.contains(") Z ")));
    // What has ended is only reported.
    let again = exec.terminate(number, /*grace*/ None, ALL).await.expect("it is known");
    assert_eq!(again.state.exit_code(), Some(137));
}

async fn a_call_that_is_dropped_leaves_its_command_alone_or_ends_it_as_asked(exec: UnifiedExec) {
    for end_if_dropped in [false, true] {
        let mut command = shell("sleep 1000");
        command.end_if_dropped = end_if_dropped;
        command.collect.yield_time = Duration::from_secs(600);
        let mut call = Box::pin(exec.exec_command(command));
        while exec.list().len() < 1 + usize::from(end_if_dropped) {
            assert!(timeout(Duration::from_millis(1), &mut call).await.is_err(), "it runs for long");
        }
        drop(call);
    }
    let [left, ended] = &exec.list()[..] else { panic!("two processes") };
    let wait = || WriteStdin { collect: to_the_end(), ..WriteStdin::default() };
    let report = exec.write_stdin(ended.process, wait()).await.expect("it is known");
    assert_eq!(report.state.exit().and_then(|exit| exit.reason), Some(ExitReason::Terminated));
    assert!(exec.list()[0].state.is_running());
    exec.terminate(left.process, /*grace*/ None, ALL).await.expect("it is known");
}

async fn what_can_not_be_started_is_refused_in_the_machines_words(exec: UnifiedExec) {
    let refused =
        exec.exec_command(ExecCommand::argv(["/nowhere/at-all"])).await.expect_err("no such program");
    let UnifiedExecError::Backend(ExecError::Refused(error)) = &refused else { panic!("{refused:?}") };
    assert_eq!(error.data.as_ref().and_then(|data| data["what"].as_str()), Some("program"));
    assert!(refused.to_string().contains("/nowhere/at-all"), "{refused}");
    assert!(exec.list().is_empty(), "what did not start is not kept");
    // It has taken no number, so nobody is told that it ended and made room.
    let unknown = exec.read(ProcessNumber(1), /*offset*/ 0, ALL).await.expect_err("nothing has run");
    assert!(matches!(unknown, UnifiedExecError::UnknownProcess(ProcessNumber(1))), "{unknown:?}");
    let report = exec.exec_command(shell("exit 0")).await.expect("it runs");
    assert_eq!(report.process, ProcessNumber(1));
}

async fn what_makes_no_sense_is_refused_before_anything_runs(exec: UnifiedExec) {
    let refusal = async |command: ExecCommand| {
        let refused = exec.exec_command(command).await.expect_err("it makes no sense");
        let UnifiedExecError::InvalidArgument(text) = refused else { panic!("{refused:?}") };
        text
    };
    let nothing: [&str; 0] = [];
    assert_eq!(refusal(ExecCommand::argv(nothing)).await, "argv must not be empty; name a program to run");
    let mut patient = shell("exit 0");
    patient.collect.yield_time = Duration::from_secs(601);
    assert_eq!(
        refusal(patient).await,
        "yield time must be at most 600000 ms, got 601000; poll for what takes longer"
    );
    for limit in [OutputLimit::Bytes(511), OutputLimit::Tokens(0), OutputLimit::Tokens(usize::MAX)] {
        let mut command = shell("exit 0");
        command.collect.max_output = limit;
        let text = refusal(command).await;
        assert!(text.starts_with("output limit must be between 512 and 1048576 bytes"), "{text}");
    }
    assert!(exec.list().is_empty());
}

async fn shutting_down_ends_everything_and_takes_no_more(exec: UnifiedExec) {
    let number = exec.exec_command(started("sleep 1000")).await.expect("it runs").process;
    exec.shut_down().await;
    let listed = exec.list();
    assert_eq!(listed[0].process, number);
    assert_eq!(listed[0].state.exit_code(), Some(137));
    let refused = exec.exec_command(shell("exit 0")).await.expect_err("it is shut down");
    assert!(matches!(refused, UnifiedExecError::ShutDown), "{refused:?}");
}
