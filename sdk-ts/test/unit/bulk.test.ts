// Large binary messages are told past `ws`, and nobody can tell: whatever a server sends, in whatever pieces, the same
// messages come in the same order, and the same end.

import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { BulkReader } from "../../src/transport/bulk.js";
import { dialWebSocket } from "../../src/transport/websocket-node.js";
import { tcpServer, webSocketServer } from "../support/odd_server.js";

const KIB = 1 << 10;

/** A frame of a server, or what is meant to look like one. */
function frame(first: number, payload: Uint8Array, { masked = 0 } = {}): Buffer {
  const { length } = payload;
  const long = Buffer.alloc(8);
  long.writeBigUInt64BE(BigInt(length));
  const size = length < 126 ? [length] : length < 65_536 ? [126, ...long.subarray(6)] : [127, ...long];
  const [code, ...rest] = size as [number, ...number[]];
  return Buffer.concat([Uint8Array.of(first, code | masked, ...rest), payload]);
}

function payload(length: number, seed: number): Uint8Array {
  return Buffer.alloc(length, `${seed} of ${length}. `);
}

const letters = (length: number): Uint8Array => Buffer.alloc(length, "text");

/** What a server may say. */
const SOUND: Readonly<Record<string, (size: number) => Buffer>> = {
  bulk: (n) => frame(0x82, payload(30 * KIB + n, n)),
  bytes: (n) => frame(0x82, payload(n >> 9, n)),
  text: (n) => frame(0x81, letters(n)),
  ping: () => frame(0x89, payload(9, 1)),
  pong: () => frame(0x8a, payload(9, 2)),
  fragments: (n) =>
    Buffer.concat([
      frame(0x02, payload(n, 1)),
      frame(0x89, payload(3, 3)),
      frame(0x00, payload(40 * KIB, 2)),
      frame(0x80, payload(n, 3)),
    ]),
};

/** What it must not, or says last. */
const LAST: Readonly<Record<string, Buffer>> = {
  compressed: frame(0xc2, payload(40 * KIB, 1)),
  masked: frame(0x82, payload(40 * KIB, 1), { masked: 0x80 }),
  "of no kind": frame(0x83, payload(40 * KIB, 1)),
  "the end of nothing": frame(0x80, payload(40 * KIB, 1)),
  "a long ping": frame(0x89, payload(200, 1)),
  "a ping in parts": frame(0x09, payload(20, 1)),
  "no text": frame(0x81, Uint8Array.of(0xff, 0xfe)),
  "a message within another": Buffer.concat([frame(0x02, payload(5, 1)), frame(0x82, payload(40 * KIB, 1))]),
  "too long": Buffer.from([0x82, 127, 0, 0, 0, 0, 0x80, 0, 0, 1]),
  "much too long": Buffer.from([0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 1]),
  farewell: frame(0x88, Buffer.from([0x03, 0xe8, ...Buffer.from("bye")])),
  "half a farewell": frame(0x88, Uint8Array.of(3)),
  "half a length": Buffer.from([0x82, 126]),
  "half a message": frame(0x82, payload(50 * KIB, 1)).subarray(0, 45 * KIB),
};

const sound = fc.tuple(
  fc.oneof(
    { weight: 2, arbitrary: fc.constant("bulk") },
    { weight: 3, arbitrary: fc.constantFrom(...Object.keys(SOUND)) },
  ),
  fc.oneof(fc.nat(300), fc.nat(110 * KIB)),
);
const last = fc.option(fc.constantFrom(...Object.keys(LAST)));
const bytesOf = ([kind, size]: readonly [string, number]): Buffer => SOUND[kind]!(size);

interface Heard {
  readonly messages: readonly string[];
  readonly code: number | undefined;
}

const digest = (message: string | Uint8Array): string =>
  `${typeof message} ${message.length} ${createHash("sha1").update(message).digest("hex")}`;

function byWs(url: string): Promise<Heard> {
  return new Promise((resolve) => {
    const messages: string[] = [];
    const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 1 << 30 });
    socket.on("message", (data: Buffer, isBinary) =>
      messages.push(digest(isBinary ? data : data.toString())),
    );
    socket.on("error", () => {});
    socket.on("close", (code) => resolve({ messages, code }));
  });
}

async function byUs(url: string): Promise<Heard> {
  const messages: string[] = [];
  return new Promise((resolve, reject) => {
    const dial = dialWebSocket({ url: new URL(url), token: undefined, WebSocket: undefined });
    const events = {
      onMessage: (message: string | Uint8Array) => void messages.push(digest(message)),
      onEnd: ({ code }: { readonly code: number | undefined }) => resolve({ messages, code }),
    };
    dial(events, new AbortController().signal).catch(reject);
  });
}

/** A server that sends `bytes`, cut as told, behind its answer; cut in that, too. */
async function sends(bytes: Buffer, cuts: readonly number[]) {
  return tcpServer((socket) => {
    socket.once("data", (request) => {
      const [, key] = /sec-websocket-key: (.*)\r\n/i.exec(String(request)) ?? [];
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const answer = `HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`;
      const all = Buffer.concat([Buffer.from(answer), bytes]);
      const places = [...cuts.map((cut) => Math.floor(cut * all.length)), all.length].sort((a, b) => a - b);
      void (async () => {
        let from = 0;
        for (const to of places) {
          await new Promise((resolve) => socket.write(all.subarray(from, to), resolve));
          await new Promise((resolve) => setImmediate(resolve));
          from = to;
        }
        socket.end();
      })();
    });
  });
}

test("whatever a server sends, the same messages and the same end come as by `ws` alone", async () => {
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(sound, { maxLength: 12 }), last, cuts, async (first, kind, places) => {
      const behind = frame(0x82, payload(60 * KIB, 7));
      const bytes = Buffer.concat([...first.map(bytesOf), ...(kind === null ? [] : [LAST[kind]!, behind])]);
      await using server = await sends(bytes, places);
      const [theirs, ours] = await Promise.all([byWs(server.url), byUs(server.url)]);
      expect(ours).toEqual(theirs);
    }),
    { numRuns: 60 },
  );
});

test("large messages go past what `ws` reads, each in memory of its own", async () => {
  const push = vi.spyOn(Readable.prototype, "push");
  try {
    await using server = await webSocketServer((socket) => {
      for (let n = 0; n < 20; n++) socket.send(payload(64 * KIB, n));
      socket.close();
    });
    const told: Uint8Array[] = [];
    await new Promise<void>((resolve, reject) => {
      const dial = dialWebSocket({ url: new URL(server.url), token: undefined, WebSocket: undefined });
      const onMessage = (message: string | Uint8Array): void => void told.push(message as Uint8Array);
      dial({ onMessage, onEnd: () => resolve() }, new AbortController().signal).catch(reject);
    });
    expect(told).toHaveLength(20);
    expect(told.every((message, n) => Buffer.from(message).equals(payload(64 * KIB, n)))).toBe(true);
    for (const { buffer, length } of told) expect(buffer.byteLength).toBe(length);
    // What comes with the answer goes by `ws`.
    const pushed = push.mock.calls.reduce(
      (sum, [bytes]) => sum + ((bytes as Uint8Array | null)?.length ?? 0),
      0,
    );
    expect(pushed).toBeLessThan(10 * 64 * KIB);
  } finally {
    push.mockRestore();
  }
});

/** A reader, what `ws` gets of it, and what is told past that. */
class Watched {
  readonly given: Buffer[] = [];
  readonly told: Uint8Array[] = [];
  readonly all: Buffer[] = [];
  readonly socket = {
    readableFlowing: true,
    readableLength: 0,
    destroyed: false,
    listenerCount: () => 1,
    push: (bytes: Buffer): boolean => {
      this.given.push(bytes);
      this.all.push(Buffer.from(bytes));
      return this.socket.readableFlowing;
    },
  };
  readonly reader = new BulkReader(
    () => this.socket as unknown as Socket,
    (message) => {
      this.told.push(message);
      this.all.push(frame(0x82, message));
    },
  );

  /** As a socket would, `most` at a time. */
  read(bytes: Uint8Array, most = bytes.length): void {
    for (let at = 0; at < bytes.length; ) {
      const room = this.reader.room();
      const piece = bytes.subarray(at, at + Math.min(most, room.length));
      room.set(piece);
      this.reader.take(piece.length);
      at += piece.length;
    }
  }
}

const ANSWER = Buffer.from("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n");

test("every byte is told or given, once and in order, whether `ws` keeps up or not", () => {
  const steps = fc.array(fc.tuple(sound, fc.integer({ min: 1, max: 300 * KIB }), fc.boolean()), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(steps, (all) => {
      const watched = new Watched();
      watched.read(ANSWER);
      const frames = all.map(([what, ...how]) => [bytesOf(what), ...how] as const);
      for (const [bytes, most, flows] of frames) {
        const before = watched.told.length;
        watched.socket.readableFlowing = flows;
        // Reading a large message one byte at a time takes long and shows nothing.
        watched.read(bytes, Math.max(most, bytes.length >> 6));
        if (!flows) expect(watched.told.length).toBe(before);
      }
      const whole = Buffer.concat([ANSWER, ...frames.map(([bytes]) => bytes)]);
      expect(Buffer.concat(watched.all).equals(whole)).toBe(true);
      for (const { buffer, length } of watched.told)
        expect(buffer.byteLength).toBeLessThanOrEqual(8 * length);
    }),
    { numRuns: 150 },
  );
});

test("an answer that is no switch to a WebSocket is for `ws`, with all that follows", () => {
  const watched = new Watched();
  const bytes = Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), frame(0x82, payload(64 * KIB, 1))]);
  watched.read(bytes, 1000);
  expect(watched.told).toEqual([]);
  expect(Buffer.concat(watched.given).equals(bytes)).toBe(true);
});

test("a flood is read in large pieces, and whoever falls silent holds little", () => {
  const watched = new Watched();
  watched.read(ANSWER);
  expect(watched.reader.room().length).toBe(64 * KIB);
  watched.read(Buffer.concat(Array.from({ length: 40 }, (_, n) => frame(0x82, payload(64 * KIB, n)))));
  expect(watched.told).toHaveLength(40);
  expect(watched.reader.room().buffer.byteLength).toBe(512 * KIB);
  watched.read(frame(0x81, letters(20)));
  expect(watched.reader.room().buffer.byteLength).toBe(64 * KIB);
  // And from then on it needs no more of it.
  const { buffer } = watched.reader.room();
  for (let n = 0; n < 10_000; n++) watched.read(frame(0x81, letters(20)));
  expect(watched.reader.room().buffer).toBe(buffer);
});

test("nothing is told of a connection that was let go meanwhile", () => {
  const watched = new Watched();
  watched.read(ANSWER);
  const reader = new BulkReader(
    () => watched.socket as unknown as Socket,
    (message) => {
      watched.told.push(message);
      watched.socket.destroyed = true;
    },
  );
  const two = Buffer.concat([frame(0x82, payload(30 * KIB, 1)), frame(0x82, payload(30 * KIB, 2))]);
  for (const bytes of [ANSWER, two]) {
    reader.room().set(bytes);
    reader.take(bytes.length);
  }
  expect(watched.told).toHaveLength(1);
});
