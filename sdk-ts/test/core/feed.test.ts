// What readers of one process get, however they come, lag and go.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Feed } from "../../src/core/feed.js";
import { DEFAULT_BOUNDS } from "../../src/core/limits.js";
import { Tally } from "../../src/core/record.js";
import { Sequencer } from "../../src/core/sequencer.js";
import type { Entry } from "../../src/core/timeline.js";

function out(text: string): Entry {
  return { type: "output", stream: "stdout", bytes: new TextEncoder().encode(text), offset: undefined };
}

function feedOf(bounds = DEFAULT_BOUNDS): Feed<Error> {
  const feed = new Feed<Error>("p", bounds, 0, () => {});
  feed.started(false);
  return feed;
}

describe("a feed", () => {
  test("gives everything to each reader, also to one that comes late", () => {
    const feed = feedOf();
    const early = feed.subscribe(0, false, () => {});
    feed.push(1, out("a"));
    feed.push(2, out("b"));
    const late = feed.subscribe(0, false, () => {});
    for (const reader of [early, late]) {
      expect([feed.take(reader), feed.take(reader), feed.take(reader)]).toMatchObject([
        { type: "record", record: { seq: 1 } },
        { type: "record", record: { seq: 2 } },
        { type: "nothing" },
      ]);
    }
  });

  test("sends a reader to the server for what it had to let go", () => {
    const feed = feedOf({ ...DEFAULT_BOUNDS, historyEvents: 2, readyEvents: 4 });
    const slow = feed.subscribe(0, false, () => {});
    for (let seq = 1; seq <= 9; seq++) feed.push(seq, out("x"));
    expect(feed.take(slow)).toEqual({ type: "evicted", after: 0, base: 5 });
    feed.rejoin(slow, 5);
    expect(feed.take(slow)).toMatchObject({ type: "record", record: { seq: 6 } });
  });

  test("wants its connection held only for a reader that asked for it, and only while nothing is missing", () => {
    const feed = feedOf({ ...DEFAULT_BOUNDS, readyBytes: 4 });
    const reader = feed.subscribe(0, false, () => {});
    feed.push(1, out("aaaa"));
    expect(feed.wantsHold).toBe(false);
    reader.holds = true;
    expect(feed.wantsHold).toBe(true);
    feed.push(3, out("c"));
    expect(feed.wantsHold).toBe(false);
    feed.push(2, out("b"));
    expect(feed.wantsHold).toBe(true);
    feed.take(reader);
    expect(feed.wantsHold).toBe(false);
  });

  test("is behind after a loss until a read over the new connection proves otherwise", () => {
    const feed = feedOf();
    feed.push(1, out("a"));
    feed.reconnecting();
    expect(feed.isBehind).toBe(true);
    feed.beginRead();
    const nothing = { exited: false, exitCode: null, closed: false, failure: null };
    feed.reconnecting();
    feed.caughtUp({ chunks: [], nextSeq: 2, ...nothing }, true);
    expect(feed.isBehind).toBe(true);
    feed.beginRead();
    feed.caughtUp({ chunks: [], nextSeq: 2, ...nothing }, true);
    expect(feed.isBehind).toBe(false);
  });

  test("ends every reader with the reason why it failed", () => {
    const feed = feedOf();
    let woken = 0;
    const reader = feed.subscribe(0, false, () => woken++);
    feed.push(1, out("a"));
    const fault = new Error("gone");
    feed.fail(fault);
    expect(woken).toBe(2);
    expect(feed.take(reader)).toMatchObject({ type: "record" });
    expect(feed.take(reader)).toEqual({ type: "over", fault });
  });
});

test("any order of arrival is delivered once and in order", () => {
  const all = Array.from({ length: 40 }, (_, n) => n + 1);
  fc.assert(
    fc.property(fc.shuffledSubarray(all, { minLength: 40 }), (arrivals) => {
      const sequencer = new Sequencer<number>(64);
      const seen = [...arrivals, ...arrivals].flatMap((seq) => {
        const delivered = sequencer.accept(seq, seq);
        return Array.isArray(delivered) ? delivered : [];
      });
      expect(seen).toEqual(all);
      expect(sequencer.hasGap).toBe(false);
    }),
  );
});

describe("the proof at the end", () => {
  const output = { type: "output", seq: 1, stream: "stdout", bytes: new TextEncoder().encode("ab") } as const;
  const crc = "e2a22936";

  test.each([
    [0, [output], { outputBytes: 2, crc32c: crc }, "checksum"],
    [0, [output], { outputBytes: 2, crc32c: undefined }, "length"],
    [0, [output], { outputBytes: undefined, crc32c: undefined }, "numbering"],
    [0, [{ type: "gap", seq: 1, bytes: 3 }, output], { outputBytes: 5, crc32c: "1" }, "gap"],
    [0, [{ type: "gap", seq: 1, bytes: undefined }, output], { outputBytes: 5, crc32c: "1" }, "gap"],
    [4, [output], { outputBytes: 99, crc32c: crc }, "numbering"],
    [0, [output], { outputBytes: 3, crc32c: crc }, { what: "length", expected: "3", found: "2" }],
    [
      0,
      [output],
      { outputBytes: 2, crc32c: "00000001" },
      { what: "crc32c", expected: "00000001", found: crc },
    ],
  ] as const)(
    "%#: is as strong as the server's account and what was told",
    (after, records, account, expected) => {
      const tally = new Tally(after);
      for (const record of records) tally.tell(record);
      expect(tally.prove(account)).toEqual(expected);
    },
  );
});
