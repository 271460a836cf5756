use codex_exec_server_protocol::binary::{BinaryMessage, HEADER_BYTES, Head};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::OutputStream;
use proptest::prelude::*;

use super::*;

const INTERVAL: Duration = Duration::from_millis(10);

/// A piece of output: how long after the one before, whose, and how long.
type Piece = (Duration, usize, usize);

/// A message that left.
#[derive(Debug)]
struct Sent {
    at: Instant,
    /// Processes and positions.
    pieces: Vec<(String, u64)>,
    bytes: usize,
}

/// What becomes of the pieces, each with when it came, where whoever sends them wakes when something is due.
fn run(pieces: &[Piece], interval: Option<Duration>) -> (Vec<Instant>, Vec<Sent>) {
    let mut packing = Packing::default();
    let (mut now, mut came, mut sent) = (Instant::now(), Vec::new(), Vec::new());
    let message = |at, bytes: Bytes| {
        let length = bytes.len();
        let records = match BinaryMessage::decode(&bytes).expect("it is in good order") {
            BinaryMessage::Output(record) => vec![record],
            BinaryMessage::Pack(records) => records,
            other => panic!("{other:?}"),
        };
        let pieces = records.into_iter().map(|it| (it.process_id.to_string(), it.seq.0)).collect();
        Sent { at, pieces, bytes: length }
    };
    for (seq, (pause, process, len)) in (1..).zip(pieces) {
        now += *pause;
        if let Some(due) = packing.due.filter(|due| *due <= now) {
            sent.extend(packing.take(due).map(|bytes| message(due, bytes)));
        }
        came.push(now);
        let process_id = ProcessId::from(process.to_string());
        let head =
            Head::Output { process_id: &process_id, seq: Seq(seq), stream: OutputStream::Stdout, offset: 0 };
        let (head, payload) = (head.encode(*len).expect("it fits"), vec![b'x'; *len]);
        match packing.put(now, interval, &process_id, &head, &payload) {
            Put::Gathered => {}
            Put::Full => sent.extend(packing.take(now).map(|bytes| message(now, bytes))),
            Put::Alone => {
                sent.extend(packing.take(now).map(|bytes| message(now, bytes)));
                sent.push(message(now, [head, payload].concat().into()));
            }
        }
    }
    if let Some(due) = packing.due {
        sent.extend(packing.take(due).map(|bytes| message(due, bytes)));
    }
    assert!(packing.take(now).is_none() && packing.due.is_none());
    (came, sent)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn what_is_said_after_a_pause_goes_at_once_and_what_follows_within_the_interval_together() {
    let (came, sent) = run(&[(ms(0), 1, 1), (ms(2), 1, 1), (ms(3), 1, 1), (ms(30), 1, 1)], Some(INTERVAL));
    let seqs: Vec<Vec<u64>> =
        sent.iter().map(|sent| sent.pieces.iter().map(|(_, seq)| *seq).collect()).collect();
    assert_eq!(seqs, [vec![1], vec![2, 3], vec![4]]);
    let at: Vec<Instant> = sent.iter().map(|sent| sent.at).collect();
    assert_eq!(at, [came[0], came[1] + INTERVAL, came[3]]);
}

#[test]
fn an_echo_does_not_stand_behind_the_lines_of_others_and_takes_them_along() {
    let (came, sent) = run(&[(ms(0), 1, 1), (ms(2), 1, 1), (ms(1), 2, 1)], Some(INTERVAL));
    assert_eq!(sent.last().map(|sent| (sent.at, sent.pieces.len())), Some((came[2], 2)));
}

#[test]
fn hundreds_who_speak_now_and_then_are_gathered_too() {
    // Ten a millisecond, each after a pause.
    let pieces: Vec<Piece> = (0..1000).map(|n| (Duration::from_micros(100), n % 200, 40)).collect();
    let (_, sent) = run(&pieces, Some(INTERVAL));
    assert!(sent.len() <= 10 * (LEADS + 1) + 1, "{} messages", sent.len());
}

#[test]
fn a_client_that_asked_for_no_packs_gets_none_and_one_that_waits_for_none_has_what_is_at_hand() {
    let pieces = [(ms(0), 1, 1), (ms(0), 1, 1), (ms(0), 2, 1)];
    assert_eq!(run(&pieces, /*interval*/ None).1.len(), 3);
    assert_eq!(interval(Some(0)), Some(Duration::ZERO));
    let (came, sent) = run(&[(ms(0), 1, 1), (ms(1), 1, 1)], interval(Some(0)));
    assert_eq!(sent.iter().map(|sent| sent.at).collect::<Vec<_>>(), came);
    assert_eq!((interval(/*asked_ms*/ None), interval(Some(u64::MAX))), (None, Some(LONGEST)));
}

#[test]
fn who_speaks_no_more_is_forgotten_also_where_every_piece_is_a_large_one() {
    let (mut packing, mut now) = (Packing::default(), Instant::now());
    for process in 0..1000 {
        now += ms(1);
        let process_id = ProcessId::from(process.to_string());
        let put = packing.put(now, Some(INTERVAL), &process_id, &[0; HEADER_BYTES], &[0; LARGE_BYTES + 1]);
        assert_eq!((put, packing.take(now)), (Put::Alone, None));
    }
    assert_eq!(packing.spoke.len(), 100);
}

proptest! {
    #[test]
    fn whatever_is_said_everything_leaves_once_in_order_and_in_time(
        pieces in prop::collection::vec((0_u64..4000, 0_usize..6, prop_oneof![0_usize..200, 0_usize..40_000]), 1..200),
        interval_ms in 0_u64..30,
    ) {
        let pieces: Vec<Piece> =
            pieces.into_iter().map(|(micros, process, len)| (Duration::from_micros(micros), process, len)).collect();
        let interval = ms(interval_ms);
        let (came, sent) = run(&pieces, Some(interval));
        // Also over all processes: nobody overtakes.
        let order: Vec<u64> = sent.iter().flat_map(|sent| sent.pieces.iter().map(|(_, seq)| *seq)).collect();
        prop_assert_eq!(order, (1..=pieces.len() as u64).collect::<Vec<_>>());
        for message in &sent {
            for (_, seq) in &message.pieces {
                let waited = message.at.saturating_duration_since(came[*seq as usize - 1]);
                prop_assert!(waited <= interval, "{seq} waited {waited:?}");
            }
            if message.pieces.len() > 1 {
                prop_assert!(message.bytes < FULL_BYTES + LARGE_BYTES + 2 * HEADER_BYTES + 64);
            }
        }
    }

    #[test]
    fn however_many_speak_messages_are_few(
        pieces in prop::collection::vec((0_u64..2000, 0_usize..50), 1..400),
    ) {
        let pieces: Vec<Piece> =
            pieces.into_iter().map(|(micros, process)| (Duration::from_micros(micros), process, 10)).collect();
        let (_, sent) = run(&pieces, Some(INTERVAL));
        for first in 0..sent.len() {
            let within = sent[first..].iter().take_while(|it| it.at < sent[first].at + INTERVAL).count();
            // Those that are heard at once, and what was due.
            prop_assert!(within <= LEADS + 1, "{within} messages");
        }
    }

    #[test]
    fn who_was_silent_is_heard_at_once_beside_a_few_others(
        pieces in prop::collection::vec((0_u64..4000, 0_usize..LEADS), 1..200),
    ) {
        let pieces: Vec<Piece> =
            pieces.into_iter().map(|(micros, process)| (Duration::from_micros(micros), process, 10)).collect();
        let (came, sent) = run(&pieces, Some(INTERVAL));
        for (n, (_, process, _)) in pieces.iter().enumerate() {
            let before = (0..n).rev().find(|&m| pieces[m].1 == *process);
            if before.is_none_or(|m| came[n].saturating_duration_since(came[m]) >= INTERVAL) {
                let seq = n as u64 + 1;
                let message = sent.iter().find(|sent| sent.pieces.iter().any(|it| it.1 == seq));
                prop_assert_eq!(message.map(|it| it.at), Some(came[n]));
            }
        }
    }
}
