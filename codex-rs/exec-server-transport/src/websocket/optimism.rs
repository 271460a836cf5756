//! Whether to ask the socket for more before the kernel has told that there is more.
//!
//! Somebody on the same machine who has just got an answer has often asked again before we come to wait for it. To be told
//! of that, by the poller and through the runtime, takes longer than to answer a small request. Where nothing is there yet
//! the attempt was in vain, so those are made ever more seldom; and where several messages come together they are told of
//! together, which costs each of them little.

/// So many messages in a row come unannounced, then the runtime gets its turn: as long as a task asks like this, whoever
/// else lives on its thread waits. At 20 µs for a small request this is a third of a millisecond.
const IN_A_ROW: u8 = 16;

/// The most times that it is waited in the usual way after an attempt in vain.
const MOST_PATIENT: u8 = 15;

/// What earlier attempts on one connection have taught. Rules only.
#[derive(Debug, Default)]
pub(super) struct Optimism {
    /// Messages that were given out since the socket was last asked.
    given: Given,
    /// Attempts that succeeded since the last time that none was made.
    in_a_row: u8,
    /// How often it is waited before the next attempt.
    patience: u8,
    /// What `patience` was after the last attempt in vain, if none has succeeded since.
    last_patience: u8,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Given {
    #[default]
    None,
    One,
    More,
}

impl Optimism {
    /// A message was given out.
    pub(super) const fn gave_message(&mut self) {
        self.given = match self.given {
            Given::None => Given::One,
            Given::One | Given::More => Given::More,
        };
    }

    /// Whether to ask now. Only the first question after a message can find what came meanwhile.
    pub(super) fn asks(&mut self) -> bool {
        if std::mem::take(&mut self.given) != Given::One {
            return false;
        }
        if self.patience > 0 {
            self.patience -= 1;
            return false;
        }
        if self.in_a_row == IN_A_ROW {
            self.in_a_row = 0;
            return false;
        }
        true
    }

    /// Something was there.
    pub(super) const fn succeeded(&mut self) {
        self.in_a_row += 1;
        self.last_patience = 0;
    }

    /// Nothing was.
    pub(super) fn failed(&mut self) {
        self.in_a_row = 0;
        self.patience = self.last_patience;
        self.last_patience = (2 * self.last_patience + 1).min(MOST_PATIENT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// For each of `there`, whether something is there when it would be asked for: whether it is asked for.
    fn asked(there: impl IntoIterator<Item = bool>) -> Vec<bool> {
        let mut optimism = Optimism::default();
        let ask = |is_there: bool| {
            optimism.gave_message();
            let asks = optimism.asks();
            assert!(!optimism.asks(), "asked twice after one message");
            match (asks, is_there) {
                (false, _) => {}
                (true, true) => optimism.succeeded(),
                (true, false) => optimism.failed(),
            }
            asks
        };
        there.into_iter().map(ask).collect()
    }

    /// The longest run of `value`.
    fn longest(of: &[bool], value: bool) -> usize {
        of.split(|&one| one != value).map(<[bool]>::len).max().unwrap_or(0)
    }

    #[test]
    fn it_is_asked_after_one_message_and_neither_before_it_nor_after_several() {
        let mut optimism = Optimism::default();
        assert!(!optimism.asks());
        optimism.gave_message();
        assert!(optimism.asks());
        for _ in 0..3 {
            optimism.gave_message();
        }
        assert!(!optimism.asks());
        optimism.gave_message();
        assert!(optimism.asks());
    }

    #[test]
    fn who_always_finds_something_lets_others_have_their_turn() {
        let asked = asked([true; 2 * (IN_A_ROW as usize + 1)]);
        let round = [vec![true; IN_A_ROW.into()], vec![false]].concat();
        assert_eq!(asked, [round.clone(), round].concat());
    }

    #[test]
    fn who_never_finds_anything_asks_ever_more_seldom() {
        let asked = asked([false; 100]);
        let between: Vec<_> = asked.split(|&asked| asked).map(<[bool]>::len).collect();
        assert_eq!(between[..7], [0, 0, 1, 3, 7, 15, 15]);
    }

    proptest! {
        #[test]
        fn neither_goes_on_for_long(there in proptest::collection::vec(any::<bool>(), 0..300)) {
            let asked = asked(there.clone());
            let found: Vec<_> = asked.iter().zip(there).map(|(&asks, is_there)| asks && is_there).collect();
            prop_assert!(longest(&found, /*value*/ true) <= IN_A_ROW.into());
            prop_assert!(longest(&asked, /*value*/ false) <= usize::from(MOST_PATIENT));
        }
    }
}
