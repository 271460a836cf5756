// The public names, for Node, browsers and everything else. Imports nothing from Node.

export { Client, type ConnectOptions, connect, connectWith, type ServerInfo } from "./client.js";
export type { ClientConfig } from "./config.js";
export type { ProcessBounds } from "./core/limits.js";
export { fromPathUri, toPathUri } from "./core/path_uri.js";
export type { Proof } from "./core/record.js";
export { type EnvironmentSource, Environments } from "./environments.js";
export { ExecError, type ExecErrorDetails, type ExecErrorKind, isExecError } from "./errors.js";
export type { ClosedEvent, ExitedEvent, ExitStatus, GapEvent, OutputEvent, ProcessEvent } from "./events.js";
export type { FileSystemClient } from "./fs.js";
export type { FileHandle } from "./fs_handle.js";
export type {
  FsChangeEvent,
  FsContentOptions,
  FsDigest,
  FsEntry,
  FsGlobOptions,
  FsLink,
  FsLinkOptions,
  FsListOptions,
  FsMatch,
  FsOptions,
  FsRangeOptions,
  FsStat,
  FsTree,
  FsTreeOptions,
  FsWatchOptions,
  FsWriteOptions,
} from "./fs_types.js";
export { CAPABILITY_FLAGS, type CapabilityFlag } from "./generated/constants.js";
export type {
  EnvInherit,
  EnvironmentCapabilities,
  EnvPolicy,
  ExitReason,
  FsDirectoryEntry,
  HttpRequestHeader,
  ManagedNetwork,
  NetworkProxyLaunch,
  OutputBudget,
  OutputStream,
  ProcessLimits,
  ProcessMetadata,
  ProcessSignal,
  ProcessState,
  ProcessSummary,
  ProcessTerminateResponse,
  ProcessUsage,
  PtySize,
  SandboxContext,
  SandboxDenial,
  ServerLimits,
  ShellInfo,
} from "./generated/types.js";
export type { HttpClient, HttpInit } from "./http.js";
export type { CallSignal, LineOptions, ProcessHandle } from "./process.js";
export type { ProcessClient, RunOptions } from "./process_client.js";
export type { StartOptions } from "./process_options.js";
export type { Output, OutputOptions } from "./process_output.js";
export type { ConnectionState } from "./rpc/session.js";
export type { FollowOptions } from "./rpc/subscription.js";
export { type ReopenOptions, type SessionStore, type SessionsClient, storedIn } from "./sessions.js";
export type { Dial, Transport, TransportEnd, TransportEvents } from "./transport/transport.js";
export type { WebSocketConstructor, WebSocketLike } from "./transport/websocket-global.js";
