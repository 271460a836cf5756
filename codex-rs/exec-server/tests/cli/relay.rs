//! A relay before a server on a Unix socket, which can be cut and mended.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::support::Server;

/// While it lives, clients get through.
pub(crate) struct Relay {
    url: String,
    streams: Arc<Mutex<Vec<UnixStream>>>,
    path: PathBuf,
    target: PathBuf,
    dir: TempDir,
}

/// Nobody gets through.
pub(crate) struct Cut {
    target: PathBuf,
    path: PathBuf,
    dir: TempDir,
}

impl Relay {
    pub(crate) fn before(server: &Server) -> Self {
        let target = server.url().strip_prefix("unix://").expect("a server on a Unix socket").into();
        let dir = TempDir::new().expect("a temporary directory");
        Self::listen(dir.path().join("relay.sock"), target, dir)
    }

    fn listen(path: PathBuf, target: PathBuf, dir: TempDir) -> Self {
        let listener = UnixListener::bind(&path).expect("it can be listened on");
        let streams: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
        let (kept, to) = (Arc::clone(&streams), target.clone());
        // Ends with the test: the listener is not reached any more once its file is gone.
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = UnixStream::connect(&to) else { continue };
                // Before a byte is carried, so that whoever has seen one can cut the connection.
                if let Ok(ends) =
                    [&client, &server].map(UnixStream::try_clone).into_iter().collect::<io::Result<Vec<_>>>()
                {
                    kept.lock().expect("no panic").extend(ends);
                    let _ = join(&client, &server);
                }
            }
        });
        Self { url: format!("unix://{}", path.display()), streams, path, target, dir }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts every connection, and lets nobody through.
    pub(crate) fn cut(self) -> Cut {
        std::fs::remove_file(&self.path).expect("it is there");
        for stream in self.streams.lock().expect("no panic").iter() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        Cut { target: self.target, path: self.path, dir: self.dir }
    }
}

impl Cut {
    /// Lets clients through again, at the same place.
    pub(crate) fn mend(self) -> Relay {
        Relay::listen(self.path, self.target, self.dir)
    }
}

/// Carries everything between a client and the server.
fn join(client: &UnixStream, server: &UnixStream) -> io::Result<()> {
    for (from, to) in [(client, server), (server, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}
