//! A backend that does what the test says, for what no real one can be made to do: sandbox denials, loss, and time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::process_event::{ExecProcessEvent, Exit, Proof};
use codex_exec_server_core::service::{ExecBackend, ExecError, ExecEvents, ExecProcess, ServiceFuture};
use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{
    OutputStream, ProcessReadResponse, ProcessSignal, ProcessStartParams, ProcessTerminateResponse, PtySize,
};
use serde_json::json;
use tokio::sync::mpsc;

type Told = Result<ExecProcessEvent, ExecError>;

/// What a process is told to say: events, or nothing for ever once they are through.
pub(crate) type Script = mpsc::UnboundedReceiver<Told>;

/// Starts processes that follow scripts, in order.
#[derive(Debug, Default)]
pub(crate) struct FakeBackend {
    scripts: Mutex<VecDeque<Script>>,
    pub(crate) started: Mutex<Vec<ProcessStartParams>>,
    pub(crate) terminated: Arc<Mutex<Vec<ProcessId>>>,
}

#[derive(Debug)]
struct FakeProcess {
    id: ProcessId,
    script: Mutex<Option<Script>>,
    terminated: Arc<Mutex<Vec<ProcessId>>>,
}

#[derive(Debug)]
struct FakeEvents(Script);

impl FakeBackend {
    /// The next process says what is sent.
    pub(crate) fn next_process(&self) -> Telling {
        let (sender, script) = mpsc::unbounded_channel();
        self.scripts.lock().expect("no panic").push_back(script);
        Telling { sender, seq: Seq::START }
    }
}

/// Tells what a process says.
pub(crate) struct Telling {
    sender: mpsc::UnboundedSender<Told>,
    seq: Seq,
}

impl Telling {
    pub(crate) fn next(&mut self) -> Seq {
        self.seq = self.seq.next();
        self.seq
    }

    pub(crate) fn tell(&self, event: Told) {
        self.sender.send(event).expect("somebody follows");
    }

    pub(crate) fn output(&mut self, text: &str) {
        let (seq, stream) = (self.next(), OutputStream::Stdout);
        self.tell(Ok(ExecProcessEvent::Output {
            seq,
            stream,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }));
    }

    pub(crate) fn exited(&mut self, code: i32, sandbox_denied: bool) {
        let exit = Exit {
            code,
            sandbox_denied: Some(sandbox_denied),
            reason: None,
            signal: None,
            usage: None,
            denials: None,
        };
        let seq = self.next();
        self.tell(Ok(ExecProcessEvent::Exited { seq, exit }));
    }

    pub(crate) fn closed(&mut self) {
        let seq = self.next();
        self.tell(Ok(ExecProcessEvent::Closed { seq, proof: Proof::Numbering }));
    }
}

impl ExecBackend for FakeBackend {
    fn environment(&self) -> Arc<EnvironmentInfo> {
        let info = json!({"shell": {"name": "sh", "path": "/bin/sh"}, "cwd": "file:///"});
        Arc::new(serde_json::from_value(info).expect("a description"))
    }

    fn start(
        &self,
        params: ProcessStartParams,
    ) -> ServiceFuture<'_, Result<Arc<dyn ExecProcess>, ExecError>> {
        let script = self.scripts.lock().expect("no panic").pop_front().expect("a script for it");
        let process = FakeProcess {
            id: params.process_id.clone(),
            script: Mutex::new(Some(script)),
            terminated: Arc::clone(&self.terminated),
        };
        self.started.lock().expect("no panic").push(params);
        Box::pin(async { Ok(Arc::new(process) as Arc<dyn ExecProcess>) })
    }
}

impl ExecProcess for FakeProcess {
    fn id(&self) -> &ProcessId {
        &self.id
    }

    fn subscribe(&self, after: Seq) -> Box<dyn ExecEvents> {
        assert_eq!(after, Seq::START);
        Box::new(FakeEvents(self.script.lock().expect("no panic").take().expect("one subscriber")))
    }

    fn read(
        &self,
        _: Seq,
        _: Option<u64>,
        _: Duration,
    ) -> ServiceFuture<'_, Result<ProcessReadResponse, ExecError>> {
        Box::pin(async { Err(ExecError::UnknownProcess(self.id.clone())) })
    }

    fn write(&self, _: Bytes) -> ServiceFuture<'_, Result<(), ExecError>> {
        // Nobody reads.
        Box::pin(std::future::pending())
    }

    fn close_stdin(&self) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async { Ok(()) })
    }

    fn resize(&self, _: PtySize) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async { Ok(()) })
    }

    fn signal(&self, _: ProcessSignal) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async { Ok(()) })
    }

    fn terminate(
        &self,
        _: Option<Duration>,
    ) -> ServiceFuture<'_, Result<ProcessTerminateResponse, ExecError>> {
        self.terminated.lock().expect("no panic").push(self.id.clone());
        Box::pin(async { Ok(ProcessTerminateResponse { running: false, survivors: Some(0) }) })
    }
}

impl ExecEvents for FakeEvents {
    fn next(&mut self) -> ServiceFuture<'_, Option<Told>> {
        Box::pin(self.0.recv())
    }
}
