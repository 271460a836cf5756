//! Getting a connection with an open session: the first one, and another after each loss.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::methods::{AnyParams, ClientNotification, Initialize};
use codex_exec_server_protocol::session::InitializeParams;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::client::{Attached, Peer};
use crate::config::ClientConfig;
use crate::dial::{DialError, Dialer};
use crate::error::ClientError;
use crate::link::{CallError, End, Link};
use crate::router::Router;

/// Why one attempt failed.
enum Failure {
    /// Trying again may help.
    Transient { error: ClientError },
    /// It won't.
    Final(ClientError),
}

impl Failure {
    fn into_error(self) -> ClientError {
        match self {
            Self::Transient { error } | Self::Final(error) => error,
        }
    }
}

/// A first connection with a new session. One attempt: whoever starts something wants to hear of a wrong address now.
pub(crate) async fn open(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
) -> Result<Arc<Attached>, ClientError> {
    attempt(dialer, router, config, None).await.map_err(Failure::into_error)
}

/// Another connection for the session of `peer`, tried again and again until the deadline.
pub(crate) async fn resume(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
    peer: &Peer,
    lost: &End,
) -> Result<Arc<Attached>, ClientError> {
    let deadline = Instant::now() + config.recovery_deadline;
    let mut last: Arc<str> = match lost {
        End::Lost(reason) | End::Violation(reason) => Arc::clone(reason),
    };
    loop {
        match timeout_at(deadline, attempt(dialer, router, config, Some(peer))).await {
            Ok(Ok(attached)) => return Ok(attached),
            Ok(Err(Failure::Final(error))) => return Err(error),
            Ok(Err(Failure::Transient { error })) => {
                tracing::debug!(%error, "connection is not back yet");
                last = error.to_string().into();
            }
            Err(_) => {}
        }
        if Instant::now() + config.recovery_pause >= deadline {
            return Err(ClientError::GaveUp { after: config.recovery_deadline, last });
        }
        sleep(config.recovery_pause).await;
    }
}

async fn attempt(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
    resumed: Option<&Peer>,
) -> Result<Arc<Attached>, Failure> {
    let connection = match timeout(config.connect_timeout, dialer.dial()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(dial_failure(error)),
        Err(_) => return Err(transient(ClientError::ConnectTimedOut { after: config.connect_timeout })),
    };
    let link = Link::open(connection, Arc::clone(router), &config.link);
    let params = InitializeParams {
        client_name: config.client_name.clone(),
        resume_session_id: resumed.map(|peer| peer.session_id.clone()),
        takeover: resumed.is_some_and(|peer| peer.environment.capabilities.session_takeover),
        detached_lifetime_ms: config
            .detached_lifetime
            .map(|lifetime| u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)),
    };
    let answer = match timeout(config.initialize_timeout, link.call::<Initialize>(&params)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(CallError::Refused(error))) => return Err(refusal(error, resumed)),
        Ok(Err(CallError::Disconnected(_))) => return Err(lost(link.ended().await)),
        Err(_) => return Err(timed_out(config.initialize_timeout)),
    };
    if let Some(peer) = resumed
        && peer.session_id != answer.session_id
    {
        let text = format!("session {} was resumed as {}", peer.session_id, answer.session_id);
        return Err(Failure::Final(ClientError::Protocol(text.into())));
    }
    let initialized = ClientNotification::Initialized(AnyParams {});
    if link.notify(&initialized).await.is_err() {
        return Err(lost(link.ended().await));
    }
    let environment = answer
        .environment_info
        .or_else(|| resumed.map(|peer| peer.environment.clone()))
        .unwrap_or_else(unknown_environment);
    let peer = Peer {
        session_id: answer.session_id,
        environment,
        limits: answer.limits,
        detached_lifetime: answer.detached_lifetime_ms.map(Duration::from_millis),
    };
    Ok(Arc::new(Attached { link, peer: Arc::new(peer) }))
}

/// What is assumed of a very old peer that tells nothing.
fn unknown_environment() -> EnvironmentInfo {
    use codex_exec_server_protocol::environment::{EnvironmentCapabilities, ShellInfo};
    EnvironmentInfo {
        shell: ShellInfo { name: "sh".into(), path: "/bin/sh".into() },
        executor_version: None,
        provider_id: None,
        cwd: None,
        user_home_dir: None,
        platform_os: None,
        prepend_path_dirs: Vec::new(),
        temporary_directories: Vec::new(),
        temp_dir: None,
        capabilities: EnvironmentCapabilities::default(),
    }
}

const fn transient(error: ClientError) -> Failure {
    Failure::Transient { error }
}

fn dial_failure(error: DialError) -> Failure {
    if error.is_transient() { transient(error.into()) } else { Failure::Final(error.into()) }
}

fn lost(end: End) -> Failure {
    match end {
        End::Lost(reason) => transient(ClientError::Lost(format!("connection was lost: {reason}"))),
        End::Violation(reason) => Failure::Final(ClientError::Protocol(reason)),
    }
}

const fn timed_out(after: Duration) -> Failure {
    transient(ClientError::InitializeTimedOut { after })
}

fn refusal(error: RpcError, resumed: Option<&Peer>) -> Failure {
    match resumed {
        None => Failure::Final(ClientError::Refused(error)),
        // The server has not noticed yet that the old connection is gone.
        Some(_) if error.code == ErrorCode::SessionInUse.number() => transient(ClientError::Refused(error)),
        Some(peer) => {
            Failure::Final(ClientError::SessionLost { session: peer.session_id.clone(), source: error })
        }
    }
}
