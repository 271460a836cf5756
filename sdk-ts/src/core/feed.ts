// Between a connection that pushes events and everybody who follows a process: what is known of it, and when something
// has to be read again.
//
// Three sides meet here: the connection pushes, subscribers take, and whoever catches up reads what is missing. It does no
// IO: `changed` is called when there may be something to do for the two others.

import type { ProcessReadResponse } from "../generated/types.js";
import { Acknowledging } from "./acknowledging.js";
import { History, type Reader, type Taken } from "./history.js";
import type { ProcessBounds } from "./limits.js";
import { type Delivery, type Entry, Timeline, type TimelineFault } from "./timeline.js";

/** What a server is told: what the slowest of the subscribers has, and what the furthest. */
export interface Acknowledgement {
  readonly through: number;
  readonly after: number;
}

/** What there is for a subscriber. `over`: nothing any more. */
export type Next<F> = Taken | { readonly type: "over"; readonly fault: F | TimelineFault | undefined };

/** See the head of the file. One for each process, whatever connections carry its events. `F`: what else may end it. */
export class Feed<F> {
  readonly id: string;
  readonly bounds: ProcessBounds;
  readonly #changed: () => void;
  #timeline: Timeline;
  readonly #history: History;
  readonly #acknowledging = new Acknowledging();
  /** Events may have been missed without a trace, because nobody was connected. */
  #missed = false;
  /** Counts connections, so that an answer that came over an earlier one proves nothing about this one. */
  #connection = 0;
  /** The value of `#connection` when the read began. */
  #readingOn = 0;
  /**
   * The first new position that was pushed over this connection. From there on nothing is missed without a trace. One that
   * was pushed before and comes again says nothing of what came in between.
   */
  #firstPush: number | undefined;
  #reading = false;
  #started = false;
  #fault: F | TimelineFault | undefined;
  #abandoned = false;
  /** Told of every change, for those who wait for something else than records. */
  readonly #watchers = new Set<() => void>();

  /** What process `id` does behind `after`. */
  constructor(id: string, bounds: ProcessBounds, after: number, changed: () => void) {
    this.id = id;
    this.bounds = bounds;
    this.#changed = changed;
    this.#timeline = new Timeline(bounds, after);
    this.#history = new History(bounds, after);
  }

  // The connection's side.

  /** Takes a pushed event. */
  push(seq: number, entry: Entry): void {
    this.add(seq, entry);
    this.tell();
  }

  /** Takes one of several; whoever has added all of them calls {@link Feed.tell}. */
  add(seq: number, entry: Entry): void {
    if (this.isOver) return;
    if (seq > this.#timeline.pushed) this.#firstPush ??= seq;
    this.#take(this.#timeline.push(seq, entry));
  }

  /** Tells everybody that there may be something to do. */
  tell(): void {
    this.#history.wakeAll();
    for (const watcher of this.#watchers) watcher();
    this.#changed();
  }

  /** Whether the connection should not be read: a subscriber for which it waits has enough to take. */
  get wantsHold(): boolean {
    // A server that knows how far the subscribers are sends no more than a window ahead, and nothing else waits for that.
    if (this.#acknowledging.every !== undefined) return false;
    // The answer to the start or to a read has to get through, whatever comes before it.
    const waitsForAnswer = !this.#started || this.#reading || this.#isDue;
    return !waitsForAnswer && !this.isOver && this.#history.isFull;
  }

  /** Another connection is about to take the place of a lost one. */
  reconnecting(): void {
    this.#missed = true;
    this.#reading = false;
    this.#connection += 1;
    this.#firstPush = undefined;
    this.#acknowledging.beginAgain();
  }

  /** Nothing more will come. */
  fail(fault: F): void {
    this.#fault ??= fault;
    this.tell();
  }

  /** Nobody follows the process any more. */
  abandon(): void {
    this.#abandoned = true;
    this.tell();
  }

  // The side of the one who catches up.

  /** The process can be read from; `missed` if events may have been pushed while nobody listened. */
  started(missed: boolean): void {
    this.#started = true;
    this.#missed ||= missed;
    this.tell();
  }

  /** Whether something has to be read. */
  get isBehind(): boolean {
    return this.#started && this.#isDue && !this.isOver;
  }

  /** Whether a read is under way. */
  get isReading(): boolean {
    return this.#reading;
  }

  /**
   * The answer to the first read: the log ends at `tip`, which is before where this was to begin. So it begins at `tip`,
   * since others may want what comes from there on; what of it was pushed and left out meanwhile is read again.
   */
  beginAt(tip: number): void {
    this.#reading = false;
    if (this.#timeline.isUntouched) {
      const { pushed } = this.#timeline;
      this.#timeline = new Timeline(this.bounds, tip);
      this.#timeline.overlook(pushed);
      this.#history.beginAt(tip);
    }
    this.tell();
  }

  /** A `process/read` is about to be sent, on the present connection; returns its `afterSeq`. */
  beginRead(): number {
    this.#reading = true;
    this.#readingOn = this.#connection;
    return this.#timeline.beginRead();
  }

  /**
   * As {@link Feed.beginRead}, where the server pushes what was missed if it is told what is here; returns what to tell it. The
   * answer to a read that asks for no output goes to {@link Feed.resumed}. `undefined` if there is nothing to be told.
   */
  beginResuming(): Acknowledgement | undefined {
    if (!this.#started || this.isOver || !this.#acknowledging.mustBegin) return undefined;
    const after = this.beginRead();
    const { progress } = this.#history;
    this.#acknowledging.say(progress);
    return { through: Math.min(progress.slowest.seq, after), after };
  }

  /** The server has the process, and pushes what comes behind what it was told. */
  resumed(response: ProcessReadResponse): void {
    this.#reading = false;
    const fault = this.#timeline.confirm(response);
    if (fault !== undefined) this.#fault ??= fault;
    else if (this.#readingOn === this.#connection) this.#missed = false;
    this.tell();
  }

  /** A read came to nothing, with its connection. */
  readLost(): void {
    this.#reading = false;
  }

  /** Takes the answer to a read. `whole`: it was asked for without `maxBytes`. */
  caughtUp(response: ProcessReadResponse, whole: boolean): void {
    const { delivery, reach } = this.#timeline.catchUp(response, whole);
    this.#reading = false;
    // Reading up to the first push also tells the server that it need not keep anything for us any longer.
    const isEnough = reach === undefined || (this.#firstPush !== undefined && reach + 1 >= this.#firstPush);
    if (isEnough && this.#readingOn === this.#connection) this.#missed = false;
    this.#take(delivery);
    this.tell();
  }

  // The side of the one who tells the server how far the subscribers are.

  /** The server is told after so much; `undefined` if it does not want to know. */
  acknowledgeEvery(every: number | undefined): void {
    this.#acknowledging.every = every;
  }

  /** The server does not know that there are subscribers. */
  beginAcknowledging(): void {
    this.#acknowledging.beginAgain();
  }

  /** How far the subscribers are, if the server is to be told; from now on that counts as told. */
  acknowledge(): Acknowledgement | undefined {
    if (!this.#started || this.isOver) return undefined;
    const begins = this.#acknowledging.mustBegin;
    // What is being read is not to be pushed as well.
    if (begins && this.#reading) return undefined;
    const { progress } = this.#history;
    if (!this.#acknowledging.isDue(progress)) return undefined;
    this.#acknowledging.say(progress);
    const { slowest, furthest } = progress;
    // What is here is not to be pushed again by a server that does not know that it is.
    const after = begins ? Math.max(this.#timeline.delivered, furthest.seq) : furthest.seq;
    return { through: slowest.seq, after };
  }

  /** Whether nobody follows the process any more, although it was started and goes on. */
  get isAbandoned(): boolean {
    return this.#abandoned && this.#started && !this.#timeline.isClosed && this.#fault === undefined;
  }

  // The subscribers' side.

  /** A new subscriber to what comes behind `after`. `holds`: the connection waits for it. */
  subscribe(after: number, holds: boolean, wake: () => void): Reader {
    return this.#history.subscribe(after, holds, wake);
  }

  unsubscribe(reader: Reader): void {
    this.#history.unsubscribe(reader);
    this.#changed();
  }

  /** The next record for `reader`. */
  take(reader: Reader): Next<F> {
    const taken = this.#history.take(reader);
    if (taken.type === "nothing" && this.isOver) return { type: "over", fault: this.#fault };
    if (taken.type === "record") this.#changed();
    return taken;
  }

  /** A subscriber got everything through `after` from the server. */
  rejoin(reader: Reader, after: number): void {
    this.#history.rejoin(reader, after);
    this.#changed();
  }

  /** Calls `watcher` at every change, until the returned function is called. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  get exit(): History["exit"] {
    return this.#history.exit;
  }

  get placedExit(): History["placedExit"] {
    return this.#history.placedExit;
  }

  get base(): History["base"] {
    return this.#history.base;
  }

  /** Whether the last event is known. */
  get isClosed(): boolean {
    return this.#timeline.isClosed;
  }

  /** Whether nothing more will come. */
  get isOver(): boolean {
    return this.#abandoned || this.#fault !== undefined || this.#timeline.isClosed;
  }

  /** Why nothing follows, if that is not the close. */
  get fault(): F | TimelineFault | undefined {
    return this.#fault;
  }

  /** Whether something has to be read before the server drops it. */
  get #isDue(): boolean {
    return this.#missed || !this.#timeline.isUpToDate;
  }

  #take(delivery: Delivery): void {
    this.#history.extend(delivery.records);
    this.#fault ??= delivery.fault;
  }
}
