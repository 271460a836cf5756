//! How processes end: by themselves, by signals, by time, and by force.

use std::time::Duration;

use codex_exec_server_core::process_event::Exit;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{ExitReason, ProcessSignal, ProcessStartParams};

use crate::place::Backend;
use crate::steps::{Seen, shell, start, text};

cases! {
    everywhere {
        an_interrupt_reaches_the_trap_of_a_process
        an_interrupt_reaches_the_whole_process_group
        signalling_and_ending_what_has_ended_is_no_failure
        a_process_that_is_terminated_is_gone
    }
    not_on_reference {
        every_signal_arrives_by_its_name: "it knows the interrupt alone"
        a_signal_that_ends_a_process_is_told: "it tells the code alone"
        termination_reaches_descendants_in_sessions_of_their_own: "it ends the process group alone"
        termination_with_notice_lets_a_process_end_by_itself: "it kills at once"
        what_ignores_the_notice_is_killed_when_its_time_is_over: "it kills at once"
        a_process_that_runs_for_too_long_is_ended: "it has no time-outs"
        an_exit_says_what_was_used: "it does not tell usage"
    }
}

async fn an_interrupt_reaches_the_trap_of_a_process(backend: Backend) {
    let script = "trap 'echo handled; exit 5' INT; echo ready; while :; do sleep 0.01; done";
    let process = start(&backend, shell("p", script)).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "ready\n").await;
    process.signal(ProcessSignal::Interrupt).await.expect("it runs");
    seen.until_closed(&mut events).await;
    assert_eq!((text(&seen.stdout), seen.code()), ("ready\nhandled\n".into(), 5));
}

async fn an_interrupt_reaches_the_whole_process_group(backend: Backend) {
    let inner = "trap \"echo inner; exit\" INT; echo ready; while :; do sleep 0.01; done";
    let process =
        start(&backend, shell("p", &format!("trap 'wait; exit 6' INT; sh -c '{inner}'; exit 6"))).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "ready\n").await;
    process.signal(ProcessSignal::Interrupt).await.expect("it runs");
    seen.until_closed(&mut events).await;
    assert_eq!((text(&seen.stdout), seen.code()), ("ready\ninner\n".into(), 6));
}

async fn signalling_and_ending_what_has_ended_is_no_failure(backend: Backend) {
    let process = start(&backend, shell("p", "exit 0")).await;
    Seen::all(&process).await;
    process.signal(ProcessSignal::Interrupt).await.expect("no failure");
    let ended = process.terminate(/*grace*/ None).await.expect("no failure");
    assert!(!ended.running);
}

async fn a_process_that_is_terminated_is_gone(backend: Backend) {
    let process = start(&backend, shell("p", "echo $$; exec sleep 1000")).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "\n").await;
    let ended = process.terminate(/*grace*/ None).await.expect("it runs");
    assert!(ended.running);
    seen.until_closed(&mut events).await;
    assert_ne!(seen.code(), 0);
    assert_gone(&text(&seen.stdout));
}

/// Nobody is there any more, or only a zombie that its parent has not collected yet.
fn assert_gone(os_pid: &str) {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", os_pid.trim()));
    assert!(status.as_ref().map_or(true, |status| status.contains(") Z ")), "{os_pid} runs: {status:?}");
}

async fn every_signal_arrives_by_its_name(backend: Backend) {
    for (signal, name) in [
        (ProcessSignal::Hangup, "HUP"),
        (ProcessSignal::Quit, "QUIT"),
        (ProcessSignal::Terminate, "TERM"),
        (ProcessSignal::Usr1, "USR1"),
        (ProcessSignal::Usr2, "USR2"),
        (ProcessSignal::Interrupt, "INT"),
    ] {
        let script =
            format!("trap 'echo got {name}; exit 0' {name}; echo ready; while :; do sleep 0.01; done");
        let process = start(&backend, shell(name, &script)).await;
        let mut seen = Seen::default();
        let mut events = process.subscribe(Seq::START);
        seen.until(&mut events, "ready\n").await;
        // A process that stands still gets it when it goes on.
        process.signal(ProcessSignal::Stop).await.expect("it runs");
        process.signal(signal).await.expect("it runs");
        process.signal(ProcessSignal::Continue).await.expect("it runs");
        seen.until_closed(&mut events).await;
        assert_eq!(text(&seen.stdout), format!("ready\ngot {name}\n"));
    }
}

async fn a_signal_that_ends_a_process_is_told(backend: Backend) {
    let process = start(&backend, shell("p", "exec sleep 1000")).await;
    process.signal(ProcessSignal::Kill).await.expect("it runs");
    let exit = Seen::all(&process).await.exit.expect("it exited");
    assert!(
        matches!(exit, Exit { code: 137, signal: Some(9), reason: Some(ExitReason::Signalled), .. }),
        "{exit:?}"
    );
    let process = start(&backend, shell("q", "exit 7")).await;
    let exit = Seen::all(&process).await.exit.expect("it exited");
    assert!(
        matches!(
            exit,
            Exit { code: 7, signal: None, reason: Some(ExitReason::Exited), sandbox_denied: Some(false), .. }
        ),
        "{exit:?}"
    );
}

async fn termination_reaches_descendants_in_sessions_of_their_own(backend: Backend) {
    let process = start(&backend, shell("p", "setsid sleep 1000 & echo $!; wait")).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "\n").await;
    let ended = process.terminate(/*grace*/ None).await.expect("it runs");
    assert_eq!((ended.running, ended.survivors), (true, Some(0)));
    assert_gone(&text(&seen.stdout));
    seen.until_closed(&mut events).await;
    assert_eq!(seen.exit.and_then(|exit| exit.reason), Some(ExitReason::Terminated));
}

async fn termination_with_notice_lets_a_process_end_by_itself(backend: Backend) {
    let script = "trap 'echo bye; exit 8' TERM; echo ready; while :; do sleep 0.01; done";
    let process = start(&backend, shell("p", script)).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "ready\n").await;
    process.terminate(Some(Duration::from_secs(60))).await.expect("it runs");
    seen.until_closed(&mut events).await;
    assert_eq!((text(&seen.stdout), seen.code()), ("ready\nbye\n".into(), 8));
    assert_eq!(seen.exit.and_then(|exit| exit.reason), Some(ExitReason::Terminated));
}

async fn what_ignores_the_notice_is_killed_when_its_time_is_over(backend: Backend) {
    let process = start(&backend, shell("p", "trap '' TERM; echo ready; while :; do sleep 0.01; done")).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "ready\n").await;
    let ended = process.terminate(Some(Duration::from_millis(20))).await.expect("it runs");
    assert_eq!((ended.running, ended.survivors), (true, Some(0)));
    seen.until_closed(&mut events).await;
    assert_eq!(seen.code(), 137);
}

async fn a_process_that_runs_for_too_long_is_ended(backend: Backend) {
    let params = ProcessStartParams { timeout_ms: Some(1), ..shell("p", "sleep 1000 & sleep 1000") };
    let process = start(&backend, params).await;
    let exit = Seen::all(&process).await.exit.expect("it exited");
    assert_eq!((exit.code, exit.reason), (137, Some(ExitReason::TimedOut)));
}

async fn an_exit_says_what_was_used(backend: Backend) {
    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
    let process = start(&backend, shell("p", script)).await;
    let usage = Seen::all(&process).await.exit.expect("it exited").usage.expect("it is told");
    assert!(usage.user_ms > 0 && usage.wall_ms >= usage.user_ms / 2, "{usage:?}");
}
