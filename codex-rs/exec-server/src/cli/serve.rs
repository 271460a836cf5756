//! `codex-exec-server [serve]`: flags to settings, signals to an orderly end.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use codex_exec_server_local::Orphans;
use codex_exec_server_transport::{
    AcceptPolicy, Authenticator, Connection, ListenUrl, Listener, SignedTokenRules, WireLimits,
};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::{Server, ServerConfig};

/// How long a server may take to end its processes and connections once it was told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where to listen: ws://IP:PORT (port 0 picks a free one), unix:///PATH, or stdio
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:0")]
    listen: ListenUrl,
    /// How clients of a WebSocket must prove themselves; required off loopback
    #[arg(long, value_enum, value_name = "MODE")]
    ws_auth: Option<AuthMode>,
    /// capability-token: file that holds the token
    #[arg(long, value_name = "PATH")]
    ws_token_file: Option<PathBuf>,
    /// capability-token: SHA-256 of the token, 64 hex digits
    #[arg(long, value_name = "HEX")]
    ws_token_sha256: Option<String>,
    /// signed-bearer-token: file that holds the shared HS256 secret, at least 32 bytes
    #[arg(long, value_name = "PATH")]
    ws_shared_secret_file: Option<PathBuf>,
    /// signed-bearer-token: the `iss` that tokens must name
    #[arg(long, value_name = "NAME")]
    ws_issuer: Option<String>,
    /// signed-bearer-token: the `aud` that tokens must name
    #[arg(long, value_name = "NAME")]
    ws_audience: Option<String>,
    /// signed-bearer-token: how far clocks may be apart [default: 30]
    #[arg(long, value_name = "SECONDS")]
    ws_max_clock_skew_seconds: Option<u64>,
    /// Admit web pages of this origin, such as https://example.org; may be repeated. All others are refused
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Accepted for compatibility: requests always run side by side, in order for each process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide = true)]
    concurrent_requests: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuthMode {
    /// A token that the client simply shows
    CapabilityToken,
    /// A JWT that the client's issuer signed with a shared secret
    SignedBearerToken,
}

/// Flags that contradict each other.
#[derive(Debug, thiserror::Error)]
enum FlagError {
    #[error("{0} needs --ws-auth {1}")]
    NeedsMode(&'static str, &'static str),
    #[error("--ws-auth has no effect on --listen {0}; leave it out")]
    AuthWithoutSocket(ListenUrl),
    #[error("--ws-auth capability-token needs exactly one of --ws-token-file and --ws-token-sha256")]
    TokenSource,
    #[error("--ws-auth signed-bearer-token needs --ws-shared-secret-file")]
    NoSecret,
    #[error(
        "{0} can be reached from other machines, so clients need a credential: add `--ws-auth capability-token \
         --ws-token-file FILE`, or listen on 127.0.0.1 and use a tunnel"
    )]
    Exposed(ListenUrl),
}

pub(super) fn main(args: ServeArgs) -> Result<ExitCode, Failure> {
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(serve(args));
    // Standard input may still be waited for by a thread that can't be interrupted.
    runtime.shutdown_background();
    outcome
}

async fn serve(args: ServeArgs) -> Result<ExitCode, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let orphans = Orphans::adopt()?;

    let auth = args.authenticator().await?;
    let config = ServerConfig::from_process();
    let wire = config.wire.clone();
    let server = Server::new(config);
    let serving = Arc::clone(&server);
    let work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = match &args.listen {
        ListenUrl::Stdio => Box::pin(async move { serving.serve(Connection::stdio(&wire)).await }),
        url => {
            let listener = bind(url, AcceptPolicy { auth, allowed_origins: args.allow_origin }, wire).await?;
            Box::pin(async move { serving.serve_listener(listener).await })
        }
    };
    tokio::select! {
        () = work => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    if tokio::time::timeout(STOP_WITHIN, server.shut_down()).await.is_err() {
        tracing::warn!("gave up waiting for processes to end");
    }
    drop(orphans);
    Ok(ExitCode::SUCCESS)
}

/// Binds, and says where on the one line of standard output that a server writes.
async fn bind(url: &ListenUrl, policy: AcceptPolicy, wire: WireLimits) -> Result<Listener, Failure> {
    let listener = Listener::bind(url, policy, wire).await?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", listener.local_url())?;
    stdout.flush()?;
    Ok(listener)
}

impl ServeArgs {
    async fn authenticator(&self) -> Result<Option<Authenticator>, Failure> {
        let token = [
            ("--ws-token-file", self.ws_token_file.is_some()),
            ("--ws-token-sha256", self.ws_token_sha256.is_some()),
        ];
        let signed = [
            ("--ws-shared-secret-file", self.ws_shared_secret_file.is_some()),
            ("--ws-issuer", self.ws_issuer.is_some()),
            ("--ws-audience", self.ws_audience.is_some()),
            ("--ws-max-clock-skew-seconds", self.ws_max_clock_skew_seconds.is_some()),
        ];
        let misplaced = |flags: &[(&'static str, bool)], mode| {
            flags.iter().find(|(_, given)| *given).map(|(flag, _)| FlagError::NeedsMode(flag, mode))
        };
        if self.ws_auth != Some(AuthMode::CapabilityToken)
            && let Some(error) = misplaced(&token, "capability-token")
        {
            return Err(error.into());
        }
        if self.ws_auth != Some(AuthMode::SignedBearerToken)
            && let Some(error) = misplaced(&signed, "signed-bearer-token")
        {
            return Err(error.into());
        }
        let Some(mode) = self.ws_auth else {
            if self.listen.is_loopback() {
                return Ok(None);
            }
            return Err(FlagError::Exposed(self.listen.clone()).into());
        };
        if !matches!(self.listen, ListenUrl::Ws(_)) {
            return Err(FlagError::AuthWithoutSocket(self.listen.clone()).into());
        }
        Ok(Some(match mode {
            AuthMode::CapabilityToken => match (&self.ws_token_file, &self.ws_token_sha256) {
                (Some(file), None) => Authenticator::capability_token_file(file).await?,
                (None, Some(hex)) => Authenticator::capability_token_sha256(hex)?,
                _ => return Err(FlagError::TokenSource.into()),
            },
            AuthMode::SignedBearerToken => {
                let file = self.ws_shared_secret_file.as_ref().ok_or(FlagError::NoSecret)?;
                let mut rules = SignedTokenRules {
                    issuer: self.ws_issuer.clone(),
                    audience: self.ws_audience.clone(),
                    ..SignedTokenRules::default()
                };
                if let Some(seconds) = self.ws_max_clock_skew_seconds {
                    rules.max_clock_skew_seconds = seconds;
                }
                Authenticator::signed_bearer_token_file(file, rules).await?
            }
        }))
    }
}
