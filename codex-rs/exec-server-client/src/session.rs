//! A connection with an open session: how one is made, once.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::output_window::acknowledge_every;
use codex_exec_server_core::reconnect::Verdict;
use codex_exec_server_protocol::environment::{EnvironmentCapabilities, EnvironmentInfo, ShellInfo};
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::ids::SessionId;
use codex_exec_server_protocol::methods::{AnyParams, ClientNotification, Initialize};
use codex_exec_server_protocol::session::{
    ClientCapabilities, InitializeParams, InitializeResponse, ServerLimits,
};
use codex_exec_server_transport::client::{Connected, Departure};
use tokio::time::timeout;

use crate::config::ClientConfig;
use crate::dial::{DialError, Dialer};
use crate::error::{ClientError, Unsupported};
use crate::link::{CallError, End, Link, Pending, Place};
use crate::router::Router;

/// Who is at the other end of a session.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The session.
    pub session_id: SessionId,
    /// Whether this client only watches it; see [`Client::observe`](crate::Client::observe).
    pub observes: bool,
    /// What the server's machine is like and what the server can do.
    pub environment: Arc<EnvironmentInfo>,
    /// Bounds that the server told. Flag `serverLimits`.
    pub limits: Option<ServerLimits>,
    /// How long the server keeps the session while no connection holds it. Flag `sessionLifetime`.
    pub detached_lifetime: Option<Duration>,
}

impl Peer {
    /// After how much its server is to be told how far the subscribers to a process are, if it wants to know.
    pub(crate) fn acknowledge_every(&self, config: &ClientConfig) -> Option<u64> {
        if !self.environment.capabilities.output_window {
            return None;
        }
        let granted = self.limits.as_ref().and_then(|limits| limits.output_window_bytes).unwrap_or(u64::MAX);
        Some(acknowledge_every(config.process.window_bytes().min(granted)))
    }
}

/// A connection with an open session.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) link: Link,
    pub(crate) peer: Arc<Peer>,
}

/// Which session to open.
#[derive(Debug)]
pub(crate) enum Wanted<'a> {
    /// A new one.
    New,
    /// One of which only the id is known.
    Existing { session_id: SessionId, takeover: bool },
    /// One of which only the id is known, to watch it.
    Observed { session_id: SessionId },
    /// The one that was lost.
    Lost(&'a Peer),
}

impl Wanted<'_> {
    fn session_id(&self) -> Option<&SessionId> {
        match self {
            Self::New => None,
            Self::Existing { session_id, .. } | Self::Observed { session_id } => Some(session_id),
            Self::Lost(peer) => Some(&peer.session_id),
        }
    }

    /// Whether to watch it rather than to hold it.
    const fn observes(&self) -> bool {
        match self {
            Self::New | Self::Existing { .. } => false,
            Self::Observed { .. } => true,
            Self::Lost(peer) => peer.observes,
        }
    }
}

/// How to say what a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Everything at once, with the request for the connection itself: it costs one round trip. A server that does not take
    /// that, or has no session for us, may end the connection without a word.
    Together,
    /// One thing after the other.
    InTurn,
}

/// Makes the connection of a link; what the link was given to say so far goes first. True if it left before the connection
/// was there; `departure` tells whether it may have, if there is none.
pub(crate) async fn dial(
    dialer: &Dialer,
    config: &ClientConfig,
    link: &Link,
    mut place: Place,
    departure: &Departure,
) -> Result<bool, ClientError> {
    let first_words = place.first_words();
    let has_words = !first_words.is_empty();
    match timeout(config.connect_timeout, dialer.dial(first_words, departure)).await {
        Ok(Ok(Connected { connection, unsent })) => {
            let was_early = has_words && unsent.is_empty();
            link.connect(place, connection, unsent);
            Ok(was_early)
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ClientError::ConnectTimedOut { after: config.connect_timeout }),
    }
}

/// An `initialize` that was sent.
pub(crate) struct Opening<'a> {
    pending: Pending<InitializeResponse>,
    wanted: &'a Wanted<'a>,
    patience: Duration,
}

/// Asks for a session.
pub(crate) async fn begin<'a>(
    link: &Link,
    config: &ClientConfig,
    wanted: &'a Wanted<'a>,
) -> Result<Opening<'a>, ClientError> {
    let takeover = match wanted {
        Wanted::New | Wanted::Observed { .. } => false,
        Wanted::Existing { takeover, .. } => *takeover,
        Wanted::Lost(peer) => peer.environment.capabilities.session_takeover && !peer.observes,
    };
    let (observed, held) =
        if wanted.observes() { (wanted.session_id(), None) } else { (None, wanted.session_id()) };
    let params = InitializeParams {
        client_name: config.client_name.clone(),
        resume_session_id: held.cloned(),
        takeover,
        observe_session_id: observed.cloned(),
        detached_lifetime_ms: config
            .detached_lifetime
            .filter(|_| observed.is_none())
            .map(|lifetime| u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)),
        capabilities: ClientCapabilities {
            binary_output: config.binary_output,
            output_window_bytes: Some(config.process.window_bytes()),
            output_packing_ms: config
                .output_packing
                .filter(|_| config.binary_output)
                .map(|interval| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)),
        },
    };
    match link.begin::<Initialize>(&params).await {
        Ok(pending) => Ok(Opening { pending, wanted, patience: config.initialize_timeout }),
        Err(_) => Err(lost(link).await),
    }
}

impl Opening<'_> {
    /// Waits for the session.
    pub(crate) async fn opened(self, link: &Link) -> Result<Peer, ClientError> {
        match timeout(self.patience, self.pending.answer()).await {
            Ok(Ok(answer)) => recognize(answer, self.wanted),
            Ok(Err(CallError::Refused(error))) => Err(refusal(error, self.wanted)),
            Ok(Err(CallError::Disconnected(_))) => Err(lost(link).await),
            Err(_) => Err(ClientError::InitializeTimedOut { after: self.patience }),
        }
    }
}

/// Tells the server that everything else follows. It may be told before it has answered.
pub(crate) async fn complete(link: &Link) -> Result<(), ClientError> {
    match link.notify(&ClientNotification::Initialized(AnyParams {})).await {
        Ok(()) => Ok(()),
        Err(_) => Err(lost(link).await),
    }
}

/// Dials and opens a session. One attempt; another one only if the server ended the connection, without a word, over being
/// told everything at once.
pub(crate) async fn open(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
    wanted: &Wanted<'_>,
) -> Result<Arc<Attached>, ClientError> {
    let (link, place) = Link::prepare(Arc::clone(router), &config.link);
    let opening = begin(&link, config, wanted).await?;
    complete(&link).await?;
    let was_early = dial(dialer, config, &link, place, &Departure::default()).await?;
    match opening.opened(&link).await {
        Ok(peer) => Ok(Arc::new(Attached { link, peer: Arc::new(peer) })),
        Err(ClientError::Lost(_) | ClientError::InitializeTimedOut { .. }) if was_early => {
            open_in_turn(dialer, router, config, wanted).await
        }
        Err(error) => Err(error),
    }
}

async fn open_in_turn(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
    wanted: &Wanted<'_>,
) -> Result<Arc<Attached>, ClientError> {
    let (link, place) = Link::prepare(Arc::clone(router), &config.link);
    dial(dialer, config, &link, place, &Departure::default()).await?;
    let peer = begin(&link, config, wanted).await?.opened(&link).await?;
    complete(&link).await?;
    Ok(Arc::new(Attached { link, peer: Arc::new(peer) }))
}

/// Who answered, provided that it is the session that was asked for.
fn recognize(answer: InitializeResponse, wanted: &Wanted<'_>) -> Result<Peer, ClientError> {
    if let Some(asked) = wanted.session_id()
        && *asked != answer.session_id
    {
        let knows = |info: &EnvironmentInfo| info.capabilities.observers;
        if wanted.observes() && !answer.environment_info.as_ref().is_some_and(knows) {
            return Err(Unsupported("observers").into());
        }
        let text = format!("session {asked} was resumed as {}", answer.session_id);
        return Err(ClientError::Protocol(text.into()));
    }
    let environment = match (answer.environment_info, wanted) {
        (Some(environment), _) => Arc::new(environment),
        (None, Wanted::Lost(peer)) => Arc::clone(&peer.environment),
        (None, _) => Arc::new(unknown_environment()),
    };
    Ok(Peer {
        session_id: answer.session_id,
        observes: wanted.observes(),
        environment,
        limits: answer.limits,
        detached_lifetime: answer.detached_lifetime_ms.map(Duration::from_millis),
    })
}

/// What is assumed of a very old peer that tells nothing.
fn unknown_environment() -> EnvironmentInfo {
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
        sandbox: None,
        process_limits: None,
    }
}

/// Why there is no answer on a connection that is gone.
pub(crate) async fn lost(link: &Link) -> ClientError {
    match link.ended().await {
        End::Lost(reason) => ClientError::Lost(format!("connection was lost: {reason}").into()),
        End::TakenOver(reason) => ClientError::TakenOver(reason),
        End::Violation(reason) => ClientError::Protocol(reason),
    }
}

fn refusal(error: RpcError, wanted: &Wanted<'_>) -> ClientError {
    match wanted.session_id() {
        None => ClientError::Refused(error),
        Some(session) if error.code == ErrorCode::SessionInUse.number() => {
            ClientError::SessionInUse { session: session.clone() }
        }
        Some(session) => ClientError::SessionLost { session: session.clone(), source: error },
    }
}

impl ClientError {
    /// Whether trying again soon may help to get a session back.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Dial(error) if DialError::is_transient(error) => Verdict::Transient,
            // The server has not noticed yet that the old connection is gone.
            Self::SessionInUse { .. }
            | Self::Lost(_)
            | Self::ConnectTimedOut { .. }
            | Self::InitializeTimedOut { .. } => Verdict::Transient,
            Self::Dial(_)
            | Self::Refused(_)
            | Self::SessionLost { .. }
            | Self::GaveUp { .. }
            | Self::StartLost { .. }
            | Self::TakenOver(_)
            | Self::Protocol(_)
            | Self::Unsupported(_)
            | Self::Closed => Verdict::Final,
        }
    }
}
