// Bulk for Node: large binary messages are taken out of what a socket reads, and `ws` has all the rest.
//
// `ws` is given bytes as they come, 64 KiB at most in a buffer of its own each time, and puts a message together of two or
// more. Here bytes are read into one block, again and again, which stays in the processor's cache; a message that lies in it
// whole is copied out once, and told. Everything else goes to `ws`, to the byte: texts, control frames, pieces of messages,
// all that is wrong. So the shortcut decides nothing and refuses nothing, and it is left whenever it might lead past something
// that `ws` has not dealt with yet.

import type { Socket } from "node:net";

type Bytes = Uint8Array<ArrayBuffer>;

/** Of which messages it pays, and which find room. */
const LEAST_BULK_BYTES = 8 << 10;
const MOST_BULK_BYTES = 256 << 10;
/** What a connection begins with. A flood gets a larger block, and whoever falls silent goes back to this. */
const LEAST_BLOCK_BYTES = 64 << 10;
const MOST_BLOCK_BYTES = 512 << 10;
/** Less is not read for: what is not done yet goes to the front. */
const LEAST_ROOM_BYTES = 64 << 10;
/** A read that brings less is no flood. */
const LITTLE_BYTES = 16 << 10;

/** First bytes of an answer that switches to a WebSocket; any other is for `ws` alone. */
const SWITCHING = [..."HTTP/1.1 101 "].map((letter) => letter.charCodeAt(0));
/** What ends that answer's head. */
const HEAD_END = [13, 10, 13, 10];

/** A whole message of bytes, in RFC 6455's first byte of a frame. */
const WHOLE_BINARY = 0x82;
const FIN = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const OPCODE_BINARY = 2;
const OPCODE_PING = 9;
const OPCODE_PONG = 10;

/** The answer to the request for a WebSocket, frames, or whatever goes to `ws` without a look. */
type Stage = "answer" | "frames" | "rest";

/** The first byte of a frame, and how long it is: what stands before the payload, and that. */
interface Frame {
  readonly first: number;
  readonly headBytes: number;
  readonly payloadBytes: number;
}

/** Memory of its own, for what is written there at once. */
function uninitialized(bytes: number): Bytes {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(bytes);
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, bytes);
}

/** See the head of the file. One for each connection. */
export class BulkReader {
  readonly #tell: (message: Bytes) => void;
  readonly #socket: () => Socket | undefined;
  #block: Bytes = new Uint8Array(0);
  /** Up to here everything was told or given to `ws`. */
  #done = 0;
  /** Up to here there are bytes. */
  #end = 0;
  /** What the message that is under way lacks. */
  #lacking = 0;
  /** A read took all the room that there was. */
  #wasFull = false;
  /** The last read brought little, and nothing of bulk. */
  #isCalm = true;
  #stage: Stage = "answer";
  /** Bytes of the answer that were seen, and how many of them last were the beginning of its end. */
  #answerBytes = 0;
  #answerEnd = 0;
  /** What is still to come of a frame that goes to `ws`. */
  #passing = 0;
  /** A message in several frames is under way. */
  #isFragmented = false;

  /** Tells messages of `socket`, on which `ws` listens. */
  constructor(socket: () => Socket | undefined, tell: (message: Bytes) => void) {
    this.#socket = socket;
    this.#tell = tell;
  }

  /** Where to read to next. */
  room(): Uint8Array {
    const { length } = this.#block;
    if (this.#done === this.#end && this.#isCalm && length !== LEAST_BLOCK_BYTES)
      this.#begin(LEAST_BLOCK_BYTES);
    else if (this.#wasFull && length < MOST_BLOCK_BYTES) this.#begin(length * 2);
    else if (this.#done === this.#end) this.#done = this.#end = 0;
    else if (length - this.#end < Math.max(LEAST_ROOM_BYTES, this.#lacking)) this.#begin(length);
    return this.#block.subarray(this.#end);
  }

  /** Takes what was read there. False: not to be read on until `ws` has taken what it has. */
  take(bytes: number): boolean {
    this.#isCalm = bytes < LITTLE_BYTES;
    this.#wasFull = this.#end + bytes === this.#block.length;
    this.#end += bytes;
    this.#lacking = 0;
    let goesOn = true;
    // What is wrong with a message, `ws` finds at once and acts upon in a moment.
    let isSound = this.#passing === 0;
    /** From `#done` to here it goes to `ws`. */
    let at = this.#done;
    while (at < this.#end) {
      if (this.#stage === "answer") at = this.#readAnswer(at);
      else if (this.#stage === "rest") at = this.#end;
      else if (this.#passing > 0) {
        const step = Math.min(this.#passing, this.#end - at);
        this.#passing -= step;
        at += step;
      } else {
        const frame = this.#frameAt(at);
        if (frame === "partial") break;
        if (frame === "last") {
          this.#stage = "rest";
          continue;
        }
        if (!this.#isBulk(frame)) {
          isSound &&= (frame.first & OPCODE) > OPCODE_BINARY;
          this.#pass(frame);
          continue;
        }
        this.#isCalm = false;
        const missing = at + frame.headBytes + frame.payloadBytes - this.#end;
        if (missing > 0) {
          this.#lacking = missing;
          break;
        }
        goesOn = this.#give(at) && goesOn;
        if (isSound && this.#isUpToDate()) {
          at += frame.headBytes + frame.payloadBytes;
          this.#done = at;
          const message = uninitialized(frame.payloadBytes);
          message.set(this.#block.subarray(at - message.length, at));
          this.#tell(message);
          if (this.#socket()?.destroyed) return false;
        } else {
          isSound = false;
          this.#pass(frame);
        }
      }
    }
    return this.#give(at) && goesOn;
  }

  /** Goes on at the front of a block of that size, with what is not done yet; larger if that has to be. */
  #begin(size: number): void {
    const rest = this.#block.subarray(this.#done, this.#end);
    let needed = size;
    while (needed < rest.length + this.#lacking) needed *= 2;
    if (needed === this.#block.length) this.#block.copyWithin(0, this.#done, this.#end);
    else {
      const block = uninitialized(needed);
      block.set(rest);
      this.#block = block;
    }
    this.#done = 0;
    this.#end = rest.length;
  }

  /** Gives `ws` what is not done before `end`. */
  #give(end: number): boolean {
    const bytes = this.#block.subarray(this.#done, end);
    this.#done = end;
    return bytes.length === 0 || (this.#socket()?.push(Buffer.from(bytes)) ?? true);
  }

  /** Whether `ws` was given everything that came before, and wants more. */
  #isUpToDate(): boolean {
    const socket = this.#socket();
    if (socket === undefined || socket.readableFlowing !== true) return false;
    return socket.readableLength === 0 && socket.listenerCount("data") > 0;
  }

  /** Looks for the end of the answer; returns how far that reached. */
  #readAnswer(from: number): number {
    for (let at = from; at < this.#end; at++) {
      const byte = this.#block[at]!;
      if (this.#answerBytes < SWITCHING.length && byte !== SWITCHING[this.#answerBytes]) {
        this.#stage = "rest";
        return at;
      }
      this.#answerBytes += 1;
      if (byte === HEAD_END[this.#answerEnd]) this.#answerEnd += 1;
      else this.#answerEnd = byte === HEAD_END[0] ? 1 : 0;
      if (this.#answerEnd === HEAD_END.length) {
        this.#stage = "frames";
        return at + 1;
      }
    }
    return this.#end;
  }

  /** The frame that begins there, as far as it can be told. `last`: a farewell, or something wrong, and nothing counts behind it. */
  #frameAt(at: number): Frame | "partial" | "last" {
    const here = this.#end - at;
    if (here < 2) return "partial";
    const first = this.#block[at]!;
    // A server's is not masked.
    const length = this.#block[at + 1]!;
    const opcode = first & OPCODE;
    const isPing = (opcode === OPCODE_PING || opcode === OPCODE_PONG) && (first & FIN) !== 0 && length < 126;
    if (!(opcode <= OPCODE_BINARY || isPing) || (first & RESERVED) !== 0 || length > 127) return "last";
    if (length < 126) return { first, headBytes: 2, payloadBytes: length };
    // What is missing here, `ws` would wait for, too.
    const headBytes = length === 126 ? 4 : 10;
    if (here < headBytes) return "partial";
    const view = new DataView(this.#block.buffer, this.#block.byteOffset + at, headBytes);
    const payloadBytes = length === 126 ? view.getUint16(2) : view.getUint32(2) * 2 ** 32 + view.getUint32(6);
    return { first, headBytes, payloadBytes };
  }

  #isBulk({ first, payloadBytes }: Frame): boolean {
    return (
      first === WHOLE_BINARY &&
      !this.#isFragmented &&
      payloadBytes >= LEAST_BULK_BYTES &&
      payloadBytes <= MOST_BULK_BYTES
    );
  }

  /** `ws` gets the frame. */
  #pass({ first, headBytes, payloadBytes }: Frame): void {
    if ((first & OPCODE) <= OPCODE_BINARY) this.#isFragmented = (first & FIN) === 0;
    this.#passing = headBytes + payloadBytes;
  }
}
