// What servers tell unasked about processes: reads it as far as it is used, and says what is wrong with it.

import { decodeBase64 } from "../core/base64.js";
import { isObject } from "../core/message.js";
import type { Exit } from "../core/record.js";
import type { Entry } from "../core/timeline.js";
import type { ExitReason, OutputStream, ProcessUsage, SandboxDenial } from "../generated/types.js";

/** An event of one process. */
export interface ProcessPush {
  readonly processId: string;
  readonly seq: number;
  readonly entry: Entry;
}

type Members = Readonly<Record<string, unknown>>;

const STREAMS: readonly unknown[] = ["stdout", "stderr", "pty"] satisfies OutputStream[];

/** A whole number from 0, as counters are. */
export function isCounter(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function optional<T>(value: unknown, is: (value: unknown) => value is T): T | undefined | false {
  if (value === undefined || value === null) return undefined;
  return is(value) ? value : false;
}

const isText = (value: unknown): value is string => typeof value === "string";

/** Reads `process/output`, `process/exited` or `process/closed`. A text says that it can't be read. */
export function readProcessPush(method: string, params: unknown): ProcessPush | string {
  if (!isObject(params)) return `notification ${method}: params are no object`;
  const { processId, seq } = params;
  if (typeof processId !== "string") return `notification ${method}: processId is no text`;
  if (!isCounter(seq)) return `notification ${method}: seq is no counter`;
  const entry = readEntry(method, params);
  return typeof entry === "string" ? `notification ${method}: ${entry}` : { processId, seq, entry };
}

function readEntry(method: string, params: Members): Entry | string {
  if (method === "process/output") {
    const { stream, chunk } = params;
    if (!STREAMS.includes(stream)) return "stream is unknown";
    const bytes = typeof chunk === "string" ? decodeBase64(chunk) : undefined;
    if (bytes === undefined) return "chunk is no base64";
    const offset = optional(params["offset"], isCounter);
    if (offset === false) return "offset is no counter";
    return { type: "output", stream: stream as OutputStream, bytes, offset };
  }
  if (method === "process/exited") {
    const exit = readExit(params);
    return typeof exit === "string" ? exit : { type: "exited", exit };
  }
  const outputBytes = optional(params["outputBytes"], isCounter);
  if (outputBytes === false) return "outputBytes is no counter";
  const crc32c = optional(params["crc32c"], isText);
  if (crc32c === false) return "crc32c is no text";
  return { type: "closed", account: { outputBytes, crc32c } };
}

function isDenial(value: unknown): value is SandboxDenial {
  return isObject(value) && isText(value["operation"]) && isText(value["rule"]);
}

function readExit(params: Members): Exit | string {
  const { exitCode, sandboxDenied, reason, signal, usage, denials } = params;
  if (!Number.isInteger(exitCode)) return "exitCode is no whole number";
  return {
    code: exitCode as number,
    sandboxDenied: typeof sandboxDenied === "boolean" ? sandboxDenied : undefined,
    reason: typeof reason === "string" ? (reason as ExitReason) : undefined,
    signal: typeof signal === "number" ? signal : undefined,
    usage: isObject(usage) ? (usage as unknown as ProcessUsage) : undefined,
    denials: Array.isArray(denials) ? denials.filter(isDenial) : undefined,
  };
}
