//! The network of a process (`network/*` and the members of `process/start`), and TCP streams to ports beside the
//! server (`net/*`).
//!
//! Shapes only; rules on names, addresses and time are for the proxy that obeys them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;

use crate::bytes::Base64Bytes;
use crate::ids::ProcessId;

/// `managedNetwork` of `process/start`: what is left of the local network when a proxy, which the client's environment
/// variables name, is the only way out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedNetwork {
    /// Ports on the server's loopback that stay within reach.
    #[ts(optional, as = "Option<Vec<u16>>")]
    pub loopback_ports: Vec<u16>,
    /// Whether the process may listen on loopback.
    #[ts(optional, as = "Option<bool>")]
    pub allow_local_binding: bool,
    /// Paths of unix sockets that stay within reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub allow_unix_sockets: Vec<String>,
    /// Whether all unix sockets stay within reach, which may let a process out of any sandbox.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub dangerously_allow_all_unix_sockets: bool,
}

/// `networkProxy` of `process/start`: a proxy that the server runs for this one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetworkProxyLaunch {
    /// What the proxy lets through.
    pub proxy: NetworkProxyConfig,
    /// Passed through to the audit record.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[ts(optional, type = "Record<string, unknown>")]
    pub audit_metadata: Map<String, Value>,
    /// Which environment this is, for the audit record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub environment_id: Option<String>,
    /// Which execution this is, for the audit record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub execution_id: Option<String>,
    /// Ask the client (`network/policyRequest`) about hosts that no rule covers, and wait this long for its answer;
    /// 0 is -32602, absent means such hosts are denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub policy_decision_timeout_ms: Option<u64>,
}

/// What a proxy lets through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetworkProxyConfig {
    /// Must be true, otherwise -32602.
    pub enabled: bool,
    /// Offer SOCKS5 beside HTTP.
    pub enable_socks5: bool,
    /// Offer UDP over SOCKS5.
    pub enable_socks5_udp: bool,
    /// Use the proxy that the server's own environment names.
    pub allow_upstream_proxy: bool,
    /// Whether requests may go to any unix socket.
    pub dangerously_allow_all_unix_sockets: bool,
    /// Which HTTP methods pass.
    pub mode: NetworkProxyMode,
    /// Rules by host pattern: `a.b` exactly, `*.a.b` below it, `**.a.b` both, `*` everything (to allow only). Deny
    /// wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub domains: Option<BTreeMap<String, NetworkDomainAccess>>,
    /// Rules by absolute path of a unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub unix_sockets: Option<BTreeMap<String, NetworkUnixSocketAccess>>,
    /// Let requests reach loopback and private addresses without a rule of their own.
    pub allow_local_binding: bool,
    /// Host patterns that are always put to the client, even if a rule allows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub review_domains: Vec<String>,
    /// Credentials that the proxy would put in, by name of the provider. Kept as it came, so that a server that does
    /// not mask credentials can see that it was asked to and refuse.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[ts(optional, type = "Record<string, unknown>")]
    pub credential_providers: Map<String, Value>,
}

/// Which HTTP methods pass a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum NetworkProxyMode {
    /// GET, HEAD and OPTIONS, and no CONNECT.
    Limited,
    /// All of them.
    Full,
}

/// A rule about a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum NetworkDomainAccess {
    /// As if the rule were not there.
    None,
    /// Pass.
    Allow,
    /// Refuse, whatever other rules say.
    Deny,
}

/// A rule about a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum NetworkUnixSocketAccess {
    /// Pass.
    Allow,
    /// Refuse.
    Deny,
}

/// Parameters of `network/policyRequest`, which the server sends to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyRequestParams {
    /// Whose access it is.
    pub process_id: ProcessId,
    /// What it wants to reach.
    pub request: NetworkTarget,
}

/// Something to be reached over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetworkTarget {
    /// How: `http`, `https_connect`, and further ones.
    pub protocol: String,
    /// Name or address, in lower case.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Result of `network/policyRequest`. An error, silence, or anything that does not decode means deny.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyResponse {
    /// What was decided.
    pub decision: NetworkDecision,
}

/// What a client decides about a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum NetworkDecision {
    /// Pass.
    Allow,
    /// Refuse.
    Deny {
        /// Why, for people.
        reason: String,
    },
    /// Refuse for now, since a person has to be asked.
    Ask {
        /// Why, for people.
        reason: String,
    },
}

/// Parameters of the notification `network/policyDecision`: one decision, for audit.
///
/// The words are texts here, since new ones appear and an audit record must not get lost over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyDecisionNotification {
    /// Whose access it was.
    pub process_id: ProcessId,
    /// When, as RFC 3339 in UTC.
    pub timestamp: String,
    /// What kind of rule it was about: `domain`.
    pub scope: String,
    /// `allow`, `deny` or `ask`.
    pub decision: String,
    /// Who decided: `baseline_policy` or `decider`.
    pub source: String,
    /// Why, for example `not_allowed`, `not_allowed_local`, `denied`.
    pub reason: String,
    /// As in [`NetworkTarget`].
    pub protocol: String,
    /// As in [`NetworkTarget`].
    pub host: String,
    /// As in [`NetworkTarget`].
    pub port: u16,
    /// HTTP method, where there is one.
    #[serde(default)]
    pub method: Option<String>,
    /// Address of the process's end, where there is one.
    #[serde(default)]
    pub client: Option<String>,
    /// Whether the client's answer overrode a rule.
    pub policy_override: bool,
}

/// Bytes of a stream that may be under way to the client unless `net/connect` asks for another number.
pub const DEFAULT_NET_WINDOW_BYTES: u64 = 1024 * 1024;
/// The longest piece of a stream, in bytes.
pub const MAX_NET_DATA_BYTES: usize = 1024 * 1024;

/// Names a TCP stream on its connection. Chosen by the client; free again once the stream is over on both sides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(transparent)]
#[ts(type = "string")]
pub struct NetStreamId(pub String);

/// Parameters of `net/connect`: a TCP stream to a port on the server's loopback. Flag `portForward`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetConnectParams {
    /// A name that no stream of this connection has, otherwise -32600.
    pub stream_id: NetStreamId,
    /// The port, from 1.
    pub port: u16,
    /// How many bytes the server may send before it has heard that they were consumed;
    /// [`DEFAULT_NET_WINDOW_BYTES`] if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub window_bytes: Option<u64>,
}

/// Result of `net/connect`: the stream is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetConnectResponse {
    /// As in the request.
    pub stream_id: NetStreamId,
}

/// Parameters of the request `net/data`, from client to server. It is answered with `{}` when the system has taken the
/// bytes, so a client that waits for answers is held to the stream's own speed. Flag `portForward`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetDataParams {
    /// The stream; an unknown one is -32004.
    pub stream_id: NetStreamId,
    /// The next bytes, at most [`MAX_NET_DATA_BYTES`]; may be empty.
    pub data_base64: Base64Bytes,
    /// Nothing follows: the server closes this direction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub eof: bool,
    /// How many bytes of this stream the client has consumed in all, which lets the server send on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub consumed_bytes: Option<u64>,
}

/// Parameters of the notification `net/data`, from server to client. Flag `portForward`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetDataNotification {
    /// The stream.
    pub stream_id: NetStreamId,
    /// How many bytes of this stream came before these.
    #[ts(type = "number")]
    pub offset: u64,
    /// The next bytes, at most [`MAX_NET_DATA_BYTES`]; may be empty at the end.
    pub data_base64: Base64Bytes,
    /// Nothing follows in this direction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub eof: bool,
    /// Why the stream broke; it is over in both directions then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub error: Option<String>,
}

/// Parameters of `net/close`: end a stream in both directions. An unknown one is fine. Flag `portForward`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NetCloseParams {
    /// The stream.
    pub stream_id: NetStreamId,
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
