use proptest::prelude::*;

use super::*;

const SHARES: Shares = Shares { little_bytes: 1000, turn_bytes: 4000 };

/// Takes the next turn, in which `bytes` are said, and goes on waiting in line if there is `more`.
fn turn(schedule: &mut Schedule<u8, ()>, bytes: u64, more: bool) -> Option<(u8, Class)> {
    let Turn { key, source, class } = schedule.next_turn()?;
    schedule.spoke(&key, class, bytes);
    if more {
        schedule.line_up(key, source);
    }
    Some((key, class))
}

fn with(waiting: &[(u8, u64)]) -> Schedule<u8, ()> {
    let mut schedule = Schedule::new(SHARES);
    for &(key, bytes) in waiting {
        schedule.ready(key, (), bytes);
    }
    schedule
}

#[test]
fn what_is_little_goes_first_and_bulk_takes_turns() {
    let mut schedule = with(&[(1, 5000), (2, 90_000), (3, 1000), (4, 1001), (5, 0)]);
    let little: Vec<_> = (0..2).map(|_| turn(&mut schedule, /*bytes*/ 500, /*more*/ false)).collect();
    assert_eq!(little, [Some((3, Class::Little)), Some((5, Class::Little))]);
    let line: Vec<_> = (0..6).filter_map(|_| turn(&mut schedule, /*bytes*/ 4000, /*more*/ true)).collect();
    assert_eq!(line, [1, 2, 4, 1, 2, 4].map(|key| (key, Class::Bulk)));
}

#[test]
fn an_echo_waits_for_the_piece_under_way_and_for_nothing_else() {
    let floods: Vec<_> = (1..=10).map(|key| (key, 1 << 20)).collect();
    let mut schedule = with(&floods);
    for _ in 0..25 {
        turn(&mut schedule, /*bytes*/ 4000, /*more*/ true);
    }
    schedule.ready(/*key*/ 99, (), /*waiting_bytes*/ 1);
    assert_eq!(turn(&mut schedule, /*bytes*/ 1, /*more*/ false), Some((99, Class::Little)));
}

#[test]
fn a_flood_in_small_pieces_is_a_flood() {
    let mut schedule = with(&[(1, 1 << 20), (2, 1 << 20)]);
    let mut order = Vec::new();
    // Process 3 has 400 bytes more whenever it was asked.
    for _ in 0..8 {
        if !schedule.little.iter().chain(&schedule.line).any(|(key, ())| *key == 3) {
            schedule.ready(/*key*/ 3, (), /*waiting_bytes*/ 400);
        }
        let Turn { key, source, class } = schedule.next_turn().expect("there is always something");
        schedule.spoke(&key, class, /*bytes*/ 400);
        if key != 3 {
            schedule.line_up(key, source);
        }
        order.push(key);
    }
    // It passes the line by twice, and then stands in it like everybody else.
    assert_eq!(order, [3, 3, 1, 2, 3, 3, 3, 1]);
}

#[test]
fn nothing_is_held_against_anybody_when_nobody_stood_in_line() {
    let mut schedule = with(&[]);
    for _ in 0..100 {
        schedule.ready(/*key*/ 1, (), /*waiting_bytes*/ 900);
        assert_eq!(turn(&mut schedule, /*bytes*/ 900, /*more*/ false), Some((1, Class::Little)));
    }
    assert!(schedule.passed.is_empty());
}

#[test]
fn those_who_wait_are_taken_out_in_order() {
    let mut schedule: Schedule<u8, &str> = Schedule::new(SHARES);
    schedule.ready(/*key*/ 1, "bulk", /*waiting_bytes*/ 2000);
    schedule.ready(/*key*/ 2, "little", /*waiting_bytes*/ 2);
    assert_eq!(schedule.drain().collect::<Vec<_>>(), ["little", "bulk"]);
    assert!(schedule.next_turn().is_none());
}

proptest! {
    /// However the others behave, somebody in line is reached, and before that nobody is reached from the line twice, and
    /// nobody passes by with more than its share and one turn.
    #[test]
    fn whoever_stands_in_line_is_reached_within_one_round(
        others in prop::collection::vec((1..8_u8, 0..2500_u64, any::<bool>()), 0..400),
    ) {
        let mut schedule = Schedule::new(SHARES);
        let mut present = std::collections::HashSet::new();
        let mut since = HashMap::<u8, (u64, usize)>::new();
        schedule.ready(/*key*/ 0, (), /*waiting_bytes*/ u64::MAX);
        for (key, bytes, more) in others {
            if present.insert(key) {
                schedule.ready(key, (), bytes);
            }
            let Turn { key: spoke, source, class } = schedule.next_turn().expect("somebody is in line");
            schedule.spoke(&spoke, class, bytes);
            if spoke == 0 {
                since.clear();
                schedule.line_up(spoke, source);
                continue;
            }
            let (passed, turns) = since.entry(spoke).or_default();
            match class {
                // A round may end in between. The last time before it was too much, it was within the share still.
                Class::Little => {
                    let most = 2 * (SHARES.little_bytes + LEAST_COST_BYTES);
                    prop_assert!(*passed <= most, "{spoke} passed with {passed}");
                    *passed += bytes.max(LEAST_COST_BYTES);
                }
                Class::Bulk => *turns += 1,
            }
            prop_assert!(*turns <= 1, "{spoke} had {turns} turns");
            if more {
                schedule.line_up(spoke, source);
            } else {
                present.remove(&spoke);
            }
        }
    }

    /// Everybody who has something to say is asked exactly once for it.
    #[test]
    fn nobody_is_lost_or_asked_twice(waiting in prop::collection::vec(0..3000_u64, 0..50)) {
        let mut schedule = Schedule::new(SHARES);
        for (key, bytes) in waiting.iter().enumerate() {
            schedule.ready(key, (), *bytes);
        }
        let mut seen: Vec<usize> = std::iter::from_fn(|| {
            let turn = schedule.next_turn()?;
            schedule.spoke(&turn.key, turn.class, waiting[turn.key]);
            Some(turn.key)
        }).collect();
        let little = seen.iter().filter(|key| waiting[**key] <= SHARES.little_bytes).count();
        prop_assert!(seen[..little].iter().all(|key| waiting[*key] <= SHARES.little_bytes));
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..waiting.len()).collect::<Vec<_>>());
    }
}
