//! The method table: every request and notification of the protocol, one line each.
//!
//! The server's dispatch, a client's typed calls, the JSON Schema and the TypeScript method map all come from these
//! rows. A row names the family, what a request does to what it is asked of, the wire method, the Rust name, the parameters and
//! what is answered.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use ts_rs::TS;

use crate::capabilities::*;
use crate::environment::*;
use crate::fs::*;
use crate::http::*;
use crate::network::*;
use crate::process::*;
use crate::rpc::RequestId;
use crate::session::*;
use crate::table::RowVisitor;
pub use crate::table::{Effect, Family, Method};

/// Parameters of a method that has none: `null`, nothing, or `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, TS)]
#[ts(type = "Record<string, never> | null")]
pub struct NoParams {}

impl JsonSchema for NoParams {
    fn schema_name() -> Cow<'static, str> {
        "NoParams".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Parameters of a method that has none: `null`, nothing, or `{}`.",
            "type": ["object", "null"],
            "maxProperties": 0,
        })
    }
}

impl<'de> Deserialize<'de> for NoParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nothing;
        impl<'de> Visitor<'de> for Nothing {
            type Value = NoParams;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("unit")
            }

            fn visit_unit<E: de::Error>(self) -> Result<NoParams, E> {
                Ok(NoParams {})
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NoParams, A::Error> {
                match map.next_key::<de::IgnoredAny>()? {
                    None => Ok(NoParams {}),
                    Some(_) => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
                }
            }
        }
        deserializer.deserialize_any(Nothing)
    }
}

/// Why a request could not be taken from its method name and parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The table has no such row.
    #[error("unknown method `{0}`")]
    UnknownMethod(String),
    /// The parameters do not fit. Holds the decoder's words, without a position.
    #[error("{0}")]
    InvalidParams(String),
}

fn decode<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, DecodeError> {
    serde_json::from_str(params.map_or("null", RawValue::get)).map_err(|error| {
        // A line and column inside the parameters mean nothing to whoever sent the whole message.
        let text = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        DecodeError::InvalidParams(text.strip_suffix(&position).unwrap_or(&text).to_owned())
    })
}

/// What the table says of one request, so that a message's method is looked up once.
#[derive(Debug)]
pub struct Row<R> {
    name: &'static str,
    family: Family,
    effect: Effect,
    decode: fn(Option<&RawValue>) -> Result<R, DecodeError>,
}

impl<R> Row<R> {
    /// Name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The group it belongs to.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// What it does to what it is asked of.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// Takes a request from its parameters.
    pub fn decode(&self, params: Option<&RawValue>) -> Result<R, DecodeError> {
        (self.decode)(params)
    }
}

macro_rules! requests {
    ($(#[$enum_doc:meta])* $enum:ident: $($(#[doc = $doc:literal])* $family:ident $effect:ident $name:literal $variant:ident($params:ty) -> $response:ty;)*) => {
        $($(#[doc = $doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $variant {}

        impl Method for $variant {
            const NAME: &'static str = $name;
            const DOCS: &'static str = concat!($($doc),*).trim_ascii();
            const FAMILY: Family = Family::$family;
            const EFFECT: Effect = Effect::$effect;
            type Params = $params;
            type Response = $response;
        })*

        $(#[$enum_doc])*
        #[derive(Debug, Clone)]
        #[allow(clippy::large_enum_variant, reason = "a request is decoded, matched and gone; none are stored")]
        pub enum $enum {
            $($(#[doc = $doc])* $variant($params),)*
        }

        impl $enum {
            /// Names and families of all rows, in the order of the table.
            pub const METHODS: &'static [(&'static str, Family)] = &[$(($name, Family::$family),)*];

            /// Shows every row, in the order of the table.
            pub fn visit(visitor: &mut impl RowVisitor) {
                $(visitor.request::<$variant>();)*
            }

            /// The row of a method, if the table has it.
            #[must_use]
            pub fn row(method: &str) -> Option<&'static Row<Self>> {
                const ROWS: &[Row<$enum>] = &[$(Row {
                    name: $name,
                    family: Family::$family,
                    effect: Effect::$effect,
                    decode: |params| decode(params).map($enum::$variant),
                },)*];
                ROWS.iter().find(|row| row.name == method)
            }

            /// Takes a request from its method name and parameters.
            pub fn decode(method: &str, params: Option<&RawValue>) -> Result<Self, DecodeError> {
                match Self::row(method) {
                    Some(row) => row.decode(params),
                    None => Err(DecodeError::UnknownMethod(method.to_owned())),
                }
            }

            /// Name on the wire.
            #[must_use]
            pub const fn method(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }
        }
    };
}

macro_rules! notifications {
    ($(#[$enum_doc:meta])* $enum:ident: $($(#[doc = $doc:literal])* $name:literal $variant:ident($params:ty);)*) => {
        $(#[$enum_doc])*
        #[derive(Debug, Clone)]
        pub enum $enum {
            $($(#[doc = $doc])* $variant($params),)*
        }

        impl $enum {
            /// Names of all rows, in the order of the table.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// Shows every row, in the order of the table.
            pub fn visit(visitor: &mut impl RowVisitor) {
                $(visitor.notification::<$params>($name, concat!($($doc),*).trim_ascii());)*
            }

            /// Takes a notification from its name and parameters.
            pub fn decode(method: &str, params: Option<&RawValue>) -> Result<Self, DecodeError> {
                match method {
                    $($name => decode(params).map(Self::$variant),)*
                    _ => Err(DecodeError::UnknownMethod(method.to_owned())),
                }
            }

            /// Name on the wire.
            #[must_use]
            pub const fn method(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// The whole message as JSON text.
            #[must_use]
            pub fn encode(&self) -> String {
                match self {
                    $(Self::$variant(params) => crate::rpc::encode_notification($name, params),)*
                }
            }
        }
    };
}

requests! {
    /// Every request that a client may send.
    ClientRequest:
    /// Opens or resumes a session.
    Session Changes "initialize" Initialize(InitializeParams) -> InitializeResponse;
    /// Starts a process under an id the client chose.
    Process Changes "process/start" ProcessStart(ProcessStartParams) -> ProcessStartResponse;
    /// Reads retained output, waiting for more if asked to.
    Process Reads "process/read" ProcessRead(ProcessReadParams) -> ProcessReadResponse;
    /// Queues bytes for a process's stdin.
    Process Changes "process/write" ProcessWrite(ProcessWriteParams) -> ProcessWriteResponse;
    /// Ends a process's stdin.
    Process Changes "process/closeStdin" ProcessCloseStdin(ProcessCloseStdinParams) -> ProcessWriteResponse;
    /// Changes the size of a process's terminal.
    Process Changes "process/resize" ProcessResize(ProcessResizeParams) -> EmptyResponse;
    /// Sends a signal to a process group.
    Process Changes "process/signal" ProcessSignal(ProcessSignalParams) -> EmptyResponse;
    /// Ends a process and its descendants.
    Process Changes "process/terminate" ProcessTerminate(ProcessTerminateParams) -> ProcessTerminateResponse;
    /// Lists the session's processes.
    Process Reads "process/list" ProcessList(NoParams) -> ProcessListResponse;
    /// Describes the server's machine.
    EnvironmentInfo Reads "environment/info" EnvironmentInfo(NoParams) -> crate::environment::EnvironmentInfo;
    /// Tells whether the environment is ready.
    EnvironmentStatus Reads "environment/status" EnvironmentStatus(NoParams) -> EnvironmentStatusResponse;
    /// Reads layers of configuration.
    EnvironmentConfig Reads "environmentConfig/read" EnvironmentConfigRead(EnvironmentConfigReadParams) -> EnvironmentConfigReadResponse;
    /// Reads a whole file.
    Filesystem Reads "fs/readFile" FsReadFile(FsReadFileParams) -> FsReadFileResponse;
    /// Opens a file for block access.
    Filesystem Changes "fs/open" FsOpen(FsOpenParams) -> FsOpenResponse;
    /// Reads a block.
    Filesystem Changes "fs/readBlock" FsReadBlock(FsReadBlockParams) -> FsReadBlockResponse;
    /// Writes a block.
    Filesystem Changes "fs/writeBlock" FsWriteBlock(FsWriteBlockParams) -> EmptyResponse;
    /// Closes a file.
    Filesystem Changes "fs/close" FsClose(FsCloseParams) -> EmptyResponse;
    /// Writes a whole file.
    Filesystem Changes "fs/writeFile" FsWriteFile(FsWriteFileParams) -> FsWriteFileResponse;
    /// Makes a directory.
    Filesystem Changes "fs/createDirectory" FsCreateDirectory(FsCreateDirectoryParams) -> EmptyResponse;
    /// Describes a file.
    Filesystem Reads "fs/getMetadata" FsGetMetadata(FsGetMetadataParams) -> FsGetMetadataResponse;
    /// Resolves links.
    Filesystem Reads "fs/canonicalize" FsCanonicalize(FsCanonicalizeParams) -> FsCanonicalizeResponse;
    /// Lists a directory.
    Filesystem Reads "fs/readDirectory" FsReadDirectory(FsReadDirectoryParams) -> FsReadDirectoryResponse;
    /// Lists a tree.
    Filesystem Reads "fs/walk" FsWalk(FsWalkParams) -> FsWalkResponse;
    /// Removes a file or a tree.
    Filesystem Changes "fs/remove" FsRemove(FsRemoveParams) -> EmptyResponse;
    /// Copies a file or a tree.
    Filesystem Changes "fs/copy" FsCopy(FsCopyParams) -> EmptyResponse;
    /// Waits for a path to come into existence.
    Filesystem Reads "fs/watchMissing" FsWatchMissing(FsWatchMissingParams) -> FsWatchMissingResponse;
    /// Renames. Flag `fsExtended`.
    Filesystem Changes "fs/rename" FsRename(FsRenameParams) -> EmptyResponse;
    /// Appends. Flag `fsExtended`.
    Filesystem Changes "fs/append" FsAppend(FsAppendParams) -> FsAppendResponse;
    /// Changes permissions. Flag `fsExtended`.
    Filesystem Changes "fs/setPermissions" FsSetPermissions(FsSetPermissionsParams) -> EmptyResponse;
    /// Reads a part of a file. Flag `fsExtended`.
    Filesystem Reads "fs/readRange" FsReadRange(FsReadRangeParams) -> FsReadRangeResponse;
    /// Describes many files. Flag `fsExtended`.
    Filesystem Reads "fs/statMany" FsStatMany(FsStatManyParams) -> FsStatManyResponse;
    /// Writes a part of a file. Flag `fsTransfer`.
    Filesystem Changes "fs/writeRange" FsWriteRange(FsWriteRangeParams) -> FsWriteRangeResponse;
    /// Takes a checksum of a file. Flag `fsTransfer`.
    Filesystem Reads "fs/digest" FsDigest(FsDigestParams) -> FsDigestResponse;
    /// Reads a symbolic link. Flag `fsTransfer`.
    Filesystem Reads "fs/readLink" FsReadLink(FsReadLinkParams) -> FsReadLinkResponse;
    /// Makes a symbolic link. Flag `fsTransfer`.
    Filesystem Changes "fs/createLink" FsCreateLink(FsCreateLinkParams) -> EmptyResponse;
    /// Watches for changes. Flag `fsWatch`.
    Filesystem Reads "fs/watch" FsWatch(FsWatchParams) -> FsWatchResponse;
    /// Ends a watch. Flag `fsWatch`.
    Filesystem Reads "fs/unwatch" FsUnwatch(FsUnwatchParams) -> EmptyResponse;
    /// Finds paths. Flag `fsSearch`.
    Filesystem Reads "fs/glob" FsGlob(FsGlobParams) -> FsGlobResponse;
    /// Finds contents. Flag `fsSearch`.
    Filesystem Reads "fs/search" FsSearch(FsSearchParams) -> FsSearchResponse;
    /// Sends an HTTP request from the server's machine.
    Http Changes "http/request" HttpRequest(HttpRequestParams) -> HttpRequestResponse;
    /// Describes capability roots.
    CapabilityDiscovery Reads "capabilityRoots/discoverV1" CapabilityRootsDiscover(CapabilityRootsDiscoverParams) -> CapabilityRootsDiscoverResponse;
    /// Finds plugins and skills.
    CapabilityDiscovery Reads "capabilities/discoverV2" CapabilitiesDiscover(CapabilitiesDiscoverParams) -> CapabilitiesDiscoverResponse;
    /// Opens a TCP stream beside the server. Flag `portForward`.
    Network Changes "net/connect" NetConnect(NetConnectParams) -> NetConnectResponse;
    /// Sends bytes on such a stream. Flag `portForward`.
    Network Changes "net/data" NetWrite(NetDataParams) -> EmptyResponse;
    /// Closes such a stream. Flag `portForward`.
    Network Changes "net/close" NetClose(NetCloseParams) -> EmptyResponse;
}

requests! {
    /// Every request that a server may send to its client.
    ServerRequest:
    /// Asks for a decision on a host that no rule covers.
    Network Reads "network/policyRequest" NetworkPolicyRequest(NetworkPolicyRequestParams) -> NetworkPolicyResponse;
}

/// Parameters of `$/cancel`: the request is answered with -32800, or as if it had finished already. Flag `cancel`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema, ts_rs::TS)]
pub struct CancelNotification {
    /// Id of a request of the same connection.
    pub id: RequestId,
}

/// Parameters that are ignored, whatever they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, TS)]
#[ts(type = "unknown")]
pub struct AnyParams {}

impl JsonSchema for AnyParams {
    fn schema_name() -> Cow<'static, str> {
        "AnyParams".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Parameters that are ignored, whatever they are." })
    }
}

impl<'de> Deserialize<'de> for AnyParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}

notifications! {
    /// Every notification that a client may send.
    ClientNotification:
    /// Completes the handshake; repeating it is harmless.
    "initialized" Initialized(AnyParams);
    /// Gives up a request in flight.
    "$/cancel" Cancel(CancelNotification);
    /// Tells how far the readers of a process's output are. Flag `outputWindow`.
    "process/ack" ProcessAck(ProcessAckNotification);
    /// Lets the server send more of a streamed HTTP body. Flag `httpBodyCredit`.
    "http/request/bodyCredit" HttpBodyCredit(HttpBodyCreditNotification);
    /// Lets the server send more of what a search finds. Flag `fsSearch`.
    "fs/searchCredit" FsSearchCredit(FsSearchCreditNotification);
}

notifications! {
    /// Every notification that a server may send.
    ServerNotification:
    /// Output of a process.
    "process/output" ProcessOutput(ProcessOutputNotification);
    /// A process ended; output may still follow.
    "process/exited" ProcessExited(ProcessExitedNotification);
    /// A process's streams ended; always its last.
    "process/closed" ProcessClosed(ProcessClosedNotification);
    /// A piece of a streamed HTTP body.
    "http/request/bodyDelta" HttpBodyDelta(HttpBodyDeltaNotification);
    /// A watched path came into existence.
    "fs/missingChanged" FsMissingChanged(FsMissingChangedNotification);
    /// Watched files changed. Flag `fsWatch`.
    "fs/changed" FsChanged(FsChangedNotification);
    /// Paths that a glob found. Flag `fsSearch`.
    "fs/glob/matches" FsGlobMatches(FsGlobMatchesNotification);
    /// Contents that a search found. Flag `fsSearch`.
    "fs/search/matches" FsSearchMatches(FsSearchMatchesNotification);
    /// A decision on a process's network access, for audit.
    "network/policyDecision" NetworkPolicyDecision(NetworkPolicyDecisionNotification);
    /// Bytes of a forwarded TCP stream. Flag `portForward`.
    "net/data" NetData(NetDataNotification);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn no_method_stands_in_the_table_twice() {
        let mut names: Vec<&str> = ClientRequest::METHODS.iter().map(|(name, _)| *name).collect();
        names.extend(ClientNotification::NAMES);
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }

    #[test]
    fn a_method_without_parameters_takes_nothing_null_or_an_empty_object() {
        for params in [None, Some("null"), Some("{}")] {
            let params = params.map(raw);
            assert!(ClientRequest::decode("environment/status", params.as_deref()).is_ok());
        }
        for params in ["3", "\"x\"", "{\"a\":1}", "[1]", "[]"] {
            let decoded = ClientRequest::decode("environment/status", Some(&raw(params)));
            assert!(matches!(decoded, Err(DecodeError::InvalidParams(_))), "{params}");
        }
    }

    #[test]
    fn what_is_wrong_with_parameters_is_said_without_a_position() {
        let decoded = ClientRequest::decode("process/read", Some(&raw("{}")));
        assert_eq!(decoded.unwrap_err(), DecodeError::InvalidParams("missing field `processId`".into()));
        let decoded = ClientRequest::decode("process/terminate", Some(&raw(r#"{"processId":null}"#)));
        assert!(matches!(decoded, Err(DecodeError::InvalidParams(text)) if !text.contains("column")));
        assert_eq!(ClientRequest::decode("foo", None).unwrap_err(), DecodeError::UnknownMethod("foo".into()));
    }

    #[test]
    fn initialized_ignores_its_parameters() {
        for params in ["null", "3", "{\"a\":[1]}"] {
            assert!(ClientNotification::decode("initialized", Some(&raw(params))).is_ok());
        }
    }
}
