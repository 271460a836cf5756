//! A command that runs on when this program goes: remembered so that it can be found again, and told how.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_exec_server_client::{Client, IfAttached};
use codex_exec_server_protocol::ids::ProcessId;

use super::duration::{millis, show};
use super::lines::Line;
use super::records::{Record, Records};
use super::target::Address;
use super::teller::Teller;

/// How long the server may take to let a session go that is over; nothing depends on it.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// A command that may outlive this program, and how to come back to it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    address: Address,
    record: Record,
    remembered: bool,
}

impl Kept {
    /// A process that `client` started.
    pub(super) fn new(
        client: &Client,
        address: &Address,
        process: &ProcessId,
        argv: &[String],
        tty: bool,
    ) -> Self {
        let peer = client.peer();
        let told = peer.limits.as_ref().map(|limits| Duration::from_millis(limits.detached_session_ms));
        let kept = peer.detached_lifetime.or(told).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            id: String::new(),
            address: address.clone(),
            session_id: peer.session_id.clone(),
            process_id: process.clone(),
            argv: argv.to_vec(),
            tty,
            started_at_ms: millis(now),
            kept_ms: millis(kept),
        };
        Self { address: address.clone(), record, remembered: false }
    }

    /// One that was remembered before.
    pub(super) fn again(record: Record) -> Self {
        Self { address: record.address.clone(), record, remembered: true }
    }

    /// Writes it down, once. Where that is not possible it is said, and the command can still be found the long way.
    pub(super) fn remember(&mut self, teller: Teller) {
        if self.remembered {
            return;
        }
        match Records::of_this_user().and_then(|records| records.add(self.record.clone())) {
            Ok(id) => {
                self.record.id = id;
                self.remembered = true;
            }
            Err(error) => teller.tell(format_args!("the command can't be remembered: {error}")),
        }
    }

    /// Its id on this machine.
    pub(super) fn id(&self) -> Option<&str> {
        self.remembered.then_some(&self.record.id)
    }

    /// The arguments that attach to it again, program included.
    pub(super) fn attach(&self) -> Vec<String> {
        let mut argv = vec!["codex-exec-server".to_owned(), "attach".to_owned()];
        if self.remembered {
            argv.push(self.record.id.clone());
        } else {
            argv.extend(self.address.flags());
            argv.extend(["--session".to_owned(), self.record.session_id.to_string()]);
            argv.push(self.record.process_id.to_string());
        }
        argv
    }

    /// Says that it runs on, and how to come back.
    pub(super) fn tell(&self, json: bool, teller: Teller) {
        let attach = self.attach();
        if json {
            super::print_line(&Line::Left { attach: &attach });
        }
        let kept = match self.record.kept_ms {
            0 => "for as long as the server keeps it".to_owned(),
            ms => format!("for {} without a client", show(Duration::from_millis(ms))),
        };
        teller.tell(format_args!(
            "the command runs on, {kept}; attach to it again with: {}",
            shell_words(&attach)
        ));
    }

    /// It is over: forgotten here, and its session let go there.
    pub(super) async fn end(&self) {
        if !self.remembered {
            return;
        }
        if let Ok(records) = Records::of_this_user() {
            // Otherwise the next `ps` finds that it is gone.
            let _ = records.remove(&self.record.id);
        }
        let (Ok(dialer), Ok(mut config)) = (self.address.dialer(), self.address.client_config("done")) else {
            return;
        };
        config.detached_lifetime = Some(Duration::ZERO);
        let letting_go = async {
            let session = self.record.session_id.clone();
            if let Ok(client) = Client::attach(dialer, config, session, IfAttached::Refuse).await {
                client.close().await;
            }
        };
        let _ = tokio::time::timeout(LET_GO_WITHIN, letting_go).await;
    }
}

/// A command line as one would type it.
pub(super) fn shell_words(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_shown_as_a_shell_takes_them() {
        let words = ["attach", "a b", "", "it's", "ws://[::1]:9"].map(str::to_owned);
        assert_eq!(shell_words(&words), r"attach 'a b' '' 'it'\''s' 'ws://[::1]:9'");
    }
}
