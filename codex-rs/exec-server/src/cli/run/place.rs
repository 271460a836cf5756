//! Where a command runs, and what it starts with there: connection, working directory, environment.

use std::collections::BTreeMap;

use codex_exec_server_client::ClientConfig;
use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{OutputBudget, ProcessStartParams, WhenFull};

use super::{Failure, RunArgs, confine};
use crate::cli::console::{input_is_wanted, window_size};
use crate::cli::duration::{millis, show};
use crate::cli::inherit;
use crate::cli::reach::{Goal, Reached};
use crate::cli::teller::Teller;

/// See the module.
pub(super) struct Place(pub(super) Reached);

impl Place {
    /// Connects to where `args` say, or starts a server in this process.
    pub(super) async fn find(args: &RunArgs, goal: &Goal) -> Result<Self, Failure> {
        let adjust = |config: &mut ClientConfig| args.adjust(config);
        let place = Self(Reached::open(goal, "run", adjust, Teller::default()).await?);
        match place.check(args, goal) {
            Ok(()) => Ok(place),
            Err(error) => {
                place.0.close().await;
                Err(error)
            }
        }
    }

    /// Whether the server can do what a command that is to be kept needs.
    fn check(&self, args: &RunArgs, goal: &Goal) -> Result<(), Failure> {
        let Some(asked) = args.lifetime() else { return Ok(()) };
        if let (Goal::There(address), None) = (goal, &self.0.address) {
            // Says why nothing can be left there.
            address.dialer()?;
        }
        let peer = self.0.client.peer();
        let flags = &peer.environment.capabilities;
        let Some(granted) = peer.detached_lifetime.filter(|_| flags.session_lifetime) else {
            let flag = if args.detach { "--detach" } else { "--keep" };
            return Err(format!(
                "this server can't keep a command for longer than its own time (it does not have sessionLifetime), so \
                 {flag} is not possible"
            )
            .into());
        };
        if args.keep.is_some() && granted < asked {
            Teller::default().tell(format_args!("the server keeps it for {} at most", show(granted)));
        }
        if args.timeout.is_some() && !flags.process_timeout {
            return Err(
                "this server can't end a command by itself, so --timeout and --detach don't go together"
                    .into(),
            );
        }
        Ok(())
    }

    /// What to start.
    pub(super) fn start_params(&self, args: &RunArgs) -> Result<ProcessStartParams, Failure> {
        let environment = &self.0.client.peer().environment;
        let here = self.0.embedded.is_some();
        start_params(args, here, environment.cwd.as_ref(), &environment.capabilities)
    }
}

/// What to start on a machine that is this one if `here`, has `told` its own directory, and has these `flags`.
pub(super) fn start_params(
    args: &RunArgs,
    here: bool,
    told: Option<&PathUri>,
    flags: &EnvironmentCapabilities,
) -> Result<ProcessStartParams, Failure> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    if args.tty
        && let Ok(term) = std::env::var("TERM")
    {
        env.insert("TERM".into(), term);
    }
    env.extend(args.variables());
    let size = if args.tty && flags.process_resize { window_size() } else { None };
    let timeout = args.timeout.filter(|_| flags.process_timeout);
    let cwd = inherit::cwd(args.cwd.as_deref(), here, told)?.ok_or(inherit::UNTOLD)?;
    Ok(ProcessStartParams {
        env,
        tty: args.tty,
        env_policy: Some(inherit::env_policy(here)),
        pipe_stdin: args.tty || (!args.detach && input_is_wanted(flags.process_stdin_close)),
        output: args
            .when_full()
            .map(|when_full: WhenFull| OutputBudget { retain_bytes: None, when_full: Some(when_full) }),
        size,
        sandbox: confine::context(args.sandbox, args.allow_net, &cwd),
        timeout_ms: timeout.map(|limit| millis(limit).max(1)),
        ..ProcessStartParams::new("run".into(), args.command.clone(), cwd)
    })
}
