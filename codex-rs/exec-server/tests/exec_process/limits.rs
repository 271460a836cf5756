//! Bounds on what a process may use.

use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::process::{ProcessLimits, ProcessStartParams};

use crate::place::Backend;
use crate::steps::{Seen, shell, start};

cases! {
    everywhere {
    }
    not_on_reference {
        bounds_are_the_programs_own: "it has none"
        a_program_fails_or_ends_at_its_bounds: "it has none"
        bounds_that_make_no_sense_are_refused_by_name: "it has none"
    }
}

fn bounded(script: &str, limits: ProcessLimits) -> ProcessStartParams {
    ProcessStartParams { limits: Some(limits), ..shell("p", script) }
}

async fn bounds_are_the_programs_own(backend: Backend) {
    let limits = ProcessLimits {
        memory_bytes: Some(256 << 20),
        cpu_ms: Some(5_001),
        open_files: Some(33),
        file_bytes: Some(512 * 1024),
        ..ProcessLimits::default()
    };
    // Memory in KiB, time in seconds, files in blocks of 512 bytes.
    let script = "ulimit -v; ulimit -t; ulimit -n; ulimit -f; sh -c 'ulimit -n'";
    let process = start(&backend, bounded(script, limits)).await;
    let seen = Seen::all(&process).await;
    assert_eq!(String::from_utf8_lossy(&seen.stdout), "262144\n6\n33\n1024\n33\n");
    // The next one is not bound.
    let process = start(&backend, shell("q", "ulimit -v")).await;
    assert_ne!(Seen::all(&process).await.stdout, b"262144\n");
}

async fn a_program_fails_or_ends_at_its_bounds(backend: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let script = format!("head -c 100000 /dev/zero > {}; echo went on", file.display());
    let limits = ProcessLimits { file_bytes: Some(1000), ..ProcessLimits::default() };
    let process = start(&backend, bounded(&script, limits)).await;
    Seen::all(&process).await;
    assert_eq!(std::fs::metadata(&file).expect("it was begun").len(), 1000);

    // What it takes, however long that takes: the kernel ends it.
    let limits = ProcessLimits { cpu_ms: Some(1), ..ProcessLimits::default() };
    let process = start(
        &backend,
        ProcessStartParams { process_id: "q".into(), ..bounded("while :; do :; done", limits) },
    )
    .await;
    assert_eq!(Seen::all(&process).await.exit.expect("it ended").code, 128 + 9);
}

async fn bounds_that_make_no_sense_are_refused_by_name(backend: Backend) {
    for (limits, name) in [
        (ProcessLimits { memory_bytes: Some(1), ..ProcessLimits::default() }, "limits.memoryBytes"),
        (ProcessLimits { cpu_ms: Some(0), ..ProcessLimits::default() }, "limits.cpuMs"),
        (ProcessLimits { open_files: Some(u64::MAX), ..ProcessLimits::default() }, "limits.openFiles"),
    ] {
        match backend.start(bounded("exit 0", limits)).await {
            Err(ExecError::Refused(error)) => {
                assert_eq!(error.code, -32602);
                assert!(error.message.starts_with(name), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}
