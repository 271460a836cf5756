use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use codex_exec_server_transport::{
    CloseReason, Connection, MessageReader, MessageWriter, Peer, Role, WireLimits, WriteError, close_code,
};
use proptest::prelude::*;
use tokio::io::{AsyncRead, DuplexStream, ReadBuf};

use super::*;

/// A writing task that goes on only when it is told to, the reader beside it, and what its client has got.
struct Scene<'a> {
    outbound: &'a Outbound,
    writing: Pin<Box<dyn Future<Output = Result<(), WriteError>> + 'a>>,
    _reader: MessageReader,
    client: DuplexStream,
    got: Vec<u8>,
}

/// A connection of which the client's kernel and ours hold so many bytes.
fn connection(bytes: usize) -> (Connection, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(bytes);
    (Connection::websocket_over(ours, Role::Server, Peer::Memory, &WireLimits::default()), theirs)
}

impl<'a> Scene<'a> {
    fn new(outbound: &'a Outbound, bytes: usize) -> Self {
        let (Connection { reader, mut writer, .. }, client) = connection(bytes);
        let writing = async move { Outbound::write_to(outbound, &mut writer as &mut MessageWriter).await };
        Self { outbound, writing: Box::pin(writing), _reader: reader, client, got: Vec::new() }
    }

    /// Lets the writing task go on until it waits.
    fn write(&mut self) -> Poll<Result<(), WriteError>> {
        self.writing.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Takes at most so many bytes.
    fn read(&mut self, most: usize) {
        let mut room = vec![0; most];
        let mut buffer = ReadBuf::new(&mut room);
        let _ = Pin::new(&mut self.client).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        self.got.extend_from_slice(buffer.filled());
    }

    /// The texts that the client has, each whole.
    fn texts(&mut self) -> Vec<String> {
        self.read(/*most*/ 1 << 20);
        let mut texts = Vec::new();
        let mut rest = &self.got[..];
        while let [0x81, length @ 0..126, more @ ..] = rest {
            let Some((text, more)) = more.split_at_checked((*length).into()) else { break };
            texts.push(String::from_utf8(text.to_vec()).expect("a text"));
            rest = more;
        }
        texts
    }
}

#[tokio::test]
async fn an_answer_leaves_while_the_writing_task_rests() {
    let outbound = Outbound::new();
    let mut scene = Scene::new(&outbound, /*bytes*/ 1 << 20);
    scene.outbound.answer("before there is a writer".to_owned());
    assert!(scene.texts().is_empty());
    assert!(scene.write().is_pending());
    scene.outbound.answer("while it rests".to_owned());
    assert_eq!(scene.texts(), ["before there is a writer", "while it rests"]);
}

#[tokio::test]
async fn answers_to_several_requests_leave_together() {
    let outbound = Outbound::new();
    let mut scene = Scene::new(&outbound, /*bytes*/ 1 << 20);
    assert!(scene.write().is_pending());
    outbound.more_is_at_hand(true);
    outbound.answer("a".to_owned());
    outbound.more_is_at_hand(false);
    outbound.answer("b".to_owned());
    assert!(scene.texts().is_empty(), "the second waits for the first");
    assert!(scene.write().is_pending());
    assert_eq!(scene.texts(), ["a", "b"]);
}

#[tokio::test]
async fn what_the_socket_does_not_take_leaves_by_the_writing_task() {
    let outbound = Outbound::new();
    let mut scene = Scene::new(&outbound, /*bytes*/ 10);
    assert!(scene.write().is_pending());
    outbound.answer("longer than ten bytes".to_owned());
    scene.read(/*most*/ 10);
    for _ in 0..2 {
        assert!(scene.write().is_pending());
        scene.read(/*most*/ 10);
    }
    assert_eq!(scene.texts(), ["longer than ten bytes"]);
}

#[tokio::test]
async fn a_connection_that_is_gone_is_the_writing_tasks_to_notice() {
    let outbound = Outbound::new();
    let mut scene = Scene::new(&outbound, /*bytes*/ 1 << 20);
    assert!(scene.write().is_pending());
    let (_, nobody) = tokio::io::duplex(/*max_buf_size*/ 1);
    drop(std::mem::replace(&mut scene.client, nobody));
    outbound.answer("to nobody".to_owned());
    assert!(matches!(scene.write(), Poll::Ready(Err(_))));
}

#[tokio::test]
async fn nothing_follows_a_good_bye() {
    let outbound = Outbound::new();
    let mut scene = Scene::new(&outbound, /*bytes*/ 1 << 20);
    assert!(scene.write().is_pending());
    outbound.close(CloseReason { code: close_code::NORMAL, reason: String::new() });
    outbound.answer("owed".to_owned());
    assert!(scene.texts().is_empty(), "it is the writing task's");
    assert!(scene.write().is_ready(), "it says good-bye");
    assert_eq!(scene.texts(), ["owed"]);
}

/// What happens around the writing task.
#[derive(Debug, Clone)]
enum Step {
    /// The task that reads answers, and says whether it has more at hand.
    Answer {
        more: bool,
        bytes: usize,
    },
    /// Another task does.
    Reply {
        bytes: usize,
    },
    Write,
    Read {
        most: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<bool>(), 1..60_usize).prop_map(|(more, bytes)| Step::Answer { more, bytes }),
        1 => (1..60_usize).prop_map(|bytes| Step::Reply { bytes }),
        2 => Just(Step::Write),
        2 => (1..100_usize).prop_map(|most| Step::Read { most }),
    ]
}

proptest! {
    #[test]
    fn whoever_answers_and_however_little_is_read_all_arrives_in_the_order_of_the_answers(
        steps in prop::collection::vec(step(), 1..60),
        room in 1..300_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let _runtime = runtime.enter();
        let outbound = Outbound::new();
        let mut scene = Scene::new(&outbound, room);
        let mut said = Vec::new();
        for step in steps {
            match step {
                Step::Answer { more, bytes } => {
                    said.push(format!("{:0bytes$}", said.len()));
                    outbound.more_is_at_hand(more);
                    outbound.answer(said[said.len() - 1].clone());
                }
                Step::Reply { bytes } => {
                    said.push(format!("{:0bytes$}", said.len()));
                    outbound.reply(said[said.len() - 1].clone());
                }
                Step::Write => prop_assert!(scene.write().is_pending()),
                Step::Read { most } => scene.read(most),
            }
        }
        let all: usize = said.iter().map(String::len).sum();
        for _ in 0..=(2 * said.len() + all) {
            prop_assert!(scene.write().is_pending());
            scene.read(/*most*/ 1 << 20);
        }
        prop_assert_eq!(scene.texts(), said);
    }
}
