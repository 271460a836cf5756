//! The body of an answer, while it comes.

use bytes::{Bytes, BytesMut};
use codex_exec_server_core::error::{HttpFailure, HttpStage};
use codex_exec_server_core::service::ServiceFuture;
use codex_exec_server_core::service::http::{HttpBodyError, HttpBodyStream};
use codex_exec_server_protocol::http::HttpFailureCause;

use tokio::time::Instant;

use super::{Deadline, failure, within};

/// See the module. Read no faster than somebody asks for it; dropping it gives the rest up.
#[derive(Debug)]
pub struct LocalBody {
    /// Gone when the body is over.
    response: Option<reqwest::Response>,
    deadline: Option<Deadline>,
    stage: HttpStage,
}

impl LocalBody {
    pub(super) const fn new(
        response: reqwest::Response,
        deadline: Option<Deadline>,
        stage: HttpStage,
    ) -> Self {
        Self { response: Some(response), deadline, stage }
    }

    /// The next bytes, never none; `None` at the end, or after a failure. Cancel-safe.
    pub async fn next_bytes(&mut self) -> Option<Result<Bytes, HttpFailure>> {
        loop {
            let response = self.response.as_mut()?;
            let stage = self.stage;
            // Of what is there already, too, no more is given when the time is over.
            if let Some(Deadline { at: Some(at), ms }) = self.deadline
                && at <= Instant::now()
            {
                self.response = None;
                return Some(Err(Deadline::passed(ms, stage)));
            }
            let next = async { response.chunk().await.map_err(|error| failure::describe(&error, stage)) };
            let outcome = within(self.deadline, stage, next).await;
            match outcome {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => return Some(Ok(bytes)),
                Ok(None) => {
                    self.response = None;
                    return None;
                }
                Err(failure) => {
                    self.response = None;
                    return Some(Err(failure));
                }
            }
        }
    }

    /// All that is still to come, `limit` bytes at most.
    pub(super) async fn whole(mut self, limit: usize) -> Result<Bytes, HttpFailure> {
        let expected = self.response.as_ref().and_then(reqwest::Response::content_length).unwrap_or(0);
        let too_large = HttpFailure {
            cause: HttpFailureCause::TooLarge,
            stage: self.stage,
            detail: format!(
                "body is larger than {limit} bytes, the limit of a buffered answer; ask for it with streamResponse"
            ),
        };
        if expected > limit as u64 {
            return Err(too_large);
        }
        // Not reserved on the other side's word alone: a body that ends early costs what came of it.
        let mut all = BytesMut::new();
        while let Some(bytes) = self.next_bytes().await {
            let bytes = bytes?;
            if all.len() + bytes.len() > limit {
                return Err(too_large);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }
}

impl HttpBodyStream for LocalBody {
    fn next(&mut self) -> ServiceFuture<'_, Option<Result<Bytes, HttpBodyError>>> {
        Box::pin(async move {
            let next = self.next_bytes().await?;
            Some(next.map_err(|HttpFailure { cause, detail, .. }| HttpBodyError::Failed {
                cause: Some(cause),
                detail,
            }))
        })
    }
}
