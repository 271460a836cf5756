use proptest::prelude::*;

use super::*;

const SMALLEST: usize = OutputLimit::SMALLEST_BYTES;
const PROCESS: ProcessNumber = ProcessNumber(7);

fn all(bytes: &[u8]) -> Taken {
    Taken { start: 1_000, head: bytes.to_vec(), missing: Missing::default(), tail: Vec::new() }
}

#[test]
fn what_fits_is_left_as_it_is() {
    let text = "é".repeat(SMALLEST / 2);
    let excerpt = excerpt(all(text.as_bytes()), SMALLEST, PROCESS);
    assert_eq!(excerpt, Excerpt { text, offset: 1_000, end_offset: 1_000 + SMALLEST as u64, omitted: None });
}

#[test]
fn what_does_not_fit_loses_its_middle_and_says_where_it_is() {
    let text: String = (0..1_000).map(|n| format!("{n}\n")).collect();
    let excerpt = excerpt(all(text.as_bytes()), SMALLEST, PROCESS);
    let omitted = excerpt.omitted.expect("it was cut");
    let mark = format!(
        "\n[... {} bytes left out; read process 7 from offset {} for them ...]\n",
        omitted.bytes, omitted.offset
    );
    let (head, tail) = excerpt.text.split_once(&mark).expect("a mark");
    assert!(text.starts_with(head) && text.ends_with(tail) && head.len() > 200 && tail.len() > 200);
    assert_eq!(omitted.offset, 1_000 + head.len() as u64);
    assert_eq!(omitted.bytes, (text.len() - head.len() - tail.len()) as u64);
    assert!(excerpt.text.len() <= SMALLEST);
}

#[test]
fn what_is_lost_is_said_to_be() {
    let missing = Missing { bytes: 90, lost: 40, uncounted: false };
    let taken = Taken { start: 0, head: b"begin".to_vec(), missing, tail: b"end".to_vec() };
    let cut = excerpt(taken.clone(), SMALLEST, PROCESS);
    let said =
        "begin\n[... 90 bytes left out, 40 of them lost; read process 7 from offset 5 for them ...]\nend";
    assert_eq!((cut.text.as_str(), cut.end_offset), (said, 98));
    let uncounted = Taken { missing: Missing { uncounted: true, ..missing }, ..taken };
    assert!(
        excerpt(uncounted, SMALLEST, PROCESS).text.contains("more than the 40 counted lost bytes are gone")
    );
}

#[test]
fn tokens_are_four_bytes_each() {
    assert_eq!(OutputLimit::Tokens(10).bytes(), 40);
    assert_eq!(OutputLimit::Tokens(usize::MAX).bytes(), usize::MAX);
}

proptest! {
    #[test]
    fn text_is_cut_between_characters_within_the_limit_and_every_byte_is_accounted_for(
        text in "\\PC{0,600}",
        limit in SMALLEST..700,
    ) {
        let cut = excerpt(all(text.as_bytes()), limit, PROCESS);
        prop_assert!(cut.text.len() <= limit);
        match cut.omitted {
            None => prop_assert_eq!(cut.text, text),
            Some(omitted) => {
                let (head, tail) = cut.text.split_once(&omitted.mark(PROCESS)).expect("a mark");
                prop_assert!(text.starts_with(head) && text.ends_with(tail));
                prop_assert_eq!(head.len() + tail.len() + usize::try_from(omitted.bytes).expect("small"), text.len());
                // A limit is used: what is left of it would not take the next character on either side.
                prop_assert!(cut.text.len() + 16 >= limit);
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_keep_within_the_limit_too(
        bytes in proptest::collection::vec(any::<u8>(), 0..1_500),
        limit in SMALLEST..1_000,
    ) {
        let cut = excerpt(all(&bytes), limit, PROCESS);
        prop_assert!(cut.text.len() <= limit);
        prop_assert_eq!(cut.end_offset - cut.offset, bytes.len() as u64);
        if let Some(omitted) = cut.omitted {
            prop_assert!(omitted.offset >= cut.offset && omitted.offset + omitted.bytes <= cut.end_offset);
        }
    }

    #[test]
    fn a_prefix_and_a_suffix_are_as_long_as_they_can_be(
        bytes in proptest::collection::vec(prop_oneof![Just(b'a'), Just(0xff), Just(0xc3), Just(0xa9)], 0..60),
        limit in 0..80_usize,
    ) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).len();
        let front = prefix(&bytes, limit);
        prop_assert!(text(&bytes[..front]) <= limit);
        prop_assert!(front == bytes.len() || text(&bytes[..front]) + 3 > limit);
        let back = suffix(&bytes, limit);
        prop_assert!(text(&bytes[bytes.len() - back..]) <= limit);
        prop_assert!(back == bytes.len() || text(&bytes[bytes.len() - back..]) + 3 > limit);
    }
}
