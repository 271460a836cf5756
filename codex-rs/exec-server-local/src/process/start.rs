//! From the parameters of `process/start` to something the operating system can start.
//!
//! Everything that can be refused without asking the kernel is refused here, before an id is taken. What this server
//! can't enforce is refused too: a sandbox or a limit that is silently ignored would be worse than none.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_exec_server_core::error::{ServiceError, StartStage};
use codex_exec_server_core::limits::LogLimits;
use codex_exec_server_protocol::path_uri::{HostOs, PathUri};
use codex_exec_server_protocol::process::{ProcessStartParams, WhenFull};
use codex_exec_server_protocol::sandbox::SandboxContext;

use codex_linux_sandbox::Held;

use super::handle::About;
use super::host::ProcessHost;
use super::limits::limits;
use super::managed::{Bridge, bridge_proxies, isolated};
use super::shell::{Wanted, wanted};
use crate::env::{Environment, child_environment};
use crate::os;
use crate::sandbox::{PrepareError, unenforceable};

/// The size of a terminal whose client names none.
const DEFAULT_SIZE: os::Size = os::Size { rows: 24, cols: 80 };

/// Chunks are not made smaller than this on account of a small budget.
const SMALLEST_CHUNK_BYTES: usize = 1 << 10;

/// Tells a repeat of a start from another start: by everything that its parameters say.
pub(super) fn fingerprint(params: &ProcessStartParams) -> u64 {
    let mut hasher = DefaultHasher::new();
    // All maps in there are ordered, so equal parameters always look alike.
    format!("{params:?}").hash(&mut hasher);
    hasher.finish()
}

/// Used as `SHELL` by terminals whose environment names none, as the reference peer does.
const DEFAULT_SHELL: &str = "/bin/bash";

/// A start that may be tried.
pub(super) struct Plan {
    pub(super) command: os::Command,
    /// What is to confine it.
    pub(super) confinement: Option<Confinement>,
    /// What it is to be made from, if not from scratch.
    pub(super) snapshot: Option<Wanted>,
    pub(super) about: About,
    pub(super) log: LogLimits,
    pub(super) when_full: Option<WhenFull>,
}

/// What confines a process.
#[derive(Clone)]
pub(super) struct Confinement {
    context: SandboxContext,
    /// The only ways out of its network.
    bridges: Vec<Bridge>,
}

impl Confinement {
    /// The same without any way out of its network.
    pub(super) fn closed(&self) -> Self {
        Self { context: self.context.clone(), bridges: Vec::new() }
    }
}

/// Checks `params` and makes a plan of them.
pub(super) fn plan(host: &ProcessHost, params: &ProcessStartParams) -> Result<Plan, ServiceError> {
    if params.argv.is_empty() {
        return Err(ServiceError::InvalidArgument("argv must not be empty".into()));
    }
    refuse_what_cannot_be_enforced(params)?;
    let (limits, group) = limits(params.limits.as_ref(), params.sandbox.is_some())?;
    let cwd = host_path("cwd", &params.cwd)?;
    if let Some(policy) = &params.env_policy {
        let limit = host.limits.env_pattern_bytes;
        let bytes: usize = policy.exclude.iter().chain(&policy.include_only).map(String::len).sum();
        if bytes > limit {
            return Err(ServiceError::InvalidArgument(format!(
                "envPolicy patterns must not exceed {limit} bytes together, got {bytes}"
            )));
        }
    }
    refuse_odd_names(params)?;
    let mut env = child_environment(&host.environment, params.env_policy.as_ref(), &params.env);
    let confinement = confinement(params, &mut env)?;
    let stdio = if params.tty {
        env.entry("SHELL".into()).or_insert_with(|| DEFAULT_SHELL.into());
        let size = params.size.map_or(DEFAULT_SIZE, |size| os::Size { rows: size.rows, cols: size.cols });
        check_size(size.rows, size.cols)?;
        os::Stdio::Pty(size)
    } else {
        os::Stdio::Pipes { stdin: if params.pipe_stdin { os::Stdin::Pipe } else { os::Stdin::Null } }
    };
    let command = os::Command {
        argv: params.argv.iter().map(Into::into).collect(),
        arg0: params.arg0.as_ref().map(Into::into),
        cwd,
        env: env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        stdio,
        carried: None,
        limits,
        group,
    };
    let snapshot = wanted(params, &command, &env)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let about = About {
        argv: params.argv.clone(),
        cwd: params.cwd.clone(),
        tty: params.tty,
        started_at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        timeout: params.timeout_ms.map(Duration::from_millis),
        request_key: params.request_key.clone(),
    };
    let when_full = params.output.as_ref().and_then(|budget| budget.when_full);
    let log = output_budget(host, params);
    Ok(Plan { command, confinement, snapshot, about, log, when_full })
}

/// What is to confine the process. A managed network changes what its environment says of proxies.
fn confinement(
    params: &ProcessStartParams,
    env: &mut Environment,
) -> Result<Option<Confinement>, ServiceError> {
    match (&params.sandbox, params.enforce_managed_network) {
        // `managedNetwork` itself only loosens a confinement that is not asked for.
        (sandbox, false) => Ok(sandbox.clone().map(|context| Confinement { context, bridges: Vec::new() })),
        (None, true) => Err(ServiceError::InvalidArgument(
            "enforceManagedNetwork needs a `sandbox`: nothing else keeps the process from the network".into(),
        )),
        (Some(context), true) => {
            let context = isolated(context)?;
            let bridges = bridge_proxies(env, params.managed_network.as_ref())?;
            Ok(Some(Confinement { context, bridges }))
        }
    }
}

/// Programs would read another name than was written. What a value may not hold is found where it is laid out.
fn refuse_odd_names(params: &ProcessStartParams) -> Result<(), ServiceError> {
    let set = params.env_policy.iter().flat_map(|policy| policy.set.keys());
    match params.env.keys().chain(set).find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => Err(ServiceError::InvalidArgument(format!(
            "the name of a variable must not be empty, and holds neither `=` nor NUL, got {name:?}"
        ))),
        None => Ok(()),
    }
}

/// A terminal size as the protocol allows it.
pub(super) fn check_size(rows: u16, cols: u16) -> Result<(), ServiceError> {
    if rows == 0 || cols == 0 {
        return Err(ServiceError::InvalidArgument(format!(
            "terminal size must be between 1 and 65535 rows and columns, got {rows} x {cols}"
        )));
    }
    Ok(())
}

fn output_budget(host: &ProcessHost, params: &ProcessStartParams) -> LogLimits {
    let mut log = host.limits.log;
    if let Some(bytes) = params.output.as_ref().and_then(|budget| budget.retain_bytes) {
        // One that keeps nothing would never write anything either.
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).max(1);
        log.retain_bytes = log.retain_bytes.min(bytes);
        // Output is dropped by whole chunks, so a small budget needs small ones to be used.
        log.chunk_bytes = log.chunk_bytes.min((log.retain_bytes / 8).max(SMALLEST_CHUNK_BYTES));
    }
    log
}

fn host_path(field: &str, uri: &PathUri) -> Result<PathBuf, ServiceError> {
    let path = uri.to_host_path_bytes(HostOs::Linux).map_err(|foreign| {
        ServiceError::InvalidArgument(format!(
            "{field} URI `{uri}` is not valid on this exec-server host: {foreign}"
        ))
    })?;
    Ok(PathBuf::from(OsStr::from_bytes(&path)))
}

fn refuse_what_cannot_be_enforced(params: &ProcessStartParams) -> Result<(), ServiceError> {
    if params.network_proxy.is_some() {
        return Err(ServiceError::InvalidArgument(
            "networkProxy can't be enforced by this server, so the process was not started".into(),
        ));
    }
    Ok(())
}

/// A process that was born.
pub(super) struct Born {
    pub(super) spawned: os::Spawned,
    /// What goes with its sandbox, if it has one.
    pub(super) held: Option<Held>,
    /// To be carried for as long as it lives: what listens inside, and where that leads.
    pub(super) bridges: Vec<(OwnedFd, Vec<SocketAddr>)>,
}

/// A birth, confined if that was asked for.
pub(super) fn spawn(
    host: &ProcessHost,
    command: &os::Command,
    confinement: Option<Confinement>,
) -> Result<Born, ServiceError> {
    let unconfined = || {
        let spawned = os::spawn(command).map_err(start_error)?;
        Ok(Born { spawned, held: None, bridges: Vec::new() })
    };
    let Some(Confinement { context, bridges }) = confinement else { return unconfined() };
    let ports = bridges.iter().map(|bridge| bridge.port).collect();
    let prepared = match host.sandbox.prepare(&context, command, ports) {
        Ok(Some(prepared)) => prepared,
        Ok(None) if bridges.is_empty() => return unconfined(),
        Ok(None) => return Err(unenforceable("a managed network needs a sandbox that closes the network")),
        Err(PrepareError::Refused(error)) => return Err(error),
        Err(PrepareError::Command(error)) => return Err(start_error(error)),
    };
    let os::Confined { spawned, held, listeners } =
        host.sandbox.spawn(command, prepared).map_err(start_error)?;
    let bridges = listeners.into_iter().zip(bridges.into_iter().map(|bridge| bridge.target)).collect();
    Ok(Born { spawned, held: Some(held), bridges })
}

/// What the client hears of a start that failed.
fn start_error(error: os::SpawnError) -> ServiceError {
    let (stage, subject) = match &error {
        os::SpawnError::Program { path, .. } => (StartStage::Program, path.display().to_string()),
        os::SpawnError::WorkingDirectory { path, .. } => {
            (StartStage::WorkingDirectory, path.display().to_string())
        }
        os::SpawnError::Setup { stage, .. } => (StartStage::Setup, stage.to_string()),
        os::SpawnError::Confinement(reason) => return unenforceable(reason),
        os::SpawnError::MissingProgram { .. } | os::SpawnError::NulByte { .. } => {
            return ServiceError::Internal(error.to_string());
        }
    };
    match error.os_error() {
        Some(source) => ServiceError::Start { stage, subject, source: source.into() },
        None => ServiceError::Internal(error.to_string()),
    }
}
