//! `codex-exec-server [serve]`: flags over the other settings, signals to an orderly end.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use codex_exec_server_local::{Orphans, check_state_directory, os};
use codex_exec_server_settings::{Effective, Layer, SettingError};
use codex_exec_server_transport::{
    AcceptPolicy, AuthConfigError, Authenticator, Connection, ListenUrl, Listener, WireLimits,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

use super::Failure;
use super::sandbox::sandbox;
use crate::config::serve::{AuthSettings, ServeSettings};
use crate::config::sources::Sources;
use crate::config::{self, keys};
use crate::{Server, ServerConfig, web_console};

/// How long a server may take to end its processes and connections once it was told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What `--help` says below the flags.
const HELP: &str = "\
Settings come in layers; later ones win, each setting by itself:
  1. what is said above as default
  2. /etc/codex-exec-server/config.toml
  3. $XDG_CONFIG_HOME/codex-exec-server/config.toml, or ~/.config/codex-exec-server/config.toml
  4. variables: CODEX_EXEC_SERVER_LISTEN, CODEX_EXEC_SERVER_LIMITS_SESSIONS, ...
  5. flags
--config FILE (or CODEX_EXEC_SERVER_CONFIG) replaces both files, and --config none reads neither. --print-config shows \
what holds and where each value comes from, in the form of such a file, with everything that can be set.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ServeArgs {
    /// Where to listen: ws://IP:PORT (port 0 picks a free one), unix:///PATH, or stdio [default: ws://127.0.0.1:0]
    #[arg(long, value_name = "URL")]
    listen: Option<ListenUrl>,
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
    /// Show browsers a console at /console/ of the same port; its own pages are admitted
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        hide_possible_values = true
    )]
    console: Option<bool>,
    /// Directory for output that memory has no room for, made when it is needed
    /// [default: codex-exec-server under $XDG_STATE_HOME, ~/.local/state, or /var/lib for root]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// File of settings to read in place of those of machine and user, or none
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Print the settings that hold and where each comes from, and serve nobody
    #[arg(long)]
    print_config: bool,
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
    /// Not at all, whatever a file or variable says
    None,
}

impl AuthMode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::CapabilityToken => keys::CAPABILITY_TOKEN,
            Self::SignedBearerToken => keys::SIGNED_BEARER_TOKEN,
            Self::None => keys::NO_AUTH,
        }
    }
}

pub(super) fn main(args: ServeArgs) -> Result<ExitCode, Failure> {
    let (settings, effective) = args.settings()?;
    if args.print_config {
        print!("{}", config::print(&effective));
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = super::runtime(settings.threads)?;
    let outcome = runtime.block_on(serve(settings));
    // Standard input may still be waited for by a thread that can't be interrupted.
    runtime.shutdown_background();
    outcome
}

async fn serve(settings: ServeSettings) -> Result<ExitCode, Failure> {
    if let Err(error) = os::expect_many() {
        tracing::warn!(%error, "starting a process will take longer while thousands are running");
    }
    // Before there is any other process, since it must be alone in its group.
    match os::claim_control_groups() {
        Ok(()) => tracing::info!("limits: whole trees are kept to memory and processes"),
        Err(reason) => tracing::info!(reason, "limits: each process is kept to them by itself"),
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let orphans = Orphans::adopt()?;

    let ServeSettings { listen, auth, allowed_origins, console, threads: _, state_directory, limits } =
        settings;
    let secrets = auth.iter().filter_map(secret_file).collect();
    let auth = match auth {
        Some(auth) => Some(authenticator(auth).await?),
        None => None,
    };
    let sandbox = sandbox().hiding(secrets).standing_by();
    sandbox.announce_trial();
    let mut config = ServerConfig { sandbox: sandbox.clone(), ..ServerConfig::with_limits(limits) };
    if let Some(directory) = state_directory {
        // Whoever named it is here to read this; a server that found out when a process floods would tell nobody.
        match check_state_directory(&directory) {
            Err(error) if error.is_lasting() => return Err(error.into()),
            Err(error) => tracing::warn!("{error}; until it can, memory alone keeps output"),
            Ok(()) => {}
        }
        config.state_directory = Some(directory);
    }
    let wire = config.wire.clone();
    let server = Server::new(config);
    let serving = Arc::clone(&server);
    // A task, so that connections are accepted by the threads that carry them: this one would have to hand each over, twice.
    let work = match &listen {
        ListenUrl::Stdio => tokio::spawn(async move { serving.serve(Connection::stdio(&wire)).await }),
        url => {
            let site = console.then(web_console::site);
            let listener = bind(url, AcceptPolicy { auth, allowed_origins, site }, wire).await?;
            if console {
                tell_console(listener.local_url());
            }
            tokio::spawn(async move { serving.serve_listener(listener).await })
        }
    };
    let mut work = AbortOnDropHandle::new(work);
    // Once it listens: whoever connects waits for the answer, and nobody else.
    let trial = tokio::task::spawn_blocking(move || {
        drop(sandbox.support().clone());
        os::let_go_of_start();
    });
    let mut outcome = ExitCode::SUCCESS;
    tokio::select! {
        ended = &mut work => if let Err(error) = ended {
            tracing::error!(%error, "serving broke off");
            outcome = ExitCode::FAILURE;
        },
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(work);
    if tokio::time::timeout(STOP_WITHIN, server.shut_down()).await.is_err() {
        tracing::warn!("gave up waiting for processes to end");
    }
    // It takes milliseconds, and is over long since.
    let _ = trial.await;
    drop(orphans);
    Ok(outcome)
}

/// Binds, and says where on the one line of standard output that a server writes.
async fn bind(url: &ListenUrl, policy: AcceptPolicy, wire: WireLimits) -> Result<Listener, Failure> {
    let listener = Listener::bind(url, policy, wire).await?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", listener.local_url())?;
    stdout.flush()?;
    Ok(listener)
}

/// Says where the console is, beside the one line of standard output.
fn tell_console(local_url: &str) {
    match local_url.strip_prefix("ws://") {
        Some(address) => eprintln!("codex-exec-server: console at http://{address}{}", web_console::HOME),
        None => {
            eprintln!("codex-exec-server: console at {} of {local_url}, through a tunnel", web_console::HOME)
        }
    }
}

/// The file that holds the server's credential, which nobody in a sandbox may read.
fn secret_file(auth: &AuthSettings) -> Option<PathBuf> {
    let (AuthSettings::TokenFile(file) | AuthSettings::Signed(file, _)) = auth else { return None };
    // Where it can't be found, the server won't start either.
    file.canonicalize().ok()
}

async fn authenticator(auth: AuthSettings) -> Result<Authenticator, AuthConfigError> {
    match auth {
        AuthSettings::TokenFile(file) => Authenticator::capability_token_file(&file).await,
        AuthSettings::TokenSha256(hex) => Authenticator::capability_token_sha256(&hex),
        AuthSettings::Signed(file, rules) => Authenticator::signed_bearer_token_file(&file, rules).await,
    }
}

impl ServeArgs {
    /// The settings of this machine and process, with these flags over them.
    fn settings(&self) -> Result<(ServeSettings, Effective), Failure> {
        let sources = Sources::from_host(self.config.as_deref())?;
        sources.warn_of_strays();
        let effective = sources.effective(self.layer()?)?;
        Ok((ServeSettings::of(&effective)?, effective))
    }

    /// What the flags say.
    fn layer(&self) -> Result<Layer, SettingError> {
        let listen = self.listen.as_ref().map(ToString::to_string);
        let token_file = self.ws_token_file.as_deref().map(Path::to_string_lossy);
        let secret_file = self.ws_shared_secret_file.as_deref().map(Path::to_string_lossy);
        let origins = (!self.allow_origin.is_empty()).then(|| self.allow_origin.join(","));
        let skew = self.ws_max_clock_skew_seconds.map(|seconds| seconds.to_string());
        let mut layer = Layer::default();
        layer.set_flag(&keys::LISTEN, listen.as_deref())?;
        layer.set_flag(&keys::ALLOWED_ORIGINS, origins.as_deref())?;
        let console = self.console.map(|on| on.to_string());
        layer.set_flag(&keys::CONSOLE, console.as_deref())?;
        let state_dir = self.state_dir.as_deref().map(|path| path.to_string_lossy());
        layer.set_flag(&keys::STATE_DIRECTORY, state_dir.as_deref())?;
        layer.set_flag(&keys::AUTH_MODE, self.ws_auth.map(AuthMode::as_str))?;
        layer.set_flag(&keys::TOKEN_FILE, token_file.as_deref())?;
        layer.set_flag(&keys::TOKEN_SHA256, self.ws_token_sha256.as_deref())?;
        layer.set_flag(&keys::SHARED_SECRET_FILE, secret_file.as_deref())?;
        layer.set_flag(&keys::ISSUER, self.ws_issuer.as_deref())?;
        layer.set_flag(&keys::AUDIENCE, self.ws_audience.as_deref())?;
        layer.set_flag(&keys::MAX_CLOCK_SKEW, skew.as_deref())?;
        Ok(layer)
    }
}
