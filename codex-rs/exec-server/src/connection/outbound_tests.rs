use std::collections::BTreeMap;

use codex_exec_server_core::limits::Limits;
use codex_exec_server_local::process::{ProcessHost, ProcessTable};
use codex_exec_server_transport::{close_code, memory};

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
