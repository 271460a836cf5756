//! Lines out of byte streams, and back into them.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, duplex};

use super::*;

fn limits(line_bytes: usize) -> WireLimits {
    WireLimits { line_bytes, ..WireLimits::default() }
}

/// Everything that a stream in these pieces yields: lines, or `None` for one that was too long.
fn lines_of(pieces: &[&[u8]], limit_bytes: usize) -> Vec<Option<Bytes>> {
    let mut splitter = Splitter::new(limit_bytes);
    let mut buffer = BytesMut::new();
    let mut all = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match splitter.split(&mut buffer) {
                Ok(Some(line)) => all.push(Some(line)),
                Ok(None) => break,
                Err(ReadError::LineTooLong { .. }) => all.push(None),
                Err(error) => panic!("{error}"),
            }
        }
    }
    match splitter.rest(&mut buffer) {
        Ok(line) => all.extend(line.map(Some)),
        Err(_) => all.push(None),
    }
    all
}

/// What the rules say, without any state: split, trim, judge.
fn model(bytes: &[u8], limit_bytes: usize) -> Vec<Option<Bytes>> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| line.len() > limit_bytes || !line.trim_ascii().is_empty())
        .map(|line| (line.len() <= limit_bytes).then(|| Bytes::copy_from_slice(line)))
        .collect()
}

proptest! {
    #[test]
    fn any_split_of_the_byte_stream_yields_the_same_lines(
        bytes in prop::collection::vec(prop::sample::select(b"aaa\n\r ".to_vec()), 0..80),
        mut cuts in prop::collection::vec(0..=80_usize, 0..10),
        limit_bytes in 1..12_usize,
    ) {
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            let to = cut.min(bytes.len());
            pieces.push(&bytes[from..to]);
            from = to;
        }
        pieces.push(&bytes[from..]);
        prop_assert_eq!(lines_of(&pieces, limit_bytes), model(&bytes, limit_bytes));
    }
}

#[tokio::test]
async fn blank_lines_are_skipped_and_a_last_line_needs_no_newline() {
    let input: &'static [u8] = b"\n{\"a\":1}\r\n  \n\r\n{\"b\":2}";
    let mut reader = LineReader::new(input, &limits(/*line_bytes*/ 100));
    assert_eq!(reader.next().await.unwrap().unwrap(), text(Bytes::from_static(b"{\"a\":1}")));
    assert_eq!(reader.next().await.unwrap().unwrap(), text(Bytes::from_static(b"{\"b\":2}")));
    assert!(reader.next().await.is_none());
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn a_line_beyond_the_limit_is_reported_once_and_reading_goes_on() {
    let (mut ours, theirs) = duplex(64);
    let feeder = tokio::spawn(async move {
        for piece in [&[b'x'; 50_000][..], b"\nnext\n"] {
            ours.write_all(piece).await.unwrap();
        }
    });
    let mut reader = LineReader::new(theirs, &limits(/*line_bytes*/ 10_000));
    let error = reader.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ReadError::LineTooLong { limit_bytes: 10_000 }), "{error}");
    assert!(!error.is_fatal());
    assert_eq!(reader.next().await.unwrap().unwrap().bytes, "next");
    assert!(reader.next().await.is_none());
    feeder.await.unwrap();
}

#[tokio::test]
async fn messages_leave_as_lines_and_nothing_else_does() {
    let (ours, mut theirs) = duplex(1 << 20);
    let mut writer = LineWriter::new(ours, &WireLimits::default());
    writer.feed(Message::text("{\"a\":1}")).await.unwrap();
    assert!(matches!(writer.feed(Message::text("two\nlines")).await, Err(WriteError::NewlineInLine)));
    assert!(matches!(writer.feed(Message::binary(vec![1])).await, Err(WriteError::BinaryOnLines)));
    writer.feed(Message::text("y".repeat(300_000))).await.unwrap();
    writer.close().await;
    assert!(matches!(writer.feed(Message::text("late")).await, Err(WriteError::Closed)));
    assert!(matches!(writer.flush().await, Err(WriteError::Closed)));
    let mut out = String::new();
    theirs.read_to_string(&mut out).await.unwrap();
    assert_eq!(out, format!("{{\"a\":1}}\n{}\n", "y".repeat(300_000)));
}

#[tokio::test]
async fn a_reader_that_is_gone_fails_the_write_and_closes_the_writer() {
    let (ours, theirs) = duplex(64);
    drop(theirs);
    let mut writer = LineWriter::new(ours, &WireLimits::default());
    writer.feed(Message::text("a")).await.unwrap();
    assert!(matches!(writer.flush().await, Err(WriteError::Io(_))));
    assert!(matches!(writer.feed(Message::text("b")).await, Err(WriteError::Closed)));
}
