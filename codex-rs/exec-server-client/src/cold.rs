//! A session and its first process, asked for in one flight.
//!
//! `initialize`, `initialized` and `process/start` leave before anything is answered, with the request for the connection if
//! it can carry them: one round trip behind the dial. That has its price. What the server can do is not known yet, so nothing
//! is asked for that needs a flag, and no request key is sent. And until `initialize` is answered, the session has no name
//! by which anybody could come back to it.

use std::sync::Arc;

use codex_exec_server_core::service::missing_flag;
use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::methods::{ProcessStart, ProcessTerminate};
use codex_exec_server_protocol::process::{ProcessStartParams, ProcessStartResponse};
use codex_exec_server_transport::client::Departure;
use tokio::time::timeout;

use crate::client::Client;
use crate::config::ClientConfig;
use crate::dial::Dialer;
use crate::error::{ClientError, StartError};
use crate::events::{Events, Subscription};
use crate::feed::Feed;
use crate::follow::Follow;
use crate::link::{Link, Pending};
use crate::process::{RemoteProcess, terminate_params};
use crate::router::{Route, Router};
use crate::session::{Attached, Wanted, begin, complete, dial, lost};
use crate::start::Departed;

/// Calls that are under way at once: `initialize` and the start.
const CALLS: usize = 2;

/// What came of the first start of a session.
pub type FirstStart = Result<(RemoteProcess, Events), StartError>;

impl Client {
    /// [`Client::connect`] and [`Client::start`] in one flight: a new session and its first process cost one round trip
    /// behind the dial, where a server takes messages before it has answered the upgrade (see
    /// [`ConnectOptions::early`](codex_exec_server_transport::client::ConnectOptions::early)), and one more where the
    /// connection has to be there first. A start that asks for what only some servers can do waits for the server to say
    /// whether it can.
    ///
    /// One attempt. An error of ours says that there is no session: no process was started, except perhaps with
    /// [`ClientError::StartLost`]. Once `initialize` was answered there is a client, whatever came of the start; if the
    /// connection is lost then before the start was answered, the session is resumed and the process ended
    /// ([`StartError::Ambiguous`]), as there is no key by which the server could tell a repeat.
    ///
    /// Dropping the future drops the connection. A process that was started is ended by the server when it gives up the
    /// session.
    pub async fn connect_and_start(
        dialer: Dialer,
        config: ClientConfig,
        params: ProcessStartParams,
        follow: impl Into<Follow>,
    ) -> Result<(Self, FirstStart), ClientError> {
        let needs_answer = missing_flag(&params, &EnvironmentCapabilities::default()).is_some();
        if needs_answer || config.link.calls_in_flight < CALLS {
            let client = Self::connect(dialer, config).await?;
            let started = client.start(params, follow).await;
            return Ok((client, started));
        }
        let router = Arc::new(Router::default());
        // Whatever is said of the process, and however early, has its place and its reader before anything leaves.
        let feed = Feed::new(params.process_id.clone(), config.process, Seq::START);
        let (route, _) = Route::find_or_new(&router, feed);
        let subscription = Subscription::new(Arc::clone(&route), Seq::START, follow.into());
        let (first, pending) = open_and_start(&dialer, &router, &config, &params).await?;

        let client = Self::new(dialer, config, router, &first);
        // Taken before anybody could notice that the connection is lost, and catch up without this process.
        let under_way = Arc::clone(&client.inner.starts).read_owned().await;
        client.keep(first);
        let started = client.see_through(route, params, Some(Departed { pending, under_way })).await;
        let events = subscription.read_by(Arc::clone(&client.inner));
        Ok((client, started.map(|process| (process, events))))
    }
}

/// Opens a session; the start has left by then, and is not answered yet.
async fn open_and_start(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
    params: &ProcessStartParams,
) -> Result<(Arc<Attached>, Pending<ProcessStartResponse>), ClientError> {
    let (link, place) = Link::prepare(Arc::clone(router), &config.link);
    let wanted = Wanted::New;
    let opening = begin(&link, config, &wanted).await?;
    complete(&link).await?;
    let Ok(pending) = link.begin::<ProcessStart>(params).await else { return Err(lost(&link).await) };
    let may_run =
        |error| ClientError::StartLost { process_id: params.process_id.clone(), source: Arc::new(error) };
    let departure = Departure::default();
    dial(dialer, config, &link, place, &departure).await.map_err(|error| match &error {
        ClientError::Dial(dial) if dial.is_refusal() => error,
        _ if departure.has_begun() => may_run(error),
        _ => error,
    })?;
    match opening.opened(&link).await {
        Ok(peer) => Ok((Arc::new(Attached { link, peer: Arc::new(peer) }), pending)),
        Err(ClientError::Refused(error)) => {
            Err(refused(error, &link, config, &params.process_id, pending).await)
        }
        Err(error) => Err(may_run(error)),
    }
}

/// There is no session, so the start is to be refused as well, or the connection to be ended over it. A server that started
/// the process all the same is not left alone with it.
async fn refused(
    error: RpcError,
    link: &Link,
    config: &ClientConfig,
    process_id: &ProcessId,
    pending: Pending<ProcessStartResponse>,
) -> ClientError {
    let patience = config.initialize_timeout;
    let Ok(Ok(_)) = timeout(patience, pending.answer()).await else { return ClientError::Refused(error) };
    let params = terminate_params(process_id, /*grace*/ None, /*request_key*/ None);
    let end = match timeout(patience, link.call::<ProcessTerminate>(&params)).await {
        Ok(Ok(_)) => "it was ended",
        _ => "it may run on",
    };
    let text = format!("initialize was refused ({error}), but process {process_id} was started; {end}");
    ClientError::Protocol(text.into())
}
