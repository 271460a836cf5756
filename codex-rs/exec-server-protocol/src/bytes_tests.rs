use proptest::prelude::*;
use serde_json::{from_str, to_string};

use super::*;

fn fault(text: &str) -> String {
    Base64Bytes::decode(text).expect_err(text).to_string()
}

#[test]
fn bytes_are_standard_padded_base64() {
    for (bytes, text) in
        [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xff\xfe\xfb", "//77")]
    {
        let value = Base64Bytes::from(bytes.to_vec());
        assert_eq!(to_string(&value).unwrap(), format!("\"{text}\""));
        assert_eq!(from_str::<Base64Bytes>(&format!("\"{text}\"")).unwrap(), value);
        assert_eq!(encoded_len(bytes.len()), text.len());
    }
}

#[test]
fn a_string_with_escapes_decodes_like_one_without() {
    assert_eq!(from_str::<Base64Bytes>(r#""Z\u006d9\u0076""#).unwrap(), Base64Bytes::from(b"foo".to_vec()));
}

#[test]
fn a_fault_is_named_the_way_peers_know_it() {
    for (text, expected) in [
        ("A", "Invalid input length: 1"),
        ("AAAAA", "Invalid input length: 5"),
        ("AB", "Invalid padding"),
        ("AAA", "Invalid padding"),
        ("AA=", "Invalid padding"),
        ("AB=", "Invalid padding"),
        ("AAAAAA", "Invalid padding"),
        ("AB==", "Invalid last symbol 66, offset 1."),
        ("AAB=", "Invalid last symbol 66, offset 2."),
        ("!", "Invalid symbol 33, offset 0."),
        ("A!=", "Invalid symbol 33, offset 1."),
        ("A!==", "Invalid symbol 33, offset 1."),
        ("A*A", "Invalid symbol 42, offset 1."),
        ("AA\n==", "Invalid symbol 10, offset 2."),
        ("AAA-", "Invalid symbol 45, offset 3."),
        ("AAAA!", "Invalid symbol 33, offset 4."),
        ("é", "Invalid symbol 195, offset 0."),
        ("AAAAAAAAAAAAAAAAAAAA*AAA", "Invalid symbol 42, offset 20."),
        ("=", "Invalid symbol 61, offset 0."),
        ("====", "Invalid symbol 61, offset 0."),
        ("A=", "Invalid symbol 61, offset 1."),
        ("A=A=", "Invalid symbol 61, offset 1."),
        ("AA=A", "Invalid symbol 61, offset 2."),
        ("AA=*", "Invalid symbol 61, offset 2."),
        ("AA===", "Invalid symbol 61, offset 2."),
        ("AA==AA==", "Invalid symbol 61, offset 2."),
        ("AAA==", "Invalid symbol 61, offset 3."),
        ("AAAA=", "Invalid symbol 61, offset 4."),
        ("AAAA====", "Invalid symbol 61, offset 4."),
        ("AAAAA==", "Invalid symbol 61, offset 5."),
        ("=AAA*", "Invalid symbol 42, offset 4."),
        ("AA==*", "Invalid symbol 42, offset 4."),
    ] {
        assert_eq!(fault(text), expected, "{text:?}");
    }
}

#[test]
fn what_is_no_string_is_no_bytes() {
    for (json, expected) in [
        ("null", "invalid type: null, expected a string"),
        ("[1]", "invalid type: sequence, expected a string"),
    ] {
        let error = from_str::<Base64Bytes>(json).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_late_field_keeps_the_fault_for_the_method() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Params {
        #[serde(with = "late")]
        data: Result<Base64Bytes, Base64Error>,
    }

    assert_eq!(from_str::<Params>(r#"{"data":"A"}"#).unwrap(), Params { data: Err(Base64Error::Length(1)) });
    let good = Params { data: Ok(Base64Bytes::from(b"foo".to_vec())) };
    assert_eq!(to_string(&good).unwrap(), r#"{"data":"Zm9v"}"#);
    assert_eq!(from_str::<Params>(r#"{"data":"Zm9v"}"#).unwrap(), good);
    assert!(from_str::<Params>(r#"{"data":null}"#).is_err());
}

#[test]
fn long_bytes_are_short_in_a_log() {
    assert_eq!(format!("{:?}", Base64Bytes::from(b"a\n".to_vec())), r#"b"a\n""#);
    let long = format!("{:?}", Base64Bytes::from(vec![b'x'; 1000]));
    assert!(long.ends_with("\"+936 bytes") && long.len() < 100, "{long}");
}

proptest! {
    #[test]
    fn any_bytes_survive_a_round_trip(bytes: Vec<u8>, before in "[a-z\"]{0,5}") {
        let value = Base64Bytes::from(bytes);
        prop_assert_eq!(&Base64Bytes::decode(&value.encode()).unwrap(), &value);
        let mut out = before.clone().into_bytes();
        encode_into(&value, &mut out);
        prop_assert_eq!(out, (before + &value.encode()).into_bytes());
    }

    #[test]
    fn any_text_either_is_the_only_spelling_of_its_bytes_or_has_a_fault_inside_it(text in "[ABQZz09+/=*é]{0,13}") {
        match Base64Bytes::decode(&text) {
            Ok(bytes) => prop_assert_eq!(bytes.encode(), text),
            Err(Base64Error::Symbol { symbol, offset } | Base64Error::LastSymbol { symbol, offset }) => {
                prop_assert_eq!(text.as_bytes()[offset], symbol);
            }
            Err(Base64Error::Length(length)) => prop_assert_eq!(length, text.len()),
            Err(Base64Error::Padding) => prop_assert_ne!(text.len() % 4, 0),
        }
    }
}

proptest! {
    #[test]
    fn a_checked_text_decodes_as_it_would_unchecked(bytes: Vec<u8>, fault in proptest::option::of((any::<usize>(), any::<u8>()))) {
        let mut text = Base64Bytes::from(bytes).encode().into_bytes();
        if let Some((at, byte)) = fault && !text.is_empty() {
            let at = at % text.len();
            text[at] = byte;
        }
        let expected = str::from_utf8(&text).ok().and_then(|text| Base64Bytes::decode(text).ok());
        let checked = Base64Text::new(text.into());
        prop_assert_eq!(checked.as_ref().map(Base64Text::decode), expected.clone());
        if let (Some(checked), Some(expected)) = (checked, expected) {
            prop_assert_eq!((checked.len(), checked.is_empty()), (expected.len(), expected.is_empty()));
        }
    }
}

#[test]
fn a_text_longer_than_a_piece_is_decoded_piece_by_piece() {
    let bytes: Vec<u8> = (0..Base64Text::PIECE_BYTES).map(|at| at.to_le_bytes()[0]).collect();
    let text = Base64Text::new(Base64Bytes::from(bytes.clone()).encode().into()).unwrap();
    let mut pieces = Vec::new();
    let take = |piece: &[u8]| {
        pieces.push(piece.to_vec());
        Ok::<_, ()>(())
    };
    text.decode_each(take).unwrap();
    assert_eq!((pieces.len(), pieces.concat()), (2, bytes));
    assert_eq!(text.decode_each(|piece| Err(piece.len())), Err(pieces[0].len()));
}
