//! How connections are made: through the proxies of the server's environment, to addresses of the system's resolver, with
//! the system's certificates.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::error::{HttpFailure, HttpStage};
use codex_exec_server_protocol::http::HttpFailureCause;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{ClientBuilder, NoProxy, Proxy, Url, redirect};
use rustls::{ClientConfig, RootCertStore};

use crate::env::Environment;

/// Redirects that are followed. The reference peer's 10.
const REDIRECTS: usize = 10;
/// Connections to one host that are kept for the next request.
const IDLE_PER_HOST: usize = 8;
/// How long they are kept.
const IDLE: Duration = Duration::from_secs(60);

/// One client for each way of treating redirects.
pub(super) struct Clients {
    pub(super) follow: reqwest::Client,
    /// Follows no further than the site that was asked: for requests that carry something from the server's environment.
    pub(super) follow_within_site: reqwest::Client,
    pub(super) stop: reqwest::Client,
}

impl Clients {
    /// Reads certificates from files, so this blocks.
    pub(super) fn new(environment: &Environment) -> Result<Self, HttpFailure> {
        let tls = tls(environment)?;
        let client = |policy| -> Result<reqwest::Client, HttpFailure> {
            let builder = ClientBuilder::new()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(SystemResolver)
                .redirect(policy)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .pool_idle_timeout(IDLE)
                .tcp_nodelay(true)
                .no_proxy();
            let builder = proxies(builder, environment)?;
            builder.build().map_err(|error| unusable(format!("the HTTP client could not be made: {error}")))
        };
        Ok(Self {
            follow: client(redirect::Policy::limited(REDIRECTS))?,
            follow_within_site: client(redirect::Policy::custom(within_site))?,
            stop: client(redirect::Policy::none())?,
        })
    }
}

/// Whoever may send a client elsewhere would be given what only the site that was asked is to know.
fn within_site(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let asked = attempt.previous().first();
    let leaves = asked.is_none_or(|asked| !is_same_site(asked, attempt.url()));
    if leaves {
        let host = attempt.url().host_str().unwrap_or_default().to_owned();
        return attempt.error(LeavesSite { host });
    }
    redirect::Policy::limited(REDIRECTS).redirect(attempt)
}

/// The same host and port, or the same host over HTTPS.
fn is_same_site(asked: &Url, next: &Url) -> bool {
    let same_port = asked.port_or_known_default() == next.port_or_known_default();
    let upgrade = asked.port().is_none() && next.port().is_none() && next.scheme() == "https";
    let downgrade = asked.scheme() == "https" && next.scheme() != "https";
    asked.host() == next.host() && (same_port || upgrade) && !downgrade
}

/// A redirect that is not followed with a secret.
#[derive(Debug, thiserror::Error)]
#[error(
    "it leads to another site, {host}, which is not to have the headers that come from environment variables; ask for it \
     yourself with redirectPolicy \"stop\""
)]
struct LeavesSite {
    host: String,
}

fn unusable(detail: String) -> HttpFailure {
    HttpFailure { cause: HttpFailureCause::Connect, stage: HttpStage::Request, detail }
}

fn tls(environment: &Environment) -> Result<ClientConfig, HttpFailure> {
    let var = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty()).map(Path::new);
    let found = match (var("SSL_CERT_FILE"), var("SSL_CERT_DIR")) {
        (None, None) => rustls_native_certs::load_native_certs(),
        (file, dir) => rustls_native_certs::load_certs_from_paths(file, dir),
    };
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates can't be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "certificates for HTTP");
    let mut tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(format!("TLS can't be used: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// The usual variables, in either case; the lower-case one counts. Within a CGI program `HTTP_PROXY` is what a client says
/// in its `Proxy` header, so it is not obeyed there.
fn proxies(mut builder: ClientBuilder, environment: &Environment) -> Result<ClientBuilder, HttpFailure> {
    let var = |lower: &'static str, upper: &'static str| {
        [lower, upper].into_iter().find_map(|name| {
            let value = environment.get(OsStr::new(name))?.to_str()?.trim();
            (!value.is_empty()).then_some((name, value))
        })
    };
    let is_cgi = environment.contains_key(OsStr::new("REQUEST_METHOD"));
    let no_proxy = var("no_proxy", "NO_PROXY").and_then(|(_, value)| NoProxy::from_string(value));
    let mut add = |set: Option<(&str, &str)>, make: fn(&str) -> reqwest::Result<Proxy>| {
        let Some((name, url)) = set else { return Ok(()) };
        // The value may hold a password, so it is not repeated.
        let proxy = make(url).map_err(|_| {
            unusable(format!("environment variable {name} of the server does not hold a proxy's URL"))
        })?;
        builder = std::mem::take(&mut builder).proxy(proxy.no_proxy(no_proxy.clone()));
        Ok(())
    };
    add(var("http_proxy", if is_cgi { "http_proxy" } else { "HTTP_PROXY" }), |url| Proxy::http(url))?;
    add(var("https_proxy", "HTTPS_PROXY"), |url| Proxy::https(url))?;
    add(var("all_proxy", "ALL_PROXY"), |url| Proxy::all(url))?;
    Ok(builder)
}

/// The system's resolver, whose failures can be told from those of a connection.
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await.map(Vec::from_iter);
            match found {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(source) => Err(NoAddress { host, source }.into()),
            }
        })
    }
}

/// A name that the system's resolver knows no address of.
#[derive(Debug, thiserror::Error)]
#[error("{host} has no address: {source}")]
pub(super) struct NoAddress {
    host: String,
    source: io::Error,
}

#[cfg(test)]
impl NoAddress {
    /// As the resolver makes it.
    pub(super) fn for_test(host: &str) -> Self {
        Self { host: host.to_owned(), source: io::Error::other("unknown") }
    }
}
