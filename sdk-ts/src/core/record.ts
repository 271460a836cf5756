// What a process did, in order but not yet vouched for; and what a subscriber's own count makes of it.

import { Crc32c } from "#crc32c";
import type { ExitReason, OutputStream, ProcessUsage, SandboxDenial } from "../generated/types.js";
import { formatCrc32c } from "./crc32c.js";

/** How a process ended. Old servers tell less. */
export interface Exit {
  /** Exit code, or 128 + n after signal n. */
  readonly code: number;
  /** Whether the sandbox refused something. */
  readonly sandboxDenied: boolean | undefined;
  readonly reason: ExitReason | undefined;
  /** Number of the signal that ended it. */
  readonly signal: number | undefined;
  readonly usage: ProcessUsage | undefined;
  /** What the sandbox refused. */
  readonly denials: readonly SandboxDenial[] | undefined;
}

/** The server's own account of all output, as far as it keeps one. */
export interface Account {
  readonly outputBytes: number | undefined;
  readonly crc32c: string | undefined;
}

/** An event in its place. */
export type LogRecord =
  /** Never empty. */
  | {
      readonly type: "output";
      readonly seq: number;
      readonly stream: OutputStream;
      readonly bytes: Uint8Array<ArrayBuffer>;
    }
  /** Nobody holds these any more; `seq` is the last of them. */
  | { readonly type: "gap"; readonly seq: number; readonly bytes: number | undefined }
  /** `seq` is that of the event before it where only the fact was told. */
  | { readonly type: "exited"; readonly seq: number; readonly exit: Exit }
  /** The last. */
  | { readonly type: "closed"; readonly seq: number; readonly account: Account };

/** Bytes of output that a record holds. */
export function heldBytes(record: LogRecord): number {
  return record.type === "output" ? record.bytes.length : 0;
}

/** Bytes of output that a record stands for; `undefined` if that is not known. */
export function outputBytes(record: LogRecord): number | undefined {
  return record.type === "gap" ? record.bytes : heldBytes(record);
}

/**
 * How it is known that a subscriber had everything.
 *
 * - `checksum`: length and CRC-32C of all output agree with the server's.
 * - `length`: the length agrees; the server tells no checksum.
 * - `numbering`: no number is missing; the server tells no more, or the subscription began in the middle.
 * - `gap`: something is missing, as was told.
 */
export type Proof = "checksum" | "length" | "numbering" | "gap";

/** What was told is not what the process wrote. */
export interface Discrepancy {
  readonly what: "length" | "crc32c";
  readonly expected: string;
  readonly found: string;
}

/** What one subscriber was told, counted where it is told: the proof at the end covers everything on the way to it. */
export class Tally {
  #bytes = 0;
  /** Whether `#bytes` is all output so far: not after a gap of unknown size, nor when it began in the middle. */
  #isKnown: boolean;
  readonly #fromStart: boolean;
  #last: number;
  readonly #crc = new Crc32c();
  #hasGaps = false;
  #hasExited = false;

  /** Of a subscription to what comes behind `after`. */
  constructor(after: number) {
    this.#fromStart = after === 0;
    this.#isKnown = this.#fromStart;
    this.#last = after;
  }

  /** All output so far, where that is known. */
  get bytes(): number | undefined {
    return this.#isKnown ? this.#bytes : undefined;
  }

  /**
   * Whether an exit is to be told that stands at `seq`, or of which no more is known than that it happened before: then
   * it was within a gap, or before this began.
   */
  missesExitAt(seq: number): boolean {
    return !this.#hasExited && (seq > this.#last || this.#hasGaps || this.#fromStart);
  }

  /** Counts a record as told. */
  tell(record: LogRecord): void {
    this.#last = record.seq;
    const bytes = outputBytes(record);
    if (bytes === undefined) this.#isKnown = false;
    else this.#bytes += bytes;
    if (record.type === "output") {
      // Behind a gap, or from the middle, there is nothing to compare it with.
      if (this.#fromStart && !this.#hasGaps) this.#crc.add(record.bytes);
    } else if (record.type === "gap") this.#hasGaps = true;
    else if (record.type === "exited") this.#hasExited = true;
  }

  /** Compares what was told with the server's account. */
  prove(account: Account): Proof | Discrepancy {
    const { outputBytes: expected, crc32c: expectedCrc } = account;
    if (expected !== undefined && this.#isKnown && expected !== this.#bytes) {
      return { what: "length", expected: String(expected), found: String(this.#bytes) };
    }
    if (this.#hasGaps) return "gap";
    if (!this.#fromStart) return "numbering";
    if (expectedCrc === undefined) return expected === undefined ? "numbering" : "length";
    const found = formatCrc32c(this.#crc.value);
    return expectedCrc.toLowerCase() === found
      ? "checksum"
      : { what: "crc32c", expected: expectedCrc, found };
  }
}
