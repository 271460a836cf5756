//! Environments: machines by name.
//!
//! ```text
//! environments.toml or CODEX_EXEC_SERVER_URL → EnvironmentsConfig → EnvironmentManager → Environment → client
//! ```

mod config;
mod environment;
mod error;
mod file;
mod id;
mod lazy;
mod manager;
mod program;
mod unknown;
mod url;
mod variable;

pub use self::config::{
    BearerToken, DefaultEnvironment, DisabledBy, EnvironmentConfig, EnvironmentsConfig, ProgramConfig,
    TransportConfig,
};
pub use self::environment::{Environment, EnvironmentKind};
pub use self::error::EnvironmentError;
pub use self::file::{
    ENVIRONMENT_KEYS, EnvironmentsFileError, FILE_NAME, KEYS, MAX_TIMEOUT_SEC, choose_default, parse,
};
pub use self::id::{EnvironmentId, IdError, LOCAL, MAX_ID_CHARS, NONE};
pub use self::manager::EnvironmentManager;
pub use self::program::{Ending, ProgramError};
pub use self::unknown::UnknownEnvironment;
pub use self::url::{ServerUrl, UrlError};
pub use self::variable::{REMOTE, URL_VARIABLE, UrlVariableError, from_url_variable};
