//! A client as one machine among others: the traits that local and remote share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::service::{ExecBackend, ExecError, ExecEvents, ExecProcess, ServiceFuture};
use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{
    ProcessReadResponse, ProcessSignal, ProcessStartParams, ProcessTerminateResponse, PtySize,
};

use crate::client::Client;
use crate::follow::Lag;
use crate::process::RemoteProcess;

impl ExecBackend for Client {
    fn environment(&self) -> Arc<EnvironmentInfo> {
        Arc::clone(&self.peer().environment)
    }

    fn start(
        &self,
        params: ProcessStartParams,
    ) -> ServiceFuture<'_, Result<Arc<dyn ExecProcess>, ExecError>> {
        Box::pin(async {
            let process = self.start_process(params).await?;
            Ok(Arc::new(process) as Arc<dyn ExecProcess>)
        })
    }
}

impl ExecProcess for RemoteProcess {
    fn id(&self) -> &ProcessId {
        Self::id(self)
    }

    fn subscribe(&self, after: Seq) -> Box<dyn ExecEvents> {
        Box::new(Self::subscribe(self, after, Lag::ReadLater))
    }

    fn read(
        &self,
        after: Seq,
        max_bytes: Option<u64>,
        wait: Duration,
    ) -> ServiceFuture<'_, Result<ProcessReadResponse, ExecError>> {
        Box::pin(async move { Ok(Self::read(self, after, max_bytes, wait).await?) })
    }

    fn write(&self, bytes: Bytes) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async { Ok(Self::write(self, bytes).await?) })
    }

    fn close_stdin(&self) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async { Ok(Self::close_stdin(self).await?) })
    }

    fn resize(&self, size: PtySize) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async move { Ok(Self::resize(self, size).await?) })
    }

    fn signal(&self, signal: ProcessSignal) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async move { Ok(Self::signal(self, signal).await?) })
    }

    fn terminate(
        &self,
        grace: Option<Duration>,
    ) -> ServiceFuture<'_, Result<ProcessTerminateResponse, ExecError>> {
        Box::pin(async move { Ok(Self::terminate(self, grace).await?) })
    }
}
