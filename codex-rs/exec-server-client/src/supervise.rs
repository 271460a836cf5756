//! The task that owns the connection, whichever it is: waits for its end and gets the next one.
//!
//! When to do what is decided by [`Reconnect`]; here it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codex_exec_server_core::reconnect::{Patience, Phase, Reconnect, Step};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::ClientError;
use crate::inner::Inner;
use crate::link::End;
use crate::recovery::{Approach, attempt};
use crate::session::{Attached, Peer};
use crate::state::State;

/// See the module. Begins with the first connection and ends with the client.
pub(crate) async fn supervise(inner: Arc<Inner>, first: Arc<Attached>) {
    let patience = Patience { deadline: inner.config.recovery_deadline, pause: inner.config.recovery_pause };
    let mut reconnect = Reconnect::new(patience);
    let mut attached = first;
    loop {
        let peer = Arc::clone(&attached.peer);
        let outcome = tokio::select! {
            next = replace(&inner, &mut reconnect, &attached) => next,
            () = inner.stop.cancelled() => Err(ClientError::Closed),
        };
        match outcome {
            Ok(next) => attached = next,
            Err(error) => {
                reconnect.fail();
                inner.state.send_replace(State::Failed(peer, error.clone()));
                inner.router.fail(&error);
                if matches!(error, ClientError::Closed) {
                    attached.link.close().await;
                }
                return;
            }
        }
    }
}

/// Waits for the end of a connection and gets the one that takes its place.
async fn replace(
    inner: &Inner,
    reconnect: &mut Reconnect,
    attached: &Attached,
) -> Result<Arc<Attached>, ClientError> {
    let peer = &attached.peer;
    let lost = match attached.link.ended().await {
        End::Lost(reason) => reason,
        End::TakenOver(reason) => return Err(ClientError::TakenOver(reason)),
        End::Violation(reason) => return Err(ClientError::Protocol(reason)),
    };
    if let Phase::Connected(generation) = reconnect.phase() {
        tracing::debug!(reason = %lost, session = %peer.session_id, ?generation, "connection was lost");
        reconnect.lost(Instant::now().into_std(), generation);
    }
    tell(inner, reconnect, peer);
    // What it still held must not be taken for something that came over the next one.
    attached.link.abandon().await;
    inner.router.bodies().fail(&lost);
    let next = recover(inner, reconnect, peer, lost).await?;
    tracing::debug!(session = %peer.session_id, generation = ?reconnect.restored(), "session was resumed");
    inner.router.acknowledge_every(next.peer.acknowledge_every(&inner.config));
    inner.state.send_replace(State::Connected(Arc::clone(&next)));
    Ok(next)
}

/// Tells how long there is hope.
fn tell(inner: &Inner, reconnect: &Reconnect, peer: &Arc<Peer>) {
    if let Phase::Recovering { until, .. } = reconnect.phase() {
        inner.state.send_replace(State::Recovering(Arc::clone(peer), until.into()));
    }
}

/// Tries again and again, as often as it is worth it. `last`: what the last attempt came to.
async fn recover(
    inner: &Inner,
    reconnect: &mut Reconnect,
    peer: &Arc<Peer>,
    mut last: Arc<str>,
) -> Result<Arc<Attached>, ClientError> {
    let mut approach = Approach::FIRST;
    loop {
        let (outcome, has_progressed) = match reconnect.next(Instant::now().into_std()) {
            Step::Try { .. } => try_once(inner, reconnect, peer, approach).await,
            Step::Wait { until } => {
                sleep_until(until.into()).await;
                continue;
            }
            Step::GiveUp | Step::Rest => {
                return Err(ClientError::GaveUp { after: inner.config.recovery_deadline, last });
            }
        };
        let error = match outcome {
            Some(Ok(attached)) => return Ok(attached),
            Some(Err(error)) => error,
            // The deadline was in the middle of it.
            None => continue,
        };
        tracing::debug!(%error, "connection is not back yet");
        if reconnect.attempt_failed(Instant::now().into_std(), error.verdict()) {
            return Err(error);
        }
        last = error.to_string().into();
        approach = approach.after_failure(has_progressed);
    }
}

/// One attempt; `None` when the deadline ended it. The deadline is put off for as long as there is progress; whether there
/// was any is returned as well.
async fn try_once(
    inner: &Inner,
    reconnect: &mut Reconnect,
    peer: &Arc<Peer>,
    approach: Approach,
) -> (Option<Result<Arc<Attached>, ClientError>>, bool) {
    let mut has_progressed = false;
    let progress = Arc::new(AtomicBool::new(false));
    let mut trying = std::pin::pin!(async {
        // Starts whose answers came with the last words of the lost connection belong to what is caught up.
        drop(inner.starts.write().await);
        attempt(&inner.dialer, &inner.router, &inner.config, peer, approach, &progress).await
    });
    loop {
        let Step::Try { until } = reconnect.next(Instant::now().into_std()) else {
            return (None, has_progressed);
        };
        let outcome = timeout_at(until.into(), &mut trying).await.ok();
        if progress.swap(false, Ordering::Relaxed) {
            has_progressed = true;
            reconnect.progressed(Instant::now().into_std());
            tell(inner, reconnect, peer);
        }
        if outcome.is_some() {
            return (outcome, has_progressed);
        }
    }
}
