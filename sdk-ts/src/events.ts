// What a subscriber to a process is told.

import type { Proof } from "./core/record.js";
import type { ExitReason, OutputStream, ProcessUsage, SandboxDenial } from "./generated/types.js";

/** Bytes that a process wrote. */
export interface OutputEvent {
  readonly type: "output";
  /** Position in the process's log; pass it as `after` to go on behind it. */
  readonly seq: number;
  readonly stream: OutputStream;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Output that nobody holds any more: this reader was slower than the server remembers. */
export interface GapEvent {
  readonly type: "gap";
  /** The last position that is missing. */
  readonly seq: number;
  /** How many bytes are missing, where that is known. */
  readonly bytes: number | undefined;
}

/** The process itself ended; output may still follow. */
export interface ExitedEvent {
  readonly type: "exited";
  readonly seq: number;
  /** Exit code, or 128 + n after signal n. */
  readonly exitCode: number;
  /** Why it ended. Flag `processTimeout`. */
  readonly reason: ExitReason | undefined;
  /** Number of the signal that ended it. Flag `processTimeout`. */
  readonly signal: number | undefined;
  /** What it used. Flag `processUsage`. */
  readonly usage: ProcessUsage | undefined;
  /** Whether the sandbox refused something. Old servers do not say. */
  readonly sandboxDenied: boolean | undefined;
  /** What the sandbox refused: the call, the path or address, the rule. Where that is known. Flag `sandboxDenials`. */
  readonly denials: readonly SandboxDenial[] | undefined;
}

/** All its streams ended; always the last. */
export interface ClosedEvent {
  readonly type: "closed";
  readonly seq: number;
  /** How it is known that this subscriber had everything. */
  readonly proof: Proof;
}

/** What a subscriber to a process is told, in order and each once, over as many connections as it takes. */
export type ProcessEvent = OutputEvent | GapEvent | ExitedEvent | ClosedEvent;

/** How a process ended. */
export type ExitStatus = Omit<ExitedEvent, "type" | "seq">;
