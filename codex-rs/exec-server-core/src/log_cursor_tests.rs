use codex_exec_server_protocol::process::{ExitReason, OutputStream, ProcessUsage};
use proptest::prelude::*;

use super::*;
use crate::event_log::{Interest, Means};
use crate::limits::LogLimits;
use crate::spool::Filing;

const EXIT: Exit = Exit {
    code: 3,
    reason: ExitReason::Exited,
    signal: None,
    usage: ProcessUsage { wall_ms: 1, user_ms: 0, system_ms: 0, max_rss_bytes: None },
    sandbox_denied: false,
    denials: None,
};

/// A log that keeps `retain_bytes` of output, whoever reads.
fn log(retain_bytes: usize) -> EventLog {
    let mut log = EventLog::new(LogLimits { retain_bytes, ..LogLimits::default() });
    log.set_interest(Interest { keep: None, ..Interest::EVERYTHING });
    log
}

/// There is no file.
const MEANS: Means = Means { is_crowded: false, filing: Filing::Never };

fn next(cursor: &mut LogCursor, log: &mut EventLog) -> Option<Result<ExecProcessEvent, ExecError>> {
    match cursor.next(log) {
        Given::Event(event) => Some(event),
        Given::Filed(segment) => panic!("{segment:?} without a file"),
        Given::Nothing => None,
    }
}

/// Output that does not merge with what comes next.
fn say(log: &mut EventLog, text: &str) {
    log.push_output(OutputStream::Stdout, text.into());
    log.seal();
    log.trim(MEANS);
}

/// What a cursor gives now, each event in a few letters.
fn given(cursor: &mut LogCursor, log: &mut EventLog) -> Vec<String> {
    std::iter::from_fn(|| next(cursor, log))
        .map(|event| match event.expect("the log is in order") {
            ExecProcessEvent::Output { seq, bytes, .. } => {
                format!("{} {}", seq.0, String::from_utf8_lossy(&bytes))
            }
            ExecProcessEvent::Gap { through, bytes } => format!("gap {} {bytes:?}", through.0),
            ExecProcessEvent::Exited { seq, exit } => format!("{} exit {}", seq.0, exit.code),
            ExecProcessEvent::Closed { seq, proof } => format!("{} closed {proof:?}", seq.0),
        })
        .collect()
}

#[test]
fn a_reader_from_the_start_is_given_everything_once_and_a_checksum_for_it() {
    let mut log = log(/*retain_bytes*/ 1_000);
    let mut cursor = LogCursor::new(Seq::START, &mut log);
    assert!(given(&mut cursor, &mut log).is_empty());
    say(&mut log, "one");
    assert_eq!(given(&mut cursor, &mut log), ["1 one"]);
    log.push_exited(EXIT);
    say(&mut log, "late");
    log.push_closed();
    assert_eq!(given(&mut cursor, &mut log), ["2 exit 3", "3 late", "4 closed Checksum"]);
    assert!(cursor.is_ended() && next(&mut cursor, &mut log).is_none());
}

#[test]
fn a_late_reader_is_told_exactly_what_is_gone_on_either_side_of_the_exit() {
    let mut log = log(/*retain_bytes*/ 5);
    say(&mut log, "aaaa");
    say(&mut log, "bbb");
    log.push_exited(EXIT);
    say(&mut log, "cc");
    say(&mut log, "ddddd");
    log.push_closed();
    let mut cursor = LogCursor::new(Seq::START, &mut log);
    assert_eq!(
        given(&mut cursor, &mut log),
        ["gap 2 Some(7)", "3 exit 3", "gap 4 Some(2)", "5 ddddd", "6 closed Gap"]
    );
}

#[test]
fn a_reader_that_falls_behind_is_given_what_is_left_and_told_of_the_rest() {
    let mut log = log(/*retain_bytes*/ 4);
    let mut cursor = LogCursor::new(Seq::START, &mut log);
    say(&mut log, "aaaa");
    assert_eq!(given(&mut cursor, &mut log), ["1 aaaa"]);
    say(&mut log, "bbbb");
    say(&mut log, "cccc");
    log.push_closed();
    assert_eq!(given(&mut cursor, &mut log), ["gap 2 Some(4)", "3 cccc", "4 closed Gap"]);
}

#[test]
fn a_reader_from_the_middle_has_only_the_numbering_as_proof_and_cannot_count_what_went_before_it() {
    let mut log = log(/*retain_bytes*/ 4);
    say(&mut log, "aaaa");
    say(&mut log, "bbbb");
    let mut cursor = LogCursor::new(Seq(2), &mut log);
    say(&mut log, "cccc");
    let mut behind = LogCursor::new(Seq(1), &mut log);
    log.push_closed();
    assert_eq!(given(&mut cursor, &mut log), ["3 cccc", "4 closed Numbering"]);
    // Whether the four bytes before position 1 are part of the eight that are gone is not known any more.
    assert_eq!(given(&mut behind, &mut log), ["gap 2 None", "3 cccc", "4 closed Gap"]);
}

#[test]
fn what_is_added_to_a_chunk_that_a_reader_counts_as_its_own_is_a_chunk_of_its_own() {
    let mut log = log(/*retain_bytes*/ 100);
    log.push_output(OutputStream::Stdout, "a".into());
    let mut cursor = LogCursor::new(log.last(), &mut log);
    log.push_output(OutputStream::Stdout, "b".into());
    assert_eq!(given(&mut cursor, &mut log), ["2 b"]);
}

#[test]
fn a_reader_behind_the_close_has_nothing_to_wait_for() {
    let mut log = log(/*retain_bytes*/ 100);
    let mut far = LogCursor::new(Seq(u64::MAX), &mut log);
    assert!(next(&mut far, &mut log).is_none() && !far.is_ended());
    log.push_closed();
    assert!(next(&mut far, &mut log).is_none() && far.is_ended());
    let mut cursor = LogCursor::new(log.last(), &mut log);
    assert!(next(&mut cursor, &mut log).is_none() && cursor.is_ended());
}

/// What can happen to a log with readers.
#[derive(Debug, Clone)]
enum Do {
    Say(u8),
    Exit,
    /// Reader n takes up to so many events.
    Take(usize, u8),
    Subscribe,
}

fn doing() -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => (1..20_u8).prop_map(Do::Say),
        1 => Just(Do::Exit),
        4 => (0..4_usize, 1..5_u8).prop_map(|(reader, events)| Do::Take(reader, events)),
        1 => Just(Do::Subscribe),
    ]
}

proptest! {
    #[test]
    fn any_reader_from_the_start_accounts_for_every_byte(doings in proptest::collection::vec(doing(), 0..80)) {
        let mut log = log(/*retain_bytes*/ 40);
        let mut written = Vec::new();
        let mut readers = vec![(LogCursor::new(Seq::START, &mut log), Vec::new())];
        for doing in doings {
            match doing {
                Do::Say(length) => {
                    let bytes: Vec<u8> = (0..length).map(|n| n ^ (written.len() as u8)).collect();
                    log.push_output(OutputStream::Stderr, bytes.clone());
                    log.trim(MEANS);
                    written.extend(bytes);
                }
                Do::Exit => log.push_exited(EXIT),
                Do::Take(reader, events) => {
                    let at = reader % readers.len();
                    let (cursor, seen) = &mut readers[at];
                    seen.extend((0..events).map_while(|_| next(cursor, &mut log)));
                }
                Do::Subscribe => readers.push((LogCursor::new(Seq::START, &mut log), Vec::new())),
            }
        }
        log.push_exited(EXIT);
        log.push_closed();
        for (mut cursor, mut seen) in readers {
            seen.extend(std::iter::from_fn(|| next(&mut cursor, &mut log)));
            let (mut at, mut seq, mut exits, mut gaps) = (0_usize, Seq::START, 0, 0);
            let mut proven = None;
            for event in seen {
                let event = event.expect("the log is in order");
                match &event {
                    ExecProcessEvent::Output { bytes, .. } => {
                        prop_assert_eq!(&bytes[..], &written[at..at + bytes.len()]);
                        at += bytes.len();
                    }
                    ExecProcessEvent::Gap { bytes, .. } => {
                        gaps += 1;
                        at += usize::try_from(bytes.expect("it began at the start")).expect("small");
                    }
                    ExecProcessEvent::Exited { .. } => exits += 1,
                    ExecProcessEvent::Closed { proof, .. } => proven = Some(*proof),
                }
                if !matches!(event, ExecProcessEvent::Gap { .. }) {
                    prop_assert_eq!(event.seq(), seq.next());
                }
                seq = event.seq();
            }
            prop_assert_eq!((at, exits), (written.len(), 1));
            prop_assert_eq!(proven, Some(if gaps > 0 { Proof::Gap } else { Proof::Checksum }));
        }
    }
}
