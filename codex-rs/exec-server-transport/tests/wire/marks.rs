//! Marks, which come back as the peer reads.

use codex_exec_server_transport::{Connection, Message, Peer, Role, WireLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

#[tokio::test(start_paused = true)]
async fn a_mark_comes_back_behind_what_was_before_it_and_what_is_none_means_nothing() {
    let (ours, mut peer) = duplex(1 << 20);
    let Connection { mut reader, mut writer, .. } =
        Connection::websocket_over(ours, Role::Server, Peer::Memory, &WireLimits::default());
    assert!(writer.carries_marks());
    writer.feed(Message::text("one")).await.unwrap();
    writer.feed_mark(/*mark*/ 7).await.unwrap();
    writer.feed(Message::text("two")).await.unwrap();
    writer.feed_mark(/*mark*/ 9).await.unwrap();
    writer.flush().await.unwrap();
    let mut sent = [0; 30];
    peer.read_exact(&mut sent).await.unwrap();
    assert_eq!(&sent, b"\x81\x03one\x89\x08\0\0\0\0\0\0\0\x07\x81\x03two\x89\x08\0\0\0\0\0\0\0\x09");

    // Pongs without a payload, with one that is too short, with the mark, and with an earlier one.
    peer.write_all(b"\x8a\x80\0\0\0\0\x8a\x81\0\0\0\0x\x8a\x88\0\0\0\0\0\0\0\0\0\0\0\x09").await.unwrap();
    peer.write_all(b"\x8a\x88\0\0\0\0\0\0\0\0\0\0\0\x07\x81\x82\0\0\0\0hi").await.unwrap();
    let returned = async {
        writer.mark_returns_after(/*mark*/ 0).await;
        writer.returned_mark()
    };
    let (read, returned) = tokio::join!(reader.next(), returned);
    assert_eq!((read.unwrap().unwrap(), returned), ("hi".into(), 9));
    assert_eq!(writer.returned_mark(), 9);
}

#[tokio::test]
async fn where_there_are_no_marks_they_cost_nothing() {
    let (ours, mut theirs) = codex_exec_server_transport::memory::pair();
    let mut writer = ours.writer;
    assert!(!writer.carries_marks());
    writer.feed_mark(/*mark*/ 1).await.unwrap();
    writer.send(Message::text("one")).await.unwrap();
    assert_eq!(theirs.reader.next().await.unwrap().unwrap(), "one");
    assert_eq!(writer.returned_mark(), 0);
}
