// One process's events in order: what was pushed, what was read again, what is missing.
//
// Rules only; what becomes of the records is feed.ts's to say. Position by position every number is accounted for: it was
// delivered, it is parked, or it became part of a gap.

import type { DroppedOutput, OutputStream, ProcessReadResponse } from "../generated/types.js";
import { decodeBase64 } from "./base64.js";
import type { ProcessBounds } from "./limits.js";
import type { Account, Exit, LogRecord } from "./record.js";
import { Sequencer } from "./sequencer.js";

/** An event as it comes from the server, without its position. */
export type Entry =
  /** `offset`: bytes of output before it, where the server tells. */
  | {
      readonly type: "output";
      readonly stream: OutputStream;
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly offset: number | undefined;
    }
  | { readonly type: "exited"; readonly exit: Exit }
  | { readonly type: "closed"; readonly account: Account };

interface Numbered {
  readonly seq: number;
  readonly entry: Entry;
}

/** Why nothing can be delivered any more. */
export type TimelineFault =
  /** The server denies events that it has sent before. */
  | { readonly type: "inconsistent"; readonly seen: number; readonly tip: number }
  /** The server's answer can't be read. */
  | { readonly type: "undecodable"; readonly seq: number };

/** What came of taking something in. */
export interface Delivery {
  /** What comes next, in order. */
  readonly records: LogRecord[];
  /** Nothing can be delivered any more. */
  fault: TimelineFault | undefined;
  /** The exit was among what is gone, and has to be told behind the last gap. */
  exitIsGone: boolean;
}

/** How far an answer reached: `undefined` to the end of the log, otherwise through this position. */
export type Reach = number | undefined;

function newDelivery(): Delivery {
  return { records: [], fault: undefined, exitIsGone: false };
}

function entryBytes(entry: Entry): number {
  return entry.type === "output" ? entry.bytes.length : 0;
}

/** Bytes of output before an entry, where it says. */
function entryOffset(entry: Entry): number | undefined {
  if (entry.type === "output") return entry.offset;
  return entry.type === "closed" ? entry.account.outputBytes : undefined;
}

/** See the head of the file. */
export class Timeline {
  readonly #bounds: ProcessBounds;
  /** Everything through here is for somebody else. */
  readonly #start: number;
  readonly #sequencer: Sequencer<Numbered>;
  /** At least the bytes in parked events; exact whenever nothing is parked. */
  #parkedBytes = 0;
  #pushed = 0;
  /** What was known when the last read was asked for: its `afterSeq`, and the highest position that had been pushed. */
  #read: { readonly after: number; readonly pushed: number };
  /** All output so far, gaps included; `undefined` while their size is not known. */
  #bytes: number | undefined;
  #exit: Exit | undefined;
  /** An exit that was pushed by a server that did not tell whether a sandbox refused something. An answer does. */
  #unfinishedExit: { readonly seq: number; readonly exit: Exit } | undefined;
  /** The exit was delivered or is parked. */
  #exitSeen = false;
  /** Some numbers were given up. */
  #hasGaps = false;
  #closed = false;

  /** What comes behind `after`; `bytes`: how much output came through there, where that is known. */
  constructor(bounds: ProcessBounds, after: number, bytes?: number) {
    this.#bounds = bounds;
    this.#start = after;
    this.#sequencer = new Sequencer(bounds.parkedEvents);
    this.#sequencer.skipThrough(after);
    this.#read = { after, pushed: 0 };
    this.#bytes = after === 0 ? 0 : bytes;
  }

  /** The last position that was delivered. */
  get delivered(): number {
    return this.#sequencer.delivered;
  }

  /** How the process ended, as an answer told. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** The highest position that was ever pushed. */
  get pushed(): number {
    return this.#pushed;
  }

  /** Whether everything that was ever pushed was delivered. If not, something before it is missing. */
  get isUpToDate(): boolean {
    return this.#pushed <= this.delivered;
  }

  /** Whether nothing was delivered yet. */
  get isUntouched(): boolean {
    return this.delivered === this.#start;
  }

  /** Whether the last event was delivered, or came before this began. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Takes a pushed event. */
  push(seq: number, entry: Entry): Delivery {
    const delivery = newDelivery();
    this.#pushed = Math.max(this.#pushed, seq);
    if (seq <= this.delivered || this.#closed) {
      this.#overtake(seq, entry);
      return delivery;
    }
    if (entry.type === "exited" && entry.exit.sandboxDenied === undefined) {
      // It stays missing until an answer completes it.
      this.#unfinishedExit = { seq, exit: entry.exit };
      return delivery;
    }
    const isEarly = seq > this.delivered + 1;
    if (!isEarly || this.#parkedBytes + entryBytes(entry) <= this.#bounds.parkedBytes) {
      this.#accept(seq, entry, delivery);
    }
    return delivery;
  }

  /** There is something at `seq` that is not told here but has to be read. */
  overlook(seq: number): void {
    this.#pushed = Math.max(this.#pushed, seq);
  }

  /** A `process/read` is about to be sent; returns its `afterSeq`. */
  beginRead(): number {
    this.#read = { after: this.delivered, pushed: this.#pushed };
    return this.delivered;
  }

  /** The answer to a `process/read` that asked for no output: how far the log goes. A fault: not as far as it did. */
  confirm({ nextSeq }: ProcessReadResponse): TimelineFault | undefined {
    const tip = Math.max(0, nextSeq - 1);
    const seen = Math.max(this.#read.pushed, this.#read.after);
    return tip < seen ? { type: "inconsistent", seen, tip } : undefined;
  }

  /**
   * Takes the answer to a `process/read`, and tells how far it reached. `wasWhole`: it was asked for without `maxBytes`.
   *
   * An answer accounts for every number up to its last chunk: what it leaves out was dropped, or is the exit. One that
   * is whole or holds no chunk accounts for all numbers that there are.
   */
  catchUp(response: ProcessReadResponse, wasWhole: boolean): { delivery: Delivery; reach: Reach } {
    const delivery = newDelivery();
    const whole = wasWhole || response.chunks.length === 0;
    const tip = Math.max(0, response.nextSeq - 1);
    const end = whole ? tip : response.chunks[response.chunks.length - 1]!.seq;
    const reach = whole ? undefined : end;
    if (this.#closed) return { delivery, reach };
    // Either would make us ask for ever: an end before what was pushed, or a page that leads nowhere.
    if ((whole && end < this.#read.pushed) || (!whole && end <= this.#read.after)) {
      const seen = Math.max(this.#read.pushed, this.#read.after);
      delivery.fault = { type: "inconsistent", seen, tip: end };
      return { delivery, reach };
    }
    const told = this.#completeExit(response);
    const entries: Numbered[] = [];
    for (const { seq, stream, chunk, offset } of response.chunks) {
      const bytes = decodeBase64(chunk);
      if (bytes === undefined) {
        delivery.fault = { type: "undecodable", seq };
        return { delivery, reach };
      }
      entries.push({ seq, entry: { type: "output", stream, bytes, offset } });
    }
    if (whole && response.closed) {
      const account = { outputBytes: response.outputBytes, crc32c: undefined };
      entries.push({ seq: tip, entry: { type: "closed", account } });
    }
    if (told !== undefined) this.#accept(told.seq, { type: "exited", exit: told.exit }, delivery);
    if (this.#exit !== undefined && !this.#exitSeen) {
      const place = this.#placeOfExit(entries, response.dropped, end);
      if (place === undefined) delivery.exitIsGone = whole;
      else entries.splice(place.at, 0, { seq: place.seq, entry: { type: "exited", exit: this.#exit } });
    }
    for (const { seq, entry } of entries) {
      if (seq > this.delivered + 1) this.#skip(seq - 1, entryOffset(entry), response.dropped, delivery);
      this.#accept(seq, entry, delivery);
    }
    this.#skip(end, undefined, response.dropped, delivery);
    if (delivery.exitIsGone) this.#releaseExit(this.delivered, delivery);
    return { delivery, reach };
  }

  /** What an answer says of the exit: completes one that was pushed, which is returned, or tells that there is one. */
  #completeExit(response: ProcessReadResponse): { readonly seq: number; readonly exit: Exit } | undefined {
    const unfinished = this.#unfinishedExit;
    const { sandboxDenied, exited, exitCode } = response;
    if (unfinished !== undefined) {
      this.#unfinishedExit = undefined;
      return { seq: unfinished.seq, exit: { ...unfinished.exit, sandboxDenied } };
    }
    if (exited && this.#exit === undefined && exitCode !== null) {
      const unknown = { reason: undefined, signal: undefined, usage: undefined, denials: undefined };
      this.#exit = { code: exitCode, sandboxDenied, ...unknown };
    }
    return undefined;
  }

  /**
   * Where in `entries`, and at which position, the exit stands that was not seen yet. The exit is the one number that an
   * answer leaves out although it was not dropped. Servers drop from the front, but not all of them tell how far.
   * `undefined` when it can't be told from dropped output, or is not within this answer.
   */
  #placeOfExit(
    entries: readonly Numbered[],
    dropped: DroppedOutput | undefined,
    end: number,
  ): { readonly at: number; readonly seq: number } | undefined {
    let before = this.delivered;
    if (dropped !== undefined) {
      // Some of it may be in this answer, and behind that nothing is missing.
      const first = entries[0] === undefined ? dropped.throughSeq : Math.max(0, entries[0].seq - 1);
      before = Math.max(before, Math.min(dropped.throughSeq, first));
    }
    let place: { readonly at: number; readonly seq: number } | undefined;
    for (let at = 0; at <= entries.length; at++) {
      const next = entries[at]?.seq ?? end + 1;
      if (next > before + 1) place = next - before === 2 ? { at, seq: before + 1 } : undefined;
      before = Math.max(before, next);
    }
    return place;
  }

  /**
   * What happened before this began is not told here; but an exit is not to be looked for any more, and behind a close
   * there is nothing to wait for.
   */
  #overtake(seq: number, entry: Entry): void {
    if (seq <= this.#start) {
      this.#exitSeen ||= entry.type === "exited";
      this.#closed ||= entry.type === "closed";
    }
  }

  #accept(seq: number, entry: Entry, delivery: Delivery): void {
    this.#overtake(seq, entry);
    const events = this.#sequencer.accept(seq, { seq, entry });
    // One that comes too early is dropped, and read again with what it would have waited for.
    if (!Array.isArray(events)) return;
    this.#exitSeen ||= entry.type === "exited";
    this.#parkedBytes += entryBytes(entry);
    for (const event of events) this.#release(event, delivery);
    if (!this.#sequencer.hasGap) this.#parkedBytes = 0;
  }

  /**
   * Goes on behind `through`, of which the server has nothing any more that is not here. `end`: bytes of output through
   * there, where what follows says it.
   */
  #skip(
    through: number,
    end: number | undefined,
    dropped: DroppedOutput | undefined,
    delivery: Delivery,
  ): void {
    // The server may have dropped more since it took this picture; where the next chunk begins is exact.
    const endOfGap = (at: number, next: number | undefined): number | undefined =>
      next ?? (at === through ? end : undefined) ?? (dropped?.throughSeq === at ? dropped.bytes : undefined);
    let expected = this.delivered + 1;
    for (const event of this.#sequencer.skipThrough(through)) {
      if (event.seq > expected) {
        const at = event.seq - 1;
        this.#gap(at, endOfGap(at, entryOffset(event.entry)), delivery);
      }
      expected = event.seq + 1;
      this.#release(event, delivery);
    }
    if (!this.#sequencer.hasGap) this.#parkedBytes = 0;
    if (through >= expected) this.#gap(through, endOfGap(through, undefined), delivery);
  }

  /** `end`: bytes of output through the end of the gap. */
  #gap(through: number, end: number | undefined, delivery: Delivery): void {
    if (this.#closed || delivery.fault !== undefined) return;
    const lost = end === undefined || this.#bytes === undefined ? undefined : end - this.#bytes;
    const bytes = lost !== undefined && lost >= 0 ? lost : undefined;
    this.#bytes = end;
    this.#hasGaps = true;
    if (bytes !== 0) {
      delivery.records.push({ type: "gap", seq: through, bytes });
    } else {
      // A number without a byte is that of an exit that nobody could place.
      delivery.exitIsGone = false;
      this.#releaseExit(through, delivery);
    }
  }

  /**
   * Delivers an exit that was told, and happened somewhere in what is gone; at `seq`, or behind the last gap of an answer
   * that leaves no other place for it. Where nothing is gone, it happened before this began.
   */
  #releaseExit(seq: number, delivery: Delivery): void {
    const isHere = this.#hasGaps || this.#start === 0;
    if (this.#exit !== undefined && !this.#exitSeen && isHere) {
      this.#exitSeen = true;
      const { records } = delivery;
      const gap = delivery.exitIsGone ? records.findLastIndex((record) => record.type === "gap") : -1;
      if (gap >= 0) records.splice(gap + 1, 0, { type: "exited", seq: records[gap]!.seq, exit: this.#exit });
      else records.push({ type: "exited", seq, exit: this.#exit });
    }
    delivery.exitIsGone = false;
  }

  #release({ seq, entry }: Numbered, delivery: Delivery): void {
    this.#parkedBytes = Math.max(0, this.#parkedBytes - entryBytes(entry));
    if (this.#closed || delivery.fault !== undefined) return;
    if (entry.type === "output") {
      this.#bytes ??= entry.offset;
      if (this.#bytes !== undefined) this.#bytes += entry.bytes.length;
      if (entry.bytes.length > 0) {
        delivery.records.push({ type: "output", seq, stream: entry.stream, bytes: entry.bytes });
      }
    } else if (entry.type === "exited") {
      delivery.records.push({ type: "exited", seq, exit: entry.exit });
    } else {
      this.#releaseExit(Math.max(0, seq - 1), delivery);
      this.#closed = true;
      delivery.records.push({ type: "closed", seq, account: entry.account });
    }
  }
}
