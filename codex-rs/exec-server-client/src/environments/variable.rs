//! `CODEX_EXEC_SERVER_URL`: one environment in one variable.

use super::config::{DefaultEnvironment, EnvironmentConfig, EnvironmentsConfig, TransportConfig};
use super::id::{EnvironmentId, NONE};
use super::url::{ServerUrl, UrlError};

/// The variable.
pub const URL_VARIABLE: &str = "CODEX_EXEC_SERVER_URL";
/// The id of the environment that it names.
pub const REMOTE: &str = "remote";

/// The variable holds no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{URL_VARIABLE}={value:?} {why}; set it to ws://HOST:PORT, to `none` to disable execution, or unset it to run on this machine"
)]
pub struct UrlVariableError {
    /// What it holds.
    pub value: String,
    /// What is wrong with it.
    pub why: UrlError,
}

/// What `value`, the content of the variable, comes to: unset or empty, this machine alone; `none` in any case,
/// nothing; otherwise the server at that address alone, under the id `remote`.
///
/// # Errors
/// When it is none of these.
pub fn from_url_variable(value: Option<&str>) -> Result<EnvironmentsConfig, UrlVariableError> {
    let value = value.unwrap_or_default().trim();
    if value.is_empty() {
        return Ok(EnvironmentsConfig::local_only());
    }
    if value.eq_ignore_ascii_case(NONE) {
        return Ok(EnvironmentsConfig::disabled());
    }
    let url = ServerUrl::parse(value).map_err(|why| UrlVariableError { value: value.to_owned(), why })?;
    let id = EnvironmentId::new(REMOTE).expect("it is a good id");
    let transport = TransportConfig::Url { url, bearer_token: None, connect_timeout: None };
    Ok(EnvironmentsConfig {
        default: DefaultEnvironment::Is(id.clone()),
        include_local: false,
        remotes: vec![EnvironmentConfig {
            id,
            transport,
            initialize_timeout: None,
            required_skills: Vec::new(),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environments::DisabledBy;

    #[test]
    fn unset_and_empty_mean_this_machine_and_none_in_any_case_means_nothing() {
        for value in [None, Some(""), Some(" \t")] {
            assert_eq!(from_url_variable(value), Ok(EnvironmentsConfig::local_only()), "{value:?}");
        }
        for value in ["none", "NONE", " None "] {
            let config = from_url_variable(Some(value)).expect(value);
            assert_eq!(config.default, DefaultEnvironment::Disabled(DisabledBy::Variable));
            assert_eq!(config.ids().count(), 0, "{value:?}");
        }
    }

    #[test]
    fn an_address_becomes_the_one_environment_and_replaces_this_machine() {
        let config = from_url_variable(Some(" ws://10.0.0.1:8765 ")).expect("it is good");
        assert_eq!(config.ids().collect::<Vec<_>>(), [REMOTE]);
        assert!(matches!(&config.default, DefaultEnvironment::Is(id) if id.as_str() == REMOTE));
        let TransportConfig::Url { url, .. } = &config.remotes[0].transport else { panic!("it is a URL") };
        assert_eq!(url.as_str(), "ws://10.0.0.1:8765");
    }

    #[test]
    fn anything_else_is_refused_with_all_that_would_do() {
        for value in ["http://x", "box", "ws://", "nonee"] {
            let error = from_url_variable(Some(value)).expect_err(value).to_string();
            assert!(error.contains(value) && error.contains("ws://HOST:PORT"), "{error}");
        }
    }
}
