//! The helper's own side: serves connections until the server lets go of it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_protocol::error_code::RpcError;
use codex_linux_sandbox::file_rules::FileRules;

use super::super::guard;
use super::super::host::{FsHost, Interest};
use super::frame;
use super::helper::Settings;
use super::request::{Answer, Asked};
use super::search;

/// Serves files by `rules`. Through `socket` comes what keeps writers apart, and then connections, each with a thread of its
/// own: how many there are is bounded by who asks. Returns when the server has closed it.
pub fn serve(rules: FileRules, settings: &[u8], socket: OwnedFd) {
    guard::post(rules);
    let Ok(Settings { listed_entries }) = serde_json::from_slice(settings) else { return };
    let limits = FileLimits { listed_entries, ..FileLimits::default() };
    let Ok(Some(turns)) = frame::take(&socket) else { return };
    let host = FsHost::inside(limits, turns);
    while let Ok(Some(connection)) = frame::take(&socket) {
        let host = Arc::clone(&host);
        // Where there is no thread the connection is closed, and whoever asks is told that nobody answered.
        let _ = std::thread::Builder::new().spawn(move || attend(&host, connection));
    }
}

/// Answers one request after the other.
fn attend(host: &FsHost, connection: OwnedFd) {
    let connection = Arc::new(connection);
    let interest = Interest::of_peer(Arc::clone(&connection));
    while let Ok(Some(frame::Frame { text, data, .. })) = frame::read::<Asked>(&*connection) {
        let sent = match text {
            Asked::Find(wanted) => search::serve(&connection, wanted, &interest),
            Asked::Do(request) => match request.perform(data, host, &interest) {
                Ok((answer, data, file)) => {
                    let file = file.as_ref().map(std::os::fd::AsFd::as_fd);
                    frame::write(&*connection, &Ok::<Answer, RpcError>(answer), &data, file)
                }
                Err(fault) => {
                    let error = RpcError::from(&ServiceError::Fs(fault));
                    frame::write(&*connection, &Err::<Answer, RpcError>(error), &[], /*file*/ None)
                }
            },
        };
        if sent.is_err() {
            return;
        }
    }
}
