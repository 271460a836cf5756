//! `http/request`

use std::sync::Arc;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::http::{HttpRequestParams, HttpRequestResponse};
use codex_exec_server_protocol::rpc::{RequestId, encode_error};

use super::{Answer, Work, encode};
use crate::connection::bodies::Bodies;
use crate::sessions::{Displaced, Session};

/// Sends the request. Of a streamed answer this gives the beginning; the body follows it through `bodies`.
///
/// When the session goes to another connection before the answer is there, the request fails; one with a key goes on.
pub(crate) fn answer(
    session: Arc<Session>,
    bodies: Arc<Bodies>,
    id: RequestId,
    params: HttpRequestParams,
    displaced: Displaced,
) -> Work {
    Box::pin(async move {
        let work = async {
            if params.stream_response {
                stream(&session, &bodies, &id, params).await
            } else {
                encode(&id, session.http.request(params).await).into()
            }
        };
        tokio::select! {
            biased;
            _ = displaced.wait() => encode_error(&id, &RpcError::from(&ServiceError::Displaced)).into(),
            answer = work => answer,
        }
    })
}

async fn stream(
    session: &Session,
    bodies: &Arc<Bodies>,
    id: &RequestId,
    params: HttpRequestParams,
) -> Answer {
    let place = match bodies.reserve(id, &params) {
        Ok(place) => place,
        Err(error) => return encode_error(id, &RpcError::from(&error)).into(),
    };
    match session.http.open(params).await {
        Ok(answered) => {
            let (status, headers) = (answered.status, answered.headers);
            let response = HttpRequestResponse { status, headers, body_base64: Base64Bytes::default() };
            let reply = encode(id, Ok(response));
            // Only now, behind the answer, may the body follow.
            Answer { then: Some(Box::new(move || place.begin(answered.body))), ..reply.into() }
        }
        Err(error) => encode_error(id, &RpcError::from(&error)).into(),
    }
}
