//! What a server is told from outside, checked as a whole: address, credentials, bounds.

use std::path::PathBuf;

use codex_exec_server_core::limits::Limits;
use codex_exec_server_settings::{Chosen, Effective, Given, Key, LayerKind, Origin, Setting, SettingError};
use codex_exec_server_transport::{ListenUrl, SignedTokenRules};

use super::keys;

/// A server's settings from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeSettings {
    /// Where it listens.
    pub listen: ListenUrl,
    /// How clients prove themselves, if they must.
    pub auth: Option<AuthSettings>,
    /// Origins whose web pages are admitted.
    pub allowed_origins: Vec<String>,
    /// Whether browsers are shown the console.
    pub console: bool,
    /// Threads that carry connections and output, if somebody has chosen.
    pub threads: Option<usize>,
    /// Where it keeps output that memory has no room for, if that was said.
    pub state_directory: Option<PathBuf>,
    /// Bounds on what clients can make it hold.
    pub limits: Limits,
}

/// How clients prove themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthSettings {
    /// By a token in this file.
    TokenFile(PathBuf),
    /// By a token of this SHA-256, in hexadecimal digits.
    TokenSha256(String),
    /// By a token that was signed with the secret in this file.
    Signed(PathBuf, SignedTokenRules),
}

/// Settings that contradict each other. Each is named as it was written: by flag, variable, or place in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// A value can't be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A setting belongs to another way to prove oneself.
    #[error("{name} needs {mode}")]
    NeedsMode {
        /// The setting.
        name: String,
        /// What it needs.
        mode: String,
    },
    /// Nobody can show a credential there.
    #[error("{mode} has no effect on --listen {listen}; leave it out")]
    AuthWithoutSocket {
        /// The setting.
        mode: String,
        /// Where it listens.
        listen: ListenUrl,
    },
    /// No browser can connect there.
    #[error("{console} has no effect on --listen {listen}; leave it out, or listen on ws://127.0.0.1:PORT")]
    ConsoleWithoutSocket {
        /// The setting.
        console: String,
        /// Where it listens.
        listen: ListenUrl,
    },
    /// The token is missing, or told twice.
    #[error("{mode} needs exactly one of {file} and {sha256}")]
    TokenSource {
        /// The setting.
        mode: String,
        /// The name of one source.
        file: String,
        /// The name of the other.
        sha256: String,
    },
    /// The secret is missing.
    #[error("{mode} needs {file}")]
    NoSecret {
        /// The setting.
        mode: String,
        /// The name of what is missing.
        file: String,
    },
    /// Everybody could use it.
    #[error(
        "{0} can be reached from other machines, so clients need a credential: add `--ws-auth capability-token \
         --ws-token-file FILE`, or listen on 127.0.0.1 and use a tunnel"
    )]
    Exposed(ListenUrl),
}

impl ServeSettings {
    /// What `effective` says, if it makes sense together.
    ///
    /// A setting that a later layer makes pointless is passed over: a flag that chooses another way to prove oneself does
    /// not stumble over what a file says about the first. Within one layer it is a mistake.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn of(effective: &Effective) -> Result<Self, ServeError> {
        let listen = listen(effective)?;
        Ok(Self {
            auth: auth(effective, &listen)?,
            console: console(effective, &listen)?,
            listen: listen.value,
            allowed_origins: effective.value(&keys::ALLOWED_ORIGINS).unwrap_or_default(),
            threads: effective.value(&keys::THREADS).and_then(|threads| usize::try_from(threads).ok()),
            state_directory: effective.value(&keys::STATE_DIRECTORY),
            limits: limits(effective),
        })
    }
}

fn listen(effective: &Effective) -> Result<Chosen<'_, ListenUrl>, ServeError> {
    let Chosen { value, origin } = effective.get(&keys::LISTEN).expect("it has a default");
    let wrong = |error: &dyn std::fmt::Display| {
        SettingError::new(&keys::LISTEN.setting, origin, format!("is not understood: {error}"))
    };
    let value = value.trim().parse().map_err(|error| wrong(&error))?;
    Ok(Chosen { value, origin })
}

fn auth(effective: &Effective, listen: &Chosen<'_, ListenUrl>) -> Result<Option<AuthSettings>, ServeError> {
    let mode = effective.get(&keys::AUTH_MODE).expect("it has a default");
    let written = |value: &str| mode.origin.assignment(&keys::AUTH_MODE.setting, value);
    let token: [&Setting; 2] = [&keys::TOKEN_FILE.setting, &keys::TOKEN_SHA256.setting];
    let signed: [&Setting; 4] = [
        &keys::SHARED_SECRET_FILE.setting,
        &keys::ISSUER.setting,
        &keys::AUDIENCE.setting,
        &keys::MAX_CLOCK_SKEW.setting,
    ];
    // Below the mode's own layer, what belongs to another mode has been overruled.
    let misplaced = |settings: &[&Setting], needed: &str| {
        let said = settings.iter().find_map(|setting| {
            let (_, origin) = effective.raw(setting)?;
            let counts = origin.layer() >= mode.origin.layer() && *origin != Origin::Default;
            counts.then(|| (origin.name(setting), origin.assignment(&keys::AUTH_MODE.setting, needed)))
        });
        said.map_or(Ok(()), |(name, mode)| Err(ServeError::NeedsMode { name, mode }))
    };
    if mode.value != keys::CAPABILITY_TOKEN {
        misplaced(&token, keys::CAPABILITY_TOKEN)?;
    }
    if mode.value != keys::SIGNED_BEARER_TOKEN {
        misplaced(&signed, keys::SIGNED_BEARER_TOKEN)?;
    }
    if mode.value == keys::NO_AUTH {
        let url = &listen.value;
        return if url.is_loopback() { Ok(None) } else { Err(ServeError::Exposed(url.clone())) };
    }
    if !matches!(listen.value, ListenUrl::Ws(_)) {
        // Who says later where to listen has overruled what was said about credentials.
        if listen.origin.layer() > mode.origin.layer() {
            return Ok(None);
        }
        let mode = mode.origin.name(&keys::AUTH_MODE.setting);
        return Err(ServeError::AuthWithoutSocket { mode, listen: listen.value.clone() });
    }
    let named = |setting: &Setting| match (mode.origin, setting.flag) {
        (Origin::Flag(_), Some(flag)) => flag.to_owned(),
        (Origin::Variable(_), _) => setting.variable(),
        _ => format!("`{}`", setting.key),
    };
    if mode.value == keys::CAPABILITY_TOKEN {
        let (file, sha256) = (effective.get(&keys::TOKEN_FILE), effective.get(&keys::TOKEN_SHA256));
        let layer = |origin: &Origin| origin.layer();
        return match (file, sha256) {
            (Some(file), None) => Ok(Some(AuthSettings::TokenFile(file.value))),
            (None, Some(sha256)) => Ok(Some(AuthSettings::TokenSha256(sha256.value))),
            (Some(file), Some(sha256)) if layer(file.origin) > layer(sha256.origin) => {
                Ok(Some(AuthSettings::TokenFile(file.value)))
            }
            (Some(file), Some(sha256)) if layer(file.origin) < layer(sha256.origin) => {
                Ok(Some(AuthSettings::TokenSha256(sha256.value)))
            }
            _ => Err(ServeError::TokenSource {
                mode: written(&mode.value),
                file: named(&keys::TOKEN_FILE.setting),
                sha256: named(&keys::TOKEN_SHA256.setting),
            }),
        };
    }
    let Some(file) = effective.value(&keys::SHARED_SECRET_FILE) else {
        let file = named(&keys::SHARED_SECRET_FILE.setting);
        return Err(ServeError::NoSecret { mode: written(&mode.value), file });
    };
    let mut rules = SignedTokenRules {
        issuer: effective.value(&keys::ISSUER),
        audience: effective.value(&keys::AUDIENCE),
        ..SignedTokenRules::default()
    };
    set(&mut rules.max_clock_skew_seconds, effective, &keys::MAX_CLOCK_SKEW);
    Ok(Some(AuthSettings::Signed(file, rules)))
}

fn console(effective: &Effective, listen: &Chosen<'_, ListenUrl>) -> Result<bool, ServeError> {
    let console = effective.get(&keys::CONSOLE).expect("it has a default");
    if !console.value || listen.value != ListenUrl::Stdio {
        return Ok(console.value);
    }
    // Who says later to listen there has overruled it.
    if listen.origin.layer() > console.origin.layer() {
        return Ok(false);
    }
    let console = console.origin.name(&keys::CONSOLE.setting);
    Err(ServeError::ConsoleWithoutSocket { console, listen: listen.value.clone() })
}

fn limits(effective: &Effective) -> Limits {
    let mut limits = Limits::default();
    set_size(&mut limits.sessions, effective, &keys::SESSIONS);
    set_size(&mut limits.observers_per_session, effective, &keys::OBSERVERS_PER_SESSION);
    set(&mut limits.detached_session, effective, &keys::DETACHED_SESSION);
    set(&mut limits.detached_session_max, effective, &keys::DETACHED_SESSION_MAX);
    set_size(&mut limits.processes_per_session, effective, &keys::PROCESSES_PER_SESSION);
    set(&mut limits.closed_process_retention, effective, &keys::CLOSED_PROCESS_RETENTION);
    set_size(&mut limits.log.retain_bytes, effective, &keys::RETAINED_OUTPUT);
    set(&mut limits.retained_output_total_bytes, effective, &keys::RETAINED_OUTPUT_TOTAL);
    set_size(&mut limits.output_memory_total_bytes, effective, &keys::OUTPUT_MEMORY_TOTAL);
    set_size(&mut limits.queued_stdin_bytes, effective, &keys::QUEUED_STDIN);
    set_size(&mut limits.shell.snapshots_per_session, effective, &keys::SHELL_SNAPSHOTS_PER_SESSION);
    set_size(&mut limits.shell.snapshot_bytes, effective, &keys::SHELL_SNAPSHOT);
    set(&mut limits.shell.snapshot_wait, effective, &keys::SHELL_SNAPSHOT_WAIT);
    set_size(&mut limits.requests_in_flight, effective, &keys::REQUESTS_IN_FLIGHT);
    set_size(&mut limits.files.block_bytes_ahead, effective, &keys::BLOCK_BYTES_AHEAD);
    set_size(&mut limits.files.searches, effective, &keys::SEARCHES);
    set_size(&mut limits.files.searches_per_connection, effective, &keys::SEARCHES_PER_CONNECTION);
    set_size(&mut limits.files.watches, effective, &keys::WATCHES);
    set_size(&mut limits.files.watches_per_connection, effective, &keys::WATCHES_PER_CONNECTION);
    set_size(&mut limits.files.watched_directories, effective, &keys::WATCHED_DIRECTORIES);
    let discovery = &mut limits.files.discovery;
    set_size(&mut discovery.answer_bytes, effective, &keys::DISCOVERY_BYTES);
    set_size(&mut discovery.root_bytes, effective, &keys::DISCOVERY_ROOT_BYTES);
    set(&mut discovery.depth, effective, &keys::DISCOVERY_DEPTH);
    set(&mut discovery.directories, effective, &keys::DISCOVERY_DIRECTORIES);
    set(&mut discovery.entries, effective, &keys::DISCOVERY_ENTRIES);
    set_size(&mut discovery.plugins, effective, &keys::DISCOVERY_PLUGINS);
    // Who keeps sessions for longer by themselves lets clients ask for as much.
    let said =
        |key: &Key<_>| effective.get(key).is_some_and(|chosen| chosen.origin.layer() > LayerKind::Default);
    if !said(&keys::DETACHED_SESSION_MAX) {
        limits.detached_session_max = limits.detached_session_max.max(limits.detached_session);
    }
    limits
}

pub(super) fn set<T: Given>(place: &mut T, effective: &Effective, key: &Key<T>) {
    if let Some(value) = effective.value(key) {
        *place = value;
    }
}

fn set_size(place: &mut usize, effective: &Effective, key: &Key<u64>) {
    if let Some(value) = effective.value(key) {
        // The bounds of every key fit on the machines that this is built for.
        *place = usize::try_from(value).unwrap_or(usize::MAX);
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
