//! A backend with one process, which does what the test says and notes what is done to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::process_event::{ExecProcessEvent, Exit, Proof};
use codex_exec_server_core::service::{ExecBackend, ExecError, ExecEvents, ExecProcess, ServiceFuture};
use codex_exec_server_mcp::{ServerConfig, StdioServer};
use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{
    OutputStream, ProcessReadResponse, ProcessSignal, ProcessStartParams, ProcessTerminateResponse, PtySize,
};
use serde_json::json;
use tokio::sync::{mpsc, watch};

/// What was done to the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    Wrote(Vec<u8>),
    ClosedStdin,
    Terminated(Option<Duration>),
}

type Told = Result<ExecProcessEvent, ExecError>;

/// The test's side.
pub(crate) struct Stage {
    pub(crate) backend: FakeBackend,
    events: mpsc::UnboundedSender<Told>,
    done: mpsc::UnboundedReceiver<Done>,
    /// Whether the process takes what is written.
    reads: watch::Sender<bool>,
}

#[derive(Debug)]
pub(crate) struct FakeBackend {
    process: Arc<FakeProcess>,
    pub(crate) started: Mutex<Vec<ProcessStartParams>>,
}

#[derive(Debug)]
struct FakeProcess {
    id: ProcessId,
    events: Mutex<Option<mpsc::UnboundedReceiver<Told>>>,
    done: mpsc::UnboundedSender<Done>,
    reads: watch::Receiver<bool>,
}

#[derive(Debug)]
struct FakeEvents(mpsc::UnboundedReceiver<Told>);

impl Stage {
    pub(crate) fn new() -> Self {
        let (events, told) = mpsc::unbounded_channel();
        let (doing, done) = mpsc::unbounded_channel();
        let reads = watch::Sender::new(true);
        let process = FakeProcess {
            id: "fake".into(),
            events: Mutex::new(Some(told)),
            done: doing,
            reads: reads.subscribe(),
        };
        let backend = FakeBackend { process: Arc::new(process), started: Mutex::default() };
        Self { backend, events, done, reads }
    }

    /// A server on this stage.
    pub(crate) async fn start(&self, config: &ServerConfig) -> StdioServer {
        StdioServer::start(&self.backend, config).await.expect("it starts")
    }

    pub(crate) fn stdout(&self, text: &str) {
        self.output(OutputStream::Stdout, text);
    }

    pub(crate) fn stderr(&self, text: &str) {
        self.output(OutputStream::Stderr, text);
    }

    fn output(&self, stream: OutputStream, text: &str) {
        self.tell(ExecProcessEvent::Output { seq: Seq(1), stream, bytes: Bytes::from(text.to_owned()) });
    }

    pub(crate) fn lose(&self, bytes: u64) {
        self.tell(ExecProcessEvent::Gap { through: Seq(1), bytes: Some(bytes) });
    }

    pub(crate) fn exit(&self, code: i32) {
        let exit =
            Exit { code, sandbox_denied: None, reason: None, signal: None, usage: None, denials: None };
        self.tell(ExecProcessEvent::Exited { seq: Seq(1), exit });
    }

    pub(crate) fn close(&self) {
        self.tell(ExecProcessEvent::Closed { seq: Seq(1), proof: Proof::Checksum });
    }

    pub(crate) fn break_down(&self, error: ExecError) {
        self.events.send(Err(error)).expect("somebody follows the process");
    }

    fn tell(&self, event: ExecProcessEvent) {
        self.events.send(Ok(event)).expect("somebody follows the process");
    }

    /// From now on the process takes nothing that is written, or takes it again.
    pub(crate) fn set_reads(&self, reads: bool) {
        self.reads.send_replace(reads);
    }

    /// The next that is written, which is text, and nothing else is done before.
    pub(crate) async fn written(&mut self) -> String {
        match self.done().await {
            Done::Wrote(bytes) => String::from_utf8(bytes).expect("text"),
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// What is done next.
    pub(crate) async fn done(&mut self) -> Done {
        self.done.recv().await.expect("the process lives")
    }
}

impl ExecBackend for FakeBackend {
    fn environment(&self) -> Arc<EnvironmentInfo> {
        let info = json!({"shell": {"name": "sh", "path": "/bin/sh"}, "cwd": "file:///srv"});
        Arc::new(serde_json::from_value(info).expect("an environment"))
    }

    fn start(
        &self,
        params: ProcessStartParams,
    ) -> ServiceFuture<'_, Result<Arc<dyn ExecProcess>, ExecError>> {
        self.started.lock().expect("nobody panicked").push(params);
        let process: Arc<dyn ExecProcess> = Arc::<FakeProcess>::clone(&self.process);
        Box::pin(async { Ok(process) })
    }
}

impl ExecProcess for FakeProcess {
    fn id(&self) -> &ProcessId {
        &self.id
    }

    fn subscribe(&self, _: Seq) -> Box<dyn ExecEvents> {
        let events = self.events.lock().expect("nobody panicked").take();
        Box::new(FakeEvents(events.expect("there is one subscriber")))
    }

    fn read(
        &self,
        _: Seq,
        _: Option<u64>,
        _: Duration,
    ) -> ServiceFuture<'_, Result<ProcessReadResponse, ExecError>> {
        panic!("events are enough")
    }

    fn write(&self, bytes: Bytes) -> ServiceFuture<'_, Result<(), ExecError>> {
        let mut reads = self.reads.clone();
        Box::pin(async move {
            let open = reads.wait_for(|reads| *reads).await;
            open.expect("the stage lives");
            self.note(Done::Wrote(bytes.to_vec()));
            Ok(())
        })
    }

    fn close_stdin(&self) -> ServiceFuture<'_, Result<(), ExecError>> {
        self.note(Done::ClosedStdin);
        Box::pin(async { Ok(()) })
    }

    fn resize(&self, _: PtySize) -> ServiceFuture<'_, Result<(), ExecError>> {
        panic!("there is no terminal")
    }

    fn signal(&self, _: ProcessSignal) -> ServiceFuture<'_, Result<(), ExecError>> {
        panic!("it is terminated, not signalled")
    }

    fn terminate(
        &self,
        grace: Option<Duration>,
    ) -> ServiceFuture<'_, Result<ProcessTerminateResponse, ExecError>> {
        self.note(Done::Terminated(grace));
        Box::pin(async { Ok(ProcessTerminateResponse { running: true, survivors: Some(0) }) })
    }
}

impl FakeProcess {
    fn note(&self, done: Done) {
        // The test may be over.
        let _ = self.done.send(done);
    }
}

impl ExecEvents for FakeEvents {
    fn next(&mut self) -> ServiceFuture<'_, Option<Result<ExecProcessEvent, ExecError>>> {
        Box::pin(self.0.recv())
    }
}
