//! A command that was left running, found again: by the id that this machine remembers, or by server, session and
//! process. Shared by the commands that act on one.

use std::time::Duration;

use codex_exec_server_client::{Client, ClientConfig, ClientError, Dialer, IfAttached};
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{ProcessState, ProcessSummary};

use super::Failure;
use super::kept::Kept;
use super::reach::{Goal, ReachArgs};
use super::records::{Record, Records};
use super::target::Address;
use super::teller::Teller;

/// Flags that say which command.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FoundArgs {
    /// Id of the command, or as much of it as no other has; `ps` lists them. With --session: the process, which may be
    /// left out where there is only one
    #[arg(value_name = "ID", required_unless_present = "session")]
    id: Option<String>,
    /// A session that is not remembered here, on the server that --connect or --env names
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// Take the command from the client that is attached to it now
    #[arg(long)]
    takeover: bool,
    #[command(flatten)]
    reach: ReachArgs,
}

/// What the connection to a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// To act on it: the session is this client's, and nobody else's.
    Hold,
    /// To read: beside whoever holds the session, as an observer. Where that is not possible, as [`Self::Hold`].
    Look,
}

/// A command that was found, with a connection to its session.
pub(super) struct Found {
    pub(super) client: Client,
    pub(super) kept: Kept,
    pub(super) process_id: ProcessId,
    /// What the server says of it, if the server can.
    pub(super) summary: Option<ProcessSummary>,
    /// Whether it runs on a terminal.
    pub(super) tty: bool,
}

impl FoundArgs {
    /// Connects, and takes up the session or looks on. `command` is for the server's log.
    pub(super) async fn open(
        &self,
        command: &str,
        access: Access,
        resume_for: Option<Duration>,
        teller: Teller,
    ) -> Result<Found, Failure> {
        let config = |address: &Address| {
            let mut config = address.client_config(command)?;
            config.recovery_deadline = resume_for.unwrap_or(config.recovery_deadline);
            Ok::<_, Failure>(config)
        };
        match (&self.session, &self.id) {
            (None, Some(id)) => {
                if let Some(goal) = self.reach.named()? {
                    let words = format!("{id} is remembered with its server; {goal} goes with --session");
                    return Err(words.into());
                }
                let records = Records::of_this_user()?;
                let record = records.find(id)?;
                let config = config(&record.address)?;
                self.remembered(&records, record, config, access, teller).await
            }
            (Some(session), process) => {
                let Goal::There(address) = self.reach.find()? else {
                    return Err("which server? say it with --connect URL or --env NAME".into());
                };
                let config = config(&address)?;
                self.unremembered(address, session, process.as_deref(), config, access, teller).await
            }
            (None, None) => Err("which command? `codex-exec-server ps` lists their ids".into()),
        }
    }

    async fn remembered(
        &self,
        records: &Records,
        record: Record,
        config: ClientConfig,
        access: Access,
        teller: Teller,
    ) -> Result<Found, Failure> {
        let client =
            match self.reach(&record.address, record.session_id.as_str(), config, access, teller).await {
                Ok(client) => client,
                Err(error @ ClientError::SessionLost { .. }) => {
                    records.remove(&record.id)?;
                    return Err(format!("{} is gone and was forgotten: {error}", record.id).into());
                }
                Err(error) => return Err(self.explain(&record.address, &record.id, &error)),
            };
        let processes = list(&client).await?;
        let summary = processes.as_ref().and_then(|all| find(all, &record.process_id)).cloned();
        if processes.is_some() && summary.is_none() {
            records.remove(&record.id)?;
            return Err(format!("{} is gone and was forgotten: it ended too long ago", record.id).into());
        }
        let (process_id, tty) = (record.process_id.clone(), record.tty);
        Ok(Found { client, process_id, tty, summary, kept: Kept::again(record) })
    }

    async fn unremembered(
        &self,
        address: Address,
        session: &str,
        process: Option<&str>,
        config: ClientConfig,
        access: Access,
        teller: Teller,
    ) -> Result<Found, Failure> {
        let client = match self.reach(&address, session, config, access, teller).await {
            Ok(client) => client,
            Err(error) => return Err(self.explain(&address, session, &error)),
        };
        let processes = list(&client).await?;
        let (process_id, summary) = match (process, processes) {
            (Some(process), None) => (process.into(), None),
            (None, None) => return Err("this server does not list processes; name one".into()),
            (Some(process), Some(all)) => match find(&all, &process.into()) {
                Some(summary) => (summary.process_id.clone(), Some(summary.clone())),
                None => {
                    return Err(format!("session {session} has no process {process}{}", names(&all)).into());
                }
            },
            (None, Some(mut all)) if all.len() == 1 => {
                let summary = all.remove(0);
                (summary.process_id.clone(), Some(summary))
            }
            (None, Some(all)) => {
                return Err(format!(
                    "session {session} has {} processes; name one{}",
                    all.len(),
                    names(&all)
                )
                .into());
            }
        };
        let tty = summary.as_ref().is_some_and(|summary| summary.tty);
        let argv = summary.as_ref().map_or(&[][..], |summary| &summary.argv);
        let kept = Kept::new(&client, &address, &process_id, argv, tty);
        Ok(Found { client, kept, process_id, summary, tty })
    }

    async fn reach(
        &self,
        address: &Address,
        session: &str,
        config: ClientConfig,
        access: Access,
        teller: Teller,
    ) -> Result<Client, ClientError> {
        if access == Access::Hold || self.takeover {
            return self.attach(address, session, config, teller).await;
        }
        let looking = look(address, session, config);
        match teller.waiting(format_args!("connecting to {address}"), looking).await {
            Ok(client) => Ok(client),
            Err(Hidden::Held(Some(why))) => Err(ClientError::Refused(why)),
            Err(Hidden::Held(None)) => Err(ClientError::SessionInUse { session: session.into() }),
            Err(Hidden::Otherwise(error)) => Err(error),
        }
    }

    async fn attach(
        &self,
        address: &Address,
        session: &str,
        config: ClientConfig,
        teller: Teller,
    ) -> Result<Client, ClientError> {
        let if_attached = if self.takeover { IfAttached::TakeOver } else { IfAttached::Refuse };
        let attaching = Client::attach(dialer(address)?, config, session.into(), if_attached);
        teller.waiting(format_args!("connecting to {address}"), attaching).await
    }

    fn explain(&self, address: &Address, name: &str, error: &ClientError) -> Failure {
        match error {
            ClientError::SessionInUse { .. } if self.takeover => {
                format!("another client is attached to {name}, and this server does not let others take over")
                    .into()
            }
            ClientError::SessionInUse { .. } => {
                format!("another client is attached to {name}; --takeover takes it from there").into()
            }
            error => address.advice(error).into(),
        }
    }
}

impl Found {
    /// Refuses a position that is still to come.
    pub(super) fn check_since(&self, since: Seq) -> Result<(), Failure> {
        match &self.summary {
            Some(summary) if since > summary.last_seq => {
                Err(format!("--since {}: the last event so far is {}", since.0, summary.last_seq.0).into())
            }
            _ => Ok(()),
        }
    }
}

/// Why a session can't be looked at.
pub(super) enum Hidden {
    /// Another client holds it, and it can't be observed beside that one: for this reason, or because the server can't.
    Held(Option<RpcError>),
    /// Something else.
    Otherwise(ClientError),
}

/// Connects to a session only to look at it, beside whoever holds it. Where that is not possible it is held for as long as
/// the client lives, unless another holds it.
pub(super) async fn look(address: &Address, session: &str, config: ClientConfig) -> Result<Client, Hidden> {
    let dialer = || dialer(address).map_err(Hidden::Otherwise);
    let why_not = match Client::observe(dialer()?, config.clone(), session.into()).await {
        Ok(client) => return Ok(client),
        Err(ClientError::Unsupported(_)) => None,
        // There may be as many observers as can be, so this alone does not prove that the session is gone.
        Err(ClientError::SessionLost { source, .. }) => Some(source),
        Err(error) => return Err(Hidden::Otherwise(error)),
    };
    match Client::attach(dialer()?, config, session.into(), IfAttached::Refuse).await {
        Err(ClientError::SessionInUse { .. }) => Err(Hidden::Held(why_not)),
        attached => attached.map_err(Hidden::Otherwise),
    }
}

fn dialer(address: &Address) -> Result<Dialer, ClientError> {
    address.dialer().map_err(|error| ClientError::Lost(error.to_string().into()))
}

/// `None` if the server can't say.
pub(super) async fn list(client: &Client) -> Result<Option<Vec<ProcessSummary>>, Failure> {
    if client.peer().environment.capabilities.process_list {
        Ok(Some(client.list().await?))
    } else {
        Ok(None)
    }
}

fn find<'a>(all: &'a [ProcessSummary], id: &ProcessId) -> Option<&'a ProcessSummary> {
    all.iter().find(|summary| summary.process_id == *id)
}

fn names(all: &[ProcessSummary]) -> String {
    let names: Vec<&str> = all.iter().take(20).map(|summary| summary.process_id.as_str()).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

/// A state in one word, as in JSON.
pub(super) const fn state_name(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Starting => "starting",
        ProcessState::Running => "running",
        ProcessState::Exited => "exited",
        ProcessState::Closed => "closed",
    }
}
