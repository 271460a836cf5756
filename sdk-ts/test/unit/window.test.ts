// What a server is told of the readers of a process: how far they are, after every quarter of the window, and that there are none.

import { expect, test } from "vitest";
import { encodeBase64 } from "../../src/core/base64.js";
import { DEFAULT_BOUNDS, windowBytes } from "../../src/core/limits.js";
import type { ProcessAckNotification } from "../../src/generated/types.js";
import { connectWith, type TransportEvents } from "../../src/index.js";

const CHUNK_BYTES = 64 << 10;
const CHUNK = encodeBase64(new Uint8Array(CHUNK_BYTES));
/** Chunks in a quarter of the window, with what each costs besides. */
const QUARTER = Math.ceil(windowBytes(DEFAULT_BOUNDS) / 4 / (CHUNK_BYTES + 256));

interface Message {
  readonly id?: number;
  readonly method: string;
  readonly params: unknown;
}

/** A server in memory that takes acknowledgements. */
class WindowServer {
  events!: TransportEvents;
  readonly announced: unknown[] = [];
  readonly heard: ProcessAckNotification[] = [];
  readonly received: Message[] = [];
  #sent = 0;

  constructor(readonly granted: number | undefined = undefined) {}

  connect() {
    return connectWith(async (events) => {
      this.events = events;
      const send = (text: string): void => this.#take(JSON.parse(text));
      return { send, close: () => {}, abandon: () => {} };
    });
  }

  /** Says so many chunks of a process. */
  say(processId: string, chunks: number): void {
    for (let n = 0; n < chunks; n++) {
      const params = { processId, seq: ++this.#sent, stream: "stdout", chunk: CHUNK };
      this.events.onMessage(JSON.stringify({ method: "process/output", params }));
    }
  }

  close(processId: string): void {
    const params = { processId, seq: ++this.#sent };
    this.events.onMessage(JSON.stringify({ method: "process/closed", params }));
  }

  /** Begins the log of every process again. */
  forget(): void {
    this.#sent = 0;
  }

  #take(message: Message): void {
    const { id, method, params } = message;
    this.received.push(message);
    if (method === "process/ack") this.heard.push(params as ProcessAckNotification);
    if (method === "process/start") this.#answer(id, { processId: "p" });
    if (method === "process/read")
      this.#answer(id, { chunks: [], nextSeq: this.#sent + 1, exited: false, closed: false });
    if (method === "environment/status") this.#answer(id, { status: "ready" });
    if (method !== "initialize") return;
    this.announced.push((params as { capabilities: unknown }).capabilities);
    const environmentInfo = { shell: {}, cwd: "file:///", capabilities: { outputWindow: true } };
    const limits = this.granted === undefined ? {} : { limits: { outputWindowBytes: this.granted } };
    this.#answer(id, { sessionId: "s", environmentInfo, ...limits });
  }

  #answer(id: number | undefined, result: object): void {
    queueMicrotask(() => this.events.onMessage(JSON.stringify({ id, result })));
  }
}

test("the window is announced, and a reader is spoken of after every quarter of it", async () => {
  const server = new WindowServer();
  await using client = await server.connect();
  expect(server.announced).toEqual([{ binaryOutput: true, outputWindowBytes: windowBytes(DEFAULT_BOUNDS) }]);
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  const events = process.events();
  const first = events.next();
  server.say("p", 4 * QUARTER);
  await first;
  expect(server.heard).toEqual([]);
  for (let seq = 2; seq <= 2 * QUARTER; seq++) await events.next();
  expect(server.heard).toEqual([QUARTER, 2 * QUARTER].map((throughSeq) => ({ processId: "p", throughSeq })));
  process.detach();
});

test("a smaller window that the server grants is spoken of more often", async () => {
  const server = new WindowServer(CHUNK_BYTES);
  await using client = await server.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  const events = process.events();
  const first = events.next();
  server.say("p", 2);
  await first;
  await events.next();
  expect(server.heard).toEqual([1, 2].map((throughSeq) => ({ processId: "p", throughSeq })));
  process.detach();
});

test("of two readers both are spoken of: what the slower one has, and from where the window counts", async () => {
  const server = new WindowServer();
  await using client = await server.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  const [slow, fast] = [process.events(), process.events()];
  const begun = [slow.next(), fast.next()];
  server.say("p", 2 * QUARTER);
  await Promise.all(begun);
  for (let seq = 2; seq <= QUARTER; seq++) await fast.next();
  expect(server.heard).toEqual([{ processId: "p", throughSeq: 1, afterSeq: QUARTER }]);
  process.detach();
});

test("a handle that nobody reads keeps nothing waiting", async () => {
  const server = new WindowServer();
  await using client = await server.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  // A subscription that nobody asks is no reader either.
  process.events();
  server.say("p", QUARTER);
  expect(server.heard).toEqual([{ processId: "p", throughSeq: QUARTER }]);
  process.detach();
});

test("of a process that was let go, and of one that is unknown, it is said once that nobody reads", async () => {
  const server = new WindowServer();
  await using client = await server.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  process.detach();
  server.say("p", 3);
  server.say("stranger", 3);
  expect(server.heard).toEqual([{ processId: "p" }, { processId: "stranger" }]);
  // Its id may stand for another one from now on.
  server.close("stranger");
  server.say("stranger", 3);
  expect(server.heard.slice(2)).toEqual([{ processId: "stranger" }]);
});

test("one that is taken up again is spoken of at once, from behind what was read", async () => {
  const server = new WindowServer();
  await using client = await server.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  server.say("p", 3);
  process.detach();
  const again = await client.process.attach("p", { after: 3 });
  expect(server.heard).toEqual([{ processId: "p" }, { processId: "p", throughSeq: 3 }]);
  again.detach();
});

test("over a new connection it is said in one flight what is here, and nothing is read", async () => {
  const server = new WindowServer();
  await using client = await server.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  const events = process.events();
  const first = events.next();
  server.say("p", 3);
  await first;
  server.received.length = 0;
  server.events.onEnd({ code: 1006, reason: "cut" });
  await client.ping();
  const [opening, initialized, ack, read] = server.received;
  expect([opening?.method, initialized?.method]).toEqual(["initialize", "initialized"]);
  expect(ack).toMatchObject({ method: "process/ack", params: { throughSeq: 1, afterSeq: 3 } });
  expect(read).toMatchObject({ method: "process/read", params: { afterSeq: Number.MAX_SAFE_INTEGER } });
  server.say("p", 1);
  for (const seq of [2, 3, 4]) expect((await events.next()).value).toMatchObject({ seq });
  expect(server.received.filter(({ method }) => method === "process/read")).toHaveLength(1);
  process.detach();
});

test("a log that ends before what was had of it is a fault", async () => {
  const server = new WindowServer();
  await using client = await server.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  const events = process.events();
  const first = events.next();
  server.say("p", 1);
  await first;
  server.forget();
  server.events.onEnd({ code: 1006, reason: "cut" });
  await expect(events.next()).rejects.toMatchObject({ kind: "protocol" });
  process.detach();
});
