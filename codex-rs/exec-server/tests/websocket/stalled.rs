//! Clients that stop in the middle: they hold up nobody but themselves, and cost little.

use std::path::Path;
use std::sync::Arc;

use codex_exec_server_testkit::{Client, Harness, Program, shell, shell_with};
use serde_json::json;

use crate::raw::RawSocket;
use crate::support::{PROGRAM, Transport, over};

/// Round trips of a client that keeps up, each through a process of its own.
async fn work(client: &mut Client, name: &str) {
    for n in 0..20 {
        let process = format!("{name}{n}");
        assert_eq!(client.run(shell(&process, &format!("echo {n}"))).await.text(), format!("{n}\n"));
        client.done("environment/status", json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_slows_no_other_connection() {
    over(Transport::WebSocket, async |server: Arc<Harness>| {
        let mut stuck = server.ready().await;
        for n in 0..4 {
            stuck.request("process/start", shell(&format!("flood{n}"), "yes")).await;
        }
        let mut busy = server.ready().await;
        work(&mut busy, "p").await;
        // Requests of the stuck one are still served, and it gets everything once it reads.
        let ended = stuck.request("process/terminate", json!({"processId": "flood0"})).await;
        work(&mut busy, "q").await;
        assert_eq!(stuck.answer(ended).await, Ok(json!({"running": true, "survivors": 0})));
        assert_eq!(stuck.closed("flood0").await.exit_code(), 137);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_byte_by_byte_holds_up_nobody_and_has_everything_in_the_end() {
    over(Transport::WebSocket, async |server: Arc<Harness>| {
        let mut slow = RawSocket::upgraded(server.url()).await;
        slow.say(r#"{"id":1,"method":"initialize","params":{"clientName":"slow"}}"#).await;
        slow.say(r#"{"method":"initialized","params":{}}"#).await;
        // More than kernels hold.
        for request in [
            json!({"id": 2, "method": "process/start", "params": shell("flood", "head -c 20000000 /dev/zero; exit 3")}),
            json!({"id": 3, "method": "process/start", "params": shell_with("echo", "cat", json!({"pipeStdin": true}))}),
        ] {
            slow.say(&request.to_string()).await;
        }
        let mut busy = server.ready().await;
        for round in 0..10 {
            slow.receive_byte().await;
            work(&mut busy, &format!("p{round}.")).await;
        }
        // It can be served beside its flood, and what it did not read it has still to get.
        let write = json!({"processId": "echo", "writeId": "w", "chunk": "aGVyZQ=="});
        slow.say(&json!({"id": 4, "method": "process/write", "params": write}).to_string()).await;
        assert!(slow.receive_far_until(br#""chunk":"aGVyZQ==""#).await);
        assert!(slow.receive_far_until(br#""outputBytes":20000000"#).await);
        work(&mut busy, "q").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_a_client_that_never_reads_take_bounded_memory() {
    let program = Program::start(Path::new(PROGRAM)).await;
    let mut stuck = program.ready().await;
    let mut busy = program.ready().await;
    work(&mut busy, "warm").await;
    let before = program.resident_bytes();
    // Four processes with all the output in the world. What the server takes of each has a bound, and then it waits.
    for n in 0..4 {
        stuck.request("process/start", shell(&format!("flood{n}"), "yes")).await;
    }
    let mut most = 0;
    for round in 0..10 {
        work(&mut busy, &format!("p{round}.")).await;
        most = most.max(program.resident_bytes());
    }
    let grown = most.saturating_sub(before) >> 20;
    assert!(grown < 32, "the server grew by {grown} MiB");
    drop(stuck);
    busy.close().await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stop_in_the_middle_of_their_upgrade_hold_up_nobody() {
    over(Transport::WebSocket, async |server: Arc<Harness>| {
        let mut silent = Vec::new();
        for part in [
            &b""[..],
            b"G",
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websoc",
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r",
            b"\0\0\0\0",
        ] {
            for _ in 0..20 {
                let mut socket = RawSocket::connected(server.url()).await;
                socket.send(part).await;
                silent.push(socket);
            }
        }
        let mut client = server.ready().await;
        work(&mut client, "p").await;
        drop(silent);
        work(&mut client, "q").await;
        work(&mut server.ready().await, "r").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_in_the_middle_of_a_frame_holds_up_nobody() {
    over(Transport::WebSocket, async |server: Arc<Harness>| {
        let mut socket = RawSocket::upgraded(server.url()).await;
        // The head of a masked text frame of 16 MiB, and three bytes of it.
        socket.send(&[0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]).await;
        work(&mut server.ready().await, "p").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_answers_a_keystroke_while_its_floods_go_on() {
    over(Transport::WebSocket, async |server: Arc<Harness>| {
        let mut client = server.ready().await;
        for n in 0..3 {
            client.start(shell(&format!("flood{n}"), "yes")).await;
        }
        client.start(shell_with("echo", "cat", json!({"pipeStdin": true}))).await;
        for n in 0..20 {
            let text = format!("key {n};");
            client.write("echo", &text, text.as_bytes()).await;
            client.sees("echo", &text).await;
        }
        for n in 0..3 {
            client.done("process/terminate", json!({"processId": format!("flood{n}")})).await;
        }
    })
    .await;
}
