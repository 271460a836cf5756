//! Carries bytes between the private network of a process and the proxies of its managed network.
//!
//! The launcher has made the listeners inside; whoever connects to one of them there is accepted here, outside, and led to
//! its proxy. Nothing else leads out. Bridges live as long as their process's supervision, which drops them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections of one process at a time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 256;
/// How long it is left alone after it could not accept: what was missing then, descriptors as a rule, comes back.
const BREATH: Duration = Duration::from_millis(100);

/// Carries for as long as it is polled; never returns.
pub(super) async fn carry(bridges: Vec<(OwnedFd, Vec<SocketAddr>)>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut carriers = JoinSet::new();
    for (listener, target) in bridges {
        match listen(listener) {
            Ok(listener) => drop(carriers.spawn(serve(listener, target, Arc::clone(&room)))),
            // Whoever connects inside waits then; there is no way out but this.
            Err(error) => tracing::warn!(%error, "a bridge to a proxy can't be served"),
        }
    }
    while carriers.join_next().await.is_some() {}
    std::future::pending().await
}

fn listen(listener: OwnedFd) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn serve(listener: TcpListener, target: Vec<SocketAddr>, room: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        // Closed by nobody.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((inside, _)) => {
                let target = target.clone();
                connections.spawn(async move {
                    // Either side's failure is the end of both, which is how the other learns of it.
                    if let Err(error) = connect(inside, &target).await {
                        tracing::debug!(%error, "a connection to a proxy ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection to a proxy could not be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn connect(mut inside: TcpStream, target: &[SocketAddr]) -> std::io::Result<()> {
    let mut outside = TcpStream::connect(target).await?;
    inside.set_nodelay(true)?;
    outside.set_nodelay(true)?;
    copy_bidirectional(&mut inside, &mut outside).await?;
    Ok(())
}
