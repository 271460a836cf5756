//! Descendants that outlive their parents: this process adopts them, so that they can be found when a tree is ended, and
//! collects them when they die, so that they don't stay as zombies.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;

use crate::os;

/// Dead orphans are collected this long after the first is noticed, many at a time.
const SWEEP_DELAY: Duration = Duration::from_millis(250);

/// Collects orphans until it is dropped.
#[derive(Debug)]
pub struct Orphans(AbortHandle);

impl Orphans {
    /// Makes this process the parent of whatever its descendants leave behind. From now on it must not start children
    /// other than through this crate: others' exit statuses would be collected with the orphans'. That this process
    /// adopts lasts as long as it does; held once, by `main` or whoever speaks for the whole program. Must be called
    /// within a tokio runtime.
    pub fn adopt() -> io::Result<Self> {
        let children = signal(SignalKind::child())?;
        os::become_subreaper()?;
        Ok(Self(tokio::spawn(sweep(children)).abort_handle()))
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn sweep(mut children: Signal) {
    while children.recv().await.is_some() {
        tokio::time::sleep(SWEEP_DELAY).await;
        loop {
            match tokio::task::spawn_blocking(os::sweep).await {
                Ok(Ok(os::Sweep { more: true, .. })) => {}
                Ok(Ok(_)) => break,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "orphans can't be collected");
                    break;
                }
                Err(_) => return,
            }
        }
    }
}
