//! Files that a listener shows to browsers beside its WebSocket, and what keeps their pages to themselves.

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::content_coding::takes_gzip;

/// What a page may do: run the site's scripts, no others and none that stand in the page, talk to this listener, show
/// images from memory, and be in nobody's frame. Style elements may be made by scripts, which terminals in pages do; as
/// nothing is loaded from elsewhere, a style can tell nobody anything.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; img-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// On every answer of a site.
const SECURITY_HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), usb=()"),
    // Asked for again each time, and answered by "not modified" where it is the same.
    (header::CACHE_CONTROL, "no-cache"),
];

/// One file of a [`Site`].
#[derive(Debug, Clone, Copy)]
pub struct SiteFile {
    /// Its place below [`Site`]'s home, such as `app.js`; the page at home itself has an empty name.
    pub name: &'static str,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// What is sent for it.
    pub content: &'static [u8],
    /// What was done to `content`.
    pub coding: Coding,
}

/// How the content of a [`SiteFile`] is kept, and so how it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Plain,
    /// Compressed. Every browser takes that; whoever says that it does not is refused.
    Gzip,
}

/// Files for browsers, below one path. Nothing in them is secret: whoever reaches the listener may read them. What they
/// do needs the listener's credential like everything else.
#[derive(Debug, Clone)]
pub struct Site {
    home: &'static str,
    /// Each with its entity tag.
    files: Vec<(SiteFile, HeaderValue)>,
}

/// What a request to a site is about.
pub(crate) enum Target<'s> {
    /// A file, and its entity tag.
    File(&'s SiteFile, &'s HeaderValue),
    /// Whether the credential in the request is good: a page can't learn that from a WebSocket.
    Access,
    /// Elsewhere.
    Redirect,
}

impl Site {
    /// A site at `home`, a path that begins and ends with a slash.
    #[must_use]
    pub fn new(home: &'static str, files: &[SiteFile]) -> Self {
        let tag = |file: &SiteFile| {
            let digest = Sha256::digest(file.content);
            let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            HeaderValue::try_from(format!("\"{hex}\""))
                .expect("hexadecimal digits in quotes are a header value")
        };
        Self { home, files: files.iter().map(|file| (*file, tag(file))).collect() }
    }

    /// What `request` is about, if it is for the site and not for a WebSocket.
    pub(crate) fn target<B>(&self, request: &Request<B>) -> Option<Target<'_>> {
        let path = request.uri().path();
        if path == "/" {
            let is_upgrade = request.headers().contains_key(header::UPGRADE);
            return (!is_upgrade).then_some(Target::Redirect);
        }
        if Some(path) == self.home.strip_suffix('/') {
            return Some(Target::Redirect);
        }
        let name = path.strip_prefix(self.home)?;
        if name == "access" {
            return Some(Target::Access);
        }
        let (file, tag) = self.files.iter().find(|(file, _)| file.name == name)?;
        Some(Target::File(file, tag))
    }

    /// The way home.
    pub(crate) fn redirect(&self) -> Response<Full<Bytes>> {
        let mut response = answer(StatusCode::TEMPORARY_REDIRECT, Bytes::new());
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(self.home));
        response
    }
}

/// A file, unless the browser says that it has it.
pub(crate) fn file(headers: &HeaderMap, file: &SiteFile, tag: &HeaderValue) -> Response<Full<Bytes>> {
    let has_it = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| known == tag);
    let mut response = if has_it {
        answer(StatusCode::NOT_MODIFIED, Bytes::new())
    } else if file.coding == Coding::Gzip && !takes_gzip(headers) {
        return not_as_asked();
    } else {
        answer(StatusCode::OK, Bytes::from_static(file.content))
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(header::ETAG, tag.clone());
    if file.coding == Coding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

/// To a request that does not take what there is.
fn not_as_asked() -> Response<Full<Bytes>> {
    let words = "this file is here in gzip only: ask for it with Accept-Encoding: gzip";
    let mut response = answer(StatusCode::NOT_ACCEPTABLE, Bytes::from_static(words.as_bytes()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Whether a credential is good, with the words of its refusal.
pub(crate) fn access(refusal: Option<String>) -> Response<Full<Bytes>> {
    let Some(words) = refusal else { return answer(StatusCode::NO_CONTENT, Bytes::new()) };
    let mut response = answer(StatusCode::UNAUTHORIZED, Bytes::from(words));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// What is answered to another method than these.
pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn answer(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // One request for each connection, like every other answer of the listener.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether `origin` is that of a page which this listener itself has served, as far as the request can tell.
///
/// It is if it names the very host and port that the request went to. Without a credential that is not enough: somebody
/// else's page gets the same by giving its own name our address (DNS rebinding). So then the host has to be an address or
/// `localhost`, which nobody else can give.
pub(crate) fn is_own_origin(origin: &HeaderValue, headers: &HeaderMap, has_credential: bool) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let scheme_stripped =
        [&b"http://"[..], b"https://"].iter().find_map(|scheme| origin.as_bytes().strip_prefix(*scheme));
    if scheme_stripped != Some(host.as_bytes()) {
        return false;
    }
    let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
    has_credential || is_address(authority.host())
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(origin: &str, hosts: &[&str], has_credential: bool) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        is_own_origin(&HeaderValue::from_str(origin).unwrap(), &headers, has_credential)
    }

    #[test]
    fn a_page_of_the_very_host_and_port_is_our_own() {
        for host in ["127.0.0.1:8765", "[::1]:8765", "localhost:8765", "localhost", "10.0.0.7:80"] {
            for has_credential in [true, false] {
                assert!(is_own(&format!("http://{host}"), &[host], has_credential), "{host}");
                assert!(is_own(&format!("https://{host}"), &[host], has_credential), "{host}");
            }
        }
    }

    #[test]
    fn every_other_page_is_not() {
        let here = "127.0.0.1:8765";
        for origin in [
            "null",
            "",
            "http://",
            "127.0.0.1:8765",
            "http://127.0.0.1",
            "http://127.0.0.1:8766",
            "http://127.0.0.1:8765/",
            "http://localhost:8765",
            "http://evil.example",
            "ws://127.0.0.1:8765",
        ] {
            assert!(!is_own(origin, &[here], /*has_credential*/ true), "{origin}");
        }
        assert!(!is_own("http://127.0.0.1:8765", &[], /*has_credential*/ true));
        assert!(!is_own("http://127.0.0.1:8765", &[here, here], /*has_credential*/ true));
        assert!(!is_own("http://", &[""], /*has_credential*/ true));
    }

    #[test]
    fn a_name_that_anybody_can_point_here_needs_a_credential() {
        for host in ["evil.example:8765", "localhost.evil.example:8765", "127.0.0.1.evil.example"] {
            let origin = format!("http://{host}");
            assert!(!is_own(&origin, &[host], /*has_credential*/ false), "{host}");
            assert!(is_own(&origin, &[host], /*has_credential*/ true), "{host}");
        }
    }
}
