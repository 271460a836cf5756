//! What is refused, and how: the same variants and codes wherever it is asked.

use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::process::{OutputBudget, ProcessLimits, ProcessStartParams};
use codex_exec_server_protocol::sandbox::SandboxContext;
use serde_json::{Value, json};

use crate::place::Backend;
use crate::steps::{Seen, shell, start};

cases! {
    everywhere {
        bad_arguments_are_refused_with_the_codes_of_the_protocol
        an_id_in_use_is_refused
        a_refused_start_leaves_its_id_free
        what_the_backend_lacks_is_named_before_anything_runs
    }
    not_on_reference {
        a_missing_program_and_a_missing_folder_are_told_apart: "it says no more than that something is missing"
        a_sandbox_that_can_not_be_enforced_is_refused: "it enforces some of its own"
        a_key_used_for_another_start_is_refused: "it has no keys"
    }
}

fn with(params: ProcessStartParams, change: impl FnOnce(&mut ProcessStartParams)) -> ProcessStartParams {
    let mut params = params;
    change(&mut params);
    params
}

fn uri(text: &str) -> codex_exec_server_protocol::path_uri::PathUri {
    serde_json::from_value(json!(text)).expect("a URI")
}

/// Code and data of the refusal of a start.
async fn refusal(backend: &Backend, params: ProcessStartParams) -> (i64, Option<Value>) {
    match backend.start(params).await {
        Err(ExecError::Refused(error)) => (error.code, error.data),
        other => panic!("{other:?}"),
    }
}

async fn bad_arguments_are_refused_with_the_codes_of_the_protocol(backend: Backend) {
    for (params, code) in [
        (with(shell("p", ""), |params| params.argv.clear()), -32602),
        (with(shell("p", ""), |params| params.argv = vec![String::new()]), -32603),
        (with(shell("p", ""), |params| params.argv = vec!["/nowhere/at-all".into()]), -32603),
        (with(shell("p", ""), |params| params.cwd = uri("file:///nowhere/at-all")), -32603),
        (with(shell("p", ""), |params| params.cwd = uri("file:///C:/Windows")), -32602),
        (with(shell("p", ""), |params| params.env = [("A".into(), "b\0c".into())].into()), -32603),
    ] {
        let described = format!("{params:?}");
        assert_eq!(refusal(&backend, params).await.0, code, "{described}");
    }
}

async fn an_id_in_use_is_refused(backend: Backend) {
    let process = start(&backend, shell("p", "exec sleep 1000")).await;
    for _ in 0..2 {
        let refused = backend.start(shell("p", "exit 0")).await.expect_err("the id is taken");
        assert!(matches!(&refused, ExecError::ProcessExists(id) if id.as_str() == "p"), "{refused:?}");
        assert_eq!(refused.to_string(), "process p already exists");
    }
    process.terminate(/*grace*/ None).await.expect("it was left alone");
    Seen::all(&process).await;
}

async fn a_refused_start_leaves_its_id_free(backend: Backend) {
    refusal(&backend, with(shell("p", ""), |params| params.argv = vec!["/nowhere/at-all".into()])).await;
    let process = start(&backend, shell("p", "exit 9")).await;
    assert_eq!(Seen::all(&process).await.code(), 9);
}

async fn what_the_backend_lacks_is_named_before_anything_runs(backend: Backend) {
    let flags = backend.environment().capabilities.clone();
    let limits = ProcessLimits {
        memory_bytes: Some(1 << 30),
        processes: None,
        cpu_ms: None,
        open_files: None,
        file_bytes: None,
    };
    for (has, params, name) in [
        (flags.process_limits, with(shell("a", ""), |params| params.limits = Some(limits)), "processLimits"),
        (
            flags.output_budget,
            with(shell("b", ""), |params| params.output = Some(OutputBudget::default())),
            "outputBudget",
        ),
        (
            flags.process_timeout,
            with(shell("c", ""), |params| params.timeout_ms = Some(1_000)),
            "processTimeout",
        ),
        (
            flags.idempotent_requests,
            with(shell("d", ""), |params| params.request_key = Some("key".into())),
            "idempotentRequests",
        ),
    ] {
        match backend.start(params).await {
            Ok(process) => {
                assert!(has, "{name} was not refused");
                Seen::all(&process).await;
            }
            Err(ExecError::Unsupported(flag)) => assert_eq!((has, flag), (false, name)),
            Err(other) => panic!("{other:?}"),
        }
    }
    if !flags.process_stdin_close {
        let process = start(&backend, shell("e", "exit 0")).await;
        assert!(matches!(process.close_stdin().await, Err(ExecError::Unsupported("processStdinClose"))));
    }
}

async fn a_missing_program_and_a_missing_folder_are_told_apart(backend: Backend) {
    let missing = "/nowhere/at-all";
    let program = with(shell("p", ""), |params| params.argv = vec![missing.into()]);
    let data = Some(json!({"what": "program", "path": missing, "errno": 2}));
    assert_eq!(refusal(&backend, program).await, (-32603, data));
    let folder = with(shell("p", ""), |params| params.cwd = uri("file:///nowhere/at-all"));
    let data = Some(json!({"what": "cwd", "path": missing, "errno": 2}));
    assert_eq!(refusal(&backend, folder).await, (-32603, data));
}

async fn a_sandbox_that_can_not_be_enforced_is_refused(backend: Backend) {
    let restricted = json!({
        "permissions": {"type": "managed", "file_system": {"type": "restricted", "entries": []}, "network": "restricted"},
        "windowsSandboxLevel": "disabled",
    });
    let sandbox: SandboxContext = serde_json::from_value(restricted).expect("a sandbox");
    let params = with(shell("p", "exit 0"), |params| params.sandbox = Some(sandbox));
    assert_eq!(refusal(&backend, params).await.0, -32602);
}

async fn a_key_used_for_another_start_is_refused(backend: Backend) {
    let keyed = |id, script| with(shell(id, script), |params| params.request_key = Some("key".into()));
    Seen::all(&start(&backend, keyed("p", "exit 0")).await).await;
    assert_eq!(refusal(&backend, keyed("q", "exit 0")).await.0, -32600);
}
