use super::*;

fn body(credit: Option<u64>) -> (Arc<Body>, Outbound) {
    let body = Arc::new(Body::new(HttpRequestId("r".into()), RequestId::Integer(1), credit));
    body.lock().begun = true;
    (body, Outbound::new())
}

fn push(body: &Arc<Body>, outbound: &Outbound, text: &'static str) {
    body.change(outbound, |state| {
        state.bytes += text.len();
        state.pieces.push_back(Bytes::from_static(text.as_bytes()));
    });
}

fn end(body: &Arc<Body>, outbound: &Outbound, end: Result<(), HttpFailure>) {
    body.change(outbound, |state| state.end = Some(end));
}

/// Number, text and whether it was the last, of everything that can be drawn in pieces of `max` bytes.
fn draw(body: &Body, max: usize) -> Vec<(u64, String, bool)> {
    let mut all = Vec::new();
    let mut bytes = body.lock().offset;
    while let Some((piece, offset)) = body.draw(max).piece {
        assert_eq!(offset, bytes);
        bytes += piece.delta_base64.len() as u64;
        let text = String::from_utf8(piece.delta_base64.to_vec()).unwrap();
        all.push((piece.seq, text, piece.done));
    }
    all
}

#[test]
fn pieces_are_cut_and_merged_to_what_a_turn_holds_and_numbered_without_gaps() {
    let (body, outbound) = body(/*credit*/ None);
    for text in ["abcdefg", "h", "i", "j"] {
        push(&body, &outbound, text);
    }
    end(&body, &outbound, Ok(()));
    let told = draw(&body, /*max*/ 3);
    let expected = [(1, "abc", false), (2, "def", false), (3, "ghi", false), (4, "j", false), (5, "", true)];
    assert_eq!(told, expected.map(|(seq, text, done)| (seq, text.to_owned(), done)));
    assert!(body.is_over());
    assert_eq!(draw(&body, /*max*/ 3), []);
}

#[test]
fn nothing_is_drawn_beyond_the_credit_and_more_credit_goes_on_where_it_stopped() {
    let (body, outbound) = body(Some(4));
    push(&body, &outbound, "abcdef");
    end(&body, &outbound, Ok(()));
    assert_eq!(draw(&body, /*max*/ 64), [(1, "abcd".to_owned(), false)]);
    assert!(!body.is_over());
    body.change(&outbound, |state| state.credit = Some(2));
    assert_eq!(draw(&body, /*max*/ 64), [(2, "ef".to_owned(), false), (3, String::new(), true)]);
}

#[test]
fn the_end_needs_no_credit() {
    let (body, outbound) = body(Some(0));
    end(&body, &outbound, Ok(()));
    assert_eq!(draw(&body, /*max*/ 64), [(1, String::new(), true)]);
}

#[test]
fn a_body_that_breaks_off_says_so_behind_what_came() {
    let (body, outbound) = body(/*credit*/ None);
    push(&body, &outbound, "ab");
    let cause = HttpFailureCause::Protocol;
    end(&body, &outbound, Err(HttpFailure { cause, stage: HttpStage::Stream, detail: "reset".into() }));
    assert!(!body.draw(/*max*/ 64).piece.unwrap().0.done);
    let (last, _) = body.draw(/*max*/ 64).piece.unwrap();
    assert_eq!((last.done, last.error.as_deref(), last.cause), (true, Some("reset"), Some(cause)));
}
