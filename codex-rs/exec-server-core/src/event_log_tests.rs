use proptest::prelude::*;

use super::*;

fn limits(retain_bytes: usize) -> LogLimits {
    LogLimits { retain_bytes, retain_chunks: 64, chunk_bytes: 8, unread_bytes: 4, crowded_retain_bytes: 2 }
}

fn exit(code: i32) -> Exit {
    Exit {
        code,
        reason: ExitReason::Exited,
        signal: None,
        usage: ProcessUsage::default(),
        sandbox_denied: false,
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
    log.set_floor(Floor::Free);
    out(&mut log, "aaaa");
    log.push_exited(exit(/*code*/ 1));
    out(&mut log, "bbbb");
    log.push_closed();
    log.trim(/*crowded*/ false);
    assert_eq!(texts(&log.read(Seq(0), /*max_bytes*/ None)), [(3, "bbbb".to_owned())]);
    assert_eq!(log.dropped(), Some(DroppedOutput { through_seq: Seq(1), bytes: 4 }));
    assert_eq!(log.next_after(Seq(0)), Some(Event::Exited(Seq(2), exit(/*code*/ 1))));
    let totals = Totals { output_bytes: 8, crc32c: crc32c::crc32c(b"aaaabbbb") };
    assert_eq!(log.next_after(Seq(3)), Some(Event::Closed(Seq(4), totals)));
    assert_eq!(log.next_after(Seq(4)), None);
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
        texts(&log.read(Seq(0), /*max_bytes*/ None)),
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
        texts(&log.read(Seq(0), /*max_bytes*/ None)),
        expected.map(|(seq, text)| (seq, text.to_owned()))
    );
}

#[test]
fn a_chunk_that_somebody_saw_never_grows() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
    out(&mut log, "a");
    assert_eq!(log.next_after(Seq(0)).map(|event| event.seq()), Some(Seq(1)));
    out(&mut log, "b");
    assert_eq!(texts(&log.read(Seq(0), /*max_bytes*/ None)), [(1, "a".to_owned()), (2, "b".to_owned())]);
}

#[test]
fn a_read_returns_at_least_one_chunk_and_then_what_fits() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 100));
    for text in ["aaaaaaaa", "bbbbbbbb", "cccccccc"] {
        out(&mut log, text);
    }
    log.push_exited(exit(/*code*/ 0));
    let page = |log: &mut EventLog, after, max| {
        let page = log.read(Seq(after), max);
        (page.chunks.len(), page.next.0)
    };
    assert_eq!(page(&mut log, /*after*/ 0, Some(0)), (1, 2));
    assert_eq!(page(&mut log, /*after*/ 0, Some(16)), (2, 3));
    assert_eq!(page(&mut log, /*after*/ 0, /*max*/ None), (3, 5));
    assert_eq!(page(&mut log, /*after*/ 2, Some(100)), (1, 4));
    assert_eq!(page(&mut log, /*after*/ 3, Some(100)), (0, 5));
}

#[test]
fn a_follower_that_lags_makes_the_process_wait_and_one_that_caught_up_keeps_a_tail() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 12));
    log.set_floor(Floor::Taken(Seq(0)));
    out(&mut log, "12345678");
    assert!(log.must_wait(/*crowded*/ false));
    log.set_floor(Floor::Taken(Seq(1)));
    assert!(!log.must_wait(/*crowded*/ false));
    out(&mut log, "abc");
    log.set_floor(Floor::Taken(Seq(1)));
    log.trim(/*crowded*/ false);
    assert_eq!(log.dropped(), None, "taken output stays while there is room");
    out(&mut log, "defgh");
    log.trim(/*crowded*/ false);
    assert_eq!(log.dropped(), Some(DroppedOutput { through_seq: Seq(1), bytes: 8 }));
}

#[test]
fn while_nobody_follows_nothing_is_dropped_and_the_process_waits_at_the_budget() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 12));
    log.set_floor(Floor::Keep(Seq(0)));
    out(&mut log, "12345678");
    assert!(!log.must_wait(/*crowded*/ false));
    out(&mut log, "abcd");
    log.trim(/*crowded*/ false);
    assert!(log.must_wait(/*crowded*/ false));
    assert_eq!(log.dropped(), None);
}

#[test]
fn a_crowded_server_keeps_less_but_still_drops_nothing_that_is_owed() {
    let mut log = EventLog::new(limits(/*retain_bytes*/ 12));
    log.set_floor(Floor::Taken(Seq(1)));
    out(&mut log, "12345678");
    out(&mut log, "ab");
    log.trim(/*crowded*/ true);
    assert_eq!(log.dropped(), Some(DroppedOutput { through_seq: Seq(1), bytes: 8 }));
    assert!(log.must_wait(/*crowded*/ true));
    assert!(!log.must_wait(/*crowded*/ false));
}

#[derive(Debug, Clone)]
enum Step {
    Output(bool, Vec<u8>),
    Exit,
    Close,
    Read,
    Trim,
    Floor(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..12)).prop_map(|(err, bytes)| Step::Output(err, bytes)),
        1 => Just(Step::Exit),
        1 => Just(Step::Close),
        2 => Just(Step::Read),
        3 => Just(Step::Trim),
        2 => (0..3_u8, any::<u8>()).prop_map(|(kind, seq)| Step::Floor(kind, seq)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_every_byte_is_readable_or_accounted_for(steps in proptest::collection::vec(step(), 1..120)) {
        let mut log = EventLog::new(limits(/*retain_bytes*/ 24));
        let mut written: Vec<u8> = Vec::new();
        let mut exited = false;
        for step in steps {
            match step {
                Step::Output(err, bytes) => {
                    if !log.is_closed() { written.extend(&bytes); }
                    log.push_output(if err { OutputStream::Stderr } else { OutputStream::Stdout }, bytes.clone());
                }
                Step::Exit => { exited |= !log.is_closed(); log.push_exited(exit(/*code*/ 3)); }
                Step::Close => log.push_closed(),
                Step::Read => { log.read(Seq(0), /*max_bytes*/ None); }
                Step::Trim => {
                    let floor = log.floor();
                    let before = log.dropped().map_or(Seq(0), |dropped| dropped.through_seq);
                    log.trim(/*crowded*/ false);
                    let after = log.dropped().map_or(Seq(0), |dropped| dropped.through_seq);
                    if let Floor::Taken(seq) | Floor::Keep(seq) = floor {
                        prop_assert!(after <= seq.max(before), "dropped {after}, allowed {seq}");
                    }
                    if floor == Floor::Free { prop_assert!(log.retained_bytes() <= 24); }
                }
                Step::Floor(0, seq) => log.set_floor(Floor::Taken(Seq(seq.into()))),
                Step::Floor(1, seq) => log.set_floor(Floor::Keep(Seq(seq.into()))),
                Step::Floor(_, _) => log.set_floor(Floor::Free),
            }
            let dropped = log.dropped().map_or(0, |dropped| dropped.bytes);
            prop_assert_eq!(log.totals(), Totals { output_bytes: written.len() as u64, crc32c: crc32c::crc32c(&written) });
            prop_assert_eq!(log.bytes_after(Seq(0)), written.len() as u64 - dropped);
        }
        // Walk the log by cursor: numbers rise, nothing is missing but what was dropped, and offsets tell where one is.
        let dropped = log.dropped();
        let mut at = Seq(0);
        let mut seen = Vec::new();
        let mut exits = 0;
        while let Some(event) = log.next_after(at) {
            let after_dropped = dropped.is_some_and(|dropped| at <= dropped.through_seq);
            prop_assert!(event.seq() > at && (after_dropped || event.seq() == at.next()));
            at = event.seq();
            match event {
                Event::Output(chunk) => {
                    prop_assert_eq!(chunk.offset, dropped.map_or(0, |dropped| dropped.bytes) + seen.len() as u64);
                    prop_assert!(chunk.bytes.len() <= 12);
                    seen.extend_from_slice(&chunk.bytes);
                }
                Event::Exited(..) => exits += 1,
                Event::Closed(..) => prop_assert_eq!(at, log.last()),
            }
        }
        prop_assert_eq!(at, log.last());
        prop_assert_eq!(exits == 1, exited);
        prop_assert_eq!(&seen[..], &written[dropped.map_or(0, |dropped| dropped.bytes as usize)..]);
        prop_assert_eq!(log.read(Seq(0), /*max_bytes*/ None).chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>(), seen.len());
    }
}
