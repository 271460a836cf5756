// Generated from codex-rs/exec-server-protocol; run `just gen`.
//
// Capability flags, error codes and the protocol's own bounds.

import type { EnvironmentCapabilities } from "./types.js";

/** A flag of what a server can do; absent means no. */
export type CapabilityFlag = keyof EnvironmentCapabilities;

/** Every flag that this version knows. */
export const CAPABILITY_FLAGS = [
  "binaryOutput",
  "binaryRanges",
  "cancel",
  "capabilityDiscoverySandbox",
  "capabilityDiscoveryV2",
  "credentialMasking",
  "credentialMaskingCustomProviders",
  "environmentConfigRead",
  "fileWriteStreaming",
  "fsExtended",
  "fsSearch",
  "fsTransfer",
  "fsWatch",
  "fsWatchMissing",
  "gapAccounting",
  "httpBodyCredit",
  "httpFailureCause",
  "httpHeaderEnvVars",
  "idempotentRequests",
  "linuxApprovedRootWritePreservesRestrictions",
  "linuxRootWritePreservesDevices",
  "networkProxyLaunch",
  "networkProxyReviewDomains",
  "observers",
  "outputBudget",
  "outputPacking",
  "outputWindow",
  "portForward",
  "processLimits",
  "processList",
  "processResize",
  "processSignals",
  "processStdinClose",
  "processTerminateGrace",
  "processTimeout",
  "processUsage",
  "sandboxDenials",
  "sandboxedFileStreaming",
  "serverLimits",
  "sessionLifetime",
  "sessionTakeover",
  "shellSnapshotV2",
  "windowsMxc",
] as const satisfies readonly CapabilityFlag[];

/** Error codes of the protocol, by name. */
export const ERROR_CODES = {
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  notFound: -32004,
  sessionInUse: -32010,
  cancelled: -32800,
} as const;

// Bounds that documentation refers to by name. What a server chooses itself is in `ServerLimits`.
export const MAX_VALUES = 262144;
export const MAX_DEPTH = 127;
export const MAX_READ_FILE_BYTES = 536870912;
export const MAX_BLOCK_BYTES = 1048576;
export const MAX_FILE_HANDLES = 128;
export const MAX_FILE_HANDLE_ID_BYTES = 32;
export const MAX_STAT_PATHS = 4096;
export const MAX_WALK_DEPTH = 64;
export const MAX_WALK_DIRECTORIES = 10000;
export const MAX_WALK_ENTRIES = 50000;
export const MAX_SEARCH_MATCHES = 100000;
export const MAX_CONTEXT_LINES = 20;
export const MAX_SEARCH_LINE_BYTES = 4096;
export const MAX_SEARCH_RANGES = 256;
export const MAX_SEARCH_DEPTH = 256;
export const MAX_SEARCH_PATTERN_BYTES = 16384;
export const MAX_SEARCH_ID_BYTES = 128;
export const DEFAULT_NET_WINDOW_BYTES = 1048576;
export const MAX_NET_DATA_BYTES = 1048576;
