//! A command of which everything is known before the server has said a word: it leaves with the request for the connection,
//! which saves a round trip.

use std::ops::ControlFlow;
use std::path::Path;

use codex_exec_server_client::{Client, ClientConfig, FirstStart, Lag};
use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::process::ProcessStartParams;

use super::args::RunArgs;
use super::place::{Place, start_params};
use crate::cli::Failure;
use crate::cli::console::Signals;
use crate::cli::reach::{Goal, Reached};
use crate::cli::target::Address;
use crate::cli::teller::Teller;

/// A command whose start is over, one way or the other.
pub(super) struct Begun {
    pub(super) signals: Signals,
    pub(super) params: ProcessStartParams,
    pub(super) started: FirstStart,
}

/// See the module.
pub(super) struct Cold<'a> {
    address: &'a Address,
    config: ClientConfig,
    params: ProcessStartParams,
}

impl<'a> Cold<'a> {
    /// `None` where the server has to be known first: its own directory, or whether it can do what is asked.
    pub(super) fn plan(args: &RunArgs, goal: &'a Goal) -> Result<Option<Self>, Failure> {
        let Goal::There(address) = goal else { return Ok(None) };
        let is_placed = args.cwd.as_deref().is_some_and(Path::is_absolute);
        let needs_server = args.tty || args.is_kept() || args.timeout.is_some() || args.when_full().is_some();
        if !is_placed || needs_server {
            return Ok(None);
        }
        let mut config = address.client_config("run")?;
        args.adjust(&mut config);
        if address.program(&config)?.is_some() {
            return Ok(None);
        }
        let params =
            start_params(args, /*here*/ false, /*told*/ None, &EnvironmentCapabilities::default())?;
        Ok(Some(Self { address, config, params }))
    }

    /// Connects and starts the command. Breaks, with the exit code, when someone does not want to wait for that.
    pub(super) async fn begin(self) -> Result<ControlFlow<u8, (Place, Begun)>, Failure> {
        let Self { address, config, params } = self;
        let mut signals = Signals::catch()?;
        let cold = Client::connect_and_start(address.dialer()?, config, params.clone(), Lag::HoldConnection);
        let cold = async { Teller::default().waiting(format_args!("connecting to {address}"), cold).await };
        let (client, started) = tokio::select! {
            outcome = cold => outcome.map_err(|error| address.advice(&error))?,
            code = signals.insisted() => return Ok(ControlFlow::Break(code)),
        };
        let place = Place(Reached::at(address, client));
        Ok(ControlFlow::Continue((place, Begun { signals, params, started })))
    }
}
