//! The XOR mask of frames from client to server (RFC 6455 §5.3).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Applies (or removes) a mask in place.
pub(crate) fn apply(bytes: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Makes masks. They have to be unpredictable for whoever chooses the payload, so that no proxy on the way
/// mistakes it for something else; they protect no secret. A keyed hash of a counter is that, and the
/// standard library seeds the key from the operating system.
#[derive(Debug, Default)]
pub(crate) struct Masker {
    key: RandomState,
    count: u64,
}

impl Masker {
    pub(crate) fn next_mask(&mut self) -> [u8; 4] {
        self.count += 1;
        let [a, b, c, d, ..] = self.key.hash_one(self.count).to_ne_bytes();
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mask_is_applied_byte_by_byte(bytes: Vec<u8>, mask: [u8; 4]) {
            let mut masked = bytes.clone();
            apply(&mut masked, mask);
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            prop_assert_eq!(masked, expected);
        }
    }
}
