use std::collections::BTreeMap;

use codex_exec_server_core::limits::Limits;
use codex_exec_server_local::process::{ProcessHost, ProcessTable};
use codex_exec_server_transport::{Connection, Peer, Role, WireLimits, close_code, memory};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::task::AbortOnDropHandle;

use super::*;

fn short(name: &str) -> Reply {
    Reply::Text(name.to_owned())
}

/// A reply that begins with its name, and goes on for long.
fn long(name: &str) -> Reply {
    Reply::Text(format!("{name}{}", "x".repeat(LONG_REPLY_BYTES)))
}

/// The names of what leaves, in order, until the connection is closed.
async fn leaves(outbound: &Outbound) -> Vec<String> {
    outbound.close(CloseReason { code: close_code::NORMAL, reason: String::new() });
    let (ours, mut theirs) = memory::pair();
    let mut writer = ours.writer;
    outbound.write_to(&mut writer).await.expect("there is room for everything");
    let mut names = Vec::new();
    while let Some(message) = theirs.reader.next().await {
        let message = message.expect("it is closed in good order");
        names.push(String::from_utf8_lossy(&message[..1]).into_owned());
    }
    names
}

#[tokio::test]
async fn replies_leave_in_their_order_before_anything_is_followed() {
    let outbound = Outbound::new();
    for reply in [short("a"), long("b"), short("c")] {
        outbound.reply(reply);
    }
    assert_eq!(leaves(&outbound).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_short_reply_overtakes_long_ones() {
    let outbound = Arc::new(Outbound::new());
    let processes = ProcessTable::new(ProcessHost::new(
        BTreeMap::new(),
        Limits::default(),
        /*state_directory*/ None,
    ));
    outbound.open(processes.follow(Arc::clone(&outbound) as _, /*window_bytes*/ None), Form::Text);
    for reply in [long("a"), short("b"), long("c"), short("d")] {
        outbound.reply(reply);
    }
    assert!(outbound.owes(2 * LONG_REPLY_BYTES));
    assert_eq!(leaves(&outbound).await, ["b", "d", "a", "c"]);
    assert!(!outbound.owes(/*limit*/ 1));
}

/// A connection whose kernels hold everything, over which a hundred long replies leave beside what `say` adds.
async fn beside_long_replies(
    say: impl FnOnce(&Outbound),
) -> (Arc<Outbound>, AbortOnDropHandle<()>, DuplexStream) {
    let outbound = Arc::new(Outbound::new());
    let processes = ProcessTable::new(ProcessHost::new(
        BTreeMap::new(),
        Limits::default(),
        /*state_directory*/ None,
    ));
    outbound.open(processes.follow(Arc::clone(&outbound) as _, /*window_bytes*/ None), Form::Text);
    // Bulk of which something has left before.
    let said = Said { bytes: 0, goes_on: None, is_over: false };
    outbound.spoke(Key::Reply, Class::Bulk, said);
    for _ in 0..100 {
        outbound.reply(long("b"));
    }
    say(&outbound);
    let (ours, theirs) = tokio::io::duplex(64 << 20);
    let Connection { mut reader, mut writer, .. } =
        Connection::websocket_over(ours, Role::Server, Peer::Memory, &WireLimits::default());
    let writing = Arc::clone(&outbound);
    let task = tokio::spawn(async move {
        let read = async { while reader.next().await.is_some() {} };
        let _ = tokio::join!(writing.write_to(&mut writer), read);
    });
    (outbound, AbortOnDropHandle::new(task), theirs)
}

/// The next message's first letter, or what a ping says. Longer messages than fit into 64 KiB are none of ours.
async fn frame(client: &mut DuplexStream) -> Result<char, Vec<u8>> {
    let (opcode, length) = (client.read_u8().await.expect("more"), client.read_u8().await.expect("more"));
    let length = if length == 126 { client.read_u16().await.expect("more") } else { length.into() };
    let mut payload = vec![0; length.into()];
    client.read_exact(&mut payload).await.expect("more");
    if opcode == 0x89 { Err(payload) } else { Ok(payload[0].into()) }
}

/// The first letters of all messages, of a client that sends no mark back.
async fn letters(client: &mut DuplexStream) -> String {
    let mut letters = String::new();
    while letters.len() < 102 {
        if let Ok(letter) = frame(client).await {
            letters.push(letter);
        }
    }
    letters
}

#[tokio::test(start_paused = true)]
async fn a_word_beside_bulk_finds_little_of_it_in_its_way_and_all_of_it_leaves_as_it_is_read() {
    let (outbound, _task, mut client) = beside_long_replies(|outbound| outbound.reply(short("a"))).await;
    // The clock goes on when everything stands still.
    tokio::time::sleep(Duration::from_millis(1)).await;
    outbound.reply(short("z"));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut order = String::new();
    while order.len() < 102 {
        match frame(&mut client).await {
            Ok(letter) => order.push(letter),
            Err(mark) => {
                let pong = [&[0x8a, 0x88, 0, 0, 0, 0][..], &mark].concat();
                client.write_all(&pong).await.expect("it is read");
            }
        }
    }
    let before = order.find('z').expect("it came");
    assert!((9..=10).contains(&before), "{order}");
    assert_eq!(order.replace('b', ""), "az");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_mark_back_has_everything_a_little_later() {
    let (outbound, _task, mut client) = beside_long_replies(|outbound| outbound.reply(short("a"))).await;
    tokio::time::sleep(2 * BACKLOG.patience).await;
    outbound.reply(short("z"));
    assert_eq!(letters(&mut client).await, format!("a{}z", "b".repeat(100)));
}

#[tokio::test(start_paused = true)]
async fn bulk_makes_no_way_for_receipts_and_waits_for_no_mark_while_nobody_would_see_it() {
    let receipt = |outbound: &Outbound| outbound.reply(Owed { is_receipt: true, ..short("a").into() });
    let unheard = |outbound: &Outbound| {
        outbound.reply(short("a"));
        assert!(outbound.pauses_reading(/*limit*/ 1));
    };
    for say in [&receipt as &dyn Fn(&Outbound), &unheard] {
        let (outbound, _task, mut client) = beside_long_replies(say).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        outbound.reply(short("z"));
        assert_eq!(letters(&mut client).await, format!("a{}z", "b".repeat(100)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_goes_when_reading_pauses() {
    let (outbound, _task, mut client) = beside_long_replies(|outbound| outbound.reply(short("a"))).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(outbound.owes(/*limit*/ 80 * LONG_REPLY_BYTES));
    assert!(outbound.pauses_reading(/*limit*/ 1));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!outbound.pauses_reading(/*limit*/ 1));
    outbound.reply(short("z"));
    assert_eq!(letters(&mut client).await, format!("a{}z", "b".repeat(100)));
}

#[tokio::test(start_paused = true)]
async fn a_word_is_said_beside_bulk_also_right_behind_it_and_floods_are_told() {
    for (wait, is_beside) in [(SOON / 2, true), (2 * SOON, false)] {
        let (outbound, _task, _client) = beside_long_replies(|_| ()).await;
        // The clock goes on when all of it has left.
        tokio::time::sleep(wait).await;
        assert!(!outbound.owes(/*limit*/ 1) && !outbound.has_others());
        outbound.reply(short("z"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(outbound.has_others(), is_beside);
        tokio::time::sleep(BACKLOG.attention).await;
        assert!(!outbound.has_others());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_after_the_end_of_a_flood_is_not_said_beside_it() {
    for is_over in [false, true] {
        let outbound = Outbound::new();
        let key = Key::Process(ProcessId::from("flood"));
        outbound.spoke(key, Class::Bulk, Said { bytes: 1 << 20, goes_on: None, is_over });
        outbound.reply(short("a"));
        assert!(matches!(outbound.next(now(), /*returned*/ 0), Next::Replies(_)));
        assert_eq!(outbound.has_others(), !is_over);
    }
}

#[tokio::test]
async fn the_answer_to_the_start_of_a_flood_is_not_said_beside_it() {
    for has_left in [false, true] {
        let outbound = Outbound::new();
        let processes = ProcessTable::new(ProcessHost::new(
            BTreeMap::new(),
            Limits::default(),
            /*state_directory*/ None,
        ));
        outbound.open(processes.follow(Arc::new(Outbound::new()) as _, /*window_bytes*/ None), Form::Text);
        if has_left {
            let said = Said { bytes: 0, goes_on: None, is_over: false };
            outbound.spoke(Key::Reply, Class::Bulk, said);
        }
        outbound.reply(long("b"));
        outbound.reply(short("a"));
        assert!(matches!(outbound.next(now(), /*returned*/ 0), Next::Replies(_)));
        assert_eq!(outbound.has_others(), has_left);
    }
}

#[tokio::test(start_paused = true)]
async fn who_speaks_alone_for_long_may_be_further_ahead_of_the_socket() {
    let outbound = Outbound::new();
    assert_eq!(outbound.leeway(Class::Bulk, now()), Leeway::Flood);
    // What is little is for somebody who waits for it.
    assert_eq!(outbound.leeway(Class::Little, now()), Leeway::Usual);

    // Somebody else stands in line.
    let processes = ProcessTable::new(ProcessHost::new(
        BTreeMap::new(),
        Limits::default(),
        /*state_directory*/ None,
    ));
    outbound.open(processes.follow(Arc::new(Outbound::new()) as _, /*window_bytes*/ None), Form::Binary);
    outbound.reply(long("b"));
    assert_eq!(outbound.leeway(Class::Bulk, now()), Leeway::Usual);
    assert!(matches!(outbound.next(now(), /*returned*/ 0), Next::Turn(..)));
    assert_eq!(outbound.leeway(Class::Bulk, now()), Leeway::Flood);

    // Somebody says something short beside it.
    outbound.spoke(Key::Reply, Class::Bulk, Said { bytes: 1 << 20, goes_on: None, is_over: false });
    outbound.reply(short("a"));
    assert!(matches!(outbound.next(now(), /*returned*/ 0), Next::Replies(_)));
    assert_eq!(outbound.leeway(Class::Bulk, now()), Leeway::Usual);
    tokio::time::sleep(BACKLOG.attention).await;
    assert_eq!(outbound.leeway(Class::Bulk, now()), Leeway::Flood);
}
