//! `process/*`

use std::sync::Arc;

use codex_exec_server_local::process::FollowId;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::process::{
    ProcessCloseStdinParams, ProcessReadParams, ProcessResizeParams, ProcessSignalParams, ProcessStartParams,
    ProcessTerminateParams, ProcessWriteParams,
};
use codex_exec_server_protocol::rpc::{RequestId, encode_error};

use super::{Answer, Work, encode};
use crate::sessions::{Displaced, Session};

/// What can be asked of a session's processes.
pub(crate) enum ProcessRequest {
    Start(Box<ProcessStartParams>),
    Read(ProcessReadParams),
    Write(ProcessWriteParams),
    CloseStdin(ProcessCloseStdinParams),
    Resize(ProcessResizeParams),
    Signal(ProcessSignalParams),
    Terminate(ProcessTerminateParams),
    List,
}

impl ProcessRequest {
    /// Whether it goes on to its end even if nobody waits for the answer, and gets there soon.
    pub(crate) const fn runs_to_its_end(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Terminate(_) | Self::Signal(_) | Self::List)
    }
}

/// Does what `request` asks.
///
/// The request takes its place among others when the future is first polled. When the session goes to another
/// connection before the answer is there, the request fails; what it began goes on.
pub(crate) fn answer(
    session: Arc<Session>,
    follow: FollowId,
    id: RequestId,
    request: ProcessRequest,
    displaced: Displaced,
) -> Work {
    Box::pin(async move {
        let processes = &session.processes;
        let work = async {
            Answer::from(match request {
                ProcessRequest::Start(params) => {
                    let process_id = params.process_id.clone();
                    let outcome = processes.start(*params).await;
                    let started = outcome.is_ok();
                    let json = encode(&id, outcome);
                    let processes = Arc::clone(processes);
                    // Only now, behind the answer, may the process's events follow.
                    let then = move || processes.announce(&process_id, follow);
                    return if started {
                        Answer { then: Some(Box::new(then)), ..json.into() }
                    } else {
                        json.into()
                    };
                }
                ProcessRequest::Read(params) => encode(&id, processes.read_by(follow, params).await),
                ProcessRequest::Write(params) => {
                    let json = encode(&id, processes.write(params).await);
                    return Answer { is_receipt: true, ..json.into() };
                }
                ProcessRequest::CloseStdin(params) => encode(&id, processes.close_stdin(params).await),
                ProcessRequest::Resize(params) => encode(&id, processes.resize(params).await),
                ProcessRequest::Signal(params) => encode(&id, processes.signal(params).await),
                ProcessRequest::Terminate(params) => encode(&id, processes.terminate(params).await),
                ProcessRequest::List => encode(&id, Ok(processes.list())),
            })
        };
        tokio::select! {
            biased;
            loss = displaced.wait() => encode_error(&id, &RpcError::from(&loss.error())).into(),
            answer = work => answer,
        }
    })
}
