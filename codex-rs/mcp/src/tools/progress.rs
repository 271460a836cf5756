//! Signs of life for a client that asked for them, while a call takes its time.

use std::convert::Infallible;
use std::time::Duration;

use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use tokio::time::{Instant, sleep};

/// Between two of them. Many clients give a call more time with each.
const EVERY: Duration = Duration::from_secs(1);

/// Does `work`, and tells the client of `context` meanwhile that it goes on, if it wants to know.
pub(crate) async fn with_progress<T>(
    context: &RequestContext<RoleServer>,
    work: impl Future<Output = T>,
) -> T {
    let Some(token) = context.meta.get_progress_token() else { return work.await };
    let sign = |seconds: f64| {
        ProgressNotificationParam::new(token.clone(), seconds)
            .with_message(format!("still running after {seconds:.0} s"))
    };
    tokio::select! {
        done = work => done,
        never = tell(&context.peer, sign) => match never {},
    }
}

async fn tell(peer: &Peer<RoleServer>, sign: impl Fn(f64) -> ProgressNotificationParam) -> Infallible {
    let begun = Instant::now();
    loop {
        sleep(EVERY).await;
        if let Err(error) = peer.notify_progress(sign(begun.elapsed().as_secs_f64().round())).await {
            tracing::debug!(%error, "client was not told of progress");
            return std::future::pending().await;
        }
    }
}
