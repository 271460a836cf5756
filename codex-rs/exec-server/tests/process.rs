//! `process/*` as a client sees it. Real processes, and the same cases over every transport.

#[macro_use]
mod support;

#[path = "process/ack.rs"]
mod ack;
#[path = "process/control.rs"]
mod control;
#[path = "process/identity.rs"]
mod identity;
#[path = "process/observers.rs"]
mod observers;
#[path = "process/output.rs"]
mod output;
#[path = "process/pipelining.rs"]
mod pipelining;
#[path = "process/read.rs"]
mod read;
#[path = "process/resume.rs"]
mod resume;
#[path = "process/retention.rs"]
mod retention;
#[path = "process/session.rs"]
mod session;
#[path = "process/start.rs"]
mod start;
#[path = "process/stdin.rs"]
mod stdin;
#[path = "process/terminal.rs"]
mod terminal;
#[path = "process/terminate.rs"]
mod terminate;

use support::Transport;

// These three are known under exactly these names.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_and_exit_are_retained_after_notification_receiver_closes() {
    support::over(Transport::WebSocket, session::output_and_exit_are_retained_after_the_connection_is_gone)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_poll_read_fails_after_session_resume() {
    support::over(Transport::WebSocket, session::a_long_poll_fails_when_the_session_is_taken_over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exec_process_signal_interrupts_process() {
    support::over(Transport::WebSocket, control::an_interrupt_reaches_the_trap_of_a_process).await;
}
