//! The answer to `initialize`, most of it as the text that is sent.
//!
//! What it says of the machine and the server is 2 KB, and the same for every connection until something changes about
//! sandboxes. Making it anew would be a good part of what a connection costs.

use std::sync::{Arc, Mutex, PoisonError};

use codex_exec_server_protocol::environment::{EnvironmentInfo, SandboxSupport};
use codex_exec_server_protocol::ids::SessionId;
use codex_exec_server_protocol::session::ServerLimits;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// What every connection is told, as text.
#[derive(Debug)]
pub(crate) struct Common {
    environment_info: Box<RawValue>,
    limits: Box<RawValue>,
}

impl Common {
    fn new(environment: &EnvironmentInfo, limits: &ServerLimits) -> Self {
        // Wire types have string keys and no fallible serializers, which are the only ways to fail here.
        let text = "wire types always serialize";
        Self {
            environment_info: to_raw_value(environment).expect(text),
            limits: to_raw_value(limits).expect(text),
        }
    }
}

/// What was told last, and with what about sandboxes in it.
#[derive(Debug, Default)]
pub(crate) struct LastTold(Mutex<Option<(Option<SandboxSupport>, Arc<Common>)>>);

impl LastTold {
    /// What is told with this about sandboxes. `environment` is asked for only if it was something else before.
    pub(crate) fn with(
        &self,
        sandbox: Option<SandboxSupport>,
        limits: &ServerLimits,
        environment: impl FnOnce(Option<SandboxSupport>) -> EnvironmentInfo,
    ) -> Arc<Common> {
        // Replaced as a whole, so nothing that panicked can have left it half done.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((same, common)) if *same == sandbox => Arc::clone(common),
            _ => {
                let common = Arc::new(Common::new(&environment(sandbox.clone()), limits));
                *last = Some((sandbox, Arc::clone(&common)));
                common
            }
        }
    }
}

/// An `InitializeResponse`, written as that is.
#[derive(Debug)]
pub(crate) struct Welcome {
    pub(crate) session_id: SessionId,
    pub(crate) common: Arc<Common>,
    pub(crate) detached_lifetime_ms: Option<u64>,
}

impl Serialize for Welcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'a> {
            session_id: &'a SessionId,
            environment_info: &'a RawValue,
            limits: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            detached_lifetime_ms: Option<u64>,
        }
        let Common { environment_info, limits } = &*self.common;
        let members = Members {
            session_id: &self.session_id,
            environment_info,
            limits,
            detached_lifetime_ms: self.detached_lifetime_ms,
        };
        members.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use codex_exec_server_protocol::session::InitializeResponse;

    use super::*;
    use crate::config::ServerConfig;

    fn sandbox(reason: &str) -> Option<SandboxSupport> {
        Some(SandboxSupport { processes: false, reason: Some(reason.to_owned()), standby: None })
    }

    fn environment(sandbox: Option<SandboxSupport>) -> EnvironmentInfo {
        EnvironmentInfo { sandbox, ..crate::environment::describe(&ServerConfig::from_process().environment) }
    }

    #[test]
    fn a_welcome_is_written_as_the_answer_of_the_protocol_is() {
        let limits = ServerConfig::from_process().server_limits();
        for detached_lifetime_ms in [None, Some(30_000)] {
            let welcome = Welcome {
                session_id: SessionId::from("a session".to_owned()),
                common: LastTold::default().with(sandbox("none here"), &limits, environment),
                detached_lifetime_ms,
            };
            let response = InitializeResponse {
                session_id: welcome.session_id.clone(),
                environment_info: Some(environment(sandbox("none here"))),
                limits: Some(limits.clone()),
                detached_lifetime_ms,
            };
            assert_eq!(
                serde_json::to_string(&welcome).expect("it serializes"),
                serde_json::to_string(&response).expect("it serializes")
            );
        }
    }

    #[test]
    fn what_is_told_is_made_anew_only_when_something_about_sandboxes_has_changed() {
        let (told, limits) = (LastTold::default(), ServerConfig::from_process().server_limits());
        let first = told.with(/*sandbox*/ None, &limits, environment);
        let same = told.with(/*sandbox*/ None, &limits, |_| unreachable!("it was made before"));
        assert!(Arc::ptr_eq(&first, &same));
        let changed = told.with(sandbox("tried"), &limits, environment);
        assert!(changed.environment_info.get().contains("tried"), "{changed:?}");
    }
}
