//! The keys with which a person leaves a command running: Ctrl-] and then d. Ctrl-] twice is one for the command, and
//! before any other key it goes to the command with it.

/// Ctrl-].
const PREFIX: u8 = 0x1d;

/// Looks for the keys in what is typed, however it is cut into pieces.
#[derive(Debug, Default)]
pub(super) struct DetachKeys {
    /// The last key was the prefix, and was kept back.
    armed: bool,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// This, for the command.
    Keys(Vec<u8>),
    /// The keys to leave. What came before them in the same piece is dropped, as nobody waits for its effect.
    Detach,
}

impl DetachKeys {
    /// Takes the next piece.
    pub(super) fn take(&mut self, typed: &[u8]) -> Typed {
        let mut keys = Vec::with_capacity(typed.len() + 1);
        for &key in typed {
            match (std::mem::take(&mut self.armed), key) {
                (true, b'd') => return Typed::Detach,
                (true, PREFIX) => keys.push(PREFIX),
                (true, key) => keys.extend([PREFIX, key]),
                (false, PREFIX) => self.armed = true,
                (false, key) => keys.push(key),
            }
        }
        Typed::Keys(keys)
    }

    /// What was kept back, when nothing more will be typed.
    pub(super) fn rest(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.armed) { &[PREFIX] } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(text: &[u8]) -> Typed {
        Typed::Keys(text.to_vec())
    }

    #[test]
    fn the_prefix_goes_through_when_typed_twice_or_before_another_key_or_at_the_end() {
        let mut all = DetachKeys::default();
        assert_eq!(all.take(b"a\x1d\x1db\x1dc\x1d"), keys(b"a\x1db\x1dc"));
        assert_eq!(all.rest(), b"\x1d");
        assert_eq!(all.rest(), b"");
    }

    #[test]
    fn the_keys_are_seen_also_in_two_pieces() {
        let mut all = DetachKeys::default();
        assert_eq!(all.take(b"x\x1d"), keys(b"x"));
        assert_eq!(all.take(b"d and more"), Typed::Detach);
    }

    proptest! {
        #[test]
        fn without_the_prefix_everything_goes_through_as_it_is(typed in proptest::collection::vec(0x1e..=0xff_u8, 0..40)) {
            prop_assert_eq!(DetachKeys::default().take(&typed), Typed::Keys(typed));
        }
    }
}
