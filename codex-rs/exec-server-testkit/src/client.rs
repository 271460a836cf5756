//! A client that sends exactly what it is told to and reads only when it is asked to.
//!
//! It has no task of its own: nothing is read while nobody waits, so a test decides whether the server meets a client
//! that keeps up, one that is slow, or one that never reads at all.

use std::collections::{HashMap, VecDeque};

use codex_exec_server_protocol::binary::BinaryMessage;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::methods::ServerNotification;
use codex_exec_server_protocol::rpc::{RequestId, encode_result};
use codex_exec_server_transport::{
    CloseReason, Connection, Message, MessageKind, MessageReader, MessageWriter, Received, WriteError,
    close_code,
};
use serde_json::{Value, json};

use crate::Transcript;
use crate::patience::patiently;

/// What a request came to.
pub type Answer = Result<Value, RpcError>;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// In good order; with the server's words, where the transport can carry them.
    Closed(Option<CloseReason>),
    /// Without a word.
    Lost,
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    reader: MessageReader,
    writer: MessageWriter,
    next_id: i64,
    /// Answers that were read while something else was waited for.
    answers: HashMap<RequestId, VecDeque<Answer>>,
    /// Notifications in order of arrival that nobody has asked for. Those of processes are in the transcripts as well.
    notifications: VecDeque<(String, Value)>,
    pub(crate) transcripts: HashMap<String, Transcript>,
    binary_messages: usize,
    packs: usize,
}

impl Client {
    /// A client on a connection that is open and on which nothing was said yet.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            reader: connection.reader,
            writer: connection.writer,
            next_id: 1,
            answers: HashMap::new(),
            notifications: VecDeque::new(),
            transcripts: HashMap::new(),
            binary_messages: 0,
            packs: 0,
        }
    }

    /// How many of the messages that were read came as binary ones.
    #[must_use]
    pub const fn binary_messages(&self) -> usize {
        self.binary_messages
    }

    /// How many of those held several pieces of output.
    #[must_use]
    pub const fn packs(&self) -> usize {
        self.packs
    }

    // Sending.

    /// Sends any text as one message.
    pub async fn send_text(&mut self, text: impl Into<String>) {
        self.feed_text(text).await;
        self.flush().await;
    }

    /// Sends any bytes as one binary message.
    pub async fn send_binary(&mut self, bytes: impl Into<Vec<u8>>) {
        let fed = self.writer.feed(Message::binary(bytes.into()));
        patiently("the server to take a message", fed).await.expect("the connection is open");
        self.flush().await;
    }

    /// Adds a message to what leaves with the next [`Self::flush`], or earlier when it is much.
    pub async fn feed_text(&mut self, text: impl Into<String>) {
        let fed = self.writer.feed(Message::text(text.into()));
        patiently("the server to take a message", fed).await.expect("the connection is open");
    }

    /// Sends what was fed. A server that has ended the connection meanwhile, perhaps over what was fed, is no failure
    /// here: the end shows itself to whoever reads.
    pub async fn flush(&mut self) {
        match patiently("the server to take messages", self.writer.flush()).await {
            Ok(()) | Err(WriteError::Closed) => {}
            Err(error) => panic!("the connection is open: {error}"),
        }
    }

    /// Feeds a request and returns its id.
    pub async fn feed_request(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        self.feed_text(json!({"id": id, "method": method, "params": params}).to_string()).await;
        id
    }

    /// Sends a request and returns its id.
    pub async fn request(&mut self, method: &str, params: Value) -> i64 {
        let id = self.feed_request(method, params).await;
        self.flush().await;
        id
    }

    /// Sends a notification.
    pub async fn notify(&mut self, method: &str, params: Value) {
        self.send_text(json!({"method": method, "params": params}).to_string()).await;
    }

    // Receiving.

    /// The next message as it is, or `None` at the end. Answers and notifications that were read before, while
    /// something else was waited for, are not shown again.
    pub async fn next_message(&mut self) -> Option<Value> {
        let message = patiently("a message", self.reader.next()).await?.ok()?;
        Some(serde_json::from_slice(&message).expect("the server sends json"))
    }

    /// Reads one message and puts it where it belongs. `false` at the end.
    pub(crate) async fn advance(&mut self, what: &str) -> bool {
        match patiently(what, self.reader.next_message()).await {
            Some(Ok(message)) => {
                self.sort(message);
                true
            }
            Some(Err(_)) | None => false,
        }
    }

    fn sort(&mut self, message: Received) {
        if message.kind == MessageKind::Text {
            return self.sort_one(serde_json::from_slice(&message.bytes).expect("the server sends json"));
        }
        self.binary_messages += 1;
        match BinaryMessage::decode(&message.bytes).expect("the server sends binary messages in good order") {
            BinaryMessage::Pack(records) => {
                self.packs += 1;
                for record in records {
                    self.sort_one(in_json(BinaryMessage::Output(record)));
                }
            }
            message => self.sort_one(in_json(message)),
        }
    }

    fn sort_one(&mut self, mut message: Value) {
        if let Some(method) = message["method"].as_str().map(str::to_owned) {
            assert!(message.get("id").is_none(), "the server asks something: {message}");
            let params = message["params"].take();
            if let Some(process) = params["processId"].as_str() {
                self.transcripts.entry(process.to_owned()).or_default().absorb(&method, &params);
            }
            self.notifications.push_back((method, params));
            return;
        }
        let id: RequestId = serde_json::from_value(message["id"].take()).expect("an answer has an id");
        let answer = match message.get_mut("error") {
            Some(error) => Err(serde_json::from_value(error.take()).expect("an error has code and message")),
            None => Ok(message.get_mut("result").expect("an answer has a result or an error").take()),
        };
        self.answers.entry(id).or_default().push_back(answer);
    }

    /// The answer to the request `id`; with an id that was used more than once, the next one.
    pub async fn answer(&mut self, id: i64) -> Answer {
        self.answer_to(&RequestId::Integer(id)).await
    }

    /// As [`Self::answer`], for ids of either kind.
    pub async fn answer_to(&mut self, id: &RequestId) -> Answer {
        loop {
            if let Some(answer) = self.answers.get_mut(id).and_then(VecDeque::pop_front) {
                return answer;
            }
            let what = format!("the answer to {id}");
            assert!(self.advance(&what).await, "the connection ended before {what}");
        }
    }

    /// Whether an answer to `id` has been read and not been asked for.
    #[must_use]
    pub fn has_answer(&self, id: i64) -> bool {
        self.answers.get(&RequestId::Integer(id)).is_some_and(|answers| !answers.is_empty())
    }

    /// Sends a request and waits for its answer.
    pub async fn call(&mut self, method: &str, params: Value) -> Answer {
        let id = self.request(method, params).await;
        self.answer(id).await
    }

    /// As [`Self::call`], for a request that succeeds.
    ///
    /// # Panics
    /// When it does not.
    pub async fn done(&mut self, method: &str, params: Value) -> Value {
        match self.call(method, params).await {
            Ok(result) => result,
            Err(error) => panic!("{method} failed: {error}"),
        }
    }

    /// As [`Self::call`], for a request that fails.
    ///
    /// # Panics
    /// When it does not.
    pub async fn refused(&mut self, method: &str, params: Value) -> RpcError {
        match self.call(method, params).await {
            Ok(result) => panic!("{method} succeeded: {result}"),
            Err(error) => error,
        }
    }

    /// The next notification that was not asked for before: its method and its parameters.
    pub async fn next_notification(&mut self) -> (String, Value) {
        loop {
            if let Some(notification) = self.notifications.pop_front() {
                return notification;
            }
            assert!(self.advance("a notification").await, "the connection ended before a notification came");
        }
    }

    /// Reads on until the server ends the connection.
    pub async fn ended(&mut self) -> Ended {
        loop {
            match patiently("the end of the connection", self.reader.next_message()).await {
                Some(Ok(message)) => self.sort(message),
                Some(Err(_)) => return Ended::Lost,
                None => return Ended::Closed(self.reader.close_reason().cloned()),
            }
        }
    }

    // The handshake.

    /// `initialize` with `params`, then `initialized`. Returns the answer.
    pub async fn initialize_with(&mut self, params: Value) -> Value {
        let answer = self.done("initialize", params).await;
        self.notify("initialized", json!({})).await;
        answer
    }

    /// Opens a session and returns its id.
    pub async fn initialize(&mut self) -> String {
        session_id(&self.initialize_with(json!({"clientName": "test"})).await)
    }

    /// Resumes a session that nobody holds.
    pub async fn resume(&mut self, session: &str) {
        self.initialize_with(json!({"clientName": "test", "resumeSessionId": session})).await;
    }

    /// Resumes a session, whoever holds it.
    pub async fn take_over(&mut self, session: &str) {
        let params = json!({"clientName": "test", "resumeSessionId": session, "takeover": true});
        self.initialize_with(params).await;
    }

    // Leaving.

    /// Says good-bye and waits until the server has heard it.
    pub async fn close(mut self) {
        self.writer.close(close_code::NORMAL, "").await;
        while patiently("the server's good-bye", self.reader.next()).await.is_some_and(|next| next.is_ok()) {}
    }

    /// Is gone without a word.
    pub fn vanish(self) {
        drop(self);
    }

    /// Both halves, for a test that reads and writes at once.
    #[must_use]
    pub fn into_connection(self) -> (MessageReader, MessageWriter) {
        (self.reader, self.writer)
    }
}

/// The session of an `initialize` answer.
#[must_use]
pub fn session_id(answer: &Value) -> String {
    answer["sessionId"].as_str().expect("initialize names a session").to_owned()
}

/// What a binary message says, in JSON.
fn in_json(message: BinaryMessage) -> Value {
    let json = match message {
        BinaryMessage::Output(output) => ServerNotification::ProcessOutput(output).encode(),
        BinaryMessage::Body { delta, .. } => ServerNotification::HttpBodyDelta(delta).encode(),
        BinaryMessage::Block { id, response, .. } => encode_result(&id, &response),
        BinaryMessage::Range { id, response, .. } => encode_result(&id, &response),
        BinaryMessage::Pack(records) => {
            return records.into_iter().map(|record| in_json(BinaryMessage::Output(record))).collect();
        }
    };
    serde_json::from_str(&json).expect("it is json")
}
