//! What kept an exchange from its end, in words and as a kind.
//!
//! The library tells little by its own error; what happened stands further down in the chain of causes.

use std::error::Error;
use std::io;

use codex_exec_server_core::error::{HttpFailure, HttpStage};
use codex_exec_server_protocol::http::HttpFailureCause;

use super::clients::NoAddress;

/// Describes `error`, with all that led to it.
pub(super) fn describe(error: &reqwest::Error, stage: HttpStage) -> HttpFailure {
    let causes = Causes(Some(error)).collect::<Vec<_>>();
    let has = |is: &dyn Fn(&(dyn Error + 'static)) -> bool| causes.iter().any(|cause| is(*cause));
    let cause = if error.is_redirect() || error.is_builder() {
        // What the caller gave was checked before, so only a redirect can have led to a URL that is no good.
        HttpFailureCause::Redirect
    } else if has(&|cause| cause.is::<NoAddress>()) {
        HttpFailureCause::Dns
    } else if has(&|cause| cause.is::<rustls::Error>()) {
        HttpFailureCause::Tls
    } else if error.is_connect() {
        // A connection that can be had and ends before anything was sent ended in the handshake.
        let ended = has(&|cause| {
            cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof)
        });
        if ended { HttpFailureCause::Tls } else { HttpFailureCause::Connect }
    } else if error.is_timeout() {
        HttpFailureCause::Timeout
    } else {
        HttpFailureCause::Protocol
    };
    HttpFailure { cause, stage, detail: tell(&causes) }
}

/// Whether the request was on its way when the connection ended, with no answer to be seen.
pub(super) fn was_left_unanswered(error: &reqwest::Error) -> bool {
    error.is_request()
        && !error.is_connect()
        && Causes(Some(error)).any(|cause| {
            let ended = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message);
            let broken = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            ended || matches!(broken, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
        })
}

/// All messages, except those that their successor repeats.
fn tell(causes: &[&(dyn Error + 'static)]) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in causes {
        let text = cause.to_string();
        if told.last().is_none_or(|last| !last.ends_with(&text)) {
            told.push(text);
        }
    }
    told.join(": ")
}

/// An error and what led to it. What an [`io::Error`] wraps is one of its own, although it does not say so.
struct Causes<'a>(Option<&'a (dyn Error + 'static)>);

impl<'a> Iterator for Causes<'a> {
    type Item = &'a (dyn Error + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let present = self.0?;
        let wrapped = present.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        self.0 = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => present.source(),
        };
        Some(present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_io_error_wraps_is_told_once_and_found() {
        let inner = NoAddress::for_test("example.test");
        let outer = io::Error::other(inner);
        let causes = Causes(Some(&outer)).collect::<Vec<_>>();
        assert!(causes.iter().any(|cause| cause.is::<NoAddress>()));
        assert_eq!(tell(&causes), "example.test has no address: unknown");
    }
}
