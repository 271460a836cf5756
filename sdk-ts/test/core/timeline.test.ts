// Whatever is pushed, lost and read again, everything comes once and in order, and what is gone is told.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeBase64 } from "../../src/core/base64.js";
import { crc32c, formatCrc32c } from "../../src/core/crc32c.js";
import { DEFAULT_BOUNDS } from "../../src/core/limits.js";
import type { Exit, LogRecord } from "../../src/core/record.js";
import { type Entry, Timeline } from "../../src/core/timeline.js";
import type { ProcessReadResponse } from "../../src/generated/types.js";

const encoder = new TextEncoder();

function exit(code: number, sandboxDenied: boolean | undefined): Exit {
  return { code, sandboxDenied, reason: undefined, signal: undefined, usage: undefined, denials: undefined };
}

function out(text: string, offset?: number): Entry {
  return { type: "output", stream: "stdout", bytes: encoder.encode(text), offset };
}

function output(seq: number, text: string): LogRecord {
  return { type: "output", seq, stream: "stdout", bytes: encoder.encode(text) };
}

function chunk(seq: number, text: string, offset?: number) {
  const bytes = encodeBase64(encoder.encode(text));
  return { seq, stream: "stdout" as const, chunk: bytes, ...(offset !== undefined && { offset }) };
}

function answer(
  chunks: ProcessReadResponse["chunks"],
  tip: number,
  more: Partial<ProcessReadResponse> = {},
): ProcessReadResponse {
  const nothing = { exited: false, exitCode: null, closed: false, failure: null, sandboxDenied: false };
  return { chunks, nextSeq: tip + 1, ...nothing, ...more };
}

describe("a timeline", () => {
  test("delivers what is pushed in order, once", () => {
    const timeline = new Timeline(DEFAULT_BOUNDS, 0);
    expect(timeline.push(2, out("b", 1)).records).toEqual([]);
    expect(timeline.isUpToDate).toBe(false);
    expect(timeline.push(1, out("a", 0)).records).toEqual([output(1, "a"), output(2, "b")]);
    expect(timeline.push(1, out("a", 0)).records).toEqual([]);
    expect(timeline.isUpToDate).toBe(true);
  });

  test("tells what is gone, and how much", () => {
    const timeline = new Timeline(DEFAULT_BOUNDS, 0);
    timeline.beginRead();
    const { delivery } = timeline.catchUp(
      answer([chunk(4, "d", 9)], 4, { dropped: { throughSeq: 3, bytes: 9 } }),
      false,
    );
    expect(delivery.records).toEqual([{ type: "gap", seq: 3, bytes: 9 }, output(4, "d")]);
  });

  test("finds the place of an exit in the hole that an answer leaves", () => {
    const timeline = new Timeline(DEFAULT_BOUNDS, 0);
    timeline.beginRead();
    const response = answer([chunk(1, "a", 0), chunk(3, "b", 1)], 4, {
      exited: true,
      exitCode: 7,
      closed: true,
      outputBytes: 2,
    });
    const { delivery } = timeline.catchUp(response, true);
    expect(delivery.records).toEqual([
      output(1, "a"),
      { type: "exited", seq: 2, exit: exit(7, false) },
      output(3, "b"),
      { type: "closed", seq: 4, account: { outputBytes: 2, crc32c: undefined } },
    ]);
    expect(timeline.isClosed).toBe(true);
  });

  test("completes an exit that did not tell about its sandbox by reading", () => {
    const timeline = new Timeline(DEFAULT_BOUNDS, 0);
    expect(timeline.push(1, { type: "exited", exit: exit(3, undefined) }).records).toEqual([]);
    expect(timeline.isUpToDate).toBe(false);
    timeline.beginRead();
    const { delivery } = timeline.catchUp(
      answer([], 1, { exited: true, exitCode: 3, sandboxDenied: true }),
      true,
    );
    expect(delivery.records).toEqual([{ type: "exited", seq: 1, exit: exit(3, true) }]);
  });

  test("says so when a server denies what it has sent", () => {
    const timeline = new Timeline(DEFAULT_BOUNDS, 0);
    timeline.push(5, out("e"));
    timeline.beginRead();
    expect(timeline.catchUp(answer([], 2), true).delivery.fault).toEqual({
      type: "inconsistent",
      seen: 5,
      tip: 2,
    });
  });

  test("says so when an answer can't be read", () => {
    const timeline = new Timeline(DEFAULT_BOUNDS, 0);
    timeline.beginRead();
    const response = answer([{ seq: 1, stream: "stdout", chunk: "?" }], 1);
    expect(timeline.catchUp(response, true).delivery.fault).toEqual({ type: "undecodable", seq: 1 });
  });

  test("drops early events beyond its bound, to be read again", () => {
    const timeline = new Timeline({ ...DEFAULT_BOUNDS, parkedBytes: 4 }, 0);
    timeline.push(2, out("bbb", 1));
    timeline.push(3, out("ccc", 4));
    expect(timeline.push(1, out("a", 0)).records).toEqual([output(1, "a"), output(2, "bbb")]);
    expect(timeline.isUpToDate).toBe(false);
    expect(timeline.push(3, out("ccc", 4)).records).toEqual([output(3, "ccc")]);
  });
});

/** A log of single-byte chunks with the exit at `exitAt` and the close at the end. */
class Log {
  readonly #chunks: number;
  readonly exitAt: number;
  readonly last: number;

  constructor(chunks: number, exitAt: number) {
    this.#chunks = chunks;
    this.exitAt = Math.min(exitAt, chunks + 1);
    this.last = chunks + 2;
  }

  byte(seq: number): string {
    return String.fromCharCode(97 + (seq % 26));
  }

  seqs(from: number, to: number): number[] {
    const all = Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => from + n);
    return all.filter((seq) => seq !== this.exitAt && seq !== this.last);
  }

  offset(seq: number): number {
    return seq - 1 - (seq > this.exitAt ? 1 : 0);
  }

  all(): string {
    return this.seqs(1, this.last)
      .map((seq) => this.byte(seq))
      .join("");
  }

  entry(seq: number): Entry {
    if (seq === this.exitAt) return { type: "exited", exit: exit(0, false) };
    if (seq !== this.last) return out(this.byte(seq), this.offset(seq));
    const crc = formatCrc32c(crc32c(0, encoder.encode(this.all())));
    return { type: "closed", account: { outputBytes: this.#chunks, crc32c: crc } };
  }

  /** What a server answers when the log has grown to `tip`, with `page` chunks at most. */
  read(after: number, tip: number, page: number | undefined): ProcessReadResponse {
    const chunks = this.seqs(after + 1, tip)
      .map((seq) => chunk(seq, this.byte(seq), this.offset(seq)))
      .slice(0, page);
    const exited = tip >= this.exitAt;
    const closed = tip === this.last;
    const state = {
      exited,
      exitCode: exited ? 0 : null,
      closed,
      ...(closed && { outputBytes: this.#chunks }),
    };
    const last = page === undefined ? undefined : chunks.at(-1)?.seq;
    return answer(chunks, last ?? tip, state);
  }
}

test("with whatever pushes lost, everything comes once and in order", () => {
  const pages = fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined });
  const reads = fc.array(fc.tuple(fc.boolean(), fc.nat(3), pages), { minLength: 40, maxLength: 40 });
  const lost = fc.array(fc.boolean(), { minLength: 40, maxLength: 40 });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 29 }),
      fc.integer({ min: 1, max: 30 }),
      lost,
      pages,
      reads,
      (chunks, exitAt, lost, lastPage, reads) => {
        const log = new Log(chunks, exitAt);
        const timeline = new Timeline(DEFAULT_BOUNDS, 0);
        const delivered: LogRecord[] = [];
        let tip = 0;
        for (let seq = 1; seq <= log.last; seq++) {
          if (!lost[seq]) delivered.push(...timeline.push(seq, log.entry(seq)).records);
          const [read, ahead, page] = reads[seq]!;
          if (!read) continue;
          tip = Math.max(tip, Math.min(seq + ahead, log.last));
          const after = timeline.beginRead();
          const { delivery } = timeline.catchUp(log.read(after, tip, page), page === undefined);
          expect(delivery.fault).toBeUndefined();
          delivered.push(...delivery.records);
        }
        for (let reached: number | undefined = 0; reached !== undefined; ) {
          const response = log.read(timeline.beginRead(), log.last, lastPage);
          const { delivery, reach } = timeline.catchUp(response, lastPage === undefined);
          expect(delivery.fault).toBeUndefined();
          delivered.push(...delivery.records);
          reached = reach;
        }
        expect(timeline.isUpToDate && timeline.isClosed).toBe(true);
        expect(delivered.map((record) => record.seq)).toEqual(
          Array.from({ length: log.last }, (_, n) => n + 1),
        );
        expect(delivered[log.exitAt - 1]?.type).toBe("exited");
        const text = delivered.map((record) =>
          record.type === "output" ? new TextDecoder().decode(record.bytes) : "",
        );
        expect(text.join("")).toBe(log.all());
      },
    ),
    { numRuns: 300 },
  );
});
