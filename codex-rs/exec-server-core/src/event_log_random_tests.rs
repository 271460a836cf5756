//! A log, its file and three readers, in any order of events.

use super::*;

/// What can happen to a log with readers and a file.
#[derive(Debug, Clone)]
enum Step {
    Output(bool, Vec<u8>),
    Exit,
    Close,
    /// A spill that was begun before, if one was, ends so; and perhaps another begins.
    Spill(bool),
    /// Reader n takes so many events.
    Take(usize, usize),
    Trim,
    /// Which readers must not lose anything, and who may still lose what was sent.
    Interest(bool, bool),
    Means(Filing, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let filing = prop_oneof![3 => Just(Filing::Free), 1 => Just(Filing::InPlace), 1 => Just(Filing::Never)];
    prop_oneof![
        8 => (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(err, bytes)| Step::Output(err, bytes)),
        1 => Just(Step::Exit),
        1 => Just(Step::Close),
        4 => (0..8_u8).prop_map(|n| Step::Spill(n > 0)),
        4 => (0..3_usize, 0..6_usize).prop_map(|(reader, events)| Step::Take(reader, events)),
        3 => Just(Step::Trim),
        2 => any::<(bool, bool)>().prop_map(|(keep, sent)| Step::Interest(keep, sent)),
        1 => (filing, any::<bool>()).prop_map(|(filing, crowded)| Step::Means(filing, crowded)),
    ]
}

/// A reader, and what it has had and not had.
#[derive(Default)]
struct Reader {
    place: Place,
    /// Of each byte whether it was read.
    seen: Vec<Option<u8>>,
    exits: usize,
}

impl Reader {
    fn take(&mut self, log: &mut EventLog, file: &File) -> bool {
        let event = loop {
            match log.next(&mut self.place) {
                Next::Event(event) => break event,
                Next::Filed(segment) => self.place.fetch(log, &segment, file.read(&segment)),
                Next::Nothing => return false,
            }
        };
        let before = usize::try_from(log.offset_of(&event)).expect("small");
        // Nothing but output is ever missing, so a gap has bytes.
        assert_eq!(event.seq() > self.place.after().next(), before > self.seen.len());
        self.seen.resize(before, None);
        self.place.advance(event.seq());
        match event {
            Event::Output(chunk) => self.seen.extend(chunk.bytes.iter().copied().map(Some)),
            Event::Exited(..) => self.exits += 1,
            Event::Closed(..) => {}
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_byte_is_readable_or_accounted_for(steps in proptest::collection::vec(step(), 1..150)) {
        let bounds = limits(/*retain_bytes*/ 100);
        let (mut log, mut file, mut means) = (EventLog::new(bounds), File::default(), FREE);
        let mut readers = [const { Reader { place: Place::new(Seq::START), seen: Vec::new(), exits: 0 } }; 3];
        let (mut written, mut exits): (Vec<u8>, usize) = (Vec::new(), 0);
        let (mut keep, mut sent) = (true, false);
        let mut spilling: Option<Spill> = None;
        let mut longest = 0;
        for step in steps {
            match step {
                Step::Output(err, bytes) => {
                    // A process that is told to wait writes no more than it can at once.
                    if log.room(Instant::now(), means) == Room::Open {
                        if !log.is_closed() { written.extend(&bytes); }
                        log.push_output(if err { OutputStream::Stderr } else { OutputStream::Stdout }, bytes);
                        log.trim(means);
                    }
                }
                Step::Exit => {
                    exits = exits.max(usize::from(!log.is_closed()));
                    log.push_exited(exit(/*code*/ 3));
                }
                Step::Close => log.push_closed(),
                Step::Spill(good) => {
                    if let Some(spill) = spilling.take() {
                        if good { file.write(&log, &spill); }
                        log.finish_spill(good);
                    }
                    spilling = log.begin_spill(means);
                    prop_assert!(spilling.is_none() || means.filing != Filing::Never);
                }
                Step::Take(reader, events) => {
                    for _ in 0..events { readers[reader].take(&mut log, &file); }
                }
                Step::Trim => {
                    let before = log.dropped().map_or(Seq(0), |dropped| dropped.through_seq);
                    log.trim(means);
                    let after = log.dropped().map_or(Seq(0), |dropped| dropped.through_seq);
                    if let Some(keep) = log.interest().keep {
                        prop_assert!(after <= keep.max(before), "dropped {after}, allowed {keep}");
                    }
                    if log.interest().keep.is_none() && spilling.is_none() {
                        prop_assert!(log.retained_bytes() <= 100 + 8);
                        if means.filing == Filing::Never { prop_assert!(log.memory_bytes() <= 24 + 8); }
                    }
                }
                Step::Interest(now_keep, now_sent) => (keep, sent) = (now_keep, now_sent),
                Step::Means(filing, is_crowded) => means = Means { is_crowded, filing },
            }
            // The first reader is one that follows; the others watch.
            let follows = readers[0].place.after();
            let wanted = readers.iter().map(|reader| reader.place.after()).min().expect("three");
            log.set_interest(Interest { keep: keep.then_some(follows), wanted, unread: wanted, sent: sent.then_some(follows), pacer: None });
            longest = longest.max(log.file_bytes());
            prop_assert!(longest <= 200, "the file has {longest} bytes");
            // What the process was let write, and one write more.
            prop_assert!(log.memory_bytes() <= 24 + 2 * 48 + 20, "memory has {} bytes", log.memory_bytes());
            let dropped = log.dropped().map_or(0, |dropped| dropped.bytes);
            prop_assert_eq!(log.totals(), Totals { output_bytes: written.len() as u64, crc32c: crc32c::crc32c(&written) });
            prop_assert_eq!(log.bytes_after(Seq(0)), written.len() as u64 - dropped);
        }
        log.push_closed();
        // A reader that comes now has all that is retained, and the others have that and what they had before.
        let dropped = usize::try_from(log.dropped().map_or(0, |dropped| dropped.bytes)).expect("small");
        let mut late = Reader::default();
        for reader in readers.iter_mut().chain([&mut late]) {
            while reader.take(&mut log, &file) {}
            prop_assert_eq!(reader.place.after(), log.last());
            prop_assert_eq!(reader.exits, exits);
            prop_assert_eq!(reader.seen.len(), written.len());
            for (at, (seen, byte)) in reader.seen.iter().zip(&written).enumerate() {
                prop_assert!(seen.map_or(at < dropped, |seen| seen == *byte));
            }
        }
        prop_assert!(late.seen[..dropped].iter().all(Option::is_none));
        let page = file.page(&mut log, /*after*/ 0, /*max_bytes*/ None);
        prop_assert_eq!(page.chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>(), written.len() - dropped);
    }
}
