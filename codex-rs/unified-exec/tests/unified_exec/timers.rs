//! Waiting, and losing what is waited for: with time that only passes when the test lets it.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_core::service::ExecError;
use codex_exec_server_unified_exec::{
    ApproveAsAsked, Collect, ExecCommand, ProcessState, UnifiedExec, UnifiedExecConfig, UnifiedExecError,
    WriteStdin,
};
use tokio::time::Instant;

use crate::fake::{FakeBackend, Telling};

const SECOND: Duration = Duration::from_secs(1);

fn exec(backend: &Arc<FakeBackend>) -> UnifiedExec {
    let config = UnifiedExecConfig { linger: SECOND, least_write_time: SECOND, ..Default::default() };
    UnifiedExec::new(Arc::clone(backend) as _, Arc::new(ApproveAsAsked), config)
}

fn command(yield_time: Duration) -> ExecCommand {
    let mut command = ExecCommand::argv(["tool"]);
    command.stdin = true;
    command.collect.yield_time = yield_time;
    command
}

fn poll(yield_time: Duration) -> WriteStdin {
    WriteStdin { collect: Collect { yield_time, ..Collect::default() }, ..WriteStdin::default() }
}

fn backend() -> (Arc<FakeBackend>, Telling) {
    let backend = Arc::new(FakeBackend::default());
    let telling = backend.next_process();
    (backend, telling)
}

#[tokio::test(start_paused = true)]
async fn a_command_that_goes_on_is_reported_after_its_yield_time_and_not_before() {
    let (backend, mut process) = backend();
    process.output("so far");
    let exec = exec(&backend);
    let report = exec.exec_command(command(7 * SECOND)).await.expect("it starts");
    assert_eq!((report.output.text.as_str(), report.wall_time), ("so far", 7 * SECOND));
    assert!(report.state.is_running());
    // Output alone is no reason to answer.
    process.output("more");
    let report = exec.write_stdin(report.process, poll(3 * SECOND)).await.expect("it is known");
    assert_eq!((report.output.text.as_str(), report.wall_time), ("more", 3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_end_is_reported_at_once() {
    let (backend, mut process) = backend();
    let exec = exec(&backend);
    let telling = async {
        tokio::time::sleep(2 * SECOND).await;
        process.exited(/*code*/ 0, /*sandbox_denied*/ false);
        process.closed();
    };
    let (report, ()) = tokio::join!(exec.exec_command(command(60 * SECOND)), telling);
    assert_eq!(report.expect("it starts").wall_time, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn after_an_exit_the_rest_of_the_output_is_waited_for_only_so_long() {
    let (backend, mut process) = backend();
    process.exited(/*code*/ 4, /*sandbox_denied*/ false);
    let exec = exec(&backend);
    let report = exec.exec_command(command(60 * SECOND)).await.expect("it starts");
    assert!(matches!(report.state, ProcessState::Exited { output_open: true, .. }));
    assert_eq!(report.wall_time, SECOND);
    process.output("late");
    process.closed();
    let report = exec.write_stdin(report.process, poll(60 * SECOND)).await.expect("it is known");
    assert_eq!((report.output.text.as_str(), report.wall_time), ("late", Duration::ZERO));
    assert!(report.state.is_final() && report.state.exit_code() == Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_lost_fails_the_process_and_everybody_who_waits() {
    for exits in [false, true] {
        let (backend, mut process) = backend();
        process.output("last words");
        if exits {
            process.exited(/*code*/ 3, /*sandbox_denied*/ false);
        }
        process.tell(Err(ExecError::Disconnected("it burnt down".into())));
        let exec = exec(&backend);
        let report = exec.exec_command(command(60 * SECOND)).await.expect("it starts");
        let ProcessState::Failed { error: ExecError::Disconnected(reason), exit } = &report.state else {
            panic!("{:?}", report.state)
        };
        assert_eq!((&**reason, exit.as_ref().map(|exit| exit.code)), ("it burnt down", exits.then_some(3)));
        assert_eq!((report.output.text.as_str(), report.wall_time), ("last words", Duration::ZERO));
        let mut text = poll(SECOND);
        text.chars = "x".into();
        let refused = exec.write_stdin(report.process, text).await.expect_err("it is lost");
        assert!(refused.to_string().contains("can't be followed any more: it burnt down"), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_without_an_exit_does_not_add_up() {
    let (backend, mut process) = backend();
    process.closed();
    let exec = exec(&backend);
    let report = exec.exec_command(command(60 * SECOND)).await.expect("it starts");
    assert!(matches!(report.state, ProcessState::Failed { error: ExecError::Inconsistent(_), exit: None }));
}

#[tokio::test(start_paused = true)]
async fn what_the_machine_has_lost_is_counted_in_its_place() {
    let (backend, mut process) = backend();
    process.output("before");
    process.next();
    let through = process.next();
    process.tell(Ok(ExecProcessEvent::Gap { through, bytes: Some(500) }));
    process.output("after");
    process.exited(/*code*/ 0, /*sandbox_denied*/ false);
    process.closed();
    let exec = exec(&backend);
    let report = exec.exec_command(command(60 * SECOND)).await.expect("it starts");
    let omitted = report.output.omitted.expect("some is lost");
    assert_eq!((omitted.offset, omitted.bytes, omitted.lost_bytes), (6, 500, 500));
    assert!(report.output.text.starts_with("before\n[... 500 bytes left out, 500 of them lost;"));
    assert!(report.output.text.ends_with("\nafter"));
    // The fake has forgotten it, as servers do some time after the end.
    let refused =
        exec.read(report.process, /*offset*/ 0, Default::default()).await.expect_err("it is forgotten");
    assert!(matches!(refused, UnifiedExecError::OutputForgotten(_)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn input_that_is_not_read_gives_up_after_its_time() {
    let (backend, _process) = backend();
    let exec = exec(&backend);
    let number = exec.exec_command(command(Duration::ZERO)).await.expect("it starts").process;
    for (yield_time, waits) in [(Duration::ZERO, SECOND), (5 * SECOND, 5 * SECOND)] {
        let begin = Instant::now();
        let mut text = poll(yield_time);
        text.chars = "x".into();
        let refused = exec.write_stdin(number, text).await.expect_err("nobody reads");
        assert!(matches!(refused, UnifiedExecError::StdinFull(process) if process == number), "{refused:?}");
        assert_eq!(begin.elapsed(), waits);
    }
}
