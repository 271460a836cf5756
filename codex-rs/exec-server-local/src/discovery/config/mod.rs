//! `environmentConfig/read`: the layers of configuration that lie on this machine, reduced to what a client asks for.
//!
//! ```text
//! key paths → Keys ─┐
//! files → layers, of the project only where the user trusts it → those keys of each → TOML again
//! ```
//!
//! What the keys mean is for the client, but for the two that say which project is trusted and where one begins.

mod file;
mod keys;
mod layers;
mod project;

use std::path::Path;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::capabilities::{EnvironmentConfigReadParams, EnvironmentConfigReadResponse};
use codex_exec_server_protocol::path_uri::PathUri;

use self::keys::Keys;
use super::bundle::uri;
use super::places::Places;
use crate::env::Environment;
use crate::fs::{LocalFileSystem, native};

/// Answers the request. A layer that is there and can't be read fails it.
pub async fn read_config(
    files: &LocalFileSystem,
    environment: &Environment,
    params: EnvironmentConfigReadParams,
) -> Result<EnvironmentConfigReadResponse, ServiceError> {
    if params.config_paths.is_empty() && params.requirements_paths.is_empty() {
        return Err(ServiceError::InvalidArgument(
            "at least one config or requirements path is required".into(),
        ));
    }
    let keys = |paths: &[Vec<String>]| {
        Keys::of(paths).map_err(|error| ServiceError::InvalidArgument(error.to_owned()))
    };
    let (config, requirements) = (keys(&params.config_paths)?, keys(&params.requirements_paths)?);
    let environment = environment.clone();
    let cwd = native(&params.cwd).map_err(|fault| ServiceError::InvalidArgument(fault.to_string()))?;
    let read = files.work(&params.cwd, move || {
        let places = Places::of(&environment);
        let places = places.ok_or_else(|| "the server's HOME is not set to an absolute path".to_owned());
        Ok(places.and_then(|places| with_deep_stack(|| read(&places, &cwd, &config, &requirements))))
    });
    read.await?.map_err(ServiceError::Configuration)
}

/// A document may nest 80 values, each below a key of 80 segments, and is taken apart by going down into it.
const STACK_BYTES: usize = 64 << 20;

/// Runs `work` where it may go down that deep.
fn with_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("config".into()).stack_size(STACK_BYTES);
        let running =
            thread.spawn_scoped(scope, work).map_err(|error| format!("no thread to read on: {error}"))?;
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn read(
    places: &Places,
    cwd: &Path,
    config: &Keys,
    requirements: &Keys,
) -> Result<EnvironmentConfigReadResponse, String> {
    Ok(EnvironmentConfigReadResponse {
        user_home_dir: told(&places.user_home)?,
        codex_home_dir: told(&places.codex_home)?,
        hostname: nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned(),
        config: layers::config(places, cwd, config)?,
        requirements: layers::requirements(places, requirements)?,
    })
}

fn told(path: &Path) -> Result<PathUri, String> {
    uri(path).ok_or_else(|| format!("{} is too long a path to be told", path.display()))
}

#[cfg(test)]
mod tests;
