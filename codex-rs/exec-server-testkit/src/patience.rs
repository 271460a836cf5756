//! How long a test waits for what must come. Only a broken program ever makes it wait that long.

use std::time::Duration;

use tokio::time::timeout;

/// Far longer than anything takes on a machine that is busy with many other things: a second's work took a minute on one.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// What `event` comes to.
///
/// # Panics
/// After [`PATIENCE`], naming what was waited for. With paused time that is as soon as nothing else can happen.
pub async fn patiently<T>(what: &str, event: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, event).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
