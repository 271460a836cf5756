//! Bounds on what a process may use, from the wire's words to the kernel's.
//!
//! Where a control group was delegated to the server, memory and processes are those of the whole tree. Everything else, and
//! these where there is none, are resource limits: those hold for each process of a tree by itself, not for all of them
//! together, and that of processes counts the user's; root is not bound by it. A bound that would not hold is refused.

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::process::ProcessLimits;
use nix::sys::resource::{Resource, getrlimit};

use crate::os::{Group, Limit, LimitKind, TreeLimits, control_groups};

/// With less, not even the smallest program can be loaded.
const LEAST_MEMORY_BYTES: u64 = 1 << 20;
/// The first three are there from the start, and a program is loaded through another.
const LEAST_OPEN_FILES: u64 = 4;

/// A sandbox's launcher and its init are in the group of what they confine.
const SANDBOX_PROCESSES: u64 = 2;

/// What the kernel is to be told: of each process, and of the tree.
/// `is_confined` says that a sandbox counts for two processes of the tree.
pub(super) fn limits(
    asked: Option<&ProcessLimits>,
    is_confined: bool,
) -> Result<(Vec<Limit>, Option<Group>), ServiceError> {
    let Some(asked) = asked else { return Ok((Vec::new(), None)) };
    let groups = match asked {
        ProcessLimits { memory_bytes: None, processes: None, .. } => return Ok((of_each(asked)?, None)),
        _ => control_groups(),
    };
    let Some(Ok(groups)) = groups else { return Ok((of_each(asked)?, None)) };
    let mut tree = of_tree(asked)?;
    if is_confined {
        tree.processes = tree.processes.map(|count| count.saturating_add(SANDBOX_PROCESSES));
    }
    let each = of_each(&ProcessLimits { memory_bytes: None, processes: None, ..asked.clone() })?;
    let group = groups.make(tree).map_err(|error| {
        ServiceError::Internal(format!("limits can't be set: a control group for the process: {error}"))
    })?;
    Ok((each, Some(group)))
}

/// What all processes of a tree may have together.
fn of_tree(asked: &ProcessLimits) -> Result<TreeLimits, ServiceError> {
    let ProcessLimits { memory_bytes, processes, .. } = *asked;
    for (name, value, least) in
        [("memoryBytes", memory_bytes, LEAST_MEMORY_BYTES), ("processes", processes, 1)]
    {
        if let Some(value) = value.filter(|value| *value < least) {
            return Err(ServiceError::InvalidArgument(format!(
                "limits.{name} must be at least {least}, got {value}"
            )));
        }
    }
    Ok(TreeLimits { memory_bytes, processes })
}

/// What each process may have by itself.
fn of_each(asked: &ProcessLimits) -> Result<Vec<Limit>, ServiceError> {
    let ProcessLimits { memory_bytes, processes, cpu_ms, open_files, file_bytes } = *asked;
    if processes.is_some() && nix::unistd::geteuid().is_root() {
        return Err(ServiceError::InvalidArgument(
            "limits.processes can't be enforced by this server, since its processes belong to root, whom the system does \
             not bind; delegate a control group to the server, run it as another user, or leave it out"
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
        of_each(limits).expect_err("it is refused").to_string()
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
        assert_eq!(of_each(&asked).expect("all can be kept"), expected);
        assert_eq!(
            limits(/*asked*/ None, /*is_confined*/ false).expect("nothing is asked for"),
            (Vec::new(), None)
        );
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
            assert_eq!(of_each(&processes).expect("it can be kept").len(), 1);
        }
    }

    #[test]
    fn a_tree_may_have_as_much_as_it_is_given_but_not_nothing() {
        let asked =
            |memory_bytes, processes| ProcessLimits { memory_bytes, processes, ..ProcessLimits::default() };
        let expected = TreeLimits { memory_bytes: Some(u64::MAX), processes: Some(1) };
        assert_eq!(of_tree(&asked(Some(u64::MAX), Some(1))).expect("both can be kept"), expected);
        for (limits, told) in [
            (asked(Some(4096), /*processes*/ None), "limits.memoryBytes must be at least 1048576, got 4096"),
            (asked(/*memory_bytes*/ None, Some(0)), "limits.processes must be at least 1, got 0"),
        ] {
            assert!(of_tree(&limits).expect_err("it makes no sense").to_string().contains(told));
        }
    }
}
