use proptest::prelude::*;

use super::*;
use crate::bytes::Base64Bytes;
use crate::process::ProcessOutputNotification;

fn shape(message: &str) -> String {
    match Incoming::parse(message.as_bytes()) {
        Ok(Incoming::Request { id, method, params, trace }) => {
            format!("request {id} {method} {} {trace:?}", params.map_or("-", RawValue::get))
        }
        Ok(Incoming::Notification { method, params }) => {
            format!("notification {method} {}", params.map_or("-", RawValue::get))
        }
        Ok(Incoming::Response { id, outcome: Ok(result) }) => format!("result {id} {}", result.get()),
        Ok(Incoming::Response { id, outcome: Err(error) }) => format!("error {id} {error}"),
        Err(error) => format!("malformed: {error}"),
    }
}

#[test]
fn each_kind_of_message_is_recognised_by_its_members() {
    for (message, expected) in [
        (r#"{"id":1,"method":"a"}"#, "request 1 a - None"),
        (r#"{"id":-9,"method":"a","params":null,"jsonrpc":7}"#, "request -9 a null None"),
        (r#"{"id":"x","method":"a\n","params":[1, 2]}"#, "request \"x\" a\n [1, 2] None"),
        (r#"{"id":-0,"method":"a","error":5}"#, "request 0 a - None"),
        (r#"{"method":"a","trace":5}"#, "notification a -"),
        (r#"{"method":"a","params":{}}"#, "notification a {}"),
        (r#"{"id":1,"result":null}"#, "result 1 null"),
        (r#"{"id":1,"error":{"code":-1,"message":"no"}}"#, "error 1 no (-1)"),
    ] {
        assert_eq!(shape(message), expected, "{message}");
    }
    assert!(
        shape(r#"{"id":1,"method":"a","trace":{"traceparent":"t"}}"#).contains(r#"traceparent: Some("t")"#)
    );
}

/// Messages that are nearly what most clients write, in pieces that fit or don't.
fn nearly_usual() -> impl Strategy<Value = String> {
    let piece = |pieces: &'static [&'static str]| prop::sample::select(pieces);
    (
        piece(&["{\"id\":", "{ \"id\":", "{\"id\" :", "{\"jsonrpc\":\"2.0\",\"id\":", "[\"id\":"]),
        piece(&[
            "1",
            "0",
            "01",
            "00",
            "-1",
            "",
            "9223372036854775807",
            "9223372036854775808",
            "\"x\"",
            "1.0",
            "1e2",
        ]),
        piece(&[",\"method\":\"", ", \"method\":\"", ",\"methods\":\"", ",\"method\":\"\\u0061"]),
        piece(&["fs/getMetadata", "", "$/cancel", "a\\nb", "ü", "a\u{7f}", "a\tb"]),
        piece(&["\",\"params\":", "\" ,\"params\":", "\",\"param\":", "\"", "\",\"error\":"]),
        piece(&[
            "{}",
            "null",
            "{\"a\":[1,\"}\"]}",
            "{\"a\":1",
            "",
            "{},\"params\":{}",
            "{},\"trace\":null",
            "1 ",
            "{}}",
            "[01]",
        ]),
        piece(&["}", " }", "}}", "", "} ", "}\n", "}x"]),
    )
        .prop_map(|(a, b, c, d, e, f, g)| [a, b, c, d, e, f, g].concat())
}

proptest! {
    #[test]
    fn what_is_taken_as_usual_is_what_the_parser_makes_of_it(message in nearly_usual()) {
        let Some(usual) = usual_request(&message) else { return Ok(()) };
        // With a space in front it is not usual any more, and means the same.
        prop_assert_eq!(format!("{usual:?}"), format!("{:?}", Incoming::parse(format!(" {message}").as_bytes()).unwrap()));
    }
}

#[test]
fn the_usual_is_taken_as_such() {
    assert!(usual_request(r#"{"id":17,"method":"fs/getMetadata","params":{"path":"file:///a"}}"#).is_some());
}

#[test]
fn what_is_no_message_is_malformed_and_never_a_panic() {
    for message in [
        "",
        " ",
        "nonsense",
        "[]",
        r#"[{"id":1,"method":"a"}]"#,
        "3",
        "null",
        "{}",
        r#"{"id":1}"#,
        r#"{"id":null,"method":"a"}"#,
        r#"{"id":true,"method":"a"}"#,
        r#"{"id":1.5,"method":"a"}"#,
        r#"{"id":9223372036854775808,"method":"a"}"#,
        r#"{"id":{},"method":"a"}"#,
        r#"{"id":1,"method":5}"#,
        r#"{"id":1,"method":null}"#,
        r#"{"id":1,"method":"a","trace":3}"#,
        r#"{"id":1,"id":2,"method":"a"}"#,
        r#"{"id":1,"method":"a","params":{"x":1,"x":2}}"#,
        r#"{"id":1,"method":"a"} trailing"#,
        r#"{"id":1,"method":"a"#,
        r#"{"id":1,"method":"a","params":nul}"#,
    ] {
        assert!(shape(message).starts_with("malformed: "), "{message} became {}", shape(message));
    }
    assert!(Incoming::parse(b"{\"id\":1,\"method\":\"\xff\"}").is_err());
    let deep = format!(r#"{{"id":1,"method":"a","params":{}}}"#, "[".repeat(100_000));
    assert!(shape(&deep).contains("nests deeper than 127"));
}

#[test]
fn answers_have_the_members_of_the_dialect_and_no_others() {
    let id = RequestId::Integer(7);
    assert_eq!(encode_result(&id, &()), r#"{"id":7,"result":null}"#);
    let error = RpcError::new(crate::error_code::ErrorCode::NotFound, "gone");
    assert_eq!(encode_error(&id, &error), r#"{"error":{"code":-32004,"message":"gone"},"id":7}"#);
    assert_eq!(
        encode_request(&RequestId::String("x".into()), "m", &1),
        r#"{"id":"x","method":"m","params":1}"#
    );
    assert_eq!(encode_notification("m", &"p"), r#"{"method":"m","params":"p"}"#);
}

#[test]
fn the_hand_written_output_frame_equals_the_derived_one() {
    for (name, offset, chunk) in
        [("p", None, &b"hello"[..]), ("q\"\u{e9}\n", Some(1 << 40), &[0xff, 0, 1]), ("", Some(0), b"")]
    {
        let process_id = ProcessId::from(name);
        let derived = encode_notification(
            "process/output",
            &ProcessOutputNotification {
                process_id: process_id.clone(),
                seq: Seq(9),
                stream: OutputStream::Stderr,
                chunk: Base64Bytes::from(chunk.to_vec()),
                offset,
            },
        );
        let output = OutputText::new(&process_id, Seq(9), OutputStream::Stderr, offset, chunk);
        let mut text = Vec::new();
        output.write_to(&mut text);
        assert_eq!(output.encoded_len(), text.len());
        assert_eq!(String::from_utf8(text).unwrap(), derived);
    }
}
