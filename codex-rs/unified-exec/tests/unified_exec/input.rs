//! Giving input: text, the end of it, and Ctrl-C.

use codex_exec_server_protocol::process::ExitReason;
use codex_exec_server_unified_exec::{ProcessNumber, UnifiedExec, UnifiedExecError, WriteStdin};

use crate::support::{input, shell, started, tests_near_and_far, to_the_end, until};

const INTERRUPT: &str = "\u{3}";

tests_near_and_far! {
    stdin_can_be_ended_with_or_without_text_before
    an_interrupt_without_a_terminal_is_a_signal_that_the_process_may_handle
    an_interrupt_without_a_terminal_needs_no_stdin
    an_interrupt_on_a_terminal_is_written
    an_interrupt_among_other_text_is_text
    input_that_nobody_can_read_is_refused
}

async fn stdin_can_be_ended_with_or_without_text_before(exec: UnifiedExec) {
    let number = exec.exec_command(started("cat; echo end")).await.expect("it runs").process;
    let with_text = WriteStdin { chars: "text\n".into(), close: true, collect: to_the_end() };
    let report = exec.write_stdin(number, with_text).await.expect("it reads");
    assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("text\nend\n", Some(0)));

    let number = exec.exec_command(started("cat; echo end")).await.expect("it runs").process;
    let close = WriteStdin { close: true, collect: to_the_end(), ..WriteStdin::default() };
    let report = exec.write_stdin(number, close).await.expect("it reads");
    assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("end\n", Some(0)));
}

async fn an_interrupt_without_a_terminal_is_a_signal_that_the_process_may_handle(exec: UnifiedExec) {
    let script = "trap 'echo handled; exit 7' INT; echo ready; while :; do sleep 0.01; done";
    let report = exec.exec_command(started(script)).await.expect("it runs");
    let number = report.process;
    until(&exec, report, "ready\n").await;
    let report = exec.write_stdin(number, input(INTERRUPT)).await.expect("it is signalled");
    assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("handled\n", Some(7)));
    // Its own end, not one that was forced on it.
    assert_eq!(report.state.exit().and_then(|exit| exit.reason), Some(ExitReason::Exited));
}

async fn an_interrupt_without_a_terminal_needs_no_stdin(exec: UnifiedExec) {
    let mut command = started("echo ready; exec sleep 1000");
    command.stdin = false;
    let report = exec.exec_command(command).await.expect("it runs");
    let number = report.process;
    until(&exec, report, "ready\n").await;
    let report = exec.write_stdin(number, input(INTERRUPT)).await.expect("it is signalled");
    assert_eq!(report.state.exit().and_then(|exit| exit.signal), Some(2));
    assert_eq!(report.state.exit_code(), Some(130));
}

async fn an_interrupt_on_a_terminal_is_written(exec: UnifiedExec) {
    // A terminal in raw mode makes no signal of it: the byte itself arrives.
    let mut command = started("stty raw -echo; echo ready; head -c 1 | od -An -tx1");
    command.tty = true;
    let report = exec.exec_command(command).await.expect("it runs");
    let number = report.process;
    until(&exec, report, "ready").await;
    let report = exec.write_stdin(number, input(INTERRUPT)).await.expect("it reads");
    assert!(report.output.text.contains("03"), "{:?}", report.output.text);
    assert_eq!(report.state.exit_code(), Some(0));
}

async fn an_interrupt_among_other_text_is_text(exec: UnifiedExec) {
    let number = exec.exec_command(started("od -An -tx1")).await.expect("it runs").process;
    let text = WriteStdin { chars: "a\u{3}".into(), close: true, collect: to_the_end() };
    let report = exec.write_stdin(number, text).await.expect("it reads");
    assert_eq!((report.output.text.trim(), report.state.exit_code()), ("61 03", Some(0)));
}

async fn input_that_nobody_can_read_is_refused(exec: UnifiedExec) {
    let mut command = started("sleep 1000");
    command.stdin = false;
    let number = exec.exec_command(command).await.expect("it runs").process;
    let refused = exec.write_stdin(number, input("x")).await.expect_err("it has no stdin");
    assert!(matches!(refused, UnifiedExecError::NoStdin(process) if process == number), "{refused:?}");
    exec.terminate(number, /*grace*/ None, crate::support::ALL).await.expect("it is known");

    let number = exec.exec_command(shell("exit 6")).await.expect("it runs").process;
    let refused = exec.write_stdin(number, input("x")).await.expect_err("it has ended");
    assert_eq!(
        refused.to_string(),
        format!(
            "process {number} exited with code 6, so nothing was written; write nothing to get the rest of its output"
        )
    );
    let refused = exec.write_stdin(ProcessNumber(99), input("x")).await.expect_err("there is none");
    assert_eq!(refused.to_string(), "unknown process 99; list shows those that are known");
}
