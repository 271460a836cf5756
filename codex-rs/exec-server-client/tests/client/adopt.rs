//! Sessions and processes that were there before the client.

use codex_exec_server_client::{
    AdoptError, Client, ClientConfig, ClientError, ExecProcessEvent, IfAttached, Lag, OnGap, ProcessError,
    Proof, Unsupported,
};
use codex_exec_server_client::{Exit, Follow};
use codex_exec_server_protocol::ids::Seq;
use serde_json::{Value, json};

use crate::fake::{EVERYTHING, Network, Server, chunk, initialized, no_client, page, start, text};

/// A client that takes up session `s`.
async fn attach(network: &mut Network, flags: &[&str]) -> (Client, Server) {
    let attaching = Client::attach(network.dialer(), ClientConfig::default(), "s".into(), IfAttached::Refuse);
    let (client, server) = tokio::join!(attaching, network.accept_resumption(flags));
    (client.expect("it was answered"), server)
}

#[tokio::test(start_paused = true)]
async fn a_process_that_runs_is_taken_up_where_its_follower_left_it() {
    let mut network = Network::new();
    let (client, mut server) = attach(&mut network, EVERYTHING).await;
    assert_eq!(client.peer().session_id.as_str(), "s");
    let serving = async {
        let read = server.request("process/read").await;
        assert_eq!((&read.params["processId"], &read.params["afterSeq"]), (&json!("p"), &json!(2)));
        server.output(/*seq*/ 4, "d").await;
        server.answer(&read, page(&[chunk(/*seq*/ 3, "c")], /*next_seq*/ 4)).await;
    };
    let (adopted, ()) = tokio::join!(client.adopt("p".into(), Seq(2), Lag::ReadLater), serving);
    let (process, mut events) = adopted.expect("it was answered");
    assert_eq!(process.id().as_str(), "p");
    assert_eq!(text(&mut events).await, "c");
    assert_eq!(text(&mut events).await, "d");
    server.exited(/*seq*/ 5).await;
    server.closed(/*seq*/ 6, "abcd").await;
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    // What came before is for somebody else to vouch for.
    let end = events.next().await;
    assert!(matches!(end, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Numbering, .. }))), "{end:?}");
    assert_eq!(server.requested("process/read"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_dropped_before_is_a_gap_or_a_failure_as_asked_for() {
    for on_gap in [OnGap::Tell, OnGap::Fail] {
        let mut network = Network::new();
        let (client, mut server) = attach(&mut network, EVERYTHING).await;
        let serving = async {
            let read = server.request("process/read").await;
            let mut answer = page(&[chunk(/*seq*/ 9, "z")], /*next_seq*/ 10);
            answer["dropped"] = json!({"throughSeq": 8, "bytes": 70});
            server.answer(&read, answer).await;
        };
        let follow = Follow { lag: Lag::ReadLater, on_gap };
        let (adopted, ()) = tokio::join!(client.adopt("p".into(), Seq::START, follow), serving);
        let (_process, mut events) = adopted.expect("it was answered");
        let first = events.next().await.expect("an event");
        if on_gap == OnGap::Tell {
            let gap = ExecProcessEvent::Gap { through: Seq(8), bytes: Some(70) };
            assert_eq!(first.expect("it is told"), gap);
            assert_eq!(text(&mut events).await, "z");
        } else {
            let failure = first.expect_err("it fails");
            assert!(matches!(failure, ProcessError::Gap { through: Seq(8), .. }), "{failure}");
            assert!(events.next().await.is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_there_before_is_told() {
    let mut network = Network::new();
    let (client, mut server) = attach(&mut network, EVERYTHING).await;
    let serving = async {
        let read = server.request("process/read").await;
        server.answer(&read, page(&[chunk(/*seq*/ 1, "a")], /*next_seq*/ 2)).await;
        let read = server.request("process/read").await;
        let mut end = page(&[], /*next_seq*/ 4);
        (end["exited"], end["exitCode"], end["closed"], end["outputBytes"]) =
            (json!(true), json!(7), json!(true), json!(1));
        server.answer(&read, end).await;
    };
    let following = async {
        let (_, mut events) =
            client.adopt("p".into(), Seq::START, Lag::ReadLater).await.expect("it was answered");
        assert_eq!(text(&mut events).await, "a");
        let exited = events.next().await;
        assert!(
            matches!(exited, Some(Ok(ExecProcessEvent::Exited { seq: Seq(2), exit: Exit { code: 7, .. } }))),
            "{exited:?}"
        );
        let closed = events.next().await;
        assert!(
            matches!(closed, Some(Ok(ExecProcessEvent::Closed { seq: Seq(3), proof: Proof::Length }))),
            "{closed:?}"
        );
        assert!(events.next().await.is_none());
    };
    tokio::join!(following, serving);
}

/// The answer to a read that asks for more than there is of a process that said `a`, exited and was closed.
fn end() -> Value {
    let mut end = page(&[], /*next_seq*/ 4);
    (end["exited"], end["exitCode"], end["closed"], end["outputBytes"]) =
        (json!(true), json!(7), json!(true), json!(1));
    end
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_at_the_close_or_beyond_it_has_nothing_to_wait_for_and_others_are_told_all() {
    for after in [3, 4, 1000] {
        let mut network = Network::new();
        let (client, mut server) = attach(&mut network, EVERYTHING).await;
        let serving = async {
            loop {
                let read = server.request("process/read").await;
                let is_first = read.params["afterSeq"] == 0;
                server
                    .answer(
                        &read,
                        if is_first {
                            page(&[chunk(/*seq*/ 1, "a")], /*next_seq*/ 2)
                        } else {
                            end()
                        },
                    )
                    .await;
            }
        };
        let following = async {
            let adopted = client.adopt("p".into(), Seq(after), Lag::ReadLater).await;
            let (process, mut events) = adopted.expect("it was answered");
            let told = events.next().await;
            assert!(told.is_none(), "behind {after}: {told:?}");
            let mut all = process.subscribe(Seq::START, Lag::ReadLater);
            assert_eq!(text(&mut all).await, "a");
            assert!(matches!(all.next().await, Some(Ok(ExecProcessEvent::Exited { seq: Seq(2), .. }))));
            let closed = all.next().await;
            assert!(
                matches!(closed, Some(Ok(ExecProcessEvent::Closed { seq: Seq(3), proof: Proof::Length }))),
                "behind {after}: {closed:?}"
            );
        };
        tokio::select! {
            () = following => {}
            never = serving => never,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_beyond_what_was_said_is_told_what_comes_there_and_keeps_nothing_from_others() {
    let mut network = Network::new();
    let (client, mut server) = attach(&mut network, EVERYTHING).await;
    let serving = async {
        let read = server.request("process/read").await;
        assert_eq!(read.params["afterSeq"], 3);
        server.answer(&read, page(&[], /*next_seq*/ 2)).await;
        let read = server.request("process/read").await;
        assert_eq!(read.params["afterSeq"], 1);
        server.answer(&read, page(&[], /*next_seq*/ 2)).await;
    };
    let (adopted, ()) = tokio::join!(client.adopt("p".into(), Seq(3), Lag::ReadLater), serving);
    let (process, mut events) = adopted.expect("it was answered");
    let mut others = process.subscribe(Seq(1), Lag::ReadLater);
    for (seq, letter) in [(2, "b"), (3, "c"), (4, "d")] {
        server.output(seq, letter).await;
    }
    for letter in ["b", "c", "d"] {
        assert_eq!(text(&mut others).await, letter);
    }
    assert_eq!(text(&mut events).await, "d");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_not_there_can_not_be_adopted_and_one_that_is_followed_is_shared() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let serving = async {
        let read = server.request("process/read").await;
        server.refuse(&read, /*code*/ -32600).await;
    };
    let (adopted, ()) = tokio::join!(client.adopt("p".into(), Seq::START, Lag::ReadLater), serving);
    assert!(matches!(adopted, Err(AdoptError::UnknownProcess(id)) if id.as_str() == "p"));

    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    server.output(/*seq*/ 1, "a").await;
    assert_eq!(text(&mut events).await, "a");
    let adopted = client.adopt("p".into(), Seq::START, Lag::ReadLater).await;
    let (_same, mut again) = adopted.expect("it is here");
    assert_eq!(text(&mut again).await, "a");
    assert_eq!(server.requested("process/read"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_elsewhere_or_nowhere_is_told_by_type() {
    for (code, takeover) in [(-32010, IfAttached::Refuse), (-32600, IfAttached::TakeOver)] {
        let mut network = Network::new();
        let dialer = network.dialer();
        let attaching = tokio::spawn(Client::attach(dialer, ClientConfig::default(), "s".into(), takeover));
        let mut server = network.accept().await;
        let request = server.request("initialize").await;
        let asked = request.params.get("takeover").is_some();
        assert_eq!(asked, takeover == IfAttached::TakeOver);
        server.refuse(&request, code).await;
        let failure = no_client(attaching.await.expect("no panic"));
        match code {
            -32010 => assert!(matches!(failure, ClientError::SessionInUse { .. }), "{failure}"),
            _ => assert!(matches!(failure, ClientError::SessionLost { .. }), "{failure}"),
        }
    }
    // Somebody else than was asked for.
    let mut network = Network::new();
    let dialer = network.dialer();
    let attaching =
        tokio::spawn(Client::attach(dialer, ClientConfig::default(), "t".into(), IfAttached::Refuse));
    let mut server = network.accept().await;
    let request = server.request("initialize").await;
    server.answer(&request, initialized(EVERYTHING)).await;
    let failure = no_client(attaching.await.expect("no panic"));
    assert!(matches!(failure, ClientError::Protocol(_)), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lets_nobody_observe_is_told_from_one_that_breaks_the_protocol() {
    let mut network = Network::new();
    let observing = tokio::spawn(Client::observe(network.dialer(), ClientConfig::default(), "t".into()));
    let mut server = network.accept().await;
    let request = server.request("initialize").await;
    assert_eq!(request.params["observeSessionId"], "t");
    // It knows nothing of that, so it opens a session.
    server.answer(&request, initialized(EVERYTHING)).await;
    let failure = no_client(observing.await.expect("no panic"));
    assert!(matches!(failure, ClientError::Unsupported(Unsupported("observers"))), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_session_lists_its_processes() {
    let mut network = Network::new();
    let (client, mut server) = attach(&mut network, EVERYTHING).await;
    let serving = async {
        let request = server.request("process/list").await;
        let process = json!({
            "processId": "p", "state": "running", "argv": ["x"], "cwd": "file:///", "tty": false,
            "startedAtMs": 5, "lastSeq": 2, "outputBytes": 7,
        });
        server.answer(&request, json!({"processes": [process]})).await;
    };
    let (listed, ()) = tokio::join!(client.list(), serving);
    let listed = listed.expect("it was answered");
    assert_eq!((listed.len(), listed[0].process_id.as_str()), (1, "p"));
}
