//! What is kept of one process's records, and how far each of its readers is.
//!
//! Rules only. A bounded tail is kept for readers that come late, and beyond it what present readers have still to
//! take, while there is room. A reader whose next record is gone from here has to get it from the server.

use std::collections::{HashMap, VecDeque};

use codex_exec_server_core::output_window::cost;
use codex_exec_server_core::process_event::Exit;
use codex_exec_server_protocol::ids::Seq;

use crate::config::ProcessLimits;
use crate::record::Record;

/// Names a reader of one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ReaderId(u64);

/// What there is for a reader.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Taken {
    /// Its next record.
    Record(Record),
    /// What comes behind `after` is not here any more; what comes behind `base` is.
    Evicted { after: Seq, base: Seq },
    /// Nothing yet.
    Nothing,
}

/// How far the readers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The slowest has everything through here.
    pub(crate) slowest: At,
    /// The furthest has everything through here.
    pub(crate) furthest: At,
}

/// A reader's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) seq: Seq,
    /// What all events through here cost, as [`codex_exec_server_core::output_window`] counts; `None` where that was
    /// forgotten.
    pub(crate) cost: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct History {
    limits: ProcessLimits,
    records: VecDeque<Record>,
    /// Of each of `records`: what all events through it cost.
    costs: VecDeque<u64>,
    /// What all events through `base` cost.
    base_cost: u64,
    /// Output in `records`.
    bytes: usize,
    /// Number of the first of `records`, counted from the beginning.
    first: u64,
    /// Position of the last record that was evicted. Everything behind it is here.
    base: Seq,
    /// All output through `base`, where that is known.
    base_bytes: Option<u64>,
    /// The exit, wherever it is by now.
    exit: Option<(Seq, Exit)>,
    /// Its position, if that is known to be its own: not where it happened in a gap.
    exit_place: Option<Seq>,
    readers: HashMap<ReaderId, Reader>,
    last_reader: u64,
    /// A catch-up may bring more at once than there is room for; that much is kept until it was taken.
    overdraft: usize,
}

#[derive(Debug)]
struct Reader {
    at: Cursor,
    /// Whether the connection waits for it.
    holds: bool,
}

#[derive(Debug, Clone, Copy)]
enum Cursor {
    /// Wants what comes behind a position, wherever that is.
    Behind(Seq),
    /// Wants the record of this number next, which was not evicted.
    At(u64),
}

impl History {
    /// Of what comes behind `after`.
    pub(crate) fn new(limits: ProcessLimits, after: Seq) -> Self {
        Self {
            limits,
            records: VecDeque::new(),
            costs: VecDeque::new(),
            base_cost: 0,
            bytes: 0,
            first: 0,
            base: after,
            base_bytes: (after == Seq::START).then_some(0),
            exit: None,
            exit_place: None,
            readers: HashMap::new(),
            last_reader: 0,
            overdraft: 0,
        }
    }

    /// Begins behind `tip` instead. Nothing was added yet.
    pub(crate) fn begin_at(&mut self, tip: Seq) {
        self.base = tip;
        self.base_bytes = (tip == Seq::START).then_some(0);
    }

    /// Adds what comes next. `at_once`: from an answer, which is kept until it was taken even if there is little room.
    pub(crate) fn extend(&mut self, records: Vec<Record>, at_once: bool) {
        for record in records {
            if let Record::Exited { seq, exit } = &record {
                let before = self.records.back().map_or(self.base, Record::seq);
                self.exit = Some((*seq, exit.clone()));
                self.exit_place = (*seq > before).then_some(*seq);
            }
            self.bytes += record.held_bytes();
            self.costs.push_back(self.cost() + cost(record.held_bytes() as u64));
            self.records.push_back(record);
        }
        if at_once {
            self.overdraft = self.bytes.min(self.limits.parked_bytes);
        }
        self.trim();
    }

    /// A reader of what comes behind `after`.
    pub(crate) fn subscribe(&mut self, after: Seq, holds: bool) -> ReaderId {
        self.last_reader += 1;
        let id = ReaderId(self.last_reader);
        self.readers.insert(id, Reader { at: Cursor::Behind(after), holds });
        id
    }

    pub(crate) fn unsubscribe(&mut self, reader: ReaderId) {
        self.readers.remove(&reader);
        self.trim();
    }

    /// A reader got everything through `after` elsewhere.
    pub(crate) fn rejoin(&mut self, reader: ReaderId, after: Seq) {
        if let Some(reader) = self.readers.get_mut(&reader) {
            reader.at = Cursor::Behind(after);
        }
    }

    /// What all events so far cost.
    fn cost(&self) -> u64 {
        self.costs.back().copied().unwrap_or(self.base_cost)
    }

    /// How far the readers are. Where there is none, everything that came is taken.
    pub(crate) fn progress(&self) -> Progress {
        let end = At { seq: self.records.back().map_or(self.base, Record::seq), cost: Some(self.cost()) };
        let positions = || self.readers.values().map(|reader| self.position(reader));
        Progress {
            slowest: positions().min_by_key(|at| at.seq).unwrap_or(end),
            furthest: positions().max_by_key(|at| at.seq).unwrap_or(end),
        }
    }

    fn position(&self, reader: &Reader) -> At {
        let taken = match reader.at {
            Cursor::Behind(after) if after < self.base => return At { seq: after, cost: None },
            Cursor::Behind(after) => self.records.partition_point(|record| record.seq() <= after),
            Cursor::At(number) => number.saturating_sub(self.first) as usize,
        };
        match taken.checked_sub(1).and_then(|last| self.records.get(last).zip(self.costs.get(last))) {
            Some((record, cost)) => At { seq: record.seq(), cost: Some(*cost) },
            None => At { seq: self.base, cost: Some(self.base_cost) },
        }
    }

    /// The next record of `reader`.
    pub(crate) fn take(&mut self, reader: ReaderId) -> Taken {
        let Some(at) = self.readers.get(&reader).map(|reader| reader.at) else { return Taken::Nothing };
        let number = match at {
            Cursor::At(number) => number,
            Cursor::Behind(after) if after < self.base => return Taken::Evicted { after, base: self.base },
            Cursor::Behind(after) => {
                self.first + self.records.partition_point(|record| record.seq() <= after) as u64
            }
        };
        let index = (number - self.first) as usize;
        let Some(mut record) = self.records.get(index).cloned() else {
            return Taken::Nothing;
        };
        if let (Cursor::Behind(after), Record::Gap { bytes, .. }) = (at, &mut record) {
            let before = index.checked_sub(1).map_or(self.base, |before| self.records[before].seq());
            if before < after {
                // This reader misses a part of it, and nobody knows the size of that.
                *bytes = None;
            }
        }
        if let Some(reader) = self.readers.get_mut(&reader) {
            reader.at = Cursor::At(number + 1);
        }
        self.trim();
        Taken::Record(record)
    }

    /// Whether a reader for which the connection waits has so much to take that it should.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.limits.ready_bytes
            && self.readers.values().any(|reader| {
                reader.holds
                    && self.waiting(reader).map(Record::held_bytes).sum::<usize>() >= self.limits.ready_bytes
            })
    }

    fn waiting(&self, reader: &Reader) -> impl Iterator<Item = &Record> {
        let skipped = match reader.at {
            Cursor::At(number) => number.saturating_sub(self.first) as usize,
            Cursor::Behind(after) => self.records.partition_point(|record| record.seq() <= after),
        };
        self.records.iter().skip(skipped)
    }

    /// The exit and its position, once it happened.
    pub(crate) fn exit(&self) -> Option<(Seq, Exit)> {
        self.exit.clone()
    }

    /// The exit, once it is known where it stands.
    pub(crate) fn placed_exit(&self) -> Option<(Seq, Exit)> {
        self.exit_place.zip(self.exit.as_ref().map(|(_, exit)| exit.clone()))
    }

    /// Everything up to here was evicted, and how much output that was, where it is known.
    pub(crate) const fn base(&self) -> (Seq, Option<u64>) {
        (self.base, self.base_bytes)
    }

    fn trim(&mut self) {
        let ProcessLimits { history_events, history_bytes, ready_bytes, ready_events, parked_bytes, .. } =
            self.limits;
        let holds = self.readers.values().any(|reader| reader.holds);
        let room_bytes =
            if holds { ready_bytes.saturating_add(parked_bytes) } else { ready_bytes.max(self.overdraft) };
        while self.records.len() > history_events || self.bytes > history_bytes {
            let has_room = self.records.len() <= ready_events && self.bytes <= room_bytes;
            if has_room && self.is_awaited() {
                break;
            }
            self.evict();
        }
        if self.bytes <= ready_bytes {
            self.overdraft = 0;
        }
    }

    /// Whether somebody has the first record still to take.
    fn is_awaited(&self) -> bool {
        self.readers.values().any(|reader| match reader.at {
            Cursor::At(number) => number <= self.first,
            // Also one that has to read from the server first: it will be back.
            Cursor::Behind(after) => self.records.front().is_some_and(|record| record.seq() > after),
        })
    }

    fn evict(&mut self) {
        let Some(record) = self.records.pop_front() else { return };
        self.base_cost = self.costs.pop_front().unwrap_or(self.base_cost);
        let before = self.base;
        // Whoever would have taken it next has to get it elsewhere.
        for reader in self.readers.values_mut() {
            if matches!(reader.at, Cursor::At(number) if number <= self.first) {
                reader.at = Cursor::Behind(before);
            }
        }
        self.bytes -= record.held_bytes();
        self.base = record.seq();
        self.base_bytes = self.base_bytes.zip(record.output_bytes()).map(|(before, bytes)| before + bytes);
        self.first += 1;
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
