//! A server played by the test, message by message, over memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use codex_exec_server_client::{
    Client, ClientConfig, ClientError, DialError, Dialer, Events, ExecProcessEvent, Lag, RemoteProcess,
    StartError,
};
use codex_exec_server_protocol::process::{OutputStream, ProcessStartParams};
use codex_exec_server_transport::client::ConnectError;
use codex_exec_server_transport::{Connection, Message, WireLimits, memory};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The flags of a server that can do everything that this client knows of.
pub(crate) const EVERYTHING: &[&str] = &[
    "sessionTakeover",
    "gapAccounting",
    "processStdinClose",
    "processResize",
    "processSignals",
    "processTerminateGrace",
    "processTimeout",
    "processList",
    "idempotentRequests",
];

/// Where a client under test dials, and who answers.
pub(crate) struct Network {
    calls: mpsc::UnboundedReceiver<Connection>,
    dialer: OnceLock<Dialer>,
    is_down: Arc<AtomicBool>,
}

impl Network {
    /// A network on which everybody is reached.
    pub(crate) fn new() -> Self {
        // Memory connections of two messages, so that a client that does not read is noticed soon.
        let limits = WireLimits { memory_messages: 2, ..WireLimits::default() };
        let (caller, calls) = mpsc::unbounded_channel();
        let is_down = Arc::new(AtomicBool::new(false));
        let down = Arc::clone(&is_down);
        let dialer = Dialer::new(move || {
            let (ours, theirs) = memory::pair_with(&limits);
            let refused = down.load(Ordering::Relaxed) || caller.send(theirs).is_err();
            async move {
                if refused {
                    let source = std::io::ErrorKind::ConnectionRefused.into();
                    return Err(DialError::Connect(ConnectError::Io { url: "ws://fake".into(), source }));
                }
                Ok(ours)
            }
        });
        Self { calls, dialer: OnceLock::from(dialer), is_down }
    }

    /// From now on nobody is reached.
    pub(crate) fn go_down(&self) {
        self.is_down.store(true, Ordering::Relaxed);
    }

    /// The next connection that the client makes.
    pub(crate) async fn accept(&mut self) -> Server {
        let connection = self.calls.recv().await.expect("the client dials");
        Server { connection, waiting: Vec::new(), requested: Vec::new() }
    }

    /// Whether nobody dials. With paused time the wait ends when nothing moves any more.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::select! {
            biased;
            call = self.calls.recv() => call.is_none(),
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => true,
        }
    }

    /// A client, and its first connection, initialized with `flags`.
    pub(crate) async fn connect(&mut self, flags: &[&str]) -> (Client, Server) {
        self.connect_with(flags, ClientConfig::default()).await
    }

    pub(crate) async fn connect_with(&mut self, flags: &[&str], config: ClientConfig) -> (Client, Server) {
        let connecting = Client::connect(self.dialer(), config);
        let serving = async {
            let mut server = self.accept().await;
            let request = server.request("initialize").await;
            assert_eq!(request.params["resumeSessionId"], Value::Null);
            server.answer(&request, initialized(flags)).await;
            server.notification("initialized").await;
            server
        };
        let (client, server) = tokio::join!(connecting, serving);
        (client.expect("it was answered"), server)
    }

    /// What dials this network; there is one.
    pub(crate) fn dialer(&mut self) -> Dialer {
        self.dialer.take().expect("taken once")
    }

    /// The next connection, on which the client resumes its session.
    pub(crate) async fn accept_resumption(&mut self, flags: &[&str]) -> Server {
        let mut server = self.accept().await;
        let request = server.request("initialize").await;
        assert_eq!(request.params["resumeSessionId"], "s");
        server.answer(&request, initialized(flags)).await;
        server.notification("initialized").await;
        server
    }
}

/// The answer to `initialize`.
pub(crate) fn initialized(flags: &[&str]) -> Value {
    let capabilities: serde_json::Map<_, _> =
        flags.iter().map(|flag| ((*flag).to_owned(), Value::Bool(true))).collect();
    let shell = json!({"name": "sh", "path": "/bin/sh"});
    json!({"sessionId": "s", "environmentInfo": {"shell": shell, "capabilities": capabilities}})
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: Value,
    pub(crate) params: Value,
}

/// One connection, seen from the server. Dropping it cuts it.
pub(crate) struct Server {
    connection: Connection,
    /// Read while something else was waited for.
    waiting: Vec<Value>,
    /// Methods of all requests that were read.
    requested: Vec<String>,
}

impl Server {
    async fn next(&mut self) -> Value {
        let message = self.connection.reader.next().await.expect("the client is there").expect("a message");
        let message: Value = serde_json::from_slice(&message).expect("it is JSON");
        if let (Some(method), Some(_)) = (message["method"].as_str(), message.get("id")) {
            self.requested.push(method.to_owned());
        }
        message
    }

    /// How many requests of `method` have been read. Whatever was sent before something that was waited for has been.
    pub(crate) fn requested(&self, method: &str) -> usize {
        self.requested.iter().filter(|requested| *requested == method).count()
    }

    /// The next message of which `matches` holds; others are kept.
    async fn find(&mut self, matches: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.waiting.iter().position(&matches) {
            return self.waiting.remove(index);
        }
        loop {
            let message = self.next().await;
            if matches(&message) {
                return message;
            }
            self.waiting.push(message);
        }
    }

    /// The next request of `method`.
    pub(crate) async fn request(&mut self, method: &str) -> Request {
        let mut message = self.find(|message| message["method"] == method && message["id"].is_i64()).await;
        Request { id: message["id"].take(), params: message["params"].take() }
    }

    /// Whether the client has nothing more to say. With paused time the wait ends when nothing moves any more.
    pub(crate) async fn is_silent(&mut self) -> bool {
        tokio::select! {
            biased;
            message = self.next() => {
                self.waiting.push(message);
                false
            }
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => true,
        }
    }

    /// Resolves when the client is gone, whatever it says before.
    pub(crate) async fn gone(&mut self) {
        while let Some(Ok(_)) = self.connection.reader.next().await {}
    }

    /// The parameters of the next notification of `method`.
    pub(crate) async fn notification(&mut self, method: &str) -> Value {
        self.find(|message| message["method"] == method && message.get("id").is_none()).await["params"].take()
    }

    /// The client's answer to a request of ours.
    pub(crate) async fn response(&mut self, id: i64) -> Value {
        self.find(|message| message["id"] == id && message.get("method").is_none()).await
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.connection.writer.send(message).await.expect("the client is there");
    }

    pub(crate) async fn answer(&mut self, request: &Request, result: Value) {
        self.send(json!({"id": request.id, "result": result})).await;
    }

    pub(crate) async fn refuse(&mut self, request: &Request, code: i64) {
        self.send(json!({"id": request.id, "error": {"code": code, "message": "no"}})).await;
    }

    /// Answers the read with which a client that came back catches up: nothing was missed behind `seq`.
    pub(crate) async fn nothing_missed(&mut self, seq: u64) {
        let read = self.request("process/read").await;
        assert_eq!(read.params["afterSeq"], seq);
        self.answer(&read, page(&[], seq + 1)).await;
    }

    /// Says good-bye in these words, and goes.
    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        self.connection.writer.close(code, reason).await;
    }

    pub(crate) async fn output(&mut self, seq: u64, text: &str) {
        let params = json!({"processId": "p", "seq": seq, "stream": "stdout", "chunk": base64(text)});
        self.send(json!({"method": "process/output", "params": params})).await;
    }

    pub(crate) async fn exited(&mut self, seq: u64) {
        let params = json!({"processId": "p", "seq": seq, "exitCode": 0, "sandboxDenied": false});
        self.send(json!({"method": "process/exited", "params": params})).await;
    }

    /// `process/closed`, with an account of all output.
    pub(crate) async fn closed(&mut self, seq: u64, all: &str) {
        let crc32c = format!("{:08x}", crc32c::crc32c(all.as_bytes()));
        let params = json!({"processId": "p", "seq": seq, "outputBytes": all.len(), "crc32c": crc32c});
        self.send(json!({"method": "process/closed", "params": params})).await;
    }
}

pub(crate) fn base64(text: &str) -> Value {
    serde_json::to_value(codex_exec_server_protocol::bytes::Base64Bytes::from(text.as_bytes().to_vec()))
        .expect("bytes serialize")
}

/// A chunk in the answer to `process/read`.
pub(crate) fn chunk(seq: u64, text: &str) -> Value {
    json!({"seq": seq, "stream": "stdout", "chunk": base64(text)})
}

/// The answer to `process/read` of a process that runs.
pub(crate) fn page(chunks: &[Value], next_seq: u64) -> Value {
    json!({
        "chunks": chunks, "nextSeq": next_seq, "exited": false, "exitCode": null, "closed": false, "failure": null,
    })
}

/// A start of process `p`.
pub(crate) fn params() -> ProcessStartParams {
    let params = json!({"processId": "p", "argv": ["x"], "cwd": "file:///", "env": {}, "tty": false});
    serde_json::from_value(params).expect("these are parameters")
}

/// A start of `p` under way, unanswered, whose caller can be made to lose interest.
pub(crate) fn starting(client: &Client) -> JoinHandle<Result<(RemoteProcess, Events), StartError>> {
    starting_as(client, "p")
}

/// The same by another id.
pub(crate) fn starting_as(
    client: &Client,
    id: &str,
) -> JoinHandle<Result<(RemoteProcess, Events), StartError>> {
    let client = client.clone();
    let params = ProcessStartParams { process_id: id.into(), ..params() };
    tokio::spawn(async move { client.start(params, Lag::HoldConnection).await })
}

/// A process that is started and answered for.
pub(crate) async fn start(client: &Client, server: &mut Server, lag: Lag) -> (RemoteProcess, Events) {
    let answering = async {
        let request = server.request("process/start").await;
        server.answer(&request, json!({"processId": "p"})).await;
    };
    let (started, ()) = tokio::join!(client.start(params(), lag), answering);
    started.expect("it was answered")
}

/// The text of the next event, which must be output.
pub(crate) async fn text(events: &mut Events) -> String {
    match events.next().await {
        Some(Ok(ExecProcessEvent::Output { stream: OutputStream::Stdout, bytes, .. })) => {
            String::from_utf8(bytes.to_vec()).expect("text")
        }
        other => panic!("no output but {other:?}"),
    }
}

/// A client that could not be made.
pub(crate) fn no_client(outcome: Result<Client, ClientError>) -> ClientError {
    match outcome {
        Ok(_) => panic!("there is a client"),
        Err(error) => error,
    }
}

/// A start that failed.
pub(crate) fn no_process(outcome: Result<(RemoteProcess, Events), StartError>) -> StartError {
    match outcome {
        Ok(_) => panic!("there is a process"),
        Err(error) => error,
    }
}
