//! Everything that can be set from outside, each once: key, bounds, flag, words. The documentation lists the same keys, and
//! a test compares.

use std::path::PathBuf;
use std::time::Duration;

use codex_exec_server_client::ClientConfig;
use codex_exec_server_core::limits::Limits;
use codex_exec_server_settings::{Key, Layer, Setting};

/// Where a server listens when nobody says otherwise: a free port that only this machine reaches.
const DEFAULT_LISTEN: &str = "ws://127.0.0.1:0";

/// `server.auth.mode`: clients show a token.
pub(crate) const CAPABILITY_TOKEN: &str = "capability-token";
/// `server.auth.mode`: clients show a token that somebody signed.
pub(crate) const SIGNED_BEARER_TOKEN: &str = "signed-bearer-token";
/// `server.auth.mode`: clients show nothing.
pub(crate) const NO_AUTH: &str = "none";

/// A day, in seconds.
const DAY: f64 = 86_400.0;
/// 1 MiB, in bytes.
const MIB: u64 = 1 << 20;

macro_rules! keys {
    ($($(#[doc = $about:literal])+ $name:ident: $type:ty = $make:ident($key:literal $(, $bound:expr)*) $(, $flag:literal)?;)+) => {
        $(
            $(#[doc = $about])+
            pub(crate) static $name: Key<$type> =
                Key::<$type>::$make($key $(, $bound)*, concat!($($about),+).trim_ascii_start())$(.flag($flag))?;
        )+

        /// All of them. Those of one table stand together.
        pub(crate) const SETTINGS: &[&Setting] = &[$(&$name.setting),+];
    };
}

keys! {
    /// Where to listen: ws://IP:PORT (port 0 picks a free one), unix:///PATH, or stdio
    LISTEN: String = text("server.listen"), "--listen";
    /// Web pages of these origins are admitted, such as https://example.org; all others are refused
    ALLOWED_ORIGINS: Vec<String> = list("server.allowed_origins"), "--allow-origin";
    /// Show browsers a console at /console/, whose own pages are admitted
    CONSOLE: bool = switch("server.console"), "--console";
    /// Threads that carry connections and output; half of the processors when nothing is said, at least one
    THREADS: u64 = count("server.threads", 1, 1024);
    /// Directory for output that memory has no room for, made when it is needed; otherwise codex-exec-server under
    /// $XDG_STATE_HOME, ~/.local/state, or /var/lib for root
    STATE_DIRECTORY: PathBuf = path("server.state_directory"), "--state-dir";

    /// How clients of a WebSocket must prove themselves; required off loopback
    AUTH_MODE: String = choice("server.auth.mode", &[CAPABILITY_TOKEN, SIGNED_BEARER_TOKEN, NO_AUTH]), "--ws-auth";
    /// capability-token: file that holds the token
    TOKEN_FILE: PathBuf = path("server.auth.token_file"), "--ws-token-file";
    /// capability-token: SHA-256 of the token, 64 hex digits
    TOKEN_SHA256: String = text("server.auth.token_sha256"), "--ws-token-sha256";
    /// signed-bearer-token: file that holds the shared HS256 secret, at least 32 bytes
    SHARED_SECRET_FILE: PathBuf = path("server.auth.shared_secret_file"), "--ws-shared-secret-file";
    /// signed-bearer-token: the `iss` that tokens must name
    ISSUER: String = text("server.auth.issuer"), "--ws-issuer";
    /// signed-bearer-token: the `aud` that tokens must name
    AUDIENCE: String = text("server.auth.audience"), "--ws-audience";
    /// signed-bearer-token: how far clocks may be apart; 30 when nothing is said
    MAX_CLOCK_SKEW: u64 = count("server.auth.max_clock_skew_seconds", 0, u64::MAX), "--ws-max-clock-skew-seconds";

    /// Sessions, attached and detached
    SESSIONS: u64 = count("server.limits.sessions", 1, 1_000_000);
    /// Connections that may observe one session at a time, each with a cursor per process; 0 for none
    OBSERVERS_PER_SESSION: u64 = count("server.limits.observers_per_session", 0, 10_000);
    /// How long a session waits for its client to come back
    DETACHED_SESSION: Duration = seconds("server.limits.detached_session_sec", 1.0, 30.0 * DAY);
    /// How long a client may ask its session to wait
    DETACHED_SESSION_MAX: Duration = seconds("server.limits.detached_session_max_sec", 1.0, 30.0 * DAY);
    /// Processes of one session, closed ones included
    PROCESSES_PER_SESSION: u64 = count("server.limits.processes_per_session", 1, 1_000_000);
    /// How long a closed process stays readable
    CLOSED_PROCESS_RETENTION: Duration = seconds("server.limits.closed_process_retention_sec", 0.0, DAY);
    /// Output kept of each process for those who have still to read it, in memory and beyond 6 MiB in a file
    RETAINED_OUTPUT: u64 = count("server.limits.retained_output_bytes", 2 * MIB, 1 << 40);
    /// What the files of all processes together may take before none grows any more
    RETAINED_OUTPUT_TOTAL: u64 = count("server.limits.retained_output_total_bytes", 0, 1 << 50);
    /// Output of all processes together in memory before each keeps less there
    OUTPUT_MEMORY_TOTAL: u64 = count("server.limits.output_memory_total_bytes", 16 * MIB, 1 << 40);
    /// Bytes that may wait for a process to read its stdin
    QUEUED_STDIN: u64 = count("server.limits.queued_stdin_bytes", 64 << 10, 1 << 30);
    /// Shell snapshots of one session; 0 for none: login files are then read at each start
    SHELL_SNAPSHOTS_PER_SESSION: u64 = count("server.limits.shell_snapshots_per_session", 0, 10_000);
    /// What one of them may hold
    SHELL_SNAPSHOT: u64 = count("server.limits.shell_snapshot_bytes", 4 << 10, 64 * MIB);
    /// How long taking one may hold up the start that needs it
    SHELL_SNAPSHOT_WAIT: Duration = seconds("server.limits.shell_snapshot_wait_sec", 0.001, DAY);
    /// Requests of one connection that may wait for their answers
    REQUESTS_IN_FLIGHT: u64 = count("server.limits.requests_in_flight", 1, 1_000_000);
    /// Long parts of files that one connection may have on their way from the disk into its socket, in bytes
    BLOCK_BYTES_AHEAD: u64 = count("server.limits.block_bytes_ahead", MIB, 1 << 30);
    /// Searches of files that may run at once, each on a thread of its own
    SEARCHES: u64 = count("server.limits.searches", 1, 1_000);
    /// Of these, those of one connection
    SEARCHES_PER_CONNECTION: u64 = count("server.limits.searches_per_connection", 1, 1_000);
    /// Watches of files that may stand at once, each with one of the system's inotify instances
    WATCHES: u64 = count("server.limits.watches", 1, 10_000);
    /// Of these, those of one connection
    WATCHES_PER_CONNECTION: u64 = count("server.limits.watches_per_connection", 1, 10_000);
    /// Directories of one watch
    WATCHED_DIRECTORIES: u64 = count("server.limits.watched_directories", 1, 10_000_000);
    /// Files with plugins and skills that one answer to a discovery holds, in bytes
    DISCOVERY_BYTES: u64 = count("server.limits.discovery_bytes", MIB, 512 * MIB);
    /// Of these, those of one root
    DISCOVERY_ROOT_BYTES: u64 = count("server.limits.discovery_root_bytes", MIB, 512 * MIB);
    /// Levels below a root that are looked at
    DISCOVERY_DEPTH: u64 = count("server.limits.discovery_depth", 1, 64);
    /// Directories of a root that are looked at
    DISCOVERY_DIRECTORIES: u64 = count("server.limits.discovery_directories", 1, 10_000);
    /// Entries of a root that are looked at
    DISCOVERY_ENTRIES: u64 = count("server.limits.discovery_entries", 1, 50_000);
    /// Installed plugins that are described
    DISCOVERY_PLUGINS: u64 = count("server.limits.discovery_plugins", 1, 10_000);

    /// The environment that is meant when none is named: its id, local, or none
    DEFAULT_ENVIRONMENT: String = text("client.default_environment");
    /// File that names the environments; otherwise environments.toml beside the user's file, if it is there
    ENVIRONMENTS: PathBuf = path("client.environments"), "--environments";
    /// How long making one connection may take
    CONNECT_TIMEOUT: Duration = seconds("client.connect_timeout_sec", 0.001, DAY);
    /// How long a server may take to answer initialize
    INITIALIZE_TIMEOUT: Duration = seconds("client.initialize_timeout_sec", 0.001, DAY);
    /// How long a lost connection is sought again
    RECOVERY_TIMEOUT: Duration = seconds("client.recovery_timeout_sec", 0.0, DAY);
}

/// Variables with the same prefix that are no settings of these files.
pub(crate) const OTHER_VARIABLES: &[&str] = &[
    super::sources::CONFIG_VARIABLE,
    codex_exec_server_client::environments::URL_VARIABLE,
    "CODEX_EXEC_SERVER_LOG",
    // Of the reference, whose environment may be shared with ours.
    "CODEX_EXEC_SERVER_NOISE_REGISTRY_URL",
    "CODEX_EXEC_SERVER_NOISE_ENVIRONMENT_ID",
    "CODEX_EXEC_SERVER_NOISE_AUTH_TOKEN",
    "CODEX_EXEC_SERVER_NOISE_CHATGPT_ACCOUNT_ID",
    "CODEX_EXEC_SERVER_EXIT_ON_STDIN_CLOSE",
    "CODEX_EXEC_SERVER_PROXY_PRIVATE_IPS_VIA_UPSTREAM",
];

/// What holds when nobody says anything, as a layer: the defaults of the types that the settings end up in.
pub(crate) fn defaults() -> Layer {
    let (limits, client) = (Limits::default(), ClientConfig::default());
    let mut layer = Layer::default();
    layer.set_default(&LISTEN, DEFAULT_LISTEN.to_owned());
    layer.set_default(&ALLOWED_ORIGINS, Vec::new());
    layer.set_default(&CONSOLE, false);
    layer.set_default(&AUTH_MODE, NO_AUTH.to_owned());
    layer.set_default(&SESSIONS, limits.sessions as u64);
    layer.set_default(&OBSERVERS_PER_SESSION, limits.observers_per_session as u64);
    layer.set_default(&DETACHED_SESSION, limits.detached_session);
    layer.set_default(&DETACHED_SESSION_MAX, limits.detached_session_max);
    layer.set_default(&PROCESSES_PER_SESSION, limits.processes_per_session as u64);
    layer.set_default(&CLOSED_PROCESS_RETENTION, limits.closed_process_retention);
    layer.set_default(&RETAINED_OUTPUT, limits.log.retain_bytes as u64);
    layer.set_default(&RETAINED_OUTPUT_TOTAL, limits.retained_output_total_bytes);
    layer.set_default(&OUTPUT_MEMORY_TOTAL, limits.output_memory_total_bytes as u64);
    layer.set_default(&QUEUED_STDIN, limits.queued_stdin_bytes as u64);
    layer.set_default(&SHELL_SNAPSHOTS_PER_SESSION, limits.shell.snapshots_per_session as u64);
    layer.set_default(&SHELL_SNAPSHOT, limits.shell.snapshot_bytes as u64);
    layer.set_default(&SHELL_SNAPSHOT_WAIT, limits.shell.snapshot_wait);
    layer.set_default(&REQUESTS_IN_FLIGHT, limits.requests_in_flight as u64);
    layer.set_default(&BLOCK_BYTES_AHEAD, limits.files.block_bytes_ahead as u64);
    layer.set_default(&SEARCHES, limits.files.searches as u64);
    layer.set_default(&SEARCHES_PER_CONNECTION, limits.files.searches_per_connection as u64);
    layer.set_default(&WATCHES, limits.files.watches as u64);
    layer.set_default(&WATCHES_PER_CONNECTION, limits.files.watches_per_connection as u64);
    layer.set_default(&WATCHED_DIRECTORIES, limits.files.watched_directories as u64);
    let discovery = limits.files.discovery;
    layer.set_default(&DISCOVERY_BYTES, discovery.answer_bytes as u64);
    layer.set_default(&DISCOVERY_ROOT_BYTES, discovery.root_bytes as u64);
    layer.set_default(&DISCOVERY_DEPTH, discovery.depth);
    layer.set_default(&DISCOVERY_DIRECTORIES, discovery.directories);
    layer.set_default(&DISCOVERY_ENTRIES, discovery.entries);
    layer.set_default(&DISCOVERY_PLUGINS, discovery.plugins as u64);
    layer.set_default(&CONNECT_TIMEOUT, client.connect_timeout);
    layer.set_default(&INITIALIZE_TIMEOUT, client.initialize_timeout);
    layer.set_default(&RECOVERY_TIMEOUT, client.recovery_deadline);
    layer
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use codex_exec_server_client::environments::{ENVIRONMENT_KEYS, KEYS, parse};
    use codex_exec_server_settings::{Effective, Value, notation};

    use super::*;

    const DOCUMENTATION: &str = include_str!("../../../../docs/configuration.md");

    #[test]
    fn the_documentation_lists_every_key_with_its_flag_and_default_and_no_other() {
        let (documentation, effective) = (DOCUMENTATION, Effective::of([defaults()]));
        for setting in SETTINGS {
            let start = format!("| `{}` |", setting.key);
            let row = documentation.lines().find(|line| line.starts_with(&start));
            let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row for {}", setting.key));
            if let Some(flag) = setting.flag {
                assert!(row.contains(&format!("`{flag}`")), "{row}");
            }
            match effective.raw(setting) {
                Some((Value::List(_), _)) | None => {}
                Some((value, _)) => assert!(row.contains(notation(value).trim_matches('"')), "{row}"),
            }
        }
        let known: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        let rows = documentation.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        for (key, _) in rows.filter(|(key, _)| key.starts_with("server.") || key.starts_with("client.")) {
            assert!(known.contains(key), "docs/configuration.md tells of {key}, which is not there");
        }
        for key in KEYS.iter().chain(ENVIRONMENT_KEYS) {
            assert!(
                documentation.contains(&format!("| `{key}` |")),
                "docs/configuration.md has no row for {key}"
            );
        }
    }

    #[test]
    fn the_environments_of_the_documentation_are_good() {
        let example = DOCUMENTATION.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
        let config =
            parse(Path::new("environments.toml"), example.expect("there is one")).expect("it is good");
        assert_eq!(config.ids().collect::<Vec<_>>(), ["local", "box", "far"]);
    }

    #[test]
    fn no_two_settings_share_a_variable_and_none_is_taken_otherwise() {
        let variables: BTreeSet<String> = SETTINGS.iter().map(|setting| setting.variable()).collect();
        assert_eq!(variables.len(), SETTINGS.len());
        assert!(!OTHER_VARIABLES.iter().any(|other| variables.contains(*other)));
    }

    #[test]
    fn every_default_is_within_its_bounds() {
        let printed = codex_exec_server_settings::print(&Effective::of([defaults()]), SETTINGS);
        let kind = codex_exec_server_settings::LayerKind::UserFile;
        Layer::from_file(SETTINGS, kind, Path::new("printed.toml"), &printed).expect("it is good");
    }
}
