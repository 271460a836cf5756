//! Which environment a name leads to, before anything is connected.

use std::path::Path;
use std::sync::Arc;

use codex_exec_server_client::ClientConfig;
use codex_exec_server_client::environments::{
    DisabledBy, EnvironmentError, EnvironmentKind, EnvironmentManager, EnvironmentsConfig, from_url_variable,
    parse,
};
use codex_exec_server_core::service::{ExecBackend, ExecError, ExecProcess, ServiceFuture};
use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::process::ProcessStartParams;

/// A backend that is only to be recognised.
#[derive(Debug)]
struct ThisMachine;

impl ExecBackend for ThisMachine {
    fn environment(&self) -> Arc<EnvironmentInfo> {
        unreachable!("nobody asks")
    }

    fn start(
        &self,
        _params: ProcessStartParams,
    ) -> ServiceFuture<'_, Result<Arc<dyn ExecProcess>, ExecError>> {
        unreachable!("nobody starts anything")
    }
}

fn manager(config: EnvironmentsConfig) -> EnvironmentManager {
    EnvironmentManager::new(config, &ClientConfig::default(), Some(Arc::new(ThisMachine)))
}

fn file(text: &str) -> EnvironmentManager {
    manager(parse(Path::new("environments.toml"), text).expect("it is good"))
}

const TWO: &str = "[[environments]]\nid = \"box\"\nurl = \"ws://h:1\"\n\
                   [[environments]]\nid = \"ssh\"\nprogram = \"ssh\"\nargs = [\"h\", \"a b\"]\n";

#[test]
fn environments_are_listed_in_the_order_of_the_file_behind_this_machine() {
    let manager = file(TWO);
    let listed: Vec<_> = manager
        .environments()
        .iter()
        .map(|environment| (environment.id().as_str(), environment.kind(), environment.description()))
        .collect();
    let expected = [
        ("local", EnvironmentKind::Local, "this machine"),
        ("box", EnvironmentKind::Url, "ws://h:1"),
        ("ssh", EnvironmentKind::Program, "ssh h 'a b'"),
    ];
    assert_eq!(listed, expected);
    assert_eq!(manager.default_environment().expect("there is one").id().as_str(), "local");
    assert_eq!(manager.find(Some("ssh")).expect("there is one").id().as_str(), "ssh");
}

#[test]
fn disabled_is_a_state_for_callers_while_the_program_itself_still_reaches_this_machine() {
    let manager = manager(from_url_variable(Some("none")).expect("it is good"));
    assert!(manager.environments().is_empty());
    for outcome in [manager.default_environment(), manager.local(), manager.get("box")] {
        let error = outcome.expect_err("there is none");
        assert!(matches!(error, EnvironmentError::Disabled(DisabledBy::Variable)), "{error}");
        assert!(error.to_string().contains("unset it"), "{error}");
    }
    assert!(manager.internal_local().is_some());
}

#[test]
fn without_a_default_a_name_is_needed_and_suffices() {
    for (head, by) in [
        ("default = \"none\"\n", DisabledBy::DefaultNone),
        ("include_local = false\n", DisabledBy::LocalExcluded),
    ] {
        let manager = file(&format!("{head}{TWO}"));
        let error = manager.default_environment().expect_err("there is none");
        assert!(matches!(error, EnvironmentError::Disabled(found) if found == by), "{error}");
        manager.get("box").expect("it was named");
    }
}

#[test]
fn an_address_in_the_variable_is_the_one_environment_and_the_default() {
    let manager = manager(from_url_variable(Some("ws://h:1")).expect("it is good"));
    assert_eq!(manager.default_environment().expect("there is one").id().as_str(), "remote");
    let error = manager.local().expect_err("it was replaced");
    assert!(matches!(error, EnvironmentError::Unknown(_)), "{error}");
    assert!(error.to_string().contains("left out; there is remote"), "{error}");
    assert!(manager.internal_local().is_some());
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let manager = file(TWO);
    for (name, words) in [("bos", "did you mean \"box\"?"), ("zzz", "there is local, box, ssh")] {
        let error = manager.get(name).expect_err("there is none").to_string();
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn no_connection_leads_to_this_machine() {
    let environment = file(TWO).local().expect("it is included");
    let error = environment.client().await.map(|_| ()).expect_err("there is none");
    assert!(matches!(error, EnvironmentError::NoConnection), "{error}");
}

#[tokio::test]
async fn this_machine_is_the_backend_that_the_program_has_for_it_if_any() {
    let config = EnvironmentsConfig::local_only;
    let backend = manager(config()).local().expect("it is included").backend().await.expect("there is one");
    assert_eq!(format!("{backend:?}"), "ThisMachine");
    let without = EnvironmentManager::new(config(), &ClientConfig::default(), /*local*/ None);
    let error = without.local().expect("it is included").backend().await.expect_err("there is none");
    assert!(matches!(error, EnvironmentError::NoLocalBackend), "{error}");
}
