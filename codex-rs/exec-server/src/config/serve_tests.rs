use std::path::Path;
use std::time::Duration;

use codex_exec_server_settings::Layer;

use super::*;
use crate::config::keys::{SETTINGS, defaults};

/// A system file, a user file, variables and flags, each as text.
#[derive(Default)]
struct Said<'s> {
    system: &'s str,
    user: &'s str,
    variables: &'s [(&'s str, &'s str)],
    listen: Option<&'s str>,
    mode: Option<&'s str>,
    token_file: Option<&'s str>,
    token_sha256: Option<&'s str>,
}

fn serve(said: &Said<'_>) -> Result<ServeSettings, ServeError> {
    let file =
        |kind, path, text| Layer::from_file(SETTINGS, kind, Path::new(path), text).expect("it is good");
    let mut flags = Layer::default();
    flags.set_flag(&keys::LISTEN, said.listen)?;
    flags.set_flag(&keys::AUTH_MODE, said.mode)?;
    flags.set_flag(&keys::TOKEN_FILE, said.token_file)?;
    flags.set_flag(&keys::TOKEN_SHA256, said.token_sha256)?;
    let variables = said.variables.iter().copied();
    ServeSettings::of(&Effective::of([
        defaults(),
        file(LayerKind::SystemFile, "/etc/c.toml", said.system),
        file(LayerKind::UserFile, "/home/c.toml", said.user),
        Layer::from_variables(SETTINGS, variables).expect("they are good"),
        flags,
    ]))
}

#[test]
fn without_a_word_it_serves_this_machine_with_the_default_bounds() {
    let expected = ServeSettings {
        listen: "ws://127.0.0.1:0".parse().expect("it is good"),
        auth: None,
        allowed_origins: Vec::new(),
        console: false,
        threads: None,
        state_directory: None,
        limits: Limits::default(),
    };
    assert_eq!(serve(&Said::default()).expect("it is good"), expected);
}

#[test]
fn every_bound_arrives() {
    let user = "[server.limits]\nsessions = 1\ndetached_session_sec = 2\ndetached_session_max_sec = 3.5\n\
                processes_per_session = 4\nclosed_process_retention_sec = 5\nretained_output_bytes = 3145728\n\
                retained_output_total_bytes = 4096\n\
                output_memory_total_bytes = 16777216\nqueued_stdin_bytes = 65536\nrequests_in_flight = 6";
    let found = serve(&Said { user, ..Said::default() }).expect("it is good").limits;
    let mut expected = Limits {
        sessions: 1,
        detached_session: Duration::from_secs(2),
        detached_session_max: Duration::from_millis(3_500),
        processes_per_session: 4,
        closed_process_retention: Duration::from_secs(5),
        retained_output_total_bytes: 4 << 10,
        output_memory_total_bytes: 16 << 20,
        queued_stdin_bytes: 64 << 10,
        requests_in_flight: 6,
        ..Limits::default()
    };
    expected.log.retain_bytes = 3 << 20;
    assert_eq!(found, expected);
}

#[test]
fn who_keeps_sessions_for_longer_lets_clients_ask_for_as_much() {
    let variables = &[("CODEX_EXEC_SERVER_LIMITS_DETACHED_SESSION_SEC", "172800")];
    let limits = serve(&Said { variables, ..Said::default() }).expect("it is good").limits;
    assert_eq!(limits.detached_session_max, Duration::from_secs(172_800));
}

const TOKEN: &str = "[server]\nlisten = \"ws://0.0.0.0:1\"\n[server.auth]\nmode = \"capability-token\"\ntoken_file = \"token\"";

#[test]
fn credentials_come_from_any_layer_and_a_later_one_can_change_its_mind() {
    let from_file = Said { system: TOKEN, ..Said::default() };
    let token_file = AuthSettings::TokenFile("/etc/token".into());
    assert_eq!(serve(&from_file).expect("it is good").auth, Some(token_file));
    // Another token, told in the other way.
    let hex = "00";
    let other = Said { token_sha256: Some(hex), ..from_file };
    assert_eq!(serve(&other).expect("it is good").auth, Some(AuthSettings::TokenSha256(hex.into())));
    // Another way to prove oneself: what the file says of tokens is overruled.
    let signed = Said {
        system: TOKEN,
        variables: &[
            ("CODEX_EXEC_SERVER_AUTH_MODE", "signed-bearer-token"),
            ("CODEX_EXEC_SERVER_AUTH_SHARED_SECRET_FILE", "/s"),
            ("CODEX_EXEC_SERVER_AUTH_ISSUER", "me"),
            ("CODEX_EXEC_SERVER_AUTH_MAX_CLOCK_SKEW_SECONDS", "5"),
        ],
        ..Said::default()
    };
    let rules = SignedTokenRules { issuer: Some("me".into()), audience: None, max_clock_skew_seconds: 5 };
    assert_eq!(serve(&signed).expect("it is good").auth, Some(AuthSettings::Signed("/s".into(), rules)));
    // None at all, on an address that only this machine reaches.
    let none =
        Said { system: TOKEN, listen: Some("ws://127.0.0.1:1"), mode: Some("none"), ..Said::default() };
    assert_eq!(serve(&none).expect("it is good").auth, None);
    // A place where nobody can show any.
    let stdio = Said { system: TOKEN, listen: Some("stdio"), ..Said::default() };
    assert_eq!(serve(&stdio).expect("it is good").auth, None);
}

#[test]
fn a_console_is_shown_on_a_socket_and_passed_over_where_stdio_was_chosen_later() {
    let user = "[server]\nconsole = true";
    for (listen, expected) in [
        (None, true),
        (Some("ws://127.0.0.1:1"), true),
        // A browser gets there through a tunnel.
        (Some("unix:///s"), true),
        (Some("stdio"), false),
    ] {
        let said = Said { user, listen, ..Said::default() };
        assert_eq!(serve(&said).expect("it is good").console, expected, "{listen:?}");
    }
}

#[test]
fn contradictions_are_named_as_they_were_written() {
    let with = |text: &'static str| Said { user: text, ..Said::default() };
    for (said, words) in [
        (
            with("[server]\nlisten = \"ws://localhost:1\""),
            "/home/c.toml:2: `server.listen` is not understood: ",
        ),
        (with("[server]\nlisten = \"ws://0.0.0.0:1\""), "can be reached from other machines"),
        (
            Said { system: TOKEN, mode: Some("none"), ..Said::default() },
            "ws://0.0.0.0:1 can be reached from other machines",
        ),
        (
            with("[server.auth]\ntoken_file = \"t\""),
            "/home/c.toml:2: `server.auth.token_file` needs `server.auth.mode = \"capability-token\"`",
        ),
        (
            with("[server.auth]\nmode = \"capability-token\"\ntoken_file = \"t\"\nissuer = \"me\""),
            "/home/c.toml:4: `server.auth.issuer` needs `server.auth.mode = \"signed-bearer-token\"`",
        ),
        (
            with("[server.auth]\nmode = \"capability-token\""),
            "`server.auth.mode = \"capability-token\"` needs exactly one of `server.auth.token_file` and \
             `server.auth.token_sha256`",
        ),
        (
            with("[server.auth]\nmode = \"capability-token\"\ntoken_file = \"t\"\ntoken_sha256 = \"0\""),
            "needs exactly one of",
        ),
        (
            with("[server.auth]\nmode = \"signed-bearer-token\""),
            "`server.auth.mode = \"signed-bearer-token\"` needs `server.auth.shared_secret_file`",
        ),
        (
            with("[server]\nlisten = \"stdio\"\nauth.mode = \"capability-token\"\nauth.token_file = \"t\""),
            "/home/c.toml:3: `server.auth.mode` has no effect on --listen stdio",
        ),
        (
            with("[server]\nlisten = \"stdio\"\nconsole = true"),
            "/home/c.toml:3: `server.console` has no effect on --listen stdio; leave it out",
        ),
        (
            Said { variables: &[("CODEX_EXEC_SERVER_AUTH_ISSUER", "me")], ..Said::default() },
            "CODEX_EXEC_SERVER_AUTH_ISSUER needs CODEX_EXEC_SERVER_AUTH_MODE=signed-bearer-token",
        ),
        (
            Said { token_file: Some("t"), ..Said::default() },
            "--ws-token-file needs --ws-auth capability-token",
        ),
        (
            Said { mode: Some("capability-token"), ..Said::default() },
            "--ws-auth capability-token needs exactly one of --ws-token-file and --ws-token-sha256",
        ),
    ] {
        let error = serve(&said).expect_err(words).to_string();
        assert!(error.contains(words), "{error} does not say {words}");
    }
}
