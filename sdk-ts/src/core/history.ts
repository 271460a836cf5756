// What is kept of one process's records, and how far each of its readers is.
//
// Rules only. A bounded tail is kept for readers that come late, and beyond it what present readers have still to take,
// while there is room. A reader whose next record is gone from here has to get it from the server.

import { type At, costOf, type Progress } from "./acknowledging.js";
import type { ProcessBounds } from "./limits.js";
import { type Exit, heldBytes, type LogRecord, outputBytes } from "./record.js";

/** What there is for a reader. */
export type Taken =
  | { readonly type: "record"; readonly record: LogRecord }
  /** What comes behind `after` is not here any more; what comes behind `base` is. */
  | { readonly type: "evicted"; readonly after: number; readonly base: number }
  | { readonly type: "nothing" };

const NOTHING: Taken = { type: "nothing" };

/** A reader's place. Made by {@link History.subscribe}. */
export interface Reader {
  /** Told of news. */
  readonly wake: () => void;
  /** Whether the connection waits for it. */
  holds: boolean;
  /** Whether somebody takes anything here. A place that is only kept holds up nobody. */
  isRead: boolean;
  /** The position behind which it wants to go on, wherever that is; or `undefined` if it wants record `at` next. */
  behind: number | undefined;
  at: number;
}

interface Kept {
  readonly record: LogRecord;
  /** Bytes held by all records before this one, those that are gone included. */
  readonly before: number;
  /** What all events through this one cost. */
  readonly cost: number;
}

/** See the head of the file. */
export class History {
  readonly #bounds: ProcessBounds;
  #kept: Kept[] = [];
  /** How many of `#kept` are gone already; they are cut off now and then. */
  #gone = 0;
  /** Number of the first record that is here, counted from the beginning. */
  #first = 0;
  /** Bytes held by all records that ever came. */
  #total = 0;
  /** What all events that ever came cost. */
  #cost = 0;
  /** What those through `#base` cost. */
  #baseCost = 0;
  /** Bytes held by those that are here. */
  #bytes = 0;
  #base: number;
  #baseBytes: number | undefined;
  #exit: { readonly seq: number; readonly exit: Exit } | undefined;
  #exitIsPlaced = false;
  readonly #readers = new Set<Reader>();

  /** Of what comes behind `after`. */
  constructor(bounds: ProcessBounds, after: number) {
    this.#bounds = bounds;
    this.#base = after;
    this.#baseBytes = after === 0 ? 0 : undefined;
  }

  /** Begins behind `tip` instead. Nothing was added yet. */
  beginAt(tip: number): void {
    this.#base = tip;
    this.#baseBytes = tip === 0 ? 0 : undefined;
  }

  /** Adds what comes next. */
  extend(records: readonly LogRecord[]): void {
    for (const record of records) {
      if (record.type === "exited") {
        this.#exitIsPlaced = record.seq > this.#lastSeq();
        this.#exit = { seq: record.seq, exit: record.exit };
      }
      this.#cost += costOf(heldBytes(record));
      this.#kept.push({ record, before: this.#total, cost: this.#cost });
      this.#total += heldBytes(record);
      this.#bytes += heldBytes(record);
    }
    this.#trim();
  }

  /** Tells every reader that there is news. */
  wakeAll(): void {
    for (const reader of this.#readers) reader.wake();
  }

  /** A reader of what comes behind `after`. */
  subscribe(after: number, holds: boolean, wake: () => void): Reader {
    const reader: Reader = { wake, holds, isRead: false, behind: after, at: 0 };
    this.#readers.add(reader);
    return reader;
  }

  unsubscribe(reader: Reader): void {
    this.#readers.delete(reader);
    this.#trim();
  }

  /** A reader got everything through `after` elsewhere. */
  rejoin(reader: Reader, after: number): void {
    reader.behind = after;
  }

  /** How far those are who read. Where nobody does, everything that came is taken. */
  get progress(): Progress {
    let slowest: At | undefined;
    let furthest: At | undefined;
    for (const reader of this.#readers) {
      if (!reader.isRead) continue;
      const at = this.#position(reader);
      if (slowest === undefined || at.seq < slowest.seq) slowest = at;
      if (furthest === undefined || at.seq > furthest.seq) furthest = at;
    }
    const end: At = { seq: this.#lastSeq(), cost: this.#cost };
    return { slowest: slowest ?? end, furthest: furthest ?? end };
  }

  /** The next record of `reader`. */
  take(reader: Reader): Taken {
    const { behind } = reader;
    if (behind !== undefined && behind < this.#base)
      return { type: "evicted", after: behind, base: this.#base };
    const number = behind === undefined ? reader.at : this.#firstBehind(behind);
    const kept = this.#kept[this.#gone + number - this.#first];
    if (kept === undefined) return NOTHING;
    let { record } = kept;
    if (behind !== undefined && record.type === "gap") {
      const before = this.#kept[this.#gone + number - this.#first - 1];
      const start = number === this.#first ? this.#base : (before?.record.seq ?? this.#base);
      // This reader misses a part of it, and nobody knows the size of that.
      if (start < behind) record = { ...record, bytes: undefined };
    }
    reader.behind = undefined;
    reader.at = number + 1;
    this.#trim();
    return { type: "record", record };
  }

  /** Whether a reader for which the connection waits has so much to take that it should. */
  get isFull(): boolean {
    if (this.#bytes < this.#bounds.readyBytes) return false;
    for (const reader of this.#readers) {
      if (reader.holds && this.#waitingBytes(reader) >= this.#bounds.readyBytes) return true;
    }
    return false;
  }

  /** The exit and its position, once it happened. */
  get exit(): { readonly seq: number; readonly exit: Exit } | undefined {
    return this.#exit;
  }

  /** The exit, once it is known where it stands: not where it happened in a gap. */
  get placedExit(): { readonly seq: number; readonly exit: Exit } | undefined {
    return this.#exitIsPlaced ? this.#exit : undefined;
  }

  /** Everything up to `seq` was evicted, and how much output that was, where it is known. */
  get base(): { readonly seq: number; readonly bytes: number | undefined } {
    return { seq: this.#base, bytes: this.#baseBytes };
  }

  get #length(): number {
    return this.#kept.length - this.#gone;
  }

  #lastSeq(): number {
    return this.#length === 0 ? this.#base : this.#kept[this.#kept.length - 1]!.record.seq;
  }

  /** Number of the first record that stands behind `after`. */
  #firstBehind(after: number): number {
    let low = this.#gone;
    let high = this.#kept.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#kept[middle]!.record.seq <= after) low = middle + 1;
      else high = middle;
    }
    return this.#first + low - this.#gone;
  }

  #position({ behind, at }: Reader): At {
    if (behind !== undefined && behind < this.#base) return { seq: behind, cost: undefined };
    const next = behind === undefined ? at : this.#firstBehind(behind);
    const last = next > this.#first ? this.#kept[this.#gone + next - this.#first - 1] : undefined;
    if (last === undefined) return { seq: this.#base, cost: this.#baseCost };
    return { seq: last.record.seq, cost: last.cost };
  }

  #waitingBytes(reader: Reader): number {
    const number = reader.behind === undefined ? reader.at : this.#firstBehind(reader.behind);
    const next = this.#kept[this.#gone + Math.max(0, number - this.#first)];
    return next === undefined ? 0 : this.#total - next.before;
  }

  #trim(): void {
    const { historyEvents, historyBytes, readyBytes, readyEvents, parkedBytes } = this.#bounds;
    while (this.#length > historyEvents || this.#bytes > historyBytes) {
      const hasRoom = this.#length <= readyEvents && this.#bytes <= readyBytes + parkedBytes;
      if (hasRoom && this.#isAwaited()) break;
      this.#evict();
    }
  }

  /** Whether somebody has the first record still to take. */
  #isAwaited(): boolean {
    for (const reader of this.#readers) {
      // Also one that has to read from the server first: it will be back.
      const seq = this.#kept[this.#gone]?.record.seq;
      if (reader.behind === undefined ? reader.at <= this.#first : seq !== undefined && seq > reader.behind)
        return true;
    }
    return false;
  }

  #evict(): void {
    const evicted = this.#kept[this.#gone];
    if (evicted === undefined) return;
    const { record, cost } = evicted;
    // Whoever would have taken it next has to get it elsewhere.
    for (const reader of this.#readers) {
      if (reader.behind === undefined && reader.at <= this.#first) reader.behind = this.#base;
    }
    this.#bytes -= heldBytes(record);
    const bytes = outputBytes(record);
    this.#baseBytes =
      this.#baseBytes === undefined || bytes === undefined ? undefined : this.#baseBytes + bytes;
    this.#base = record.seq;
    this.#baseCost = cost;
    this.#first += 1;
    // Lets go of the bytes at once; the places are cut off when they are the larger part.
    this.#kept[this.#gone] = undefined as unknown as Kept;
    this.#gone += 1;
    if (this.#gone > 64 && this.#gone * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#gone);
      this.#gone = 0;
    }
  }
}
