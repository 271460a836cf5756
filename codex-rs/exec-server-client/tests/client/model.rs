//! A server of which a script decides what it does next: what its processes say, what it forgets, which message goes
//! first, and when the connection breaks. Whatever it says is true.

use std::collections::VecDeque;
use std::time::Duration;

use codex_exec_server_client::{DialError, Dialer};
use codex_exec_server_protocol::process::OutputStream;
use codex_exec_server_transport::{Connection, Message, WireLimits, memory};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::fake::{EVERYTHING, base64, initialized};

/// What the server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Everything that this client knows of.
    Full,
    /// No account of what it dropped, no pages, no keys.
    Plain,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// So many bytes.
    Output(OutputStream, usize),
    Exited,
    Closed,
}

/// What one process does, how much of that has happened, and how much of it is forgotten.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    process: usize,
    pub(crate) events: Vec<Event>,
    happened: usize,
    /// Output through this position was dropped.
    pub(crate) dropped: u64,
    is_started: bool,
}

impl Log {
    pub(crate) fn new(process: usize, events: Vec<Event>) -> Self {
        Self { process, events, happened: 0, dropped: 0, is_started: false }
    }

    /// Of a process that runs already.
    pub(crate) fn started(self) -> Self {
        Self { is_started: true, ..self }
    }

    pub(crate) fn last(&self) -> u64 {
        self.events.len() as u64
    }

    pub(crate) fn event(&self, seq: u64) -> Option<Event> {
        self.events.get((seq as usize).checked_sub(1)?).copied()
    }

    pub(crate) fn exit(&self) -> u64 {
        1 + self.events.iter().position(|event| *event == Event::Exited).expect("it exits") as u64
    }

    /// The output at `seq`, which no other is like.
    pub(crate) fn text(&self, seq: u64) -> String {
        match self.event(seq) {
            Some(Event::Output(_, len)) => format!("{}/{seq};", self.process).repeat(len),
            _ => String::new(),
        }
    }

    /// All output through `seq`.
    pub(crate) fn text_through(&self, seq: u64) -> String {
        (1..=seq).map(|seq| self.text(seq)).collect()
    }

    fn notification(&self, seq: u64, dialect: Dialect) -> Value {
        let id = name(self.process);
        let full = dialect == Dialect::Full;
        let all = self.text_through(seq);
        match self.event(seq).expect("it happened") {
            Event::Output(stream, _) => {
                let text = self.text(seq);
                let mut params =
                    json!({"processId": id, "seq": seq, "stream": stream, "chunk": base64(&text)});
                if full {
                    params["offset"] = json!(all.len() - text.len());
                }
                json!({"method": "process/output", "params": params})
            }
            Event::Exited => {
                let params = json!({"processId": id, "seq": seq, "exitCode": 7, "sandboxDenied": false});
                json!({"method": "process/exited", "params": params})
            }
            Event::Closed => {
                let mut params = json!({"processId": id, "seq": seq});
                if full {
                    params["outputBytes"] = json!(all.len());
                    params["crc32c"] = json!(format!("{:08x}", crc32c::crc32c(all.as_bytes())));
                }
                json!({"method": "process/closed", "params": params})
            }
        }
    }

    /// The answer to `process/read`: all that there is in the plain dialect, and otherwise at most so many chunks.
    fn page(&self, after: u64, dialect: Dialect, chunks_at_once: usize) -> Value {
        let tip = self.happened as u64;
        let mut next = tip + 1;
        let is_chunk = |seq: &u64| matches!(self.event(*seq), Some(Event::Output(..)));
        let mut seqs: Vec<u64> = (after.max(self.dropped) + 1..=tip).filter(is_chunk).collect();
        if dialect == Dialect::Full {
            seqs.truncate(chunks_at_once);
            next = seqs.last().map_or(next, |last| last + 1);
        }
        let chunks: Vec<Value> = seqs
            .into_iter()
            .map(|seq| {
                let mut chunk = self.notification(seq, dialect)["params"].take();
                chunk.as_object_mut().expect("an object").remove("processId");
                chunk
            })
            .collect();
        let exited = self.events[..self.happened].contains(&Event::Exited);
        let mut page = json!({
            "chunks": chunks, "nextSeq": next, "exited": exited, "exitCode": exited.then_some(7),
            "closed": tip == self.last(), "failure": null, "sandboxDenied": false,
        });
        if dialect == Dialect::Full {
            page["outputBytes"] = json!(self.text_through(tip).len());
            if self.dropped > 0 {
                let bytes = self.text_through(self.dropped).len();
                page["dropped"] = json!({"throughSeq": self.dropped, "bytes": bytes});
            }
        }
        page
    }
}

/// The id of a process.
pub(crate) fn name(process: usize) -> String {
    format!("p{process}")
}

/// A request that waits for its answer.
struct Asked {
    id: Value,
    method: String,
    params: Value,
    /// Made, and not sent yet.
    answer: Option<Value>,
}

/// One connection.
struct Conversation {
    connection: Connection,
    opening: Opening,
    asked: Vec<Asked>,
    /// Notifications on their way.
    queue: VecDeque<Value>,
}

impl Conversation {
    /// Whether notifications come over it.
    const fn is_attached(&self) -> bool {
        matches!(self.opening, Opening::Asked(_) | Opening::Answered)
    }
}

enum Opening {
    /// Nothing was said.
    Silent,
    /// `initialize` with this id was; from here on notifications come.
    Asked(Value),
    Answered,
}

/// What outlives connections.
struct Service {
    logs: Vec<Log>,
    dialect: Dialect,
    chunks_at_once: usize,
}

impl Service {
    fn answer(&self, method: &str, params: &Value) -> Value {
        match method {
            "process/start" => json!({"processId": params["processId"]}),
            _ => {
                let after = params["afterSeq"].as_u64().expect("it says where it stands");
                self.logs[process(params)].page(after, self.dialect, self.chunks_at_once)
            }
        }
    }
}

/// See the module.
pub(crate) struct ModelServer {
    service: Service,
    calls: mpsc::UnboundedReceiver<Connection>,
    conversation: Option<Conversation>,
    /// Notifications that were sent over any connection.
    sent: Vec<Value>,
}

impl ModelServer {
    /// A server, and what dials it.
    pub(crate) fn new(logs: Vec<Log>, dialect: Dialect, chunks_at_once: usize) -> (Self, Dialer) {
        let (caller, calls) = mpsc::unbounded_channel();
        let limits = WireLimits { memory_messages: 4096, ..WireLimits::default() };
        let dialer = Dialer::new(move || {
            let (ours, theirs) = memory::pair_with(&limits);
            let reached = caller.send(theirs).map_err(|_| DialError::Gone("the test is over".into()));
            async move { reached.map(|()| ours) }
        });
        let service = Service { logs, dialect, chunks_at_once };
        (Self { service, calls, conversation: None, sent: Vec::new() }, dialer)
    }

    pub(crate) fn log(&self, process: usize) -> &Log {
        &self.service.logs[process]
    }

    /// Takes whatever the client has to say, until it waits. Time is paused, so it does when `pause` passes.
    pub(crate) async fn listen(&mut self, pause: Duration) {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        loop {
            let said = async {
                match &mut self.conversation {
                    Some(conversation) => conversation.connection.reader.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(connection) = self.calls.recv() => {
                    let (asked, queue) = (Vec::new(), VecDeque::new());
                    self.conversation =
                        Some(Conversation { connection, opening: Opening::Silent, asked, queue });
                }
                said = said => match said {
                    Some(Ok(message)) => self.hear(&message),
                    _ => self.conversation = None,
                },
                () = &mut pause => return,
            }
        }
    }

    fn hear(&mut self, message: &[u8]) {
        let mut message: Value = serde_json::from_slice(message).expect("it is JSON");
        let Some(conversation) = &mut self.conversation else { return };
        let method = message["method"].as_str().expect("it asks").to_owned();
        let (id, params) = (message["id"].take(), message["params"].take());
        match method.as_str() {
            "initialize" => conversation.opening = Opening::Asked(id),
            "initialized" => {}
            "process/start" => {
                // Once, however often it is asked.
                self.service.logs[process(&params)].is_started = true;
                conversation.asked.push(Asked { id, method, params, answer: None });
            }
            "process/read" => conversation.asked.push(Asked { id, method, params, answer: None }),
            other => panic!("nobody asks for {other}"),
        }
    }

    /// The next `events` of a process happen, if it was started.
    pub(crate) fn happen(&mut self, process: usize, events: usize) {
        let dialect = self.service.dialect;
        let log = &mut self.service.logs[process];
        for _ in 0..events {
            if !log.is_started || log.happened == log.events.len() {
                return;
            }
            log.happened += 1;
            let notification = log.notification(log.happened as u64, dialect);
            if let Some(conversation) =
                self.conversation.as_mut().filter(|conversation| conversation.is_attached())
            {
                conversation.queue.push_back(notification);
            }
        }
    }

    /// Drops the oldest output of a process, as far as there is any.
    pub(crate) fn forget(&mut self, process: usize, chunks: usize) {
        let log = &mut self.service.logs[process];
        let happened = log.happened as u64;
        let retained = (log.dropped + 1..=happened)
            .filter(|seq| matches!(log.event(*seq), Some(Event::Output(..))))
            .take(chunks);
        log.dropped = retained.last().unwrap_or(log.dropped);
    }

    /// Answers `initialize`.
    pub(crate) async fn open(&mut self) {
        let Some(conversation) = &mut self.conversation else { return };
        if let Opening::Asked(id) = &conversation.opening {
            let flags = if self.service.dialect == Dialect::Full { EVERYTHING } else { &[] };
            let answer = json!({"id": id, "result": initialized(flags)});
            conversation.opening = Opening::Answered;
            self.send(answer).await;
        }
    }

    /// Makes the answers to all that was asked, without sending them: they say how it was at this moment.
    pub(crate) fn make_answers(&mut self) {
        let Some(conversation) = &mut self.conversation else { return };
        for asked in &mut conversation.asked {
            asked.answer.get_or_insert_with(|| self.service.answer(&asked.method, &asked.params));
        }
    }

    /// Answers one of the requests that wait, when the session is open.
    pub(crate) async fn answer(&mut self, which: usize) {
        let Some(conversation) = &mut self.conversation else { return };
        if !matches!(conversation.opening, Opening::Answered) || conversation.asked.is_empty() {
            return;
        }
        let Asked { id, method, params, answer } =
            conversation.asked.remove(which % conversation.asked.len());
        let answer = answer.unwrap_or_else(|| self.service.answer(&method, &params));
        self.send(json!({"id": id, "result": answer})).await;
    }

    /// Sends up to so many notifications that wait.
    pub(crate) async fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            let next = self.conversation.as_mut().and_then(|conversation| conversation.queue.pop_front());
            let Some(notification) = next else { return };
            self.sent.push(notification.clone());
            self.send(notification).await;
        }
    }

    /// Sends one of the latest notifications once more, if they can be sent.
    pub(crate) async fn repeat(&mut self, back: usize) {
        let can = self.conversation.as_ref().is_some_and(Conversation::is_attached);
        if can && let Some(at) = self.sent.len().checked_sub(back + 1) {
            self.send(self.sent[at].clone()).await;
        }
    }

    /// The first notification that waits has to wait for so many others.
    pub(crate) fn delay(&mut self, by: usize) {
        let Some(Conversation { queue, .. }) = &mut self.conversation else { return };
        if let Some(first) = queue.pop_front() {
            queue.insert(by.min(queue.len()), first);
        }
    }

    /// The connection breaks, and what was on its way is gone.
    pub(crate) fn cut(&mut self) {
        self.conversation = None;
    }

    /// Everything that waits goes.
    pub(crate) async fn calm_down(&mut self) {
        self.open().await;
        while self.conversation.as_ref().is_some_and(|conversation| {
            matches!(conversation.opening, Opening::Answered) && !conversation.asked.is_empty()
        }) {
            self.answer(/*which*/ 0).await;
        }
        self.deliver(usize::MAX).await;
    }

    async fn send(&mut self, message: Value) {
        if let Some(conversation) = &mut self.conversation {
            let message = Message::text(message.to_string());
            if conversation.connection.writer.send(message).await.is_err() {
                self.conversation = None;
            }
        }
    }
}

/// The process that a request names.
fn process(params: &Value) -> usize {
    let id = params["processId"].as_str().expect("it names one");
    id[1..].parse().expect("it is one of ours")
}
