//! Tells a person how the connection is.

use std::convert::Infallible;
use std::time::Duration;

use codex_exec_server_client::{Status, StatusWatch};
use tokio::time::{Instant, sleep};

use crate::cli::teller::Teller;

/// How often the time left is shown anew.
const TICK: Duration = Duration::from_secs(1);

/// Says when the connection is lost, and for how long it is still sought: counting down in place on a terminal, in one
/// line elsewhere. What becomes of it shows by itself.
pub(in crate::cli) async fn tell_status(mut status: StatusWatch, teller: Teller) -> Infallible {
    let mut now = status.changed().await;
    loop {
        now = match now {
            Status::Recovering { until } => count_down(&mut status, until, teller).await,
            Status::Connected | Status::Failed(_) => status.changed().await,
        };
    }
}

/// Until the status changes.
async fn count_down(status: &mut StatusWatch, until: Instant, teller: Teller) -> Status {
    let left = || until.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
    if !Teller::is_terminal() {
        teller.note(format_args!("connection lost, resuming ({} s left)", left()));
        return status.changed().await;
    }
    loop {
        teller.show(format_args!("connection lost, resuming ({} s left)", left()));
        tokio::select! {
            changed = status.changed() => {
                teller.clear();
                return changed;
            }
            () = sleep(TICK) => {}
        }
    }
}
