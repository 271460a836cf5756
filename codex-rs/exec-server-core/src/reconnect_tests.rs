//! Whatever befalls connections, in whatever order it is heard of.

use proptest::prelude::*;

use super::*;

const PATIENCE: Patience = Patience { deadline: Duration::from_secs(45), pause: Duration::from_millis(100) };

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn the_first_attempt_follows_at_once_and_the_others_every_100_ms() {
    let start = Instant::now();
    let until = start + PATIENCE.deadline;
    let mut reconnect = Reconnect::new(PATIENCE);
    assert_eq!(reconnect.next(start), Step::Rest);
    assert!(reconnect.lost(start, Generation(1)));
    assert_eq!(reconnect.next(start), Step::Try { until });
    assert!(!reconnect.attempt_failed(start + ms(7), Verdict::Transient));
    assert_eq!(reconnect.next(start + ms(7)), Step::Wait { until: start + ms(107) });
    assert_eq!(reconnect.next(start + ms(107)), Step::Try { until });
    assert_eq!(reconnect.restored(), Some(Generation(2)));
    assert_eq!(reconnect.phase(), Phase::Connected(Generation(2)));
}

#[test]
fn a_late_word_of_an_earlier_connection_changes_nothing() {
    let now = Instant::now();
    let mut reconnect = Reconnect::new(PATIENCE);
    assert!(reconnect.lost(now, Generation(1)));
    assert!(!reconnect.lost(now, Generation(1)));
    reconnect.restored();
    assert!(!reconnect.lost(now, Generation(1)));
    assert_eq!(reconnect.phase(), Phase::Connected(Generation(2)));
    assert!(reconnect.lost(now, Generation(2)));
}

#[test]
fn it_is_given_up_at_the_deadline_or_when_no_attempt_fits_before_it() {
    let start = Instant::now();
    let mut reconnect = Reconnect::new(PATIENCE);
    reconnect.lost(start, Generation(1));
    let late = start + PATIENCE.deadline - ms(50);
    reconnect.attempt_failed(late, Verdict::Transient);
    assert_eq!(reconnect.next(late), Step::GiveUp);
}

#[test]
fn progress_begins_the_deadline_anew() {
    let start = Instant::now();
    let mut reconnect = Reconnect::new(PATIENCE);
    reconnect.lost(start, Generation(1));
    let late = start + PATIENCE.deadline - ms(1);
    reconnect.progressed(late);
    reconnect.attempt_failed(late, Verdict::Transient);
    assert_eq!(reconnect.next(late), Step::Wait { until: late + ms(100) });
    assert_eq!(reconnect.next(late + PATIENCE.deadline), Step::GiveUp);
}

#[test]
fn nothing_comes_back_from_a_failure() {
    let now = Instant::now();
    let mut reconnect = Reconnect::new(PATIENCE);
    reconnect.lost(now, Generation(1));
    assert!(reconnect.attempt_failed(now, Verdict::Final));
    reconnect.fail();
    assert_eq!(reconnect.restored(), None);
    assert!(!reconnect.lost(now, Generation(1)));
    assert_eq!((reconnect.phase(), reconnect.next(now)), (Phase::Failed, Step::Rest));
}

#[test]
fn only_what_did_not_arrive_or_does_no_harm_is_sent_again() {
    assert_eq!(Repeat::IfUnsent.after_loss(/*sent*/ true), AfterLoss::Unknown);
    assert_eq!(Repeat::IfUnsent.after_loss(/*sent*/ false), AfterLoss::SendAgain);
    assert_eq!(Repeat::Always.after_loss(/*sent*/ true), AfterLoss::SendAgain);
}

/// Something that happens to a client.
#[derive(Debug, Clone)]
enum Happening {
    Time(u64),
    Lost(u64),
    Failed,
    Restored,
    Progress,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0..20_000_u64).prop_map(Happening::Time),
        (1..6_u64).prop_map(Happening::Lost),
        Just(Happening::Failed),
        Just(Happening::Restored),
        Just(Happening::Progress),
    ]
}

proptest! {
    #[test]
    fn generations_only_grow_and_no_recovery_outlives_its_deadline(
        happenings in proptest::collection::vec(happening(), 1..80),
    ) {
        let mut now = Instant::now();
        let mut reconnect = Reconnect::new(PATIENCE);
        let mut present = 1;
        let mut hope_since = now;
        for happening in happenings {
            let before = reconnect.phase();
            match happening {
                Happening::Time(passed) => now += ms(passed),
                Happening::Lost(generation) => {
                    let matters = reconnect.lost(now, Generation(generation));
                    prop_assert_eq!(matters, before == Phase::Connected(Generation(generation)));
                    if matters { hope_since = now; }
                }
                Happening::Failed => prop_assert!(!reconnect.attempt_failed(now, Verdict::Transient)),
                Happening::Restored => match reconnect.restored() {
                    Some(generation) => {
                        prop_assert_eq!(generation, Generation(present + 1));
                        present += 1;
                    }
                    None => prop_assert!(matches!(before, Phase::Connected(_))),
                },
                Happening::Progress => {
                    reconnect.progressed(now);
                    hope_since = now;
                }
            }
            match (reconnect.phase(), reconnect.next(now)) {
                (Phase::Connected(generation), step) => {
                    prop_assert_eq!((generation, step), (Generation(present), Step::Rest));
                }
                (Phase::Recovering { lost, until }, step) => {
                    prop_assert_eq!(lost, Generation(present));
                    prop_assert!(until <= hope_since + PATIENCE.deadline);
                    match step {
                        Step::Try { until: limit } => prop_assert!(now < limit && limit == until),
                        Step::Wait { until: due } => prop_assert!(now < due && due < until),
                        Step::GiveUp => prop_assert!(now + PATIENCE.pause >= until),
                        Step::Rest => prop_assert!(false, "it rests while it should recover"),
                    }
                }
                (Phase::Failed, _) => prop_assert!(false, "nothing failed it"),
            }
        }
    }
}
