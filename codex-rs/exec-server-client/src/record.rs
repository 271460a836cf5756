//! What a process did, in order but not yet vouched for; and what a subscriber's own count makes of it.

use bytes::Bytes;
use codex_exec_server_core::process_event::{ExecProcessEvent, Exit, Proof};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::OutputStream;

use crate::error::ProcessError;

/// An event in its place. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// Never empty.
    Output { seq: Seq, stream: OutputStream, bytes: Bytes },
    /// Nobody holds these any more.
    Gap { through: Seq, bytes: Option<u64> },
    /// `seq` is that of the event before it where only the fact was told.
    Exited { seq: Seq, exit: Exit },
    /// The last.
    Closed { seq: Seq, account: Account },
}

/// The server's own account of all output, as far as it keeps one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) output_bytes: Option<u64>,
    pub(crate) crc32c: Option<String>,
}

impl Record {
    /// Its position; for a gap, the last one.
    pub(crate) const fn seq(&self) -> Seq {
        match self {
            Self::Output { seq, .. } | Self::Exited { seq, .. } | Self::Closed { seq, .. } => *seq,
            Self::Gap { through, .. } => *through,
        }
    }

    /// Bytes of output it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Output { bytes, .. } => bytes.len(),
            Self::Gap { .. } | Self::Exited { .. } | Self::Closed { .. } => 0,
        }
    }

    /// Bytes of output it stands for; `None` if that is not known.
    pub(crate) fn output_bytes(&self) -> Option<u64> {
        match self {
            Self::Gap { bytes, .. } => *bytes,
            other => Some(other.held_bytes() as u64),
        }
    }
}

/// What one subscriber was told, counted where it is told: the proof at the end covers everything on the way to it.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Output told, plus that of gaps.
    bytes: u64,
    /// Whether `bytes` is all output so far: not after a gap of unknown size, nor when it began in the middle.
    is_known: bool,
    from_start: bool,
    /// The last position told.
    last: Seq,
    crc32c: u32,
    has_gaps: bool,
    has_exited: bool,
}

impl Tally {
    /// Of a subscription to what comes behind `after`.
    pub(crate) fn new(after: Seq) -> Self {
        let from_start = after == Seq::START;
        let (bytes, crc32c, has_gaps, has_exited) = (0, 0, false, false);
        Self { bytes, is_known: from_start, from_start, last: after, crc32c, has_gaps, has_exited }
    }

    /// All output so far, where that is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.is_known.then_some(self.bytes)
    }

    /// Whether an exit is to be told that stands at `seq`, or of which no more is known than that it happened before: then
    /// it was within a gap, or before this began.
    pub(crate) fn misses_exit_at(&self, seq: Seq) -> bool {
        !self.has_exited && (seq > self.last || self.has_gaps || self.from_start)
    }

    /// Counts a record and makes an event of it. An error says that what was told is not what the process wrote.
    pub(crate) fn tell(&mut self, record: Record) -> Result<ExecProcessEvent, ProcessError> {
        self.last = record.seq();
        match record.output_bytes() {
            Some(bytes) => self.bytes += bytes,
            None => self.is_known = false,
        }
        Ok(match record {
            Record::Output { seq, stream, bytes } => {
                self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes);
                ExecProcessEvent::Output { seq, stream, bytes }
            }
            Record::Gap { through, bytes } => {
                self.has_gaps = true;
                ExecProcessEvent::Gap { through, bytes }
            }
            Record::Exited { seq, exit } => {
                self.has_exited = true;
                ExecProcessEvent::Exited { seq, exit }
            }
            Record::Closed { seq, account } => ExecProcessEvent::Closed { seq, proof: self.prove(account)? },
        })
    }

    fn prove(&self, account: Account) -> Result<Proof, ProcessError> {
        let incomplete = |what, expected, found| Err(ProcessError::Incomplete { what, expected, found });
        if let Some(expected) = account.output_bytes.filter(|_| self.is_known)
            && expected != self.bytes
        {
            return incomplete("length", expected.to_string(), self.bytes.to_string());
        }
        if self.has_gaps {
            return Ok(Proof::Gap);
        }
        if !self.from_start {
            return Ok(Proof::Numbering);
        }
        let found = format!("{:08x}", self.crc32c);
        match account.crc32c {
            Some(expected) if !expected.eq_ignore_ascii_case(&found) => incomplete("crc32c", expected, found),
            Some(_) => Ok(Proof::Checksum),
            None if account.output_bytes.is_some() => Ok(Proof::Length),
            None => Ok(Proof::Numbering),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &'static str) -> Record {
        let bytes = Bytes::from_static(text.as_bytes());
        Record::Output { seq: Seq(1), stream: OutputStream::Stdout, bytes }
    }

    fn closed(output_bytes: Option<u64>, crc32c: Option<u32>) -> Record {
        let crc32c = crc32c.map(|crc| format!("{crc:08x}"));
        Record::Closed { seq: Seq(9), account: Account { output_bytes, crc32c } }
    }

    fn proof(after: Seq, records: Vec<Record>) -> Result<Proof, ProcessError> {
        let mut tally = Tally::new(after);
        let mut last = None;
        for record in records {
            last = Some(tally.tell(record)?);
        }
        match last {
            Some(ExecProcessEvent::Closed { proof, .. }) => Ok(proof),
            other => panic!("not closed but {other:?}"),
        }
    }

    #[test]
    fn the_proof_is_as_strong_as_the_servers_account_and_what_was_told() {
        let crc = crc32c::crc32c(b"ab");
        let gap = |bytes| Record::Gap { through: Seq(1), bytes };
        for (after, records, expected) in [
            (Seq::START, vec![output("ab"), closed(Some(2), Some(crc))], Proof::Checksum),
            (Seq::START, vec![output("ab"), closed(Some(2), /*crc32c*/ None)], Proof::Length),
            (
                Seq::START,
                vec![output("ab"), closed(/*output_bytes*/ None, /*crc32c*/ None)],
                Proof::Numbering,
            ),
            (Seq::START, vec![gap(Some(3)), output("ab"), closed(Some(5), Some(1))], Proof::Gap),
            (Seq::START, vec![gap(/*bytes*/ None), output("ab"), closed(Some(5), Some(1))], Proof::Gap),
            // What was told before the subscription is for somebody else to vouch for.
            (Seq(4), vec![output("ab"), closed(Some(99), Some(crc))], Proof::Numbering),
        ] {
            assert_eq!(proof(after, records.clone()).expect("it adds up"), expected, "{records:?}");
        }
    }

    #[test]
    fn an_account_that_differs_from_what_was_told_is_a_fault() {
        let crc = crc32c::crc32c(b"ab");
        let gap = Record::Gap { through: Seq(1), bytes: Some(3) };
        for (records, wrong) in [
            (vec![output("ab"), closed(Some(3), Some(crc))], "length"),
            (vec![output("ab"), closed(Some(2), Some(1))], "crc32c"),
            (vec![gap, output("ab"), closed(Some(4), Some(1))], "length"),
        ] {
            let fault = proof(Seq::START, records.clone());
            assert!(
                matches!(fault, Err(ProcessError::Incomplete { what, .. }) if what == wrong),
                "{records:?}: {fault:?}"
            );
        }
    }
}
