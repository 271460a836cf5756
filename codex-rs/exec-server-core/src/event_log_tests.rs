//! What a log keeps, where, and when its process waits.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::spool::{Filing, Segment, Spill};

const FREE: Means = Means { is_crowded: false, filing: Filing::Free };
const NO_FILE: Means = Means { filing: Filing::Never, ..FREE };
const CROWDED: Means = Means { is_crowded: true, ..NO_FILE };

fn limits(retain_bytes: usize) -> LogLimits {
    LogLimits {
        retain_bytes,
        memory_bytes: 24,
        memory_chunks: 64,
        spooled_memory_bytes: 12,
        crowded_memory_bytes: 2,
        chunk_bytes: 8,
        unread_bytes: 4,
        pace: Duration::from_millis(25),
        in_flight_bytes: 6,
        read_bytes: 1_000,
        read_chunks: 100,
    }
}

/// Of a reader that has everything through `seq`, and is owed the rest.
fn taken(seq: u64) -> Interest {
    Interest { keep: Some(Seq(seq)), wanted: Seq(seq), unread: Seq(seq), sent: None, pacer: Some(Seq(seq)) }
}

/// Of somebody who may come, and is owed nothing.
const FORGETFUL: Interest = Interest { keep: None, ..Interest::EVERYTHING };

/// What stands for the file.
#[derive(Default)]
struct File(Vec<u8>);

impl File {
    fn write(&mut self, log: &EventLog, spill: &Spill) {
        let file_bytes = usize::try_from(log.file_bytes()).expect("small");
        self.0.resize(file_bytes, 0);
        let place = usize::try_from(spill.segment.place).expect("small");
        self.0[place..place + spill.segment.length].copy_from_slice(&spill.parts().concat());
    }

    fn read(&self, segment: &Segment) -> Option<Bytes> {
        let place = usize::try_from(segment.place).expect("small");
        Some(Bytes::copy_from_slice(self.0.get(place..place + segment.length)?))
    }

    fn page(&self, log: &mut EventLog, after: u64, max_bytes: Option<u64>) -> Page {
        let mut reader = PageReader::new(Seq(after), max_bytes);
        while let Some(segment) = reader.read(log) {
            reader.fetch(log, &segment, self.read(&segment));
        }
        reader.page(log)
    }

    /// Writes all that is to be written.
    fn spill(&mut self, log: &mut EventLog, means: Means) {
        while let Some(spill) = log.begin_spill(means) {
            self.write(log, &spill);
            log.finish_spill(/*written*/ true);
            log.trim(means);
        }
    }
}

fn read(log: &mut EventLog, after: u64, max_bytes: Option<u64>) -> Page {
    File::default().page(log, after, max_bytes)
}

fn next_after(log: &mut EventLog, after: u64) -> Next {
    log.next(&mut Place::new(Seq(after)))
}

fn exit(code: i32) -> Exit {
    Exit {
        code,
        reason: ExitReason::Exited,
        signal: None,
        usage: ProcessUsage::default(),
        sandbox_denied: false,
        denials: None,
    }
}

fn out(log: &mut EventLog, text: &str) {
    log.push_output(OutputStream::Stdout, text.into());
}

fn texts(page: &Page) -> Vec<(u64, String)> {
    page.chunks
        .iter()
        .map(|chunk| (chunk.seq.0, String::from_utf8_lossy(&chunk.bytes).into_owned()))
        .collect()
}

#[test]
fn a_full_log_forgets_old_output_but_never_how_the_process_ended() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 4));
    log.set_interest(FORGETFUL);
    out(&mut log, "aaaa");
    log.push_exited(exit(/*code*/ 1));
    out(&mut log, "bbbb");
    log.push_closed();
    log.trim(NO_FILE);
    assert_eq!(texts(&read(&mut log, /*after*/ 0, /*max_bytes*/ None)), [(3, "bbbb".to_owned())]);
    assert_eq!(log.dropped(), Some(DroppedOutput { through_seq: Seq(1), bytes: 4 }));
    assert_eq!(next_after(&mut log, /*after*/ 0), Next::Event(Event::Exited(Seq(2), exit(/*code*/ 1))));
    let totals = Totals { output_bytes: 8, crc32c: crc32c::crc32c(b"aaaabbbb") };
    assert_eq!(next_after(&mut log, /*after*/ 3), Next::Event(Event::Closed(Seq(4), totals)));
    assert_eq!(next_after(&mut log, /*after*/ 4), Next::Nothing);
}

#[test]
fn unseen_neighbours_of_one_stream_become_one_chunk_up_to_the_bound() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
    out(&mut log, "abc");
    out(&mut log, "de");
    log.push_output(OutputStream::Stderr, "x".into());
    out(&mut log, "1234567");
    out(&mut log, "89");
    assert_eq!(
        texts(&read(&mut log, /*after*/ 0, /*max_bytes*/ None)),
        [(1, "abcde".to_owned()), (2, "x".to_owned()), (3, "1234567".to_owned()), (4, "89".to_owned())]
    );
}

#[test]
fn output_beyond_the_bound_of_a_chunk_becomes_several() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
    out(&mut log, "a");
    out(&mut log, "0123456789abcdef012");
    let expected = [(1, "a"), (2, "01234567"), (3, "89abcdef"), (4, "012")];
    assert_eq!(
        texts(&read(&mut log, /*after*/ 0, /*max_bytes*/ None)),
        expected.map(|(seq, text)| (seq, text.to_owned()))
    );
}

#[test]
fn a_chunk_that_somebody_saw_never_grows() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
    out(&mut log, "a");
    assert!(matches!(next_after(&mut log, 0), Next::Event(Event::Output(chunk)) if chunk.seq == Seq(1)));
    out(&mut log, "b");
    assert_eq!(
        texts(&read(&mut log, /*after*/ 0, /*max_bytes*/ None)),
        [(1, "a".to_owned()), (2, "b".to_owned())]
    );
}

#[test]
fn a_read_returns_at_least_one_chunk_and_then_what_fits() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
    for text in ["aaaaaaaa", "bbbbbbbb", "cccccccc"] {
        out(&mut log, text);
    }
    log.push_exited(exit(/*code*/ 0));
    let page = |log: &mut EventLog, after, max| {
        let page = read(log, after, max);
        (page.chunks.len(), page.next.0)
    };
    assert_eq!(page(&mut log, /*after*/ 0, Some(0)), (1, 2));
    assert_eq!(page(&mut log, /*after*/ 0, Some(16)), (2, 3));
    assert_eq!(page(&mut log, /*after*/ 0, /*max*/ None), (3, 5));
    assert_eq!(page(&mut log, /*after*/ 2, Some(100)), (1, 4));
    assert_eq!(page(&mut log, /*after*/ 3, Some(100)), (0, 5));
}

#[test]
fn a_read_without_a_bound_returns_no_more_than_one_message_holds_and_says_where_it_goes_on() {
    let mut log = EventLog::new(LogLimits { read_bytes: 20, read_chunks: 3, ..limits(/*retain_bytes*/ 100) });
    for text in ["aaaaaaaa", "bbbbbbbb", "cccccccc", "d"] {
        out(&mut log, text);
        log.seal();
    }
    log.push_exited(exit(/*code*/ 0));
    let page = |log: &mut EventLog, after, max| {
        let page = read(log, after, max);
        (page.chunks.len(), page.next.0)
    };
    assert_eq!(page(&mut log, /*after*/ 0, /*max*/ None), (2, 3));
    assert_eq!(page(&mut log, /*after*/ 0, Some(u64::MAX)), (2, 3));
    assert_eq!(page(&mut log, /*after*/ 2, /*max*/ None), (2, 6));
}

#[test]
fn a_process_goes_at_the_pace_of_its_reader_for_as_long_as_that_one_keeps_up() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
    let now = Instant::now();
    log.set_interest(taken(/*seq*/ 0));
    out(&mut log, "123");
    assert_eq!(log.room(now, FREE), Room::Open);
    out(&mut log, "4");
    let Room::Until(until) = log.room(now, FREE) else { panic!("it waits") };
    assert_eq!(log.room(until, FREE), Room::Open, "the reader took too long");
    log.seal();
    out(&mut log, "5678");
    log.set_interest(taken(/*seq*/ 1));
    // It has caught up with a window, late; the next one counts for itself.
    assert_eq!(log.room(until, FREE), Room::Open);
    log.seal();
    out(&mut log, "abcd");
    log.set_interest(taken(/*seq*/ 2));
    assert!(matches!(log.room(until, FREE), Room::Until(_)));
}

#[test]
fn what_a_reader_has_had_stays_as_long_as_there_is_room_in_memory_and_never_goes_to_the_file() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 1_000));
    for seq in 1..=10 {
        out(&mut log, "12345678");
        log.seal();
        log.set_interest(Interest { sent: Some(Seq(seq)), ..taken(seq) });
        log.trim(FREE);
        assert_eq!(log.begin_spill(FREE).map(|spill| spill.segment), None);
    }
    assert_eq!(log.dropped(), Some(DroppedOutput { through_seq: Seq(7), bytes: 56 }));
    assert_eq!(log.file_bytes(), 0);
}

#[test]
fn what_is_unread_or_may_have_been_lost_on_its_way_goes_to_the_file_and_the_rest_of_memory_with_it() {
    let (mut log, mut file) = (EventLog::new(limits(/*retain_bytes*/ 1_000)), File::default());
    log.set_interest(Interest { sent: Some(Seq(2)), ..taken(/*seq*/ 2) });
    for _ in 0..8 {
        out(&mut log, "12345678");
        log.trim(FREE);
        file.spill(&mut log, FREE);
    }
    // The first was sent long ago. The second is within what a connection may have swallowed.
    assert_eq!(log.dropped(), Some(DroppedOutput { through_seq: Seq(1), bytes: 8 }));
    assert_eq!((log.memory_bytes(), log.file_bytes()), (24, 48));
    let page = file.page(&mut log, /*after*/ 0, /*max_bytes*/ None);
    assert_eq!(page.chunks.iter().map(|chunk| chunk.seq.0).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8]);
    // Once that is read and nothing of it may be lost any more, the file is empty.
    log.set_interest(taken(/*seq*/ 5));
    log.trim(FREE);
    assert_eq!((log.file_bytes(), log.dropped().map(|dropped| dropped.bytes)), (0, Some(40)));
}

#[test]
fn at_its_budget_a_process_waits_for_whoever_is_owed_its_output_and_drops_what_is_owed_to_nobody() {
    let mut file = File::default();
    let mut fill = |interest| {
        let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
        log.set_interest(interest);
        let mut writes = 0;
        while writes < 50 && log.room(Instant::now(), FREE) == Room::Open {
            writes += 1;
            out(&mut log, "12345678");
            log.trim(FREE);
            file.spill(&mut log, FREE);
        }
        (writes, log.dropped().map(|dropped| dropped.bytes), log.retained_bytes(), log.file_bytes() <= 150)
    };
    let (writes, dropped, retained, file_is_bounded) = fill(Interest::EVERYTHING);
    assert_eq!((dropped, retained, file_is_bounded), (None, 8 * writes, true));
    assert!((100..108).contains(&retained), "{retained}");
    let (writes, dropped, retained, file_is_bounded) = fill(FORGETFUL);
    assert_eq!((writes, dropped.map(|bytes| bytes + retained), file_is_bounded), (50, Some(400), true));
    assert!(retained > 64 && retained <= 100, "{retained}");
    // One reader that stands still makes nobody wait, whose output another has had.
    let (writes, ..) = fill(Interest { keep: Some(Seq(100)), ..FORGETFUL });
    assert_eq!(writes, 50);
}

#[test]
fn without_a_file_memory_is_the_budget() {
    let mut waits = EventLog::new(limits(/*retain_bytes*/ 1_000));
    let mut drops = EventLog::new(limits(/*retain_bytes*/ 1_000));
    drops.set_interest(FORGETFUL);
    for _ in 0..3 {
        assert_eq!(waits.room(Instant::now(), NO_FILE), Room::Open);
        out(&mut waits, "12345678");
        waits.trim(NO_FILE);
    }
    assert_eq!(waits.room(Instant::now(), NO_FILE), Room::Full);
    for _ in 0..10 {
        out(&mut drops, "12345678");
        drops.trim(NO_FILE);
        assert_eq!(drops.room(Instant::now(), NO_FILE), Room::Open);
    }
    assert_eq!(drops.dropped(), Some(DroppedOutput { through_seq: Seq(7), bytes: 56 }));
    assert!(drops.begin_spill(NO_FILE).is_none());
}

#[test]
fn a_disk_that_becomes_full_costs_the_oldest_output_and_not_the_newest() {
    let (mut log, mut file) = (EventLog::new(limits(/*retain_bytes*/ 1_000)), File::default());
    log.set_interest(FORGETFUL);
    let in_place = Means { filing: Filing::InPlace, ..FREE };
    let mut written = String::new();
    for n in 0..40 {
        let means = if n < 20 { FREE } else { in_place };
        let text = format!("{n:08}");
        out(&mut log, &text);
        written += &text;
        log.trim(means);
        file.spill(&mut log, means);
    }
    let dropped = log.dropped().expect("there was no room").bytes as usize;
    let page = file.page(&mut log, /*after*/ 0, /*max_bytes*/ None);
    let kept: String = texts(&page).into_iter().map(|(_, text)| text).collect();
    assert_eq!(kept, written[dropped..]);
    assert!(kept.len() > 64, "the file is still used");
}

#[test]
fn what_can_not_be_read_back_is_gone_with_all_that_is_older_and_what_could_not_be_written_is_not() {
    let (mut log, mut file) = (EventLog::new(limits(/*retain_bytes*/ 1_000)), File::default());
    for _ in 0..12 {
        out(&mut log, "12345678");
    }
    let first = log.begin_spill(FREE).expect("memory is full");
    log.finish_spill(/*written*/ false);
    let again = log.begin_spill(FREE).expect("it is still there");
    assert_eq!(first.segment, again.segment);
    file.write(&log, &again);
    log.finish_spill(/*written*/ true);
    file.spill(&mut log, FREE);
    let mut reader = PageReader::new(Seq(5), /*max_bytes*/ None);
    let second = reader.read(&mut log).expect("it is in the file");
    reader.fetch(&mut log, &second, /*stored*/ None);
    assert_eq!(
        log.dropped(),
        Some(DroppedOutput { through_seq: second.last, bytes: second.offset + second.bytes })
    );
}

#[test]
fn what_was_read_of_a_place_that_was_used_again_meanwhile_is_not_believed() {
    let (mut log, mut file) = (EventLog::new(limits(/*retain_bytes*/ 100)), File::default());
    log.set_interest(FORGETFUL);
    let fill = |log: &mut EventLog, file: &mut File, text: &str| {
        for _ in 0..20 {
            out(log, text);
            log.trim(FREE);
            file.spill(log, FREE);
        }
    };
    fill(&mut log, &mut file, "aaaaaaaa");
    let mut place = Place::new(Seq(0));
    let Next::Filed(old) = log.next(&mut place) else { panic!("it is in the file") };
    fill(&mut log, &mut file, "bbbbbbbb");
    place.fetch(&mut log, &old, file.read(&old));
    assert!(matches!(log.next(&mut place), Next::Filed(segment) if segment.first > old.last));
}

#[test]
fn what_one_read_is_sure_to_reach_is_all_there_is_or_ends_at_a_chunk_that_it_holds() {
    let bounds = LogLimits { read_bytes: 46, read_chunks: 12, ..limits(/*retain_bytes*/ 1_000) };
    let (mut log, mut file) = (EventLog::new(bounds), File::default());
    log.set_interest(taken(/*seq*/ 2));
    for _ in 0..30 {
        assert!(log.last() > Seq(7) || log.reach_of_one_read(Seq(2)) == log.last());
        out(&mut log, "12345678");
        log.seal();
        log.trim(FREE);
        file.spill(&mut log, FREE);
    }
    let reach = log.reach_of_one_read(Seq(2));
    // Though it is asked from before what was sent, as far as a connection may have swallowed it.
    let page = file.page(&mut log, /*after*/ 1, /*max_bytes*/ None);
    assert!(reach > Seq(2) && page.next > reach, "{reach} of {}", page.next);
    assert!(log.reach_of_one_read(Seq(26)) > Seq(28));
    assert_eq!(log.reach_of_one_read(Seq(28)), Seq(30));
}

#[test]
fn a_crowded_server_keeps_less_in_memory_but_still_drops_nothing_that_is_owed() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
    log.set_interest(taken(/*seq*/ 1));
    out(&mut log, "12345678");
    out(&mut log, "ab");
    log.trim(CROWDED);
    assert_eq!(log.dropped(), Some(DroppedOutput { through_seq: Seq(1), bytes: 8 }));
    assert_eq!(log.room(Instant::now(), CROWDED), Room::Full);
    assert_eq!(log.room(Instant::now(), NO_FILE), Room::Open);
}

#[test]
fn without_a_file_a_process_waits_for_a_reader_that_does_not_keep_up_and_what_was_sent_last_stays() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 1_000));
    for _ in 0..2 {
        out(&mut log, "12345678");
        log.seal();
    }
    log.set_interest(Interest { sent: Some(Seq(2)), ..taken(/*seq*/ 2) });
    let mut now = Instant::now();
    assert_eq!(log.room(now, NO_FILE), Room::Open);
    out(&mut log, "1234");
    now += Duration::from_secs(60);
    assert_eq!(log.room(now, NO_FILE), Room::Full, "however long it takes");
    log.trim(NO_FILE);
    assert_eq!(log.dropped(), None);
    // Whose reader wants no waiting goes on.
    log.set_interest(Interest { keep: None, ..*log.interest() });
    assert_ne!(log.room(now, NO_FILE), Room::Full);
}

#[test]
fn who_is_gone_has_for_certain_what_was_sent_before_a_connection_may_have_swallowed_the_rest() {
    let (mut log, mut file) = (EventLog::new(limits(/*retain_bytes*/ 1_000)), File::default());
    assert_eq!(log.certain(Seq::START), Seq::START);
    for _ in 0..8 {
        out(&mut log, "12345678");
        log.seal();
    }
    for (sent, certain) in [(0, 0), (1, 0), (2, 1), (8, 7)] {
        assert_eq!(log.certain(Seq(sent)), Seq(certain));
    }
    // In the file it is known by whole segments: rather too little than too much.
    log.trim(FREE);
    file.spill(&mut log, FREE);
    assert!(log.file_bytes() > 0 && log.dropped().is_none());
    for sent in 0..=8 {
        assert!(log.certain(Seq(sent)) <= Seq(sent.saturating_sub(/*rhs*/ 1)));
    }
    assert_eq!(log.certain(Seq(8)), Seq(7));
}

#[path = "event_log_random_tests.rs"]
mod random;
