//! Reads output again from a process's log, by place in the transcript: what a report left out.
//!
//! Where the machine's server tells the place of what it still holds, what is gone is counted exactly; elsewhere up to
//! the distance of two marks more counts as gone.

use std::time::Duration;

use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{ProcessOutputChunk, ProcessReadResponse};

use crate::error::UnifiedExecError;
use crate::excerpt::prefix;
use crate::index::Mark;
use crate::joiner::Joiner;
use crate::state::ReadReport;
use crate::tracked::{Place, Tracked};

/// Asked for at once.
const PAGE_BYTES: u64 = 256 << 10;

/// At most `limit` bytes of text from `offset` on, or from the first place behind it that is still held.
pub(crate) async fn read(
    tracked: &Tracked,
    offset: u64,
    limit: usize,
) -> Result<ReadReport, UnifiedExecError> {
    // Before anything is read: what comes meanwhile is for the next time.
    let state = tracked.state();
    let place = tracked.place(offset);
    if offset > place.end {
        return Err(UnifiedExecError::InvalidArgument(format!(
            "offset {offset} is beyond the {} bytes that process {} has said so far",
            place.end, tracked.number
        )));
    }
    let mut reading = Reading::new(tracked, place, offset);
    while reading.found.len() < limit {
        let answer = tracked.process.read(reading.at.seq, Some(PAGE_BYTES), Duration::ZERO).await;
        let page = answer.map_err(|error| forgotten(tracked, error))?;
        if !reading.accept(page) {
            break;
        }
    }
    let Reading { found, begin, ended, .. } = reading;
    let taken = prefix(&found, limit);
    let begin = begin.unwrap_or(offset);
    Ok(ReadReport {
        process: tracked.number,
        state,
        text: String::from_utf8_lossy(&found[..taken]).into_owned(),
        offset: begin,
        next_offset: begin + taken as u64,
        lost_bytes: begin - offset,
        is_end: ended && taken == found.len(),
    })
}

/// The way through the log.
struct Reading<'a> {
    tracked: &'a Tracked,
    place: Place,
    wanted: u64,
    /// Read through here.
    at: Mark,
    joiner: Joiner,
    /// Where what was found begins.
    begin: Option<u64>,
    found: Vec<u8>,
    ended: bool,
}

impl<'a> Reading<'a> {
    fn new(tracked: &'a Tracked, place: Place, wanted: u64) -> Self {
        let (at, joiner) = (place.mark, Joiner::default());
        Self { tracked, place, wanted, at, joiner, begin: None, found: Vec::new(), ended: false }
    }

    /// Takes a page. Returns whether there may be more.
    fn accept(&mut self, page: ProcessReadResponse) -> bool {
        if page.chunks.is_empty() {
            let rest = self.joiner.flush();
            if page.closed {
                self.push(&rest);
                self.ended = true;
            }
            if self.found.is_empty() && self.at.offset < self.place.end && self.wanted < self.place.end {
                // It was said, and nobody holds it.
                self.begin = Some(self.place.end);
            }
            return false;
        }
        for chunk in page.chunks {
            if !self.follows(chunk.seq) {
                if !self.found.is_empty() {
                    // What was found ends here; the hole is for the next time.
                    return false;
                }
                let behind = self.behind_hole(&chunk);
                if behind.seq <= self.at.seq {
                    return false;
                }
                let _ = self.joiner.flush();
                self.at = behind;
                self.begin = Some(behind.offset.max(self.wanted));
                if behind.seq.next() != chunk.seq {
                    return true;
                }
            }
            let piece = self.joiner.push(chunk.stream, &chunk.chunk);
            self.push(&piece);
            self.at.seq = chunk.seq;
        }
        true
    }

    /// Whether a chunk at `seq` is the next one, with at most the exit in between.
    fn follows(&self, seq: Seq) -> bool {
        let next = self.at.seq.next();
        seq == next || (self.place.exit_seq == Some(next) && seq == next.next())
    }

    /// Where to go on behind what is gone before `chunk`.
    fn behind_hole(&self, chunk: &ProcessOutputChunk) -> Mark {
        let before = Seq(chunk.seq.0 - 1);
        match chunk.offset.filter(|_| !self.place.uncounted) {
            Some(offset) => Mark { seq: before, offset },
            None => self.tracked.mark_from(before),
        }
    }

    /// The transcript goes on with `piece`.
    fn push(&mut self, piece: &[u8]) {
        let before = self.wanted.saturating_sub(self.at.offset);
        let unwanted = usize::try_from(before).unwrap_or(usize::MAX).min(piece.len());
        if unwanted < piece.len() {
            self.begin.get_or_insert(self.at.offset + unwanted as u64);
            self.found.extend_from_slice(&piece[unwanted..]);
        }
        self.at.offset += piece.len() as u64;
    }
}

fn forgotten(tracked: &Tracked, error: ExecError) -> UnifiedExecError {
    match error {
        ExecError::UnknownProcess(_) => UnifiedExecError::OutputForgotten(tracked.number),
        other => other.into(),
    }
}
