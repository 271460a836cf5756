//! What is kept, and what each reader gets of it.

use bytes::Bytes;
use codex_exec_server_protocol::process::OutputStream;
use proptest::prelude::*;

use super::*;

/// Room for two late events of a byte each, and for four that wait.
fn limits() -> ProcessLimits {
    ProcessLimits {
        history_events: 2,
        history_bytes: 2,
        ready_bytes: 4,
        ready_events: 100,
        parked_bytes: 8,
        ..ProcessLimits::default()
    }
}

fn output(seq: u64) -> Record {
    Record::Output { seq: Seq(seq), stream: OutputStream::Stdout, bytes: Bytes::from_static(b"x") }
}

fn history(records: std::ops::RangeInclusive<u64>) -> History {
    let mut history = History::new(limits(), Seq::START);
    history.extend(records.map(output).collect(), /*at_once*/ false);
    history
}

fn record(seq: u64) -> Taken {
    Taken::Record(output(seq))
}

#[test]
fn a_late_reader_gets_the_tail_and_is_told_what_is_before_it() {
    let mut history = history(1..=5);
    let late = history.subscribe(Seq::START, /*holds*/ false);
    assert_eq!(history.take(late), Taken::Evicted { after: Seq(0), base: Seq(3) });
    history.rejoin(late, Seq(3));
    assert_eq!(history.take(late), record(/*seq*/ 4));
    let later = history.subscribe(Seq(4), /*holds*/ false);
    assert_eq!(history.take(later), record(/*seq*/ 5));
    assert_eq!(history.take(later), Taken::Nothing);
    history.extend(vec![output(/*seq*/ 6)], /*at_once*/ false);
    assert_eq!(history.take(later), record(/*seq*/ 6));
    assert_eq!(history.take(late), record(/*seq*/ 5));
}

#[test]
fn what_a_reader_has_still_to_take_is_kept_while_there_is_room() {
    let mut history = History::new(limits(), Seq::START);
    let reader = history.subscribe(Seq::START, /*holds*/ false);
    history.extend((1..=4).map(output).collect(), /*at_once*/ false);
    assert_eq!(history.take(reader), record(/*seq*/ 1));
    history.extend(vec![output(/*seq*/ 5), output(/*seq*/ 6), output(/*seq*/ 7)], /*at_once*/ false);
    assert_eq!(history.take(reader), Taken::Evicted { after: Seq(1), base: Seq(3) });
}

#[test]
fn what_an_answer_brings_at_once_is_kept_until_it_was_taken() {
    let mut history = History::new(limits(), Seq::START);
    let reader = history.subscribe(Seq::START, /*holds*/ false);
    history.extend((1..=8).map(output).collect(), /*at_once*/ true);
    for seq in 1..=8 {
        assert_eq!(history.take(reader), record(seq));
    }
    assert_eq!(history.take(reader), Taken::Nothing);
}

#[test]
fn the_connection_waits_for_a_reader_that_holds_it_and_has_enough_to_take() {
    let mut history = History::new(limits(), Seq::START);
    let slow = history.subscribe(Seq::START, /*holds*/ true);
    let quick = history.subscribe(Seq::START, /*holds*/ false);
    history.extend((1..=3).map(output).collect(), /*at_once*/ false);
    assert!(!history.is_full());
    history.extend(vec![output(/*seq*/ 4)], /*at_once*/ false);
    assert!(history.is_full());
    while history.take(quick) != Taken::Nothing {}
    assert!(history.is_full());
    assert_eq!(history.take(slow), record(/*seq*/ 1));
    assert!(!history.is_full());
    history.extend((5..=9).map(output).collect(), /*at_once*/ false);
    history.unsubscribe(slow);
    assert!(!history.is_full());
}

#[test]
fn what_is_gone_is_counted() {
    let mut history = history(1..=5);
    assert_eq!(history.base(), (Seq(3), Some(3)));
    history.extend(
        vec![Record::Gap { through: Seq(9), bytes: None }, output(/*seq*/ 10), output(/*seq*/ 11)],
        /*at_once*/ false,
    );
    assert_eq!(history.base(), (Seq(9), None));
}

proptest! {
    #[test]
    fn however_slow_a_reader_is_it_gets_everything_once_and_in_order(
        steps in proptest::collection::vec((0..4_u64, 0..4_usize, any::<bool>()), 1..60),
        holds in any::<bool>(),
    ) {
        let mut history = History::new(limits(), Seq::START);
        let reader = history.subscribe(Seq::START, holds);
        let (mut last, mut seen) = (0, Vec::new());
        let mut take = |history: &mut History| match history.take(reader) {
            Taken::Record(record) => { seen.push(record.seq().0); true }
            // As if it were read from the server.
            Taken::Evicted { after, base } => {
                seen.extend(after.0 + 1..=base.0);
                history.rejoin(reader, base);
                true
            }
            Taken::Nothing => false,
        };
        for (pushes, takes, at_once) in steps {
            history.extend((last + 1..=last + pushes).map(output).collect(), at_once);
            last += pushes;
            for _ in 0..takes { take(&mut history); }
            prop_assert!(history.bytes <= limits().ready_bytes + limits().parked_bytes);
        }
        while take(&mut history) {}
        prop_assert_eq!(seen, (1..=last).collect::<Vec<_>>());
    }
}
