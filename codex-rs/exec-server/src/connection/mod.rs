//! One connection from its first message to its last.
//!
//! Two tasks that never wait for each other: this one reads and hands requests on, the other writes what
//! [`outbound`] has for it. So a burst of any size is read while its answers leave, and a client that does not read
//! holds up nobody but itself. A short answer leaves from this one, if the other has nothing to do.

pub(crate) mod bodies;
mod form;
pub(crate) mod missing;
mod outbound;
mod packing;
mod requests;
pub(crate) mod searches;
pub(crate) mod watches;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::handshake::Handshake;
use codex_exec_server_core::sessions::{ConnectionId, IfAttached};
use codex_exec_server_local::fs::FileHandles;
use codex_exec_server_local::process::{Acknowledgement, FollowId, Follower};
use codex_exec_server_protocol::binary::BinaryMessage;
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::long_write::{self, LONG_MESSAGE_BYTES, LongWrite};
use codex_exec_server_protocol::methods::{
    ClientNotification, ClientRequest, DecodeError, Effect, FsWriteFile, Method as _, Row,
};
use codex_exec_server_protocol::rpc::{Incoming, RequestId, encode_error, encode_result};
use codex_exec_server_protocol::session::{InitializeParams, OBSERVED_SESSION_ENDED, TAKEN_OVER};
use codex_exec_server_transport::{
    CloseReason, Connection, MessageKind, Peer, PeerKind, Presence, ReadError, Received, close_code,
};
use serde_json::value::RawValue;
use tokio::sync::SetOnce;

use self::bodies::Bodies;
pub(crate) use self::form::{Form, Reply};
use self::missing::MissingWatches;
use self::outbound::Outbound;
use self::requests::Requests;
pub(crate) use self::requests::Waiting;
use self::searches::Searches;
use self::watches::Watches;
use crate::context::Context;
use crate::handlers::fs::{Files, FsRequest};
use crate::handlers::{self, Served};
use crate::sessions::{Displaced, Holder, Loss, Session};
use crate::welcome::Welcome;

/// A session that this connection holds or observes, and as whom it follows the session's processes.
struct Attached {
    session: Arc<Session>,
    role: Role,
    follow: FollowId,
    /// What it has opened is its own.
    files: Arc<Files>,
}

/// What a connection is to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It holds it.
    Holder,
    /// It watches, and may change nothing.
    Observer,
}

/// See the module.
struct Reader {
    context: Arc<Context>,
    id: ConnectionId,
    peer: Peer,
    handshake: Handshake,
    attached: Option<Attached>,
    displaced: Displaced,
    presence: Presence,
    outbound: Arc<Outbound>,
    requests: Requests,
    bodies: Arc<Bodies>,
    /// Whether the transport can carry binary messages.
    carries_binary: bool,
}

/// Serves `connection` until either side ends it, or its session is taken over.
pub(crate) async fn serve(context: Arc<Context>, id: ConnectionId, connection: Connection) {
    let Connection { mut reader, mut writer, peer } = connection;
    tracing::debug!(%peer, "connected");
    let (carries_binary, presence) = (writer.carries_binary(), writer.presence());
    let outbound = Arc::new(Outbound::new());
    let sending = Arc::clone(&outbound);
    let mut writing = tokio::spawn(async move { sending.write_to(&mut writer).await });
    let mut state = Reader {
        id,
        peer,
        handshake: Handshake::default(),
        attached: None,
        displaced: Arc::new(SetOnce::new()),
        presence,
        bodies: Arc::new(Bodies::new(Arc::clone(&outbound), context.limits.http)),
        requests: Requests::new(Arc::clone(&outbound), context.limits.clone()),
        outbound,
        context,
        carries_binary,
    };
    let owed_limit = state.context.limits.owed_reply_bytes;
    // What ends the connection from outside is listened for once, not anew for every message.
    let (displaced, from_server) = (Arc::clone(&state.displaced), Arc::clone(&state.context));
    let mut displaced = pin!(displaced.wait());
    let mut stopping = pin!(from_server.stopping.cancelled());
    let mut written = false;
    let ending = loop {
        // A client that does not read its answers is not asked for more questions, but still watched over.
        let owes_much = state.outbound.pauses_reading(owed_limit);
        let message = async {
            if owes_much {
                reader.watch().await;
            }
            reader.next_message().await
        };
        tokio::select! {
            message = message => match message {
                Some(Ok(message)) => {
                    state.outbound.more_is_at_hand(reader.has_more_at_hand());
                    if let Err(reason) = state.receive(message).await {
                        break Ending::Say(reason);
                    }
                }
                Some(Err(error)) if !error.is_fatal() => state.refuse_line(&error),
                Some(Err(error)) => {
                    tracing::debug!(%peer, %error, "connection failed");
                    break Ending::Lost;
                }
                // Over stdio there may still be somebody to read the answers that are ready.
                None => break Ending::Say(CloseReason { code: close_code::NORMAL, reason: String::new() }),
            },
            () = state.outbound.owes_less_than(owed_limit), if owes_much => {}
            _ = &mut writing => {
                written = true;
                break Ending::Lost;
            }
            loss = &mut displaced => {
                // What still waits is being refused now, and its answers come before the good-bye.
                state.requests.answered().await;
                break Ending::Say(match loss {
                    Loss::TakenOver => CloseReason { code: close_code::POLICY, reason: TAKEN_OVER.into() },
                    Loss::Ended => {
                        CloseReason { code: close_code::NORMAL, reason: OBSERVED_SESSION_ENDED.into() }
                    }
                });
            }
            () = &mut stopping => {
                let reason = "server is shutting down".into();
                break Ending::Say(CloseReason { code: close_code::GOING_AWAY, reason });
            }
        }
    };
    state.detach();
    match ending {
        Ending::Say(reason) if !written => {
            state.outbound.close(reason);
            // While the writer says good-bye, the reader goes on, so that the peer's own words don't reset the socket.
            let drain = async { while reader.next().await.is_some_and(|message| message.is_ok()) {} };
            let farewell = async {
                tokio::select! {
                    _ = &mut writing => {}
                    () = drain => { let _ = (&mut writing).await; }
                }
            };
            if tokio::time::timeout(state.context.limits.farewell, farewell).await.is_err() {
                tracing::debug!(%peer, "peer does not take its last answers");
                writing.abort();
            }
        }
        Ending::Say(_) | Ending::Lost => writing.abort(),
    }
    tracing::debug!(%peer, "disconnected");
}

/// How a connection ends.
enum Ending {
    /// In good order: what is owed is sent, then the reason.
    Say(CloseReason),
    /// There is nobody to say anything to.
    Lost,
}

impl Reader {
    /// Takes one message. An error ends the connection.
    async fn receive(&mut self, message: Received) -> Result<(), CloseReason> {
        self.requests.room().await;
        let Received { kind, bytes: message } = message;
        if message.len() >= LONG_MESSAGE_BYTES && self.long_write(&message) {
            return Ok(());
        }
        match Incoming::parse(&message) {
            Ok(Incoming::Request { id, method, params, .. }) => {
                self.request(id, &method, params, message.len());
                Ok(())
            }
            Ok(Incoming::Notification { method, params }) => self.notification(&method, params),
            Ok(Incoming::Response { id, .. }) => {
                Err(protocol_error(format!("response to unknown request {id}")))
            }
            Err(_) if kind == MessageKind::Binary && BinaryMessage::is_one(&message) => {
                self.refuse_message(&"binary messages go from server to client only; send JSON");
                Ok(())
            }
            Err(error) => {
                self.refuse_message(&error);
                Ok(())
            }
        }
    }

    /// Takes a message that brings a long file, which is not taken apart like others; false for any other.
    fn long_write(&mut self, message: &Bytes) -> bool {
        let Some(LongWrite { id, params, text }) = long_write::take(message) else { return false };
        let request = Served::Files(Box::new(FsRequest::WriteText(params, text)));
        match Served::row(FsWriteFile::NAME) {
            Ok(row) => self.serve(id, row, request, message.len()),
            Err(error) => self.fail(&id, &error),
        }
        true
    }

    fn request(&mut self, id: RequestId, method: &str, params: Option<&RawValue>, bytes: usize) {
        match Served::row(method).and_then(|row| Ok((row, Served::decode(row, params)?))) {
            Ok((row, request)) => self.serve(id, row, request, bytes),
            Err(error) => self.fail(&id, &error),
        }
    }

    /// Has a request served that came as a message of `bytes`.
    fn serve(&mut self, id: RequestId, row: &Row<ClientRequest>, request: Served, bytes: usize) {
        match request {
            Served::Initialize(params) => match self.initialize(&params) {
                Ok(response) => {
                    self.outbound.answer(encode_result(&id, &response));
                    // Events follow the answer, never the other way round.
                    if let Some(attached) = &self.attached {
                        let form = if params.capabilities.binary_output && self.carries_binary {
                            Form::Binary
                        } else {
                            Form::Text
                        };
                        if form == Form::Binary {
                            self.outbound.pack(params.capabilities.output_packing_ms);
                        }
                        self.outbound.open(attached.follow, form);
                    }
                }
                Err(error) => self.fail(&id, &error),
            },
            Served::Environment(request) => match self.handshake.may_use(row.family()) {
                Ok(()) => self.outbound.answer(handlers::environment::answer(
                    || self.context.environment(),
                    &id,
                    request,
                )),
                Err(error) => self.fail(&id, &error.into()),
            },
            Served::Process(request) => {
                let session = match self.attached(row) {
                    Ok(attached) => attached,
                    Err(error) => return self.fail(&id, &error),
                };
                let waiting = if request.runs_to_its_end() { Waiting::Busy } else { Waiting::Idle };
                let work = handlers::process::answer(
                    Arc::clone(&session.session),
                    session.follow,
                    id.clone(),
                    request,
                    Arc::clone(&self.displaced),
                );
                self.requests.run(id, waiting, bytes, work);
            }
            Served::Http(params) => {
                let session = match self.attached(row) {
                    Ok(attached) => Arc::clone(&attached.session),
                    Err(error) => return self.fail(&id, &error),
                };
                let (bodies, displaced) = (Arc::clone(&self.bodies), Arc::clone(&self.displaced));
                let work = handlers::http::answer(session, bodies, id.clone(), params, displaced);
                self.requests.run(id, Waiting::Idle, bytes, work);
            }
            Served::Discovery(request) => {
                let session = match self.attached(row) {
                    Ok(attached) => Arc::clone(&attached.session),
                    Err(error) => return self.fail(&id, &error),
                };
                let displaced = Arc::clone(&self.displaced);
                let own = Arc::clone(&self.context.own_environment);
                let work = handlers::discovery::answer(session, own, id.clone(), request, displaced);
                self.requests.run(id, Waiting::Idle, bytes, work);
            }
            Served::Files(request) => {
                let files = match self.attached(row) {
                    Ok(attached) => &attached.files,
                    Err(error) => return self.fail(&id, &error),
                };
                if self.displaced.get().is_none()
                    && let Some(reply) = handlers::fs::at_once(files, &id, &request)
                {
                    return self.outbound.answer(reply);
                }
                let files = Arc::clone(files);
                let (waiting, displaced) = (request.waiting(), Arc::clone(&self.displaced));
                let form = self.outbound.form();
                let work = handlers::fs::answer(files, id.clone(), *request, displaced, form);
                self.requests.run(id, waiting, bytes, work);
            }
        }
    }

    /// The session, if the method of `row` may be used on it. An observer may use what only reads, by the method table.
    fn attached(&self, row: &Row<ClientRequest>) -> Result<&Attached, ServiceError> {
        self.handshake.may_use(row.family())?;
        match &self.attached {
            None => Err(ServiceError::Displaced),
            Some(Attached { role: Role::Observer, .. }) if row.effect() == Effect::Changes => {
                Err(ServiceError::ReadOnly(row.name().to_owned()))
            }
            Some(attached) => Ok(attached),
        }
    }

    fn initialize(&mut self, params: &InitializeParams) -> Result<Welcome, ServiceError> {
        self.handshake.may_initialize()?;
        let (session, role, lifetime) = self.find_session(params)?;
        self.handshake.initialize_succeeded();
        tracing::info!(
            peer = %self.peer, client = params.client_name, session = %session.id, ?role, "initialized"
        );
        let session_id = session.id.clone();
        let follower: Arc<dyn Follower> = Arc::clone(&self.outbound) as _;
        let window_bytes = params.capabilities.output_window_bytes;
        let follow = match role {
            Role::Holder => session.processes.follow(follower, window_bytes),
            Role::Observer => session.processes.watch(follower, window_bytes),
        };
        let files = Arc::new(Files {
            system: Arc::clone(&session.files),
            handles: FileHandles::new(Arc::clone(self.context.sessions.files())),
            searches: Searches::new(Arc::clone(&self.outbound), self.context.limits.files),
            watches: Watches::new(Arc::clone(&self.outbound), self.context.limits.files),
            missing: MissingWatches::new(Arc::clone(&self.outbound)),
            lending: Arc::default(),
        });
        self.attached = Some(Attached { session, role, follow, files });
        Ok(Welcome {
            session_id,
            common: self.context.common(),
            detached_lifetime_ms: lifetime.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// The session that `params` ask for, what this connection is to it, and how long it waits whenever it is detached.
    fn find_session(
        &self,
        params: &InitializeParams,
    ) -> Result<(Arc<Session>, Role, Option<Duration>), ServiceError> {
        let holder = Holder { displaced: Arc::clone(&self.displaced), presence: self.presence.clone() };
        let sessions = &self.context.sessions;
        let lifetime = params.detached_lifetime_ms.map(Duration::from_millis);
        let (session, lifetime) = match (&params.observe_session_id, &params.resume_session_id) {
            (Some(session), None) if !params.takeover && lifetime.is_none() => {
                let session = sessions.observe(session, self.id, holder)?;
                return Ok((session, Role::Observer, None));
            }
            (Some(_), _) => {
                let why =
                    "observeSessionId goes with none of resumeSessionId, takeover and detachedLifetimeMs";
                return Err(ServiceError::InvalidArgument(why.into()));
            }
            (None, None) => sessions.open(self.id, holder, lifetime)?,
            (None, Some(session)) => {
                let if_attached = if params.takeover { IfAttached::TakeOver } else { IfAttached::Refuse };
                sessions.resume(session, self.id, holder, if_attached, lifetime)?
            }
        };
        Ok((session, Role::Holder, Some(lifetime)))
    }

    fn notification(&mut self, method: &str, params: Option<&RawValue>) -> Result<(), CloseReason> {
        match ClientNotification::decode(method, params) {
            Ok(ClientNotification::Initialized(_)) => {
                self.handshake.initialized().map_err(|error| protocol_error(error.to_string()))
            }
            Ok(ClientNotification::Cancel(cancel)) => {
                self.requests.cancel(&cancel.id);
                self.bodies.cancel(&cancel.id);
                Ok(())
            }
            Ok(ClientNotification::ProcessAck(ack)) => {
                // Before there is a session, and when it has gone to another connection, there is nothing to speak of.
                if let Some(Attached { session, follow, .. }) = &self.attached {
                    let word = Acknowledgement { through: ack.through_seq, after: ack.after_seq };
                    session.processes.acknowledge(*follow, &ack.process_id, word);
                }
                Ok(())
            }
            Ok(ClientNotification::HttpBodyCredit(credit)) => {
                self.bodies.grant(&credit.request_id, credit.bytes);
                Ok(())
            }
            Ok(ClientNotification::FsSearchCredit(credit)) => {
                if let Some(attached) = &self.attached {
                    attached.files.searches.grant(&credit.search_id, credit.batches);
                }
                Ok(())
            }
            Err(DecodeError::UnknownMethod(method)) => {
                Err(protocol_error(format!("unknown notification {method}")))
            }
            Err(DecodeError::InvalidParams(text)) => {
                Err(protocol_error(format!("notification {method}: {text}")))
            }
        }
    }

    fn fail(&self, id: &RequestId, error: &ServiceError) {
        self.outbound.answer(encode_error(id, &RpcError::from(error)));
    }

    fn refuse_message(&self, error: &dyn std::fmt::Display) {
        let source = match self.peer.kind() {
            PeerKind::Lines => "JSON-RPC message from exec-server stdio".to_owned(),
            PeerKind::WebSocket | PeerKind::Memory => {
                format!("websocket JSON-RPC message from exec-server websocket {}", self.peer)
            }
        };
        let error = RpcError::new(ErrorCode::InvalidRequest, format!("failed to parse {source}: {error}"));
        self.outbound.answer(encode_error(&RequestId::MALFORMED, &error));
    }

    fn refuse_line(&self, error: &ReadError) {
        let error = RpcError::new(
            ErrorCode::InvalidRequest,
            format!("failed to parse JSON-RPC message from exec-server {}: {error}", self.peer),
        );
        self.outbound.answer(encode_error(&RequestId::MALFORMED, &error));
    }

    /// Lets go of the session, which then waits for somebody to resume it.
    fn detach(&mut self) {
        match self.attached.take() {
            Some(Attached { session, role: Role::Holder, follow, files: _ }) => {
                session.processes.unfollow(follow);
                if self.context.sessions.detach(&session.id, self.id) {
                    tracing::info!(session = %session.id, "session detached");
                }
            }
            Some(Attached { session, role: Role::Observer, follow, files: _ }) => {
                session.processes.unwatch(follow);
                self.context.sessions.stop_observing(&session.id, self.id);
            }
            None => {}
        }
    }
}

impl Drop for Reader {
    /// A connection that is dropped in the middle lets go as well.
    fn drop(&mut self) {
        self.detach();
    }
}

fn protocol_error(reason: String) -> CloseReason {
    CloseReason { code: close_code::PROTOCOL_ERROR, reason }
}
