//! Where cases run: something that sends requests, of each kind, made for one case and ended after it.

use std::sync::Arc;

use codex_exec_server::ServerConfig;
use codex_exec_server_core::limits::HttpLimits;
use codex_exec_server_core::service::http::HttpClient;
use codex_exec_server_local::env::Environment;
use codex_exec_server_local::http::LocalHttp;

use crate::support::places::{behind_reference, behind_server};
use crate::tls::authority_file;

/// What a case is given.
pub(crate) type Machine = Arc<dyn HttpClient>;

/// The environment of every place: no proxies, an authority that the tests' sites are certified by, and something to put
/// into headers.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let authority = authority_file().to_str().expect("the path is text").to_owned();
    vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        ("TEST_TOKEN", "t0k".into()),
        ("TEST_EMPTY", String::new()),
        ("OPENAI_API_KEY", "secret".into()),
        ("SSL_CERT_FILE", authority),
    ]
}

/// `variables`, as a server has them.
pub(crate) fn as_environment(variables: Vec<(&'static str, String)>) -> Environment {
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Runs `case` on this machine.
pub(crate) async fn on_local<C: Future<Output = ()>>(case: impl FnOnce(Machine) -> C) {
    case(LocalHttp::new(as_environment(environment()), HttpLimits::default())).await;
}

/// Runs `case` over a WebSocket to a server of its own.
pub(crate) async fn on_remote<C: Future<Output = ()>>(case: impl FnOnce(Machine) -> C) {
    on_remote_with(as_environment(environment()), case).await;
}

/// As [`on_remote`], with the server's environment.
pub(crate) async fn on_remote_with<C: Future<Output = ()>>(
    environment: Environment,
    case: impl FnOnce(Machine) -> C,
) {
    let config = ServerConfig { environment, ..ServerConfig::from_process() };
    behind_server(config, |client| case(Arc::new(client))).await;
}

/// Runs `case` on the reference's server.
pub(crate) async fn on_reference<C: Future<Output = ()>>(case: impl FnOnce(Machine) -> C) {
    behind_reference(Some(&environment()), |client| case(Arc::new(client))).await;
}
