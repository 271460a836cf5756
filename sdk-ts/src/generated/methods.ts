// Generated from codex-rs/exec-server-protocol; run `just gen`.
//
// What may be sent, by method: the map that typed calls and handlers hang on.

import type {
  AnyParams,
  CancelNotification,
  CapabilitiesDiscoverParams,
  CapabilitiesDiscoverResponse,
  CapabilityRootsDiscoverParams,
  CapabilityRootsDiscoverResponse,
  EmptyResponse,
  EnvironmentConfigReadParams,
  EnvironmentConfigReadResponse,
  EnvironmentInfo,
  EnvironmentStatusResponse,
  FsAppendParams,
  FsAppendResponse,
  FsCanonicalizeParams,
  FsCanonicalizeResponse,
  FsChangedNotification,
  FsCloseParams,
  FsCopyParams,
  FsCreateDirectoryParams,
  FsCreateLinkParams,
  FsDigestParams,
  FsDigestResponse,
  FsGetMetadataParams,
  FsGetMetadataResponse,
  FsGlobMatchesNotification,
  FsGlobParams,
  FsGlobResponse,
  FsMissingChangedNotification,
  FsOpenParams,
  FsOpenResponse,
  FsReadBlockParams,
  FsReadBlockResponse,
  FsReadDirectoryParams,
  FsReadDirectoryResponse,
  FsReadFileParams,
  FsReadFileResponse,
  FsReadLinkParams,
  FsReadLinkResponse,
  FsReadRangeParams,
  FsReadRangeResponse,
  FsRemoveParams,
  FsRenameParams,
  FsSearchCreditNotification,
  FsSearchMatchesNotification,
  FsSearchParams,
  FsSearchResponse,
  FsSetPermissionsParams,
  FsStatManyParams,
  FsStatManyResponse,
  FsUnwatchParams,
  FsWalkParams,
  FsWalkResponse,
  FsWatchMissingParams,
  FsWatchMissingResponse,
  FsWatchParams,
  FsWatchResponse,
  FsWriteBlockParams,
  FsWriteFileParams,
  FsWriteFileResponse,
  FsWriteRangeParams,
  FsWriteRangeResponse,
  HttpBodyCreditNotification,
  HttpBodyDeltaNotification,
  HttpRequestParams,
  HttpRequestResponse,
  InitializeParams,
  InitializeResponse,
  NetCloseParams,
  NetConnectParams,
  NetConnectResponse,
  NetDataNotification,
  NetDataParams,
  NetworkPolicyDecisionNotification,
  NetworkPolicyRequestParams,
  NetworkPolicyResponse,
  NoParams,
  ProcessAckNotification,
  ProcessCloseStdinParams,
  ProcessClosedNotification,
  ProcessExitedNotification,
  ProcessListResponse,
  ProcessOutputNotification,
  ProcessReadParams,
  ProcessReadResponse,
  ProcessResizeParams,
  ProcessSignalParams,
  ProcessStartParams,
  ProcessStartResponse,
  ProcessTerminateParams,
  ProcessTerminateResponse,
  ProcessWriteParams,
  ProcessWriteResponse,
} from "./types.js";

/** Every request that a client may send. */
export interface ClientRequests {
  /** Opens or resumes a session. */
  readonly "initialize": { readonly params: InitializeParams; readonly response: InitializeResponse };
  /** Starts a process under an id the client chose. */
  readonly "process/start": { readonly params: ProcessStartParams; readonly response: ProcessStartResponse };
  /** Reads retained output, waiting for more if asked to. */
  readonly "process/read": { readonly params: ProcessReadParams; readonly response: ProcessReadResponse };
  /** Queues bytes for a process's stdin. */
  readonly "process/write": { readonly params: ProcessWriteParams; readonly response: ProcessWriteResponse };
  /** Ends a process's stdin. */
  readonly "process/closeStdin": { readonly params: ProcessCloseStdinParams; readonly response: ProcessWriteResponse };
  /** Changes the size of a process's terminal. */
  readonly "process/resize": { readonly params: ProcessResizeParams; readonly response: EmptyResponse };
  /** Sends a signal to a process group. */
  readonly "process/signal": { readonly params: ProcessSignalParams; readonly response: EmptyResponse };
  /** Ends a process and its descendants. */
  readonly "process/terminate": { readonly params: ProcessTerminateParams; readonly response: ProcessTerminateResponse };
  /** Lists the session's processes. */
  readonly "process/list": { readonly params: NoParams; readonly response: ProcessListResponse };
  /** Describes the server's machine. */
  readonly "environment/info": { readonly params: NoParams; readonly response: EnvironmentInfo };
  /** Tells whether the environment is ready. */
  readonly "environment/status": { readonly params: NoParams; readonly response: EnvironmentStatusResponse };
  /** Reads layers of configuration. */
  readonly "environmentConfig/read": { readonly params: EnvironmentConfigReadParams; readonly response: EnvironmentConfigReadResponse };
  /** Reads a whole file. */
  readonly "fs/readFile": { readonly params: FsReadFileParams; readonly response: FsReadFileResponse };
  /** Opens a file for block access. */
  readonly "fs/open": { readonly params: FsOpenParams; readonly response: FsOpenResponse };
  /** Reads a block. */
  readonly "fs/readBlock": { readonly params: FsReadBlockParams; readonly response: FsReadBlockResponse };
  /** Writes a block. */
  readonly "fs/writeBlock": { readonly params: FsWriteBlockParams; readonly response: EmptyResponse };
  /** Closes a file. */
  readonly "fs/close": { readonly params: FsCloseParams; readonly response: EmptyResponse };
  /** Writes a whole file. */
  readonly "fs/writeFile": { readonly params: FsWriteFileParams; readonly response: FsWriteFileResponse };
  /** Makes a directory. */
  readonly "fs/createDirectory": { readonly params: FsCreateDirectoryParams; readonly response: EmptyResponse };
  /** Describes a file. */
  readonly "fs/getMetadata": { readonly params: FsGetMetadataParams; readonly response: FsGetMetadataResponse };
  /** Resolves links. */
  readonly "fs/canonicalize": { readonly params: FsCanonicalizeParams; readonly response: FsCanonicalizeResponse };
  /** Lists a directory. */
  readonly "fs/readDirectory": { readonly params: FsReadDirectoryParams; readonly response: FsReadDirectoryResponse };
  /** Lists a tree. */
  readonly "fs/walk": { readonly params: FsWalkParams; readonly response: FsWalkResponse };
  /** Removes a file or a tree. */
  readonly "fs/remove": { readonly params: FsRemoveParams; readonly response: EmptyResponse };
  /** Copies a file or a tree. */
  readonly "fs/copy": { readonly params: FsCopyParams; readonly response: EmptyResponse };
  /** Waits for a path to come into existence. */
  readonly "fs/watchMissing": { readonly params: FsWatchMissingParams; readonly response: FsWatchMissingResponse };
  /** Renames. Flag `fsExtended`. */
  readonly "fs/rename": { readonly params: FsRenameParams; readonly response: EmptyResponse };
  /** Appends. Flag `fsExtended`. */
  readonly "fs/append": { readonly params: FsAppendParams; readonly response: FsAppendResponse };
  /** Changes permissions. Flag `fsExtended`. */
  readonly "fs/setPermissions": { readonly params: FsSetPermissionsParams; readonly response: EmptyResponse };
  /** Reads a part of a file. Flag `fsExtended`. */
  readonly "fs/readRange": { readonly params: FsReadRangeParams; readonly response: FsReadRangeResponse };
  /** Describes many files. Flag `fsExtended`. */
  readonly "fs/statMany": { readonly params: FsStatManyParams; readonly response: FsStatManyResponse };
  /** Writes a part of a file. Flag `fsTransfer`. */
  readonly "fs/writeRange": { readonly params: FsWriteRangeParams; readonly response: FsWriteRangeResponse };
  /** Takes a checksum of a file. Flag `fsTransfer`. */
  readonly "fs/digest": { readonly params: FsDigestParams; readonly response: FsDigestResponse };
  /** Reads a symbolic link. Flag `fsTransfer`. */
  readonly "fs/readLink": { readonly params: FsReadLinkParams; readonly response: FsReadLinkResponse };
  /** Makes a symbolic link. Flag `fsTransfer`. */
  readonly "fs/createLink": { readonly params: FsCreateLinkParams; readonly response: EmptyResponse };
  /** Watches for changes. Flag `fsWatch`. */
  readonly "fs/watch": { readonly params: FsWatchParams; readonly response: FsWatchResponse };
  /** Ends a watch. Flag `fsWatch`. */
  readonly "fs/unwatch": { readonly params: FsUnwatchParams; readonly response: EmptyResponse };
  /** Finds paths. Flag `fsSearch`. */
  readonly "fs/glob": { readonly params: FsGlobParams; readonly response: FsGlobResponse };
  /** Finds contents. Flag `fsSearch`. */
  readonly "fs/search": { readonly params: FsSearchParams; readonly response: FsSearchResponse };
  /** Sends an HTTP request from the server's machine. */
  readonly "http/request": { readonly params: HttpRequestParams; readonly response: HttpRequestResponse };
  /** Describes capability roots. */
  readonly "capabilityRoots/discoverV1": { readonly params: CapabilityRootsDiscoverParams; readonly response: CapabilityRootsDiscoverResponse };
  /** Finds plugins and skills. */
  readonly "capabilities/discoverV2": { readonly params: CapabilitiesDiscoverParams; readonly response: CapabilitiesDiscoverResponse };
  /** Opens a TCP stream beside the server. Flag `portForward`. */
  readonly "net/connect": { readonly params: NetConnectParams; readonly response: NetConnectResponse };
  /** Sends bytes on such a stream. Flag `portForward`. */
  readonly "net/data": { readonly params: NetDataParams; readonly response: EmptyResponse };
  /** Closes such a stream. Flag `portForward`. */
  readonly "net/close": { readonly params: NetCloseParams; readonly response: EmptyResponse };
}

/** The methods of {@link ClientRequests}. */
export type ClientRequestMethod = keyof ClientRequests;

/** The methods of {@link ClientRequests}, as a list. */
export const CLIENT_REQUEST_METHODS = [
  "initialize",
  "process/start",
  "process/read",
  "process/write",
  "process/closeStdin",
  "process/resize",
  "process/signal",
  "process/terminate",
  "process/list",
  "environment/info",
  "environment/status",
  "environmentConfig/read",
  "fs/readFile",
  "fs/open",
  "fs/readBlock",
  "fs/writeBlock",
  "fs/close",
  "fs/writeFile",
  "fs/createDirectory",
  "fs/getMetadata",
  "fs/canonicalize",
  "fs/readDirectory",
  "fs/walk",
  "fs/remove",
  "fs/copy",
  "fs/watchMissing",
  "fs/rename",
  "fs/append",
  "fs/setPermissions",
  "fs/readRange",
  "fs/statMany",
  "fs/writeRange",
  "fs/digest",
  "fs/readLink",
  "fs/createLink",
  "fs/watch",
  "fs/unwatch",
  "fs/glob",
  "fs/search",
  "http/request",
  "capabilityRoots/discoverV1",
  "capabilities/discoverV2",
  "net/connect",
  "net/data",
  "net/close",
] as const satisfies readonly ClientRequestMethod[];

/** Every notification that a client may send. */
export interface ClientNotifications {
  /** Completes the handshake; repeating it is harmless. */
  readonly "initialized": { readonly params: AnyParams };
  /** Gives up a request in flight. */
  readonly "$/cancel": { readonly params: CancelNotification };
  /** Tells how far the readers of a process's output are. Flag `outputWindow`. */
  readonly "process/ack": { readonly params: ProcessAckNotification };
  /** Lets the server send more of a streamed HTTP body. Flag `httpBodyCredit`. */
  readonly "http/request/bodyCredit": { readonly params: HttpBodyCreditNotification };
  /** Lets the server send more of what a search finds. Flag `fsSearch`. */
  readonly "fs/searchCredit": { readonly params: FsSearchCreditNotification };
}

/** The methods of {@link ClientNotifications}. */
export type ClientNotificationMethod = keyof ClientNotifications;

/** The methods of {@link ClientNotifications}, as a list. */
export const CLIENT_NOTIFICATION_METHODS = [
  "initialized",
  "$/cancel",
  "process/ack",
  "http/request/bodyCredit",
  "fs/searchCredit",
] as const satisfies readonly ClientNotificationMethod[];

/** Every request that a server may send. */
export interface ServerRequests {
  /** Asks for a decision on a host that no rule covers. */
  readonly "network/policyRequest": { readonly params: NetworkPolicyRequestParams; readonly response: NetworkPolicyResponse };
}

/** The methods of {@link ServerRequests}. */
export type ServerRequestMethod = keyof ServerRequests;

/** The methods of {@link ServerRequests}, as a list. */
export const SERVER_REQUEST_METHODS = [
  "network/policyRequest",
] as const satisfies readonly ServerRequestMethod[];

/** Every notification that a server may send. */
export interface ServerNotifications {
  /** Output of a process. */
  readonly "process/output": { readonly params: ProcessOutputNotification };
  /** A process ended; output may still follow. */
  readonly "process/exited": { readonly params: ProcessExitedNotification };
  /** A process's streams ended; always its last. */
  readonly "process/closed": { readonly params: ProcessClosedNotification };
  /** A piece of a streamed HTTP body. */
  readonly "http/request/bodyDelta": { readonly params: HttpBodyDeltaNotification };
  /** A watched path came into existence. */
  readonly "fs/missingChanged": { readonly params: FsMissingChangedNotification };
  /** Watched files changed. Flag `fsWatch`. */
  readonly "fs/changed": { readonly params: FsChangedNotification };
  /** Paths that a glob found. Flag `fsSearch`. */
  readonly "fs/glob/matches": { readonly params: FsGlobMatchesNotification };
  /** Contents that a search found. Flag `fsSearch`. */
  readonly "fs/search/matches": { readonly params: FsSearchMatchesNotification };
  /** A decision on a process's network access, for audit. */
  readonly "network/policyDecision": { readonly params: NetworkPolicyDecisionNotification };
  /** Bytes of a forwarded TCP stream. Flag `portForward`. */
  readonly "net/data": { readonly params: NetDataNotification };
}

/** The methods of {@link ServerNotifications}. */
export type ServerNotificationMethod = keyof ServerNotifications;

/** The methods of {@link ServerNotifications}, as a list. */
export const SERVER_NOTIFICATION_METHODS = [
  "process/output",
  "process/exited",
  "process/closed",
  "http/request/bodyDelta",
  "fs/missingChanged",
  "fs/changed",
  "fs/glob/matches",
  "fs/search/matches",
  "network/policyDecision",
  "net/data",
] as const satisfies readonly ServerNotificationMethod[];
