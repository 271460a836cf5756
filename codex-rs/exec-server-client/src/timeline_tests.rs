//! Whatever is pushed, lost, repeated and read again: what comes out is the log, or says what is missing from it.

use codex_exec_server_protocol::process::ProcessOutputChunk;
use proptest::prelude::*;

use super::*;

fn limits() -> ProcessLimits {
    ProcessLimits { parked_events: 64, parked_bytes: 1 << 20, ..ProcessLimits::default() }
}

fn timeline() -> Timeline {
    Timeline::new("p".into(), limits(), Seq::START)
}

fn exit(code: i32) -> Exit {
    Exit { code, sandbox_denied: Some(false), reason: None, signal: None, usage: None, denials: None }
}

fn out(text: &str, offset: u64) -> Entry {
    Entry::Output { stream: OutputStream::Stdout, bytes: Bytes::from(text.to_owned()), offset: Some(offset) }
}

fn output(seq: u64, text: &str) -> Record {
    Record::Output { seq: Seq(seq), stream: OutputStream::Stdout, bytes: Bytes::from(text.to_owned()) }
}

fn exited(seq: u64, code: i32) -> Record {
    Record::Exited { seq: Seq(seq), exit: exit(code) }
}

fn gap(through: u64, bytes: impl Into<Option<u64>>) -> Record {
    Record::Gap { through: Seq(through), bytes: bytes.into() }
}

fn chunk(seq: u64, text: &str, offset: Option<u64>) -> ProcessOutputChunk {
    let chunk = text.as_bytes().to_vec().into();
    ProcessOutputChunk { seq: Seq(seq), stream: OutputStream::Stdout, chunk, offset }
}

/// The answer of a server whose log ends at `tip`.
fn answer(chunks: Vec<ProcessOutputChunk>, tip: u64) -> ProcessReadResponse {
    ProcessReadResponse {
        chunks,
        next_seq: Seq(tip + 1),
        exited: false,
        exit_code: None,
        closed: false,
        failure: None,
        sandbox_denied: Some(false),
        dropped: None,
        output_bytes: None,
    }
}

fn events(step: Step) -> Vec<Record> {
    assert!(step.fault.is_none(), "{:?}", step.fault);
    step.records
}

fn account(output_bytes: u64, crc32c: u32) -> Account {
    Account { output_bytes: Some(output_bytes), crc32c: Some(format!("{crc32c:08x}")) }
}

fn closed(output_bytes: u64, crc32c: u32) -> Entry {
    Entry::Closed(account(output_bytes, crc32c))
}

/// A close of which the server told only the number of bytes.
fn closed_at(seq: u64, output_bytes: u64) -> Record {
    Record::Closed { seq: Seq(seq), account: Account { output_bytes: Some(output_bytes), crc32c: None } }
}

#[test]
fn what_comes_in_order_goes_out_at_once() {
    let mut timeline = timeline();
    assert_eq!(events(timeline.push(Seq(1), out("ab", /*offset*/ 0))), [output(/*seq*/ 1, "ab")]);
    assert_eq!(
        events(timeline.push(Seq(2), Entry::Exited(exit(/*code*/ 3)))),
        [exited(/*seq*/ 2, /*code*/ 3)]
    );
    let end = Record::Closed { seq: Seq(3), account: account(/*output_bytes*/ 2, /*crc32c*/ 1) };
    assert_eq!(events(timeline.push(Seq(3), closed(/*output_bytes*/ 2, /*crc32c*/ 1))), [end]);
    assert!(timeline.is_closed());
}

#[test]
fn what_comes_early_waits_for_what_is_missing_and_twins_are_dropped() {
    let mut timeline = timeline();
    assert_eq!(events(timeline.push(Seq(2), out("b", /*offset*/ 1))), []);
    assert_eq!(events(timeline.push(Seq(2), out("b", /*offset*/ 1))), []);
    assert!(!timeline.is_up_to_date());
    assert_eq!(
        events(timeline.push(Seq(1), out("a", /*offset*/ 0))),
        [output(/*seq*/ 1, "a"), output(/*seq*/ 2, "b")]
    );
    assert!(timeline.is_up_to_date());
    assert_eq!(events(timeline.push(Seq(1), out("a", /*offset*/ 0))), []);
}

#[test]
fn a_read_fills_the_hole_and_places_the_exit_where_it_was() {
    let mut timeline = timeline();
    events(timeline.push(Seq(1), out("a", /*offset*/ 0)));
    events(timeline.push(Seq(5), out("e", /*offset*/ 3)));
    assert!(!timeline.is_up_to_date());
    assert_eq!(timeline.begin_read(), Seq(1));
    let mut response = answer(
        vec![chunk(/*seq*/ 2, "b", Some(1)), chunk(/*seq*/ 4, "d", Some(2)), chunk(/*seq*/ 5, "e", Some(3))],
        /*tip*/ 5,
    );
    (response.exited, response.exit_code) = (true, Some(7));
    let step = timeline.catch_up(response, /*whole*/ true).0;
    assert_eq!(
        events(step),
        [
            output(/*seq*/ 2, "b"),
            exited(/*seq*/ 3, /*code*/ 7),
            output(/*seq*/ 4, "d"),
            output(/*seq*/ 5, "e")
        ]
    );
}

#[test]
fn a_close_that_was_missed_is_taken_from_the_read() {
    let mut timeline = timeline();
    let mut response = answer(vec![chunk(/*seq*/ 1, "abc", Some(0))], /*tip*/ 3);
    (response.exited, response.exit_code, response.closed) = (true, Some(0), true);
    response.output_bytes = Some(3);
    let step = timeline.catch_up(response, /*whole*/ true).0;
    assert_eq!(
        events(step),
        [output(/*seq*/ 1, "abc"), exited(/*seq*/ 2, /*code*/ 0), closed_at(/*seq*/ 3, /*output_bytes*/ 3)]
    );
}

#[test]
fn what_the_server_dropped_is_a_gap_with_its_bytes() {
    let mut timeline = timeline();
    events(timeline.push(Seq(1), out("ab", /*offset*/ 0)));
    let mut response = answer(vec![chunk(/*seq*/ 5, "z", Some(12))], /*tip*/ 5);
    response.dropped = Some(DroppedOutput { through_seq: Seq(4), bytes: 12 });
    assert_eq!(
        events(timeline.catch_up(response, /*whole*/ true).0),
        [gap(/*through*/ 4, /*bytes*/ 10), output(/*seq*/ 5, "z")]
    );
}

#[test]
fn what_the_server_dropped_after_it_took_the_picture_is_in_the_picture() {
    let mut timeline = timeline();
    let mut response =
        answer(vec![chunk(/*seq*/ 3, "cc", Some(4)), chunk(/*seq*/ 4, "dd", Some(6))], /*tip*/ 4);
    response.dropped = Some(DroppedOutput { through_seq: Seq(3), bytes: 6 });
    let records = events(timeline.catch_up(response, /*whole*/ true).0);
    assert_eq!(records, [gap(/*through*/ 2, /*bytes*/ 4), output(/*seq*/ 3, "cc"), output(/*seq*/ 4, "dd")]);
}

#[test]
fn a_gap_that_reaches_to_the_end_of_the_log_is_counted_too() {
    let mut timeline = timeline();
    let mut response = answer(vec![], /*tip*/ 4);
    response.dropped = Some(DroppedOutput { through_seq: Seq(4), bytes: 9 });
    assert_eq!(events(timeline.catch_up(response, /*whole*/ true).0), [gap(/*through*/ 4, /*bytes*/ 9)]);
}

#[test]
fn what_was_pushed_before_the_server_dropped_it_stands_between_two_gaps() {
    let mut timeline = timeline();
    events(timeline.push(Seq(3), out("cc", /*offset*/ 2)));
    assert!(!timeline.is_up_to_date());
    timeline.begin_read();
    let mut response = answer(vec![], /*tip*/ 5);
    response.dropped = Some(DroppedOutput { through_seq: Seq(5), bytes: 7 });
    assert_eq!(
        events(timeline.catch_up(response, /*whole*/ true).0),
        [gap(/*through*/ 2, /*bytes*/ 2), output(/*seq*/ 3, "cc"), gap(/*through*/ 5, /*bytes*/ 3)]
    );
}

#[test]
fn an_exit_among_dropped_output_is_told_behind_the_gap() {
    let mut timeline = timeline();
    let mut response = answer(vec![chunk(/*seq*/ 9, "z", Some(5))], /*tip*/ 9);
    (response.exited, response.exit_code) = (true, Some(1));
    response.dropped = Some(DroppedOutput { through_seq: Seq(8), bytes: 5 });
    assert_eq!(
        events(timeline.catch_up(response, /*whole*/ true).0),
        [gap(/*through*/ 8, /*bytes*/ 5), exited(/*seq*/ 8, /*code*/ 1), output(/*seq*/ 9, "z")]
    );
}

#[test]
fn a_server_that_does_not_count_makes_gaps_of_unknown_size() {
    let mut timeline = timeline();
    let mut response = answer(
        vec![chunk(/*seq*/ 4, "d", /*offset*/ None), chunk(/*seq*/ 6, "f", /*offset*/ None)],
        /*tip*/ 7,
    );
    (response.exited, response.exit_code, response.closed) = (true, Some(0), true);
    let step = timeline.catch_up(response, /*whole*/ true).0;
    let end = Record::Closed { seq: Seq(7), account: Account::default() };
    assert_eq!(
        events(step),
        [
            gap(/*through*/ 3, /*bytes*/ None),
            output(/*seq*/ 4, "d"),
            exited(/*seq*/ 5, /*code*/ 0),
            output(/*seq*/ 6, "f"),
            end
        ]
    );
}

#[test]
fn an_exit_among_dropped_output_is_told_before_the_close_at_the_latest() {
    let mut timeline = timeline();
    let mut page = answer(vec![chunk(/*seq*/ 9, "z", Some(5))], /*tip*/ 9);
    (page.exited, page.exit_code) = (true, Some(1));
    page.dropped = Some(DroppedOutput { through_seq: Seq(8), bytes: 5 });
    let (step, reach) = timeline.catch_up(page, /*whole*/ false);
    assert_eq!(
        (events(step), reach),
        (vec![gap(/*through*/ 8, /*bytes*/ 5), output(/*seq*/ 9, "z")], Reach::Page(Seq(9)))
    );
    let end = Record::Closed { seq: Seq(10), account: account(/*output_bytes*/ 6, /*crc32c*/ 0) };
    assert_eq!(
        events(timeline.push(Seq(10), closed(/*output_bytes*/ 6, /*crc32c*/ 0))),
        [exited(/*seq*/ 9, /*code*/ 1), end]
    );
}

#[test]
fn an_exit_without_a_verdict_on_the_sandbox_waits_for_a_read_that_brings_it() {
    let mut timeline = timeline();
    events(timeline.push(Seq(1), out("a", /*offset*/ 0)));
    assert_eq!(
        events(timeline.push(Seq(2), Entry::Exited(Exit { sandbox_denied: None, ..exit(/*code*/ 3) }))),
        []
    );
    assert_eq!(events(timeline.push(Seq(3), closed(/*output_bytes*/ 1, /*crc32c*/ 1))), []);
    assert!(!timeline.is_up_to_date());
    assert_eq!(timeline.begin_read(), Seq(1));
    let mut response = answer(vec![], /*tip*/ 3);
    (response.exited, response.exit_code, response.closed) = (true, Some(3), true);
    response.sandbox_denied = Some(true);
    let denied =
        Record::Exited { seq: Seq(2), exit: Exit { sandbox_denied: Some(true), ..exit(/*code*/ 3) } };
    let end = Record::Closed { seq: Seq(3), account: account(/*output_bytes*/ 1, /*crc32c*/ 1) };
    assert_eq!(events(timeline.catch_up(response, /*whole*/ true).0), [denied, end]);
    assert!(timeline.is_up_to_date());
}

#[test]
fn a_server_that_never_gives_that_verdict_is_asked_once() {
    let mut timeline = timeline();
    let exit = Exit { sandbox_denied: None, ..exit(/*code*/ 3) };
    events(timeline.push(Seq(1), Entry::Exited(exit.clone())));
    timeline.begin_read();
    let mut response = answer(vec![], /*tip*/ 1);
    (response.exited, response.exit_code, response.sandbox_denied) = (true, Some(3), None);
    assert_eq!(events(timeline.catch_up(response, /*whole*/ true).0), [Record::Exited { seq: Seq(1), exit }]);
    assert!(timeline.is_up_to_date());
}

#[test]
fn what_comes_behind_a_position_is_counted_from_where_the_server_says() {
    let mut timeline = Timeline::new("p".into(), limits(), Seq(4));
    assert_eq!(timeline.begin_read(), Seq(4));
    let response =
        answer(vec![chunk(/*seq*/ 5, "ee", Some(40)), chunk(/*seq*/ 7, "gg", Some(50))], /*tip*/ 7);
    let records = events(timeline.catch_up(response, /*whole*/ true).0);
    assert_eq!(records, [output(/*seq*/ 5, "ee"), gap(/*through*/ 6, /*bytes*/ 8), output(/*seq*/ 7, "gg")]);
    assert_eq!(events(timeline.push(Seq(4), out("dd", /*offset*/ 38))), []);
}

#[test]
fn a_server_that_denies_what_it_pushed_is_found_out_instead_of_asked_for_ever() {
    let mut timeline = timeline();
    events(timeline.push(Seq(5), out("e", /*offset*/ 4)));
    assert!(!timeline.is_up_to_date());
    timeline.begin_read();
    let fault = timeline.catch_up(answer(vec![], /*tip*/ 2), /*whole*/ true).0.fault;
    assert!(matches!(fault, Some(ProcessError::Inconsistent { seen: Seq(5), tip: Seq(2), .. })), "{fault:?}");
}

#[test]
fn early_events_beyond_the_bound_are_dropped_and_read_again() {
    let limits = ProcessLimits { parked_bytes: 4, ..limits() };
    let mut timeline = Timeline::new("p".into(), limits, Seq::START);
    events(timeline.push(Seq(2), out("bbb", /*offset*/ 1)));
    assert!(!timeline.is_up_to_date());
    events(timeline.push(Seq(3), out("ccc", /*offset*/ 4)));
    assert!(!timeline.is_up_to_date());
    assert_eq!(
        events(timeline.push(Seq(1), out("a", /*offset*/ 0))),
        [output(/*seq*/ 1, "a"), output(/*seq*/ 2, "bbb")]
    );
    assert!(!timeline.is_up_to_date());
    assert_eq!(events(timeline.push(Seq(3), out("ccc", /*offset*/ 4))), [output(/*seq*/ 3, "ccc")]);
}

/// A log of single-byte chunks with the exit at `exit_at` and the close at the end.
struct Log {
    chunks: u64,
    exit_at: u64,
}

impl Log {
    fn last(&self) -> u64 {
        self.chunks + 2
    }

    fn offset(&self, seq: u64) -> u64 {
        seq - 1 - u64::from(seq > self.exit_at)
    }

    fn byte(&self, seq: u64) -> String {
        char::from(b'a' + (seq % 26) as u8).to_string()
    }

    fn all(&self) -> String {
        (1..self.last()).filter(|seq| *seq != self.exit_at).map(|seq| self.byte(seq)).collect()
    }

    fn entry(&self, seq: u64) -> Entry {
        if seq == self.last() {
            closed(self.chunks, crc32c::crc32c(self.all().as_bytes()))
        } else if seq == self.exit_at {
            Entry::Exited(exit(/*code*/ 0))
        } else {
            out(&self.byte(seq), self.offset(seq))
        }
    }

    /// What a server answers when the log has grown to `tip`, with `page` bytes at most.
    fn read(&self, after: Seq, tip: u64, page: Option<usize>) -> ProcessReadResponse {
        let seqs = (after.0 + 1..=tip).filter(|seq| *seq != self.exit_at && *seq != self.last());
        let mut response =
            answer(seqs.map(|seq| chunk(seq, &self.byte(seq), Some(self.offset(seq)))).collect(), tip);
        response.exited = tip >= self.exit_at;
        response.exit_code = response.exited.then_some(0);
        response.closed = tip == self.last();
        response.output_bytes = response.closed.then_some(self.chunks);
        response.chunks.truncate(page.unwrap_or(usize::MAX));
        if let (Some(last), Some(_)) = (response.chunks.last(), page) {
            response.next_seq = last.seq.next();
        }
        response
    }
}

proptest! {
    #[test]
    fn with_whatever_pushes_lost_everything_comes_once_and_in_order(
        chunks in 1..30_u64,
        exit_at in 1..31_u64,
        lost in proptest::collection::vec(any::<bool>(), 40),
        last_page in proptest::option::of(1..4_usize),
        reads in proptest::collection::vec((any::<bool>(), 0..4_u64, proptest::option::of(1..4_usize)), 40),
    ) {
        let log = Log { chunks, exit_at: exit_at.min(chunks + 1) };
        let mut timeline = timeline();
        let mut delivered = Vec::new();
        let mut tip = 0;
        for seq in 1..=log.last() {
            if !lost[seq as usize] {
                delivered.extend(timeline.push(Seq(seq), log.entry(seq)).records);
            }
            let (read, ahead, page) = &reads[seq as usize];
            if *read {
                tip = (seq + *ahead).min(log.last()).max(tip);
                let after = timeline.begin_read();
                let step = timeline.catch_up(log.read(after, tip, *page), page.is_none()).0;
                prop_assert!(step.fault.is_none());
                delivered.extend(step.records);
            }
        }
        let mut reached = Reach::Page(Seq::START);
        while reached != Reach::End {
            let after = timeline.begin_read();
            let (step, reach) = timeline.catch_up(log.read(after, log.last(), last_page), last_page.is_none());
            prop_assert!(step.fault.is_none());
            delivered.extend(step.records);
            reached = reach;
        }
        prop_assert!(timeline.is_up_to_date());
        let text: String = delivered.iter().filter_map(|event| match event {
            Record::Output { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }).collect();
        prop_assert_eq!(text, log.all());
        let exit_index = delivered.iter().position(|event| matches!(event, Record::Exited { .. }));
        prop_assert_eq!(exit_index, Some(log.exit_at as usize - 1));
        prop_assert_eq!(delivered.len() as u64, log.last());
        let positions: Vec<u64> = delivered.iter().map(|record| record.seq().0).collect();
        prop_assert_eq!(positions, (1..=log.last()).collect::<Vec<_>>());
        prop_assert!(timeline.is_closed());
    }
}
