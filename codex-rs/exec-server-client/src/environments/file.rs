//! `environments.toml`: its rules, one error for each. Text comes in, data goes out; files are read elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use codex_exec_server_settings::{Document, FileError, Found, NamedText, Place, Table};

use super::config::{
    BearerToken, DefaultEnvironment, DisabledBy, EnvironmentConfig, EnvironmentsConfig, ProgramConfig,
    TransportConfig,
};
use super::id::{EnvironmentId, IdError, LOCAL, NONE};
use super::unknown::UnknownEnvironment;
use super::url::{ServerUrl, UrlError};

/// The name of the file.
pub const FILE_NAME: &str = "environments.toml";

/// Keys of the file itself.
pub const KEYS: &[&str] = &["default", "include_local", "environments"];
/// Keys of each environment.
pub const ENVIRONMENT_KEYS: &[&str] = &[
    "id",
    "skills",
    "url",
    "auth_bearer_token",
    "program",
    "args",
    "env",
    "cwd",
    "connect_timeout_sec",
    "initialize_timeout_sec",
];
/// Keys of `skills`.
const SKILLS_KEYS: &[&str] = &["required"];

/// Longest time-out, in seconds: a day.
pub const MAX_TIMEOUT_SEC: f64 = 86_400.0;

/// A rule that a file breaks, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentsFileError {
    /// It is not TOML, or holds unknown keys or values of other types.
    #[error(transparent)]
    File(#[from] FileError),
    /// An environment has no id.
    #[error("{0} has no id; add id = \"NAME\"")]
    NoId(Place),
    /// An id is none.
    #[error("{place}: {id:?} {why}")]
    InvalidId {
        /// Where.
        place: Place,
        /// What was meant to be one.
        id: String,
        /// Why it is none.
        why: IdError,
    },
    /// An id has a meaning of its own.
    #[error("{place}: {id:?} is reserved; choose another name")]
    ReservedId {
        /// Where.
        place: Place,
        /// The id.
        id: String,
    },
    /// Two environments have the same id.
    #[error("{place}: {id:?} is taken by the environment on line {first_line}; choose another name")]
    DuplicateId {
        /// Where.
        place: Place,
        /// The id.
        id: EnvironmentId,
        /// The line of the first one.
        first_line: usize,
    },
    /// It is not said how to get there.
    #[error("{place}: environment {id:?} needs url = \"ws://HOST:PORT\" or program = \"COMMAND\"")]
    NoTransport {
        /// Where.
        place: Place,
        /// Of which environment.
        id: EnvironmentId,
    },
    /// It is said twice how to get there.
    #[error("{place}: environment {id:?} has both url and program; keep the one that is meant")]
    TwoTransports {
        /// Where.
        place: Place,
        /// Of which environment.
        id: EnvironmentId,
    },
    /// A URL is none that leads to a server.
    #[error("{place}: {url:?} {why}")]
    InvalidUrl {
        /// Where.
        place: Place,
        /// What was meant to be one.
        url: String,
        /// Why it is none.
        why: UrlError,
    },
    /// There is no program in `program`.
    #[error("{0} is empty; name a program, such as \"ssh\"")]
    EmptyProgram(Place),
    /// The key says something about a program, but there is none.
    #[error("{0} has no effect with url; leave it out, or replace url by program")]
    NeedsProgram(Place),
    /// The key says something about an address, but there is none.
    #[error("{0} has no effect with program; leave it out, or replace program by url")]
    NeedsUrl(Place),
    /// A token would travel where others can read it.
    #[error(
        "{place} would be sent to {url} unencrypted, where others can read it; use wss://, or a tunnel to a loopback \
         address"
    )]
    ExposedToken {
        /// Where.
        place: Place,
        /// To whom.
        url: ServerUrl,
    },
    /// A header can't carry the token.
    #[error(
        "{0} is empty or holds characters that a header can't carry; write the token as the server's owner gave it"
    )]
    InvalidToken(Place),
    /// A time-out is no length of time, or too long.
    #[error("{place} is {seconds}; it must be more than 0 and at most {MAX_TIMEOUT_SEC} seconds")]
    InvalidTimeout {
        /// Where.
        place: Place,
        /// As it was written.
        seconds: String,
    },
    /// A variable of a program has no possible name.
    #[error("{0}: names of variables are not empty and hold no `=` and no NUL")]
    InvalidVariable(Place),
    /// An argument, a directory or a variable's value can't be handed to a program.
    #[error("{0} holds a NUL, which no program can be given")]
    Nul(Place),
    /// The default is an environment that is not there.
    #[error("{place}: {unknown}; \"none\" would disable execution")]
    UnknownDefault {
        /// Where.
        place: Place,
        /// What it names.
        unknown: Box<UnknownEnvironment>,
    },
}

/// Reads `text`, the content of `file`. A relative `cwd` starts at the directory of `file`.
///
/// # Errors
/// The first rule that it breaks.
pub fn parse(file: &Path, text: &str) -> Result<EnvironmentsConfig, EnvironmentsFileError> {
    let document = Document::parse(file, text)?;
    let root = document.root(KEYS)?;
    let include_local = root.bool("include_local")?.is_none_or(|found| found.value);
    let base = file.parent().unwrap_or(Path::new(""));
    let mut remotes: Vec<EnvironmentConfig> = Vec::new();
    let mut lines: BTreeMap<EnvironmentId, usize> = BTreeMap::new();
    for table in root.tables("environments", ENVIRONMENT_KEYS)? {
        let id = id(&table)?;
        if let Some(first_line) = lines.insert(id.value.clone(), id.place.line) {
            return Err(EnvironmentsFileError::DuplicateId { place: id.place, id: id.value, first_line });
        }
        remotes.push(environment(&table, id.value, base)?);
    }
    let mut config = EnvironmentsConfig {
        default: DefaultEnvironment::Disabled(DisabledBy::LocalExcluded),
        include_local,
        remotes,
    };
    config.default = default(root.text("default")?, &config)?;
    Ok(config)
}

fn default(
    found: Option<Found<&str>>,
    config: &EnvironmentsConfig,
) -> Result<DefaultEnvironment, EnvironmentsFileError> {
    let Some(Found { value, place }) = found else {
        return Ok(match config.include_local {
            true => DefaultEnvironment::Is(EnvironmentId::local()),
            false => DefaultEnvironment::Disabled(DisabledBy::LocalExcluded),
        });
    };
    choose_default(value, config)
        .map_err(|unknown| EnvironmentsFileError::UnknownDefault { place, unknown: Box::new(unknown) })
}

/// The default that `name` means among the environments of `config`: one of them, or none.
///
/// # Errors
/// When it is neither.
pub fn choose_default(
    name: &str,
    config: &EnvironmentsConfig,
) -> Result<DefaultEnvironment, UnknownEnvironment> {
    let name = name.trim();
    if name.eq_ignore_ascii_case(NONE) {
        return Ok(DefaultEnvironment::Disabled(DisabledBy::DefaultNone));
    }
    let exists = config.ids().any(|id| id == name);
    match EnvironmentId::new(name) {
        Ok(id) if exists => Ok(DefaultEnvironment::Is(id)),
        _ => Err(UnknownEnvironment::new(name, config.ids())),
    }
}

fn id(table: &Table<'_>) -> Result<Found<EnvironmentId>, EnvironmentsFileError> {
    let Found { value, place } =
        table.text("id")?.ok_or_else(|| EnvironmentsFileError::NoId(table.place()))?;
    if value == LOCAL || value.eq_ignore_ascii_case(NONE) {
        return Err(EnvironmentsFileError::ReservedId { place, id: value.to_owned() });
    }
    match EnvironmentId::new(value) {
        Ok(id) => Ok(Found { value: id, place }),
        Err(why) => Err(EnvironmentsFileError::InvalidId { place, id: value.to_owned(), why }),
    }
}

fn environment(
    table: &Table<'_>,
    id: EnvironmentId,
    base: &Path,
) -> Result<EnvironmentConfig, EnvironmentsFileError> {
    let transport = match (table.text("url")?, table.text("program")?) {
        (Some(url), None) => {
            let misplaced =
                [place(table.texts("args")?), place(table.named_texts("env")?), place(table.text("cwd")?)];
            if let Some(place) = misplaced.into_iter().flatten().next() {
                return Err(EnvironmentsFileError::NeedsProgram(place));
            }
            url_transport(table, &url)?
        }
        (None, Some(program)) => {
            let misplaced =
                [place(table.text("auth_bearer_token")?), place(table.number("connect_timeout_sec")?)];
            if let Some(place) = misplaced.into_iter().flatten().next() {
                return Err(EnvironmentsFileError::NeedsUrl(place));
            }
            TransportConfig::Program(program_transport(table, program, base)?)
        }
        (None, None) => return Err(EnvironmentsFileError::NoTransport { place: table.place(), id }),
        (Some(_), Some(program)) => {
            return Err(EnvironmentsFileError::TwoTransports { place: program.place, id });
        }
    };
    let required = match table.table("skills", SKILLS_KEYS)? {
        Some(skills) => skills.texts("required")?,
        None => None,
    };
    Ok(EnvironmentConfig {
        id,
        transport,
        initialize_timeout: timeout(table, "initialize_timeout_sec")?,
        required_skills: required.map(|found| found.value).unwrap_or_default(),
    })
}

fn place<T>(found: Option<Found<T>>) -> Option<Place> {
    found.map(|found| found.place)
}

fn url_transport(table: &Table<'_>, found: &Found<&str>) -> Result<TransportConfig, EnvironmentsFileError> {
    let url = ServerUrl::parse(found.value).map_err(|why| EnvironmentsFileError::InvalidUrl {
        place: found.place.clone(),
        url: found.value.to_owned(),
        why,
    })?;
    let bearer_token = match table.text("auth_bearer_token")? {
        None => None,
        Some(Found { place, .. }) if !url.is_private() => {
            return Err(EnvironmentsFileError::ExposedToken { place, url });
        }
        Some(Found { value, place }) => {
            Some(BearerToken::new(value).ok_or(EnvironmentsFileError::InvalidToken(place))?)
        }
    };
    Ok(TransportConfig::Url { url, bearer_token, connect_timeout: timeout(table, "connect_timeout_sec")? })
}

fn program_transport(
    table: &Table<'_>,
    program: Found<&str>,
    base: &Path,
) -> Result<ProgramConfig, EnvironmentsFileError> {
    let has_nul = |text: &str| text.contains('\0');
    if program.value.trim().is_empty() {
        return Err(EnvironmentsFileError::EmptyProgram(program.place));
    }
    if has_nul(program.value) {
        return Err(EnvironmentsFileError::Nul(program.place));
    }
    let args = table.texts("args")?;
    if let Some(args) = &args
        && args.value.iter().any(|arg| has_nul(arg))
    {
        return Err(EnvironmentsFileError::Nul(args.place.clone()));
    }
    let mut env = BTreeMap::new();
    for NamedText { name, text: variable } in
        table.named_texts("env")?.map(|found| found.value).unwrap_or_default()
    {
        if name.is_empty() || name.contains('=') || has_nul(&name) {
            return Err(EnvironmentsFileError::InvalidVariable(variable.place));
        }
        if has_nul(&variable.value) {
            return Err(EnvironmentsFileError::Nul(variable.place));
        }
        env.insert(name, variable.value);
    }
    let cwd = match table.text("cwd")? {
        Some(cwd) if has_nul(cwd.value) => return Err(EnvironmentsFileError::Nul(cwd.place)),
        // An absolute one replaces the base.
        Some(cwd) => Some(base.join(cwd.value)),
        None => None,
    };
    Ok(ProgramConfig {
        program: program.value.to_owned(),
        args: args.map(|found| found.value).unwrap_or_default(),
        env,
        cwd,
    })
}

fn timeout(table: &Table<'_>, key: &str) -> Result<Option<Duration>, EnvironmentsFileError> {
    let Some(Found { value, place }) = table.number(key)? else { return Ok(None) };
    let length = Duration::try_from_secs_f64(value).ok();
    match length.filter(|length| !length.is_zero() && value <= MAX_TIMEOUT_SEC) {
        Some(length) => Ok(Some(length)),
        None => Err(EnvironmentsFileError::InvalidTimeout { place, seconds: value.to_string() }),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
