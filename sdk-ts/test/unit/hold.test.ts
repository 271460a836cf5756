// A reader that is slow has its connection held, as long as nobody waits for an answer on it; one that does not read holds
// nothing up.

import { expect, test } from "vitest";
import { encodeBase64 } from "../../src/core/base64.js";
import { DEFAULT_BOUNDS } from "../../src/core/limits.js";
import { connectWith, type TransportEvents } from "../../src/index.js";

const CHUNK_BYTES = 64 << 10;
const CHUNK = encodeBase64(new Uint8Array(CHUNK_BYTES));

/** A server in memory that says as much as it is let, and answers what it is asked when it is told to. */
class Flood {
  events!: TransportEvents;
  isHeld = false;
  sent = 0;
  readonly asked: Array<{ readonly id: number; readonly method: string }> = [];

  connect() {
    return connectWith(async (events) => {
      this.events = events;
      return {
        send: (text: string) => this.#take(JSON.parse(text)),
        pause: () => {
          this.isHeld = true;
        },
        resume: () => {
          this.isHeld = false;
        },
        close: () => {},
        abandon: () => {},
      };
    });
  }

  #take({ id, method }: { readonly id?: number; readonly method: string }): void {
    if (id === undefined) return;
    if (method === "initialize")
      this.answer(id, { sessionId: "s", environmentInfo: { shell: {}, cwd: "file:///" } });
    else if (method === "process/start") this.answer(id, { processId: "p" });
    else this.asked.push({ id, method });
  }

  answer(id: number, result: object): void {
    queueMicrotask(() => this.events.onMessage(JSON.stringify({ id, result })));
  }

  /** Sends chunks until it is held, `most` of them at most; returns how many. */
  flood(most: number): number {
    const before = this.sent;
    while (!this.isHeld && this.sent - before < most) {
      const params = { processId: "p", seq: ++this.sent, stream: "stdout", chunk: CHUNK };
      this.events.onMessage(JSON.stringify({ method: "process/output", params }));
    }
    return this.sent - before;
  }
}

/** Chunks that make up what may wait. */
const READY = DEFAULT_BOUNDS.readyBytes / CHUNK_BYTES;

test("the connection of a slow reader is held when enough waits for it, and goes on when there is room", async () => {
  const flood = new Flood();
  await using client = await flood.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  const events = process.events();
  const first = events.next();
  expect(flood.flood(1000)).toBe(READY);
  await first;
  expect(flood.flood(1000)).toBe(1);
  for (let n = 0; n < READY / 2; n++) await events.next();
  expect(flood.flood(1000)).toBe(READY / 2);
  process.detach();
});

test("while an answer is waited for it is read, and held again behind the answer", async () => {
  const flood = new Flood();
  await using client = await flood.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  const events = process.events();
  const first = events.next();
  flood.flood(1000);
  await first;
  flood.flood(1000);
  expect(flood.isHeld).toBe(true);
  const ping = client.ping();
  await Promise.resolve();
  expect([flood.isHeld, flood.asked.length]).toEqual([false, 1]);
  expect(flood.flood(5)).toBe(5);
  flood.answer(flood.asked[0]!.id, {});
  await ping;
  expect(flood.isHeld).toBe(true);
  for (let seq = 2; seq <= flood.sent; seq++) expect((await events.next()).value).toMatchObject({ seq });
  expect(flood.isHeld).toBe(false);
  process.detach();
});

test("a handle that nobody reads, and a reader that asked for it, hold nothing up", async () => {
  const flood = new Flood();
  await using client = await flood.connect();
  const process = await client.process.start({ argv: ["x"], processId: "p" });
  expect(flood.flood(100)).toBe(100);
  const events = process.events({ whenBehind: "readLater" });
  await events.next();
  expect(flood.flood(100)).toBe(100);
  expect(flood.isHeld).toBe(false);
  process.detach();
});
