//! The part of a log that is kept in a file: which stretch of it lies where, and what a stretch looks like there.
//!
//! The file is a row of slots of one size, and each holds one segment: chunks whose numbers follow each other. A slot has
//! its whole size on the disk, also where its segment is shorter: so one that is free again can be used again on a disk that is
//! full by then, the first one first. The file is never longer than what was kept at once, and shrinks from its end. Nothing of it outlives the log, so its form is nobody else's business.
//!
//! Owns no file: what is to be written or read is handed to the caller.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Buf, Bytes};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::OutputStream;

use crate::event_log::Chunk;

/// What stands before each chunk in the file: its length, and in the two highest bits its stream.
const HEADER_BYTES: usize = 4;
const LENGTH_BITS: u32 = 30;
/// Chunks that fill a slot, if each is as large as it may be.
const CHUNKS_PER_SLOT: usize = 4;

/// A stretch of a log that is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its first position.
    pub first: Seq,
    /// Its last position. Every one between is there.
    pub last: Seq,
    /// Output bytes of the process before it, over all streams.
    pub offset: u64,
    /// Output in it.
    pub bytes: u64,
    /// Where it begins in the file.
    pub place: u64,
    /// What it takes there.
    pub length: usize,
    /// Where its slot ends.
    pub slot_end: u64,
    slot: u32,
}

impl Segment {
    /// The chunks that `stored` holds, which is what was written for this segment. `None` if it is not.
    #[must_use]
    pub fn decode(&self, mut stored: Bytes) -> Option<VecDeque<Chunk>> {
        let mut chunks = VecDeque::new();
        let (mut seq, mut offset) = (self.first, self.offset);
        while stored.len() >= HEADER_BYTES {
            let header = stored.get_u32_le();
            let length = (header & ((1 << LENGTH_BITS) - 1)) as usize;
            let stream = stream_of(header >> LENGTH_BITS)?;
            if length == 0 || length > stored.len() {
                return None;
            }
            let bytes = stored.split_to(length);
            chunks.push_back(Chunk { seq, stream, offset, bytes });
            offset += length as u64;
            seq = seq.next();
        }
        let is_whole = stored.is_empty() && seq == self.last.next() && offset == self.offset + self.bytes;
        is_whole.then_some(chunks)
    }
}

const fn tag(stream: OutputStream) -> u32 {
    match stream {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
        OutputStream::Pty => 2,
    }
}

const fn stream_of(tag: u32) -> Option<OutputStream> {
    match tag {
        0 => Some(OutputStream::Stdout),
        1 => Some(OutputStream::Stderr),
        2 => Some(OutputStream::Pty),
        _ => None,
    }
}

/// A segment that is to be written.
#[derive(Debug, Clone)]
pub struct Spill {
    /// Where it goes.
    pub segment: Segment,
    chunks: Vec<Chunk>,
}

impl Spill {
    /// What is to be written, piece by piece, in order. No byte of output is copied for it.
    #[must_use]
    pub fn parts(&self) -> Vec<Bytes> {
        let header = |chunk: &Chunk| {
            let length = u32::try_from(chunk.bytes.len()).expect("a chunk is far smaller");
            Bytes::copy_from_slice(&(length | tag(chunk.stream) << LENGTH_BITS).to_le_bytes())
        };
        self.chunks.iter().flat_map(|chunk| [header(chunk), chunk.bytes.clone()]).collect()
    }
}

/// How much more a log may file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filing {
    /// Within its own budget.
    Free,
    /// No more than the file is long already: the server's budget is spent, or the disk is full.
    InPlace,
    /// Nothing: there is no file, or it can't be written to.
    Never,
}

/// The segments of one log, oldest first, and the slots of its file.
#[derive(Debug)]
pub(crate) struct Filed {
    segments: VecDeque<Segment>,
    slot_bytes: usize,
    max_slots: u32,
    /// Free ones below `length_slots`.
    free: BTreeSet<u32>,
    /// How many slots the file has.
    length_slots: u32,
    /// Output in all segments.
    bytes: u64,
    in_flight: Option<Segment>,
}

impl Filed {
    /// Of a log that keeps `budget_bytes` at most, in chunks of `chunk_bytes` at most.
    pub(crate) fn new(budget_bytes: usize, chunk_bytes: usize) -> Self {
        let slot_bytes = CHUNKS_PER_SLOT * (chunk_bytes.max(1) + HEADER_BYTES);
        // The least that a full slot holds: beyond it, the next chunk had no room.
        let filled_bytes = slot_bytes - slot_bytes / CHUNKS_PER_SLOT;
        let max_slots = u32::try_from(budget_bytes.div_ceil(filled_bytes)).unwrap_or(u32::MAX);
        Self {
            segments: VecDeque::new(),
            slot_bytes,
            max_slots,
            free: BTreeSet::new(),
            length_slots: 0,
            bytes: 0,
            in_flight: None,
        }
    }

    /// What the file takes at most right now.
    pub(crate) const fn file_bytes(&self) -> u64 {
        self.length_slots as u64 * self.slot_bytes as u64
    }

    /// Output in all segments.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(crate) fn front(&self) -> Option<&Segment> {
        self.segments.front()
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    /// The last position that is on its way to the file.
    pub(crate) fn in_flight(&self) -> Option<Seq> {
        self.in_flight.map(|segment| segment.last)
    }

    /// The first segment that has something behind `after`.
    pub(crate) fn behind(&self, after: Seq) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|segment| segment.last <= after))
    }

    /// The last position of which all output, and all before it, ends at `offset` at the latest.
    pub(crate) fn through(&self, offset: u64) -> Option<Seq> {
        let count = self.segments.partition_point(|segment| segment.offset + segment.bytes <= offset);
        count.checked_sub(1).and_then(|last| self.segments.get(last)).map(|segment| segment.last)
    }

    pub(crate) fn holds(&self, segment: &Segment) -> bool {
        self.behind(Seq(segment.first.0 - 1)) == Some(segment)
    }

    /// Whether another segment has a place.
    pub(crate) fn has_room(&self, filing: Filing) -> bool {
        match filing {
            Filing::Free => !self.free.is_empty() || self.length_slots < self.max_slots,
            Filing::InPlace => !self.free.is_empty(),
            Filing::Never => false,
        }
    }

    /// What a slot holds.
    pub(crate) const fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// Takes a place for as many of `chunks`, which are the oldest in memory, as make a segment. Unless it is `urgent`, none
    /// that leaves its slot half empty.
    pub(crate) fn begin<'a>(
        &mut self,
        chunks: impl Iterator<Item = &'a Chunk>,
        filing: Filing,
        urgent: bool,
    ) -> Option<Spill> {
        if self.in_flight.is_some() || !self.has_room(filing) {
            return None;
        }
        let (mut taken, mut length): (Vec<Chunk>, usize) = (Vec::new(), 0);
        let mut is_whole = urgent;
        for chunk in chunks {
            let needs = HEADER_BYTES + chunk.bytes.len();
            // The exit has a number of its own, and stays in memory.
            let follows = taken.last().is_none_or(|last| last.seq.next() == chunk.seq);
            if !follows || length + needs > self.slot_bytes {
                is_whole = true;
                break;
            }
            length += needs;
            taken.push(chunk.clone());
        }
        if !is_whole {
            return None;
        }
        let (first, last) = (taken.first()?, taken.last()?);
        let slot = self.free.pop_first().unwrap_or_else(|| {
            self.length_slots += 1;
            self.length_slots - 1
        });
        let segment = Segment {
            first: first.seq,
            last: last.seq,
            offset: first.offset,
            bytes: last.offset + last.bytes.len() as u64 - first.offset,
            place: u64::from(slot) * self.slot_bytes as u64,
            length,
            slot_end: (u64::from(slot) + 1) * self.slot_bytes as u64,
            slot,
        };
        self.in_flight = Some(segment);
        Some(Spill { segment, chunks: taken })
    }

    /// What [`Self::begin`] gave is written, and now a segment; or is not, and its place is free again.
    pub(crate) fn finish(&mut self, written: bool) -> Option<Segment> {
        let segment = self.in_flight.take()?;
        if !written {
            self.free.insert(segment.slot);
            // Perhaps there never was such a place.
            self.shrink();
            return None;
        }
        self.bytes += segment.bytes;
        self.segments.push_back(segment);
        Some(segment)
    }

    /// Lets the oldest segment go.
    pub(crate) fn drop_front(&mut self) -> Option<Segment> {
        let segment = self.segments.pop_front()?;
        self.bytes -= segment.bytes;
        self.free.insert(segment.slot);
        Some(segment)
    }

    /// Whether it is used again or not, the place of what was let go stays the file's until this.
    pub(crate) fn shrink(&mut self) {
        while self.length_slots > 0 && self.free.remove(&(self.length_slots - 1)) {
            self.length_slots -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHUNK_BYTES: usize = 16;

    fn chunk(seq: u64, offset: u64, bytes: Vec<u8>) -> Chunk {
        let streams = [OutputStream::Stdout, OutputStream::Stderr, OutputStream::Pty];
        Chunk { seq: Seq(seq), stream: streams[seq as usize % 3], offset, bytes: bytes.into() }
    }

    #[test]
    fn what_was_not_written_for_a_segment_is_not_taken_for_it() {
        let mut filed = Filed::new(/*budget_bytes*/ 1_000, CHUNK_BYTES);
        let chunks =
            [chunk(/*seq*/ 5, /*offset*/ 9, b"abc".to_vec()), chunk(/*seq*/ 6, /*offset*/ 12, b"d".to_vec())];
        let spill = filed.begin(chunks.iter(), Filing::Free, /*urgent*/ true).expect("there is room");
        let good: Vec<u8> = spill.parts().concat();
        assert_eq!(spill.segment.decode(good.clone().into()), Some(chunks.into()));
        let end = good.len() - 1;
        let cases: [(&str, Vec<u8>); 5] = [
            ("cut", good[..end].to_vec()),
            ("nothing", Vec::new()),
            ("zeros", vec![0; good.len()]),
            ("a stream that does not exist", [&[3, 0, 0, 0xc0], &good[4..]].concat()),
            ("more", [&good[..], &good[..]].concat()),
        ];
        for (what, bytes) in cases {
            assert_eq!(spill.segment.decode(bytes.into()), None, "{what}");
        }
    }

    #[test]
    fn a_segment_ends_where_a_number_is_missing_and_where_its_slot_is_full() {
        let mut filed = Filed::new(/*budget_bytes*/ 1_000, CHUNK_BYTES);
        let chunks: Vec<Chunk> = [1, 2, 4, 5, 6, 7, 8]
            .into_iter()
            .zip(0..)
            .map(|(seq, n)| chunk(seq, n * 16, vec![7; 16]))
            .collect();
        let mut lasts = Vec::new();
        let mut rest = &chunks[..];
        while let Some(spill) = filed.begin(rest.iter(), Filing::Free, /*urgent*/ rest.len() == 1) {
            filed.finish(/*written*/ true);
            rest = &rest[spill.chunks.len()..];
            lasts.push(spill.segment.last.0);
        }
        assert_eq!(lasts, [2, 7, 8]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Begin(Vec<u8>, Filing),
        Finish(bool),
        DropFront,
        Shrink,
    }

    fn step() -> impl Strategy<Value = Step> {
        let filing =
            prop_oneof![4 => Just(Filing::Free), 1 => Just(Filing::InPlace), 1 => Just(Filing::Never)];
        prop_oneof![
            4 => (proptest::collection::vec(1..=CHUNK_BYTES as u8, 1..6), filing).prop_map(|(lengths, filing)| Step::Begin(lengths, filing)),
            4 => (0..5_u8).prop_map(|n| Step::Finish(n > 0)),
            2 => Just(Step::DropFront),
            1 => Just(Step::Shrink),
        ]
    }

    proptest! {
        /// The model is the file: for each byte of it, whether somebody has it.
        #[test]
        fn segments_never_overlap_and_the_file_stays_within_its_bounds(steps in proptest::collection::vec(step(), 0..200)) {
            let budget = 400;
            let mut filed = Filed::new(budget, CHUNK_BYTES);
            let (mut seq, mut offset) = (1, 0);
            for step in steps {
                let before = filed.file_bytes();
                let shrinks = matches!(step, Step::Shrink);
                match step {
                    Step::Begin(lengths, filing) => {
                        let (mut at, mut from) = (seq, offset);
                        let chunks: Vec<Chunk> = lengths.iter().map(|&length| {
                            let made = chunk(at, from, vec![length; length.into()]);
                            (at, from) = (at + 1, from + u64::from(length));
                            made
                        }).collect();
                        if let Some(spill) = filed.begin(chunks.iter(), filing, /*urgent*/ true) {
                            prop_assert!(filing != Filing::Never);
                            prop_assert!(filing == Filing::Free || filed.file_bytes() == before);
                            prop_assert_eq!(spill.parts().concat().len(), spill.segment.length);
                            prop_assert_eq!(spill.segment.decode(spill.parts().concat().into()), Some(spill.chunks.clone().into()));
                        }
                    }
                    Step::Finish(written) => {
                        if let Some(segment) = filed.finish(written) {
                            (seq, offset) = (segment.last.0 + 1, segment.offset + segment.bytes);
                        }
                    }
                    Step::DropFront => { filed.drop_front(); }
                    Step::Shrink => filed.shrink(),
                }
                let mut places: Vec<&Segment> = filed.segments.iter().chain(&filed.in_flight).collect();
                prop_assert!(places.iter().all(|segment| filed.holds(segment) || Some(**segment) == filed.in_flight));
                places.sort_by_key(|segment| segment.place);
                prop_assert!(places.windows(2).all(|pair| pair[0].place + pair[0].length as u64 <= pair[1].place));
                let end = places.last().map_or(0, |last| last.place + filed.slot_bytes as u64);
                prop_assert!(filed.file_bytes() == end || (filed.file_bytes() > end && !shrinks));
                prop_assert!(filed.file_bytes() <= (budget + budget / 2 + filed.slot_bytes) as u64);
                prop_assert_eq!(filed.bytes, filed.segments.iter().map(|segment| segment.bytes).sum::<u64>());
            }
        }
    }
}
