//! Which environments there are, as data: what a file or a variable comes to, before anything is connected.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::id::EnvironmentId;
use super::url::ServerUrl;

/// All environments, and which is meant when none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentsConfig {
    /// Which is meant when none is named.
    pub default: DefaultEnvironment,
    /// Whether callers may use this machine.
    pub include_local: bool,
    /// The others, in the order in which they were written. No id occurs twice, and none is `local`.
    pub remotes: Vec<EnvironmentConfig>,
}

/// Which environment is meant when none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultEnvironment {
    /// That one, which exists.
    Is(EnvironmentId),
    /// None: execution is disabled for whoever does not name one.
    Disabled(DisabledBy),
}

/// What disabled execution, so that people can be told what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledBy {
    /// `CODEX_EXEC_SERVER_URL=none`: there is no environment at all.
    Variable,
    /// The default is `none`.
    DefaultNone,
    /// This machine is left out, and no other one is the default.
    LocalExcluded,
}

impl fmt::Display for DisabledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable => "by CODEX_EXEC_SERVER_URL=none; unset it to run on this machine, or set it to a server's URL",
            Self::DefaultNone => "by the default environment `none`; name an environment, or set another default",
            Self::LocalExcluded => {
                "as this machine is left out (include_local = false) and there is no default; name an environment, or set \
                 `default`"
            }
        })
    }
}

/// One environment other than this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentConfig {
    /// Its name.
    pub id: EnvironmentId,
    /// How to get there.
    pub transport: TransportConfig,
    /// How long it may take to answer `initialize`; otherwise as for every client.
    pub initialize_timeout: Option<Duration>,
    /// Skills that its users count on. Kept for them; nothing here looks at it.
    pub required_skills: Vec<String>,
}

/// How to get to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportConfig {
    /// A server that listens.
    Url {
        /// Where.
        url: ServerUrl,
        /// What to show to it.
        bearer_token: Option<BearerToken>,
        /// How long connecting may take; otherwise as for every client.
        connect_timeout: Option<Duration>,
    },
    /// A program whose standard input and output lead to a server.
    Program(ProgramConfig),
}

/// A program whose standard input and output lead to a server, such as `ssh host codex-exec-server --listen stdio`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramConfig {
    /// Its path, or its name to be looked up in `PATH`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that it gets besides those of this process.
    pub env: BTreeMap<String, String>,
    /// Where it runs; otherwise where this process does.
    pub cwd: Option<PathBuf>,
}

/// A secret that is shown to a server and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

impl BearerToken {
    /// `None` when a header can't carry it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_sendable = !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        is_sendable.then(|| Self(text.to_owned()))
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(hidden)")
    }
}

impl EnvironmentsConfig {
    /// This machine alone.
    #[must_use]
    pub fn local_only() -> Self {
        Self {
            default: DefaultEnvironment::Is(EnvironmentId::local()),
            include_local: true,
            remotes: Vec::new(),
        }
    }

    /// No environment at all.
    #[must_use]
    pub const fn disabled() -> Self {
        Self {
            default: DefaultEnvironment::Disabled(DisabledBy::Variable),
            include_local: false,
            remotes: Vec::new(),
        }
    }

    /// All ids that callers may use.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let local = self.include_local.then_some(super::id::LOCAL);
        local.into_iter().chain(self.remotes.iter().map(|remote| remote.id.as_str()))
    }
}
