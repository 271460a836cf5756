use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::Waker;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::message::Message;
use crate::stream::Stream;
use crate::websocket::{WsWriter, frames, open};

/// A server's side of a connection that nobody is missed on, and the client's end of its socket. What is written to such a one is
/// there at once.
fn connected() -> (WsReader, WsWriter, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = Stream::Unix(tokio::net::UnixStream::from_std(ours).unwrap());
    let limits = WireLimits { liveness: None, ..WireLimits::default() };
    let (reader, writer) = open(ours, &[], Role::Server, &limits);
    (reader, writer, theirs)
}

fn say(peer: &mut UnixStream, text: &str) {
    peer.write_all(&frames(vec![Message::text(text.to_owned())], Role::Client)).unwrap();
}

/// What the next message is by now, the runtime not having had a turn.
fn now(reader: &mut WsReader) -> Poll<Option<Result<Bytes, String>>> {
    let next = pin!(reader.next());
    next.poll(&mut Context::from_waker(Waker::noop())).map(told)
}

fn told(next: Option<Result<Received, ReadError>>) -> Option<Result<Bytes, String>> {
    next.map(|next| next.map(|received| received.bytes).map_err(|error| error.to_string()))
}

fn text(text: &str) -> Option<Result<Bytes, String>> {
    Some(Ok(Bytes::copy_from_slice(text.as_bytes())))
}

#[tokio::test]
async fn what_has_come_by_the_next_question_is_read_before_anybody_tells_of_it() {
    let (mut reader, _writer, mut peer) = connected();
    say(&mut peer, "first");
    assert_eq!(told(reader.next().await), text("first"));
    say(&mut peer, "second");
    assert_eq!(now(&mut reader), Poll::Ready(text("second")));
}

#[tokio::test]
async fn what_comes_later_is_waited_for() {
    let (mut reader, _writer, mut peer) = connected();
    for round in 0..100 {
        let round = round.to_string();
        assert_eq!(now(&mut reader), Poll::Pending);
        say(&mut peer, &round);
        assert_eq!(told(reader.next().await), text(&round));
    }
}

#[tokio::test]
async fn a_long_message_comes_whole_whatever_part_of_it_was_there() {
    let (mut reader, _writer, mut peer) = connected();
    let long = "x".repeat(5 * READ_BYTES);
    for part in [1, 2, READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 4 * READ_BYTES] {
        say(&mut peer, "before");
        assert_eq!(told(reader.next().await), text("before"));
        let frame = frames(vec![Message::text(long.clone())], Role::Client);
        let (now_there, later) = frame.split_at(part);
        peer.write_all(now_there).unwrap();
        assert_eq!(now(&mut reader), Poll::Pending, "{part} bytes of it");
        peer.write_all(later).unwrap();
        assert_eq!(told(reader.next().await), text(&long), "{part} bytes of it at first");
    }
}

#[tokio::test]
async fn a_peer_that_hangs_up_after_a_message_is_told_of_once() {
    let (mut reader, _writer, mut peer) = connected();
    say(&mut peer, "last");
    assert_eq!(told(reader.next().await), text("last"));
    drop(peer);
    assert_eq!(told(reader.next().await), Some(Err(ReadError::Disconnected.to_string())));
    assert_eq!(told(reader.next().await), None);
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_a_long_message_is_given_back_when_no_other_follows_it() {
    let (mut reader, _writer, peer) = connected();
    peer.set_nonblocking(true).unwrap();
    let mut peer = tokio::net::UnixStream::from_std(peer).unwrap();
    let frame = frames(vec![Message::text("x".repeat(LONG_BYTES))], Role::Client);
    let say_long = async |reader: &mut WsReader, peer: &mut tokio::net::UnixStream| {
        let (sent, received) = tokio::join!(peer.write_all(&frame), reader.next());
        sent.unwrap();
        assert_eq!(told(received).unwrap().unwrap().len(), LONG_BYTES);
    };
    say_long(&mut reader, &mut peer).await;
    // The next one soon after it finds the memory still there.
    tokio::time::advance(KEEP_LONG / 2).await;
    assert_eq!(now(&mut reader), Poll::Pending);
    assert!(reader.long_at.is_some(), "given back too early");
    say_long(&mut reader, &mut peer).await;
    tokio::time::advance(KEEP_LONG).await;
    peer.write_all(&frames(vec![Message::text("short".to_owned())], Role::Client)).await.unwrap();
    assert_eq!(told(reader.next().await), text("short"));
    let left = reader.buffer.capacity();
    assert!(left <= READ_BYTES, "{left} bytes are kept");
}
