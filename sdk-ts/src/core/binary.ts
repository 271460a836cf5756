// Bytes that travel as they are: a fixed little header, a name, and the bytes. Flag `binaryOutput`. Several pieces of output
// may come in one message. Flag `outputPacking`.
//
// The layout stands in docs/protocol-extensions.md, examples in schema/vectors/binary.json. A payload shares the memory of
// its message.

import type { OutputStream, RequestId } from "../generated/types.js";

/** Bytes before the name. */
const HEADER_BYTES = 24;

const KIND_OUTPUT = 1;
const KIND_BODY = 2;
const KIND_BLOCK = 3;
const KIND_PACK = 4;
const KIND_RANGE = 5;

const STREAMS: readonly OutputStream[] = ["stdout", "stderr", "pty"];

type Bytes = Uint8Array<ArrayBuffer>;

/** As the notification `process/output`. */
export interface OutputMessage {
  readonly kind: "output";
  readonly processId: string;
  readonly seq: number;
  readonly stream: OutputStream;
  readonly offset: number;
  readonly bytes: Bytes;
}

/** As the notification `http/request/bodyDelta`, behind `offset` bytes of the body. */
export interface BodyMessage {
  readonly kind: "body";
  readonly requestId: string;
  readonly seq: number;
  readonly offset: number;
  readonly done: boolean;
  readonly bytes: Bytes;
}

/** What a binary message says. */
export type BinaryMessage =
  | OutputMessage
  /** Several, as if each had come by itself. */
  | { readonly kind: "pack"; readonly records: readonly OutputMessage[] }
  | BodyMessage
  /** As the result of `fs/readBlock`. */
  | {
      readonly kind: "block";
      readonly id: RequestId;
      readonly offset: number;
      readonly eof: boolean;
      readonly bytes: Bytes;
    }
  /** As the result of `fs/readRange`, for a request that says `binary`. Flag `binaryRanges`. */
  | {
      readonly kind: "range";
      readonly id: RequestId;
      readonly offset: number;
      readonly eof: boolean;
      /** Of the whole file. */
      readonly size: number;
      readonly etag: string;
      readonly bytes: Bytes;
    }
  /** What is wrong with it. */
  | {
      readonly kind: "fault";
      readonly fault:
        | "header"
        | "kind"
        | "length"
        | "name"
        | "detail"
        | "seq"
        | "requestId"
        | "range"
        | "counter";
    };

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether a message of bytes is one of these; otherwise it is JSON, or nothing. */
export function isBinaryMessage(message: Uint8Array): boolean {
  return message.length > 0 && !"{[ \t\r\n".includes(String.fromCharCode(message[0]!));
}

function fault(what: Extract<BinaryMessage, { kind: "fault" }>["fault"]): BinaryMessage {
  return { kind: "fault", fault: what };
}

/** A 64-bit counter; one beyond what a number holds exactly comes out unsafe. */
function counter(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

function viewOf(message: Bytes): DataView {
  return new DataView(message.buffer, message.byteOffset, message.length);
}

/** Takes the pieces of a pack apart. */
function unpack(payload: Bytes): BinaryMessage {
  const records: OutputMessage[] = [];
  const view = viewOf(payload);
  for (let at = 0; at < payload.length; ) {
    if (payload.length - at < HEADER_BYTES) return fault("header");
    if (payload[at] !== KIND_OUTPUT) return fault("kind");
    const end = at + HEADER_BYTES + view.getUint16(at + 2, true) + view.getUint32(at + 4, true);
    if (end > payload.length) return fault("length");
    const record = decodeBinary(payload.subarray(at, end));
    if (record.kind !== "output") return record;
    records.push(record);
    at = end;
  }
  return { kind: "pack", records };
}

/** Takes a message apart. Whatever it is, there is an answer; nothing is thrown. */
export function decodeBinary(message: Bytes): BinaryMessage {
  if (message.length < HEADER_BYTES) return fault("header");
  const view = viewOf(message);
  const kind = message[0]!;
  const detail = message[1]!;
  if (kind < KIND_OUTPUT || kind > KIND_RANGE) return fault("kind");
  const nameEnd = HEADER_BYTES + view.getUint16(2, true);
  if (message.length !== nameEnd + view.getUint32(4, true)) return fault("length");
  let name: string;
  try {
    name = utf8.decode(message.subarray(HEADER_BYTES, nameEnd));
  } catch {
    return fault("name");
  }
  const seq = counter(view, 8);
  const offset = counter(view, 16);
  const bytes = message.subarray(nameEnd);
  if (kind === KIND_OUTPUT) {
    const stream = STREAMS[detail];
    if (stream === undefined) return fault("detail");
    if (!Number.isSafeInteger(seq) || !Number.isSafeInteger(offset)) return fault("counter");
    return { kind: "output", processId: name, seq, stream, offset, bytes };
  }
  if (detail > (kind === KIND_PACK ? 0 : 1)) return fault("detail");
  if (!Number.isSafeInteger(seq) || !Number.isSafeInteger(offset)) return fault("counter");
  if (kind === KIND_BODY) return { kind: "body", requestId: name, seq, offset, done: detail === 1, bytes };
  const eof = detail === 1;
  if (kind === KIND_RANGE) {
    const named = parsed(name);
    if (!Array.isArray(named) || named.length !== 2) return fault("range");
    const [id, etag] = named as unknown[];
    if (!isRequestId(id) || typeof etag !== "string") return fault("range");
    return { kind: "range", id, offset, eof, size: seq, etag, bytes };
  }
  if (seq !== 0) return fault("seq");
  if (kind === KIND_BLOCK) {
    const id = parsed(name);
    return isRequestId(id) ? { kind: "block", id, offset, eof, bytes } : fault("requestId");
  }
  return name === "" ? unpack(bytes) : fault("name");
}

function isRequestId(id: unknown): id is RequestId {
  return typeof id === "string" || Number.isInteger(id);
}

/** What JSON text says; undefined if it is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
