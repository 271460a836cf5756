// What a client is told when it is made: its name, its patience, and every bound on what it holds.

import { OUTPUT_PACKING_MS } from "#websocket";
import { DEFAULT_BOUNDS, type ProcessBounds } from "./core/limits.js";

/** A client's settings, all of them optional in {@link ConnectOptions}. */
export interface ClientConfig {
  /** Names the client in the server's log. Default `codex-exec-server-sdk`. */
  readonly clientName: string;
  /** How long making one connection may take. Default 10 s. */
  readonly connectTimeoutMs: number;
  /** How long the server may take to answer `initialize`. Default 10 s. */
  readonly initializeTimeoutMs: number;
  /** How long a lost connection is tried again before the client gives up. Default 45 s; servers keep a session 80 s. */
  readonly recoveryDeadlineMs: number;
  /** Pause between two attempts. The first one follows the loss at once. Default 100 ms. */
  readonly recoveryPauseMs: number;
  /** A connection that was silent for so long is asked whether it still stands. 0 never asks. Default 15 s. */
  readonly probeAfterMs: number;
  /** How long it may take to answer that; longer counts as lost. Default 10 s. */
  readonly probeTimeoutMs: number;
  /**
   * How long the server is asked to keep the session while no connection holds it. Servers without the flag
   * `sessionLifetime` ignore it, others grant as much as they may. Default: the server's own.
   */
  readonly detachedLifetimeMs: number | undefined;
  /** Calls that may wait for their answers; one more waits for its turn. Default 1,024. */
  readonly callsInFlight: number;
  /** Bytes of each streamed HTTP body that may wait for its reader; more ends the body. Default 16 MiB. */
  readonly httpBodyBytes: number;
  /**
   * How long the server may gather small pieces of output, to send several in one message: what a process says after a pause
   * comes at once, what follows up to so much later. Events stay what they are. For a page, to which a message costs more than
   * its bytes; `null` asks for none of it. Servers without the flag `outputPacking` ignore it, others wait 100 ms at most.
   * Default 16 ms, a frame, in browsers, and `null` elsewhere.
   */
  readonly outputPackingMs: number | null;
  /** Bounds of each process. */
  readonly process: ProcessBounds;
}

/** The defaults. */
export const DEFAULT_CONFIG: ClientConfig = {
  clientName: "codex-exec-server-sdk",
  connectTimeoutMs: 10_000,
  initializeTimeoutMs: 10_000,
  recoveryDeadlineMs: 45_000,
  recoveryPauseMs: 100,
  probeAfterMs: 15_000,
  probeTimeoutMs: 10_000,
  detachedLifetimeMs: undefined,
  callsInFlight: 1024,
  httpBodyBytes: 16 << 20,
  outputPackingMs: OUTPUT_PACKING_MS,
  process: DEFAULT_BOUNDS,
};
