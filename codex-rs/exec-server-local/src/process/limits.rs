//! Bounds on what a process may use, from the wire's words to the kernel's.
//!
//! They are resource limits. Those hold for each process of a tree by itself, not for all of them together, and that of
//! processes counts the user's; root is not bound by it. A bound that would not hold is refused.

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::process::ProcessLimits;
use nix::sys::resource::{Resource, getrlimit};

use crate::os::{Limit, LimitKind};

/// With less, not even the smallest program can be loaded.
const LEAST_MEMORY_BYTES: u64 = 1 << 20;
/// The first three are there from the start, and a program is loaded through another.
const LEAST_OPEN_FILES: u64 = 4;

/// What the kernel is to be told.
pub(super) fn limits(asked: Option<&ProcessLimits>) -> Result<Vec<Limit>, ServiceError> {
    let Some(asked) = asked else { return Ok(Vec::new()) };
    let ProcessLimits { memory_bytes, processes, cpu_ms, open_files, file_bytes } = *asked;
    if processes.is_some() && nix::unistd::geteuid().is_root() {
        return Err(ServiceError::InvalidArgument(
            "limits.processes can't be enforced by this server, since its processes belong to root, whom the system does \
             not bind; run the server as another user, or leave it out"
                .into(),
        ));
    }
    let mut limits = Vec::new();
    for (name, value, least, kind, resource) in [
        ("memoryBytes", memory_bytes, LEAST_MEMORY_BYTES, LimitKind::MemoryBytes, Resource::RLIMIT_AS),
        ("processes", processes, 1, LimitKind::Processes, Resource::RLIMIT_NPROC),
        ("cpuMs", cpu_ms, 1, LimitKind::CpuSeconds, Resource::RLIMIT_CPU),
        ("openFiles", open_files, LEAST_OPEN_FILES, LimitKind::OpenFiles, Resource::RLIMIT_NOFILE),
        ("fileBytes", file_bytes, 0, LimitKind::FileBytes, Resource::RLIMIT_FSIZE),
    ] {
        let Some(value) = value else { continue };
        // More than the server itself may have is nobody's to give.
        let most = getrlimit(resource).map_or(u64::MAX, |(_, hard)| hard);
        let (most, in_units) = match kind {
            LimitKind::CpuSeconds => (most.saturating_mul(1000), value.div_ceil(1000)),
            _ => (most, value),
        };
        if !(least..=most).contains(&value) {
            return Err(ServiceError::InvalidArgument(format!(
                "limits.{name} must be between {least} and {most}, got {value}"
            )));
        }
        limits.push(Limit { kind, value: in_units });
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(limits: &ProcessLimits) -> String {
        super::limits(Some(limits)).expect_err("it is refused").to_string()
    }

    #[test]
    fn each_bound_is_told_in_the_kernels_unit() {
        let asked = ProcessLimits {
            memory_bytes: Some(64 << 20),
            cpu_ms: Some(1001),
            open_files: Some(16),
            file_bytes: Some(0),
            ..ProcessLimits::default()
        };
        let limit = |kind, value| Limit { kind, value };
        let expected = [
            limit(LimitKind::MemoryBytes, 64 << 20),
            limit(LimitKind::CpuSeconds, 2),
            limit(LimitKind::OpenFiles, 16),
            limit(LimitKind::FileBytes, 0),
        ];
        assert_eq!(limits(Some(&asked)).expect("all can be kept"), expected);
        assert_eq!(limits(/*asked*/ None).expect("nothing is asked for"), []);
    }

    #[test]
    fn what_makes_no_sense_or_would_not_hold_is_refused_by_name() {
        let none = ProcessLimits::default();
        let text = told(&ProcessLimits { memory_bytes: Some(0), ..none.clone() });
        assert!(
            text.starts_with("limits.memoryBytes must be between 1048576 and ") && text.ends_with(", got 0"),
            "{text}"
        );
        let text = told(&ProcessLimits { cpu_ms: Some(0), ..none.clone() });
        assert!(text.starts_with("limits.cpuMs must be between 1 and "), "{text}");
        let text = told(&ProcessLimits { open_files: Some(3), ..none.clone() });
        assert!(text.starts_with("limits.openFiles must be between 4 and "), "{text}");
        let processes = ProcessLimits { processes: Some(100), ..none };
        if nix::unistd::geteuid().is_root() {
            assert!(told(&processes).contains("limits.processes can't be enforced"));
        } else {
            assert_eq!(limits(Some(&processes)).expect("it can be kept").len(), 1);
        }
    }
}
