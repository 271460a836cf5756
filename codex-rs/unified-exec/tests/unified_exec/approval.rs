//! What may run is decided by the caller, before a command runs and after its sandbox denied it something.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use codex_exec_server_core::service::ServiceFuture;
use codex_exec_server_protocol::sandbox::SandboxContext;
use codex_exec_server_unified_exec::{
    ApproveAsAsked, Approver, Decision, Denied, ExecCommand, Proposed, RefuseAll, Report, SandboxReview,
    UnifiedExec, UnifiedExecError,
};
use serde_json::json;

use crate::fake::FakeBackend;
use crate::support::to_the_end;

/// Decides as it was told to, and notes what it was asked.
#[derive(Debug, Default)]
struct Scripted {
    decisions: Mutex<VecDeque<Decision>>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(decisions: impl IntoIterator<Item = Decision>) -> Arc<Self> {
        Arc::new(Self { decisions: Mutex::new(decisions.into_iter().collect()), asked: Mutex::default() })
    }

    fn decide(&self, asked: String) -> ServiceFuture<'_, Decision> {
        self.asked.lock().expect("no panic").push(asked);
        let decision = self.decisions.lock().expect("no panic").pop_front().expect("a decision for it");
        Box::pin(async { decision })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Approver for Scripted {
    fn review<'a>(&'a self, proposed: Proposed<'a>) -> ServiceFuture<'a, Decision> {
        self.decide(format!("run {:?} in {}", proposed.resolved.argv, proposed.resolved.cwd))
    }

    fn review_without_sandbox<'a>(&'a self, denied: Denied<'a>) -> ServiceFuture<'a, Decision> {
        self.decide(format!("again after {} and {:?}", denied.exit.code, denied.output))
    }
}

fn refuse(reason: &str) -> Decision {
    Decision::Refuse(reason.into())
}

fn sandbox() -> SandboxContext {
    let restricted = json!({
        "permissions": {"type": "managed", "file_system": {"type": "restricted", "entries": []}, "network": "restricted"},
        "windowsSandboxLevel": "disabled",
    });
    serde_json::from_value(restricted).expect("a sandbox")
}

fn sandboxed() -> ExecCommand {
    let mut command = ExecCommand::argv(["tool", "go"]);
    command.sandbox = Some(sandbox());
    command.collect = to_the_end();
    command
}

async fn run(
    backend: &Arc<FakeBackend>,
    approver: Arc<dyn Approver>,
) -> (UnifiedExec, Result<Report, UnifiedExecError>) {
    let exec = UnifiedExec::new(Arc::clone(backend) as _, approver, Default::default());
    let outcome = exec.exec_command(sandboxed()).await;
    (exec, outcome)
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_not_approved_never_runs() {
    let backend = Arc::new(FakeBackend::default());
    let approver = Scripted::new([refuse("not on a Sunday")]);
    let (_, refused) = run(&backend, Arc::clone(&approver) as _).await;
    assert_eq!(refused.expect_err("refused").to_string(), "command was not approved: not on a Sunday");
    assert_eq!(approver.asked(), ["run [\"tool\", \"go\"] in file:///"]);
    let (_, refused) = run(&backend, Arc::new(RefuseAll)).await;
    assert!(matches!(refused, Err(UnifiedExecError::NotApproved(_))));
    assert!(backend.started.lock().expect("no panic").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_denied_command_runs_again_without_its_sandbox_if_that_is_approved() {
    let backend = Arc::new(FakeBackend::default());
    let mut first = backend.next_process();
    first.output("may not\n");
    first.exited(/*code*/ 1, /*sandbox_denied*/ true);
    first.closed();
    let mut second = backend.next_process();
    second.output("did it\n");
    second.exited(/*code*/ 0, /*sandbox_denied*/ false);
    second.closed();
    let approver = Scripted::new([Decision::Approve, Decision::Approve]);
    let (exec, report) = run(&backend, Arc::clone(&approver) as _).await;
    let report = report.expect("approved");
    assert_eq!(report.sandbox_review, Some(SandboxReview::RetriedWithout));
    assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("did it\n", Some(0)));
    assert!(!report.state.sandbox_denied());
    assert_eq!(approver.asked()[1], "again after 1 and \"may not\\n\"");
    let started = backend.started.lock().expect("no panic");
    let sandboxes: Vec<_> = started.iter().map(|params| params.sandbox.clone()).collect();
    assert_eq!(sandboxes, [Some(sandbox()), None]);
    assert_ne!(started[0].process_id, started[1].process_id);
    // Nothing of the first run is left beside the second.
    assert_eq!(*backend.terminated.lock().expect("no panic"), [started[0].process_id.clone()]);
    assert_eq!(exec.list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_denial_that_is_not_lifted_is_reported_with_the_reason() {
    let approvers: [(Arc<dyn Approver>, &str); 2] = [
        (Scripted::new([Decision::Approve, refuse("keep it confined")]), "keep it confined"),
        (Arc::new(ApproveAsAsked), "nobody approves running without a sandbox"),
    ];
    for (approver, reason) in approvers {
        let backend = Arc::new(FakeBackend::default());
        let mut denied = backend.next_process();
        denied.output("may not\n");
        denied.exited(/*code*/ 1, /*sandbox_denied*/ true);
        denied.closed();
        let (_, report) = run(&backend, approver).await;
        let report = report.expect("approved");
        assert_eq!(report.sandbox_review, Some(SandboxReview::Refused(reason.into())));
        assert!(report.state.sandbox_denied());
        assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("may not\n", Some(1)));
        assert_eq!(backend.started.lock().expect("no panic").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_without_a_sandbox_has_nothing_to_be_freed_of() {
    let backend = Arc::new(FakeBackend::default());
    let mut process = backend.next_process();
    process.exited(/*code*/ 1, /*sandbox_denied*/ true);
    process.closed();
    let approver = Scripted::new([Decision::Approve]);
    let exec = UnifiedExec::new(Arc::clone(&backend) as _, Arc::clone(&approver) as _, Default::default());
    let command = ExecCommand { sandbox: None, ..sandboxed() };
    let report = exec.exec_command(command).await.expect("approved");
    assert_eq!((report.sandbox_review.clone(), report.state.sandbox_denied()), (None, true));
    assert_eq!(approver.asked().len(), 1);
}
