// Everything that a process said, in one piece.

import type { Proof } from "./core/record.js";
import { ExecError } from "./errors.js";
import type { ExitStatus, GapEvent, ProcessEvent } from "./events.js";

/** How to collect output. */
export interface OutputOptions {
  /** Bytes to collect at most, over both streams; more is an error of kind `outputTooLarge`. Default 64 MiB. */
  readonly maxBytes?: number;
  /** What to do where output is gone: `fail`, the default, or `tell`, which lists it in `gaps`. */
  readonly onGap?: "tell" | "fail";
}

/** All output of a process that was closed. */
export interface Output extends ExitStatus {
  /** What it wrote to stdout, or on its terminal. */
  readonly stdout: Uint8Array<ArrayBuffer>;
  /** What it wrote to stderr. */
  readonly stderr: Uint8Array<ArrayBuffer>;
  /** `stdout` as text; what is no UTF-8 is replaced. */
  readonly stdoutText: string;
  /** `stderr` as text; what is no UTF-8 is replaced. */
  readonly stderrText: string;
  /** How it is known that this is everything. */
  readonly proof: Proof;
  /** What is missing, if that was to be told. */
  readonly gaps: readonly GapEvent[];
}

const DEFAULT_MAX_BYTES = 64 << 20;

function joined(chunks: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** The text of bytes, made when it is asked for. */
class Collected implements Output {
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: Uint8Array<ArrayBuffer>;
  readonly exitCode: ExitStatus["exitCode"];
  readonly reason: ExitStatus["reason"];
  readonly signal: ExitStatus["signal"];
  readonly usage: ExitStatus["usage"];
  readonly sandboxDenied: ExitStatus["sandboxDenied"];
  readonly denials: ExitStatus["denials"];
  readonly proof: Proof;
  readonly gaps: readonly GapEvent[];

  constructor(
    stdout: readonly Uint8Array<ArrayBuffer>[],
    stderr: readonly Uint8Array<ArrayBuffer>[],
    exit: ExitStatus,
    proof: Proof,
    gaps: readonly GapEvent[],
  ) {
    this.stdout = joined(stdout);
    this.stderr = joined(stderr);
    this.exitCode = exit.exitCode;
    this.reason = exit.reason;
    this.signal = exit.signal;
    this.usage = exit.usage;
    this.sandboxDenied = exit.sandboxDenied;
    this.denials = exit.denials;
    this.proof = proof;
    this.gaps = gaps;
  }

  get stdoutText(): string {
    return new TextDecoder().decode(this.stdout);
  }

  get stderrText(): string {
    return new TextDecoder().decode(this.stderr);
  }
}

/** Reads events to the close. */
export async function collect(events: AsyncIterable<ProcessEvent>, options: OutputOptions): Promise<Output> {
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  const stdout: Uint8Array<ArrayBuffer>[] = [];
  const stderr: Uint8Array<ArrayBuffer>[] = [];
  const gaps: GapEvent[] = [];
  let exit: ExitStatus | undefined;
  let bytes = 0;
  for await (const event of events) {
    switch (event.type) {
      case "output":
        bytes += event.bytes.length;
        if (bytes > maxBytes) {
          throw new ExecError("outputTooLarge", `the process wrote more than ${maxBytes} bytes`, {
            hint: "pass a larger maxBytes, or read its events instead of collecting them",
          });
        }
        (event.stream === "stderr" ? stderr : stdout).push(event.bytes);
        break;
      case "gap":
        gaps.push(event);
        break;
      case "exited":
        exit = event;
        break;
      case "closed":
        if (exit !== undefined) return new Collected(stdout, stderr, exit, event.proof, gaps);
        break;
      default:
        event satisfies never;
    }
  }
  throw new ExecError("disconnected", "the events ended without an exit", {
    hint: "the process was closed before this subscription began",
  });
}
