//! The handshake: `initialize`, `initialized`, and what they agree on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::environment::EnvironmentInfo;
use crate::ids::SessionId;

/// What the close frame of a connection says, with code 1008, when another connection took its session over. Clients tell
/// it by these words, since the code has other uses: whoever reads it must not take the session back. Flag
/// `sessionTakeover`.
pub const TAKEN_OVER: &str = "session was taken over by another connection";

/// What the close frame of a connection says, with code 1000, when the session that it observed is over. Flag `observers`.
pub const OBSERVED_SESSION_ENDED: &str = "observed session has ended";

/// Parameters of `initialize`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct InitializeParams {
    /// Names the client in logs; may be empty.
    pub client_name: String,
    /// Session to resume; absent or null for a new one.
    #[serde(default)]
    pub resume_session_id: Option<SessionId>,
    /// With `resumeSessionId`: detach the connection that holds the session now, instead of failing with -32010.
    /// Flag `sessionTakeover`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub takeover: bool,
    /// Session to watch, beside the connection that holds it or while none does: its processes' events are pushed and can
    /// be read, and nothing can be changed. It neither keeps the session nor ends it. Not with `resumeSessionId`. Flag
    /// `observers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub observe_session_id: Option<SessionId>,
    /// How long the session is to wait for its client whenever it is detached, instead of `limits.detachedSessionMs`; and
    /// how long its closed processes stay readable, if that is longer than `limits.closedProcessRetentionMs`. The server
    /// grants `limits.detachedSessionMaxMs` at most and says what it granted. 0 ends the session, with its processes, as
    /// soon as it is detached. Absent when resuming: as before. Flag `sessionLifetime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub detached_lifetime_ms: Option<u64>,
    /// What the client takes besides the reference's messages.
    #[serde(default, skip_serializing_if = "ClientCapabilities::is_empty")]
    #[ts(optional, as = "Option<ClientCapabilities>")]
    pub capabilities: ClientCapabilities,
}

/// What a client announces for one connection. What it leaves out it does not take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientCapabilities {
    /// Output, HTTP bodies and file blocks may come as [binary messages](crate::binary), wherever the connection can carry
    /// them. They may come as JSON all the same. Flag `binaryOutput`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub binary_output: bool,
    /// The client acknowledges what its readers have of each process, with `process/ack`, and takes so much before that: bytes
    /// of output, and 256 more for each event. What is not acknowledged is kept like what was not sent. The server grants
    /// `limits.outputWindowBytes` at most, and sends at least one event when everything was acknowledged. The client
    /// acknowledges at the latest after a quarter of what it was granted. Flag `outputWindow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub output_window_bytes: Option<u64>,
    /// Several pieces of output may come in one [binary message](crate::binary::Pack), for which they are gathered so long at
    /// most, and 100 ms; 0 waits for none. What a process says after a pause comes at once, and so does everything but output.
    /// Only with `binaryOutput`. Flag `outputPacking`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub output_packing_ms: Option<u64>,
}

impl ClientCapabilities {
    /// Whether nothing is announced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Result of `initialize`. Very old peers answer an empty object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct InitializeResponse {
    /// The session this connection is attached to, new or resumed.
    pub session_id: SessionId,
    /// What the server's machine is like and what the server can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub environment_info: Option<EnvironmentInfo>,
    /// Every bound that a client may run into. Flag `serverLimits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub limits: Option<ServerLimits>,
    /// How long this session waits for its client whenever it is detached; absent for observers. Flag `sessionLifetime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub detached_lifetime_ms: Option<u64>,
}

/// Bounds of the server, with their units in the names. All are inclusive: a value equal to the bound is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename_all = "camelCase")]
pub struct ServerLimits {
    /// Payload of one inbound WebSocket frame.
    #[ts(type = "number")]
    pub inbound_frame_bytes: u64,
    /// One inbound message, over all its fragments.
    #[ts(type = "number")]
    pub inbound_message_bytes: u64,
    /// JSON values in one inbound message.
    #[ts(type = "number")]
    pub message_values: u64,
    /// Containers open at once in one inbound message.
    #[ts(type = "number")]
    pub message_depth: u64,
    /// Requests of one connection that may be waiting for their answers.
    #[ts(type = "number")]
    pub requests_in_flight: u64,
    /// Bytes of such waiting requests, beyond which further ones that would wait are refused.
    #[ts(type = "number")]
    pub request_bytes_in_flight: u64,
    /// Connections that may observe one session at a time. Flag `observers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub observers_per_session: Option<u64>,
    /// Processes of one session, closed ones that are still readable included.
    #[ts(type = "number")]
    pub processes_per_session: u64,
    /// Output kept in one process's log, in memory and in its file.
    #[ts(type = "number")]
    pub retained_output_bytes: u64,
    /// Output events kept in memory, however small. Where there is no place for files, all that are kept.
    #[ts(type = "number")]
    pub retained_output_chunks: u64,
    /// What the files of all logs together may take. Absent from servers that keep no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub retained_output_total_bytes: Option<u64>,
    /// Output in the answer to one `process/read`, whatever its `maxBytes`. Absent from servers
    /// that give what they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub read_output_bytes: Option<u64>,
    /// The most that may be sent of one process ahead of what its client acknowledged. Flag `outputWindow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub output_window_bytes: Option<u64>,
    /// Largest chunk that the server emits.
    #[ts(type = "number")]
    pub output_chunk_bytes: u64,
    /// How long a closed process stays readable.
    #[ts(type = "number")]
    pub closed_process_retention_ms: u64,
    /// How long a session waits for its client to come back, unless the client asked for another time.
    #[ts(type = "number")]
    pub detached_session_ms: u64,
    /// The longest that a client may ask for with `detachedLifetimeMs`. Flag `sessionLifetime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub detached_session_max_ms: Option<u64>,
    /// Write ids remembered for each process.
    #[ts(type = "number")]
    pub remembered_write_ids: u64,
    /// Request keys remembered for each session.
    #[ts(type = "number")]
    pub remembered_request_keys: u64,
    /// Bytes accepted for a process's stdin and not yet taken by it, beyond which writes wait.
    #[ts(type = "number")]
    pub queued_stdin_bytes: u64,
}
