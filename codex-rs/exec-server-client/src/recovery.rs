//! Getting another connection for a session whose connection was lost.

use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout_at};

use crate::config::ClientConfig;
use crate::dial::Dialer;
use crate::error::ClientError;
use crate::router::Router;
use crate::session::{Attached, Peer, Wanted, open};

/// Another connection for the session of `peer`, tried again and again until `deadline`. `lost`: what became of the last.
pub(crate) async fn resume(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
    peer: &Peer,
    lost: &Arc<str>,
    deadline: Instant,
) -> Result<Arc<Attached>, ClientError> {
    let mut last = Arc::clone(lost);
    loop {
        match timeout_at(deadline, open(dialer, router, config, Wanted::Lost(peer))).await {
            Ok(Ok(attached)) => return Ok(attached),
            Ok(Err(error)) if error.is_transient() => {
                tracing::debug!(%error, "connection is not back yet");
                last = error.to_string().into();
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
        if Instant::now() + config.recovery_pause >= deadline {
            return Err(ClientError::GaveUp { after: config.recovery_deadline, last });
        }
        sleep(config.recovery_pause).await;
    }
}
