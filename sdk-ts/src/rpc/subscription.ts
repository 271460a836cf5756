// A subscription to a process's events.

import type { Feed } from "../core/feed.js";
import type { Reader } from "../core/history.js";
import { type Exit, type LogRecord, Tally } from "../core/record.js";
import { Timeline, type TimelineFault } from "../core/timeline.js";
import { ExecError } from "../errors.js";
import type { ExitedEvent, ProcessEvent } from "../events.js";
import type { Page } from "./reading.js";
import type { Session } from "./session.js";

/** How to follow a process. */
export interface FollowOptions {
  /** Begin behind this position; 0, the default, for everything. */
  readonly after?: number;
  /**
   * What to do when output is gone because this reader was slower than the server remembers: `tell`, the default, gives a
   * `gap` event and goes on; `fail` ends the subscription with an error of kind `gap`.
   */
  readonly onGap?: "tell" | "fail";
  /**
   * What happens when the process says more than this reader takes, on a server that takes no acknowledgements (flag
   * `outputWindow`); one that does sends no more than a window ahead, and nothing else waits. `hold`, the default: the
   * connection is not read until there is room, as long as nothing else waits for an answer on it; so in the end the process
   * itself waits. (A browser's WebSocket can't be held.) `readLater`: nothing waits; what does not fit here is read from the
   * server when this reader gets there, as far as it is retained.
   */
  readonly whenBehind?: "hold" | "readLater";
  /** Ends the subscription; the wait for the next event rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What is read from the server, in order. */
interface Replay {
  readonly timeline: Timeline;
}

/** What a fault of a feed means for people. */
export function faultError(processId: string, fault: ExecError | TimelineFault): ExecError {
  if (fault instanceof ExecError) return fault;
  if (fault.type === "undecodable") {
    return new ExecError("protocol", `output of process ${processId} at ${fault.seq} is no base64`);
  }
  const { seen, tip } = fault;
  const text = `server sent event ${seen} of process ${processId}, then claimed that ${tip} was the last`;
  return new ExecError("protocol", text);
}

/** How an exit is told. */
export function exitedEvent(seq: number, exit: Exit): ExitedEvent {
  const { code, reason, signal, usage, sandboxDenied, denials } = exit;
  return { type: "exited", seq, exitCode: code, reason, signal, usage, sandboxDenied, denials };
}

/**
 * The events of one process, in order and each once. Iterate it once; leaving the loop ends the subscription, and the
 * process runs on.
 */
export class Subscription implements AsyncIterableIterator<ProcessEvent> {
  readonly #session: Session;
  readonly #feed: Feed<ExecError>;
  readonly #reader: Reader;
  readonly #after: number;
  readonly #holds: boolean;
  readonly #onGap: "tell" | "fail";
  readonly #signal: AbortSignal | undefined;
  readonly #tally: Tally;
  /** Taken, and not told yet. */
  readonly #ready: Array<LogRecord | ExecError> = [];
  /** How the process ended, if answers told that but not when. */
  #toldExit: Exit | undefined;
  /** While what comes next is not here any more. */
  #replay: Replay | undefined;
  #isOver = false;
  #wake: (() => void) | undefined;
  readonly #news = (): void => this.#wake?.();

  constructor(session: Session, feed: Feed<ExecError>, options: FollowOptions) {
    const { after = 0, onGap = "tell", whenBehind = "hold", signal } = options;
    if (!Number.isSafeInteger(after) || after < 0) {
      throw new ExecError("invalidArgument", `after is ${after}`, { hint: "pass the seq of an event, or 0" });
    }
    this.#session = session;
    this.#feed = feed;
    this.#after = after;
    this.#onGap = onGap;
    this.#signal = signal;
    this.#tally = new Tally(after);
    this.#holds = whenBehind === "hold";
    this.#reader = feed.subscribe(after, false, this.#news);
    signal?.addEventListener("abort", this.#news);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<ProcessEvent, undefined>> {
    // Whoever never reads holds nothing up.
    this.#reader.holds = this.#holds;
    this.#reader.isRead = true;
    try {
      const event = this.#isOver || this.#signal?.aborted ? undefined : this.#poll();
      if (event !== undefined) return Promise.resolve({ done: false, value: event });
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#wait();
  }

  async #wait(): Promise<IteratorResult<ProcessEvent, undefined>> {
    while (!this.#isOver) {
      if (this.#signal?.aborted) {
        this.#end();
        throw this.#signal.reason;
      }
      const event = this.#poll();
      if (event !== undefined) return { done: false, value: event };
      if (this.#isOver) break;
      if (this.#replay === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      } else await this.#readPage(this.#replay);
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<ProcessEvent, undefined>> {
    this.#end();
    return { done: true, value: undefined };
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ready.length = 0;
    this.#signal?.removeEventListener("abort", this.#news);
    this.#feed.unsubscribe(this.#reader);
    this.#wake?.();
  }

  /** The next event that is here; throws what ends the subscription. */
  #poll(): ProcessEvent | undefined {
    for (;;) {
      const ready = this.#ready.shift();
      if (ready !== undefined) {
        const event = this.#tell(ready);
        if (event !== undefined) return event;
        continue;
      }
      const taken = this.#feed.take(this.#reader);
      switch (taken.type) {
        case "record":
          this.#replay = undefined;
          this.#ready.push(taken.record);
          break;
        case "evicted":
          this.#beginReplay(taken.after, taken.base);
          return undefined;
        case "nothing":
          this.#replay = undefined;
          return undefined;
        case "over":
          this.#end();
          if (taken.fault !== undefined) throw faultError(this.#feed.id, taken.fault);
          return undefined;
      }
    }
  }

  /** Makes an event of a record, or puts it behind one that has to come first. */
  #tell(ready: LogRecord | ExecError): ProcessEvent | undefined {
    if (ready instanceof ExecError) {
      this.#end();
      throw ready;
    }
    let record = ready;
    if (record.type === "exited" && !this.#tally.missesExitAt(record.seq)) return undefined;
    if (record.type === "gap" && this.#onGap === "fail") {
      this.#end();
      throw this.#gapError(record);
    }
    if (record.type === "output" || record.type === "closed") {
      const exit = this.#exitBefore(record);
      if (exit !== undefined) {
        this.#ready.unshift(record);
        record = exit;
      }
    }
    this.#tally.tell(record);
    switch (record.type) {
      case "output":
      case "gap":
        return record;
      case "exited":
        return exitedEvent(record.seq, record.exit);
      case "closed": {
        const proof = this.#tally.prove(record.account);
        this.#end();
        if (typeof proof === "string") return { type: "closed", seq: record.seq, proof };
        const { what, expected, found } = proof;
        const text = `output is incomplete: ${what} is ${expected} at the server and ${found} here`;
        throw new ExecError("incomplete", text, {
          hint: "run it again; this should not happen, please report it",
        });
      }
    }
  }

  #gapError({ seq, bytes }: { readonly seq: number; readonly bytes: number | undefined }): ExecError {
    const size = bytes === undefined ? "" : ` (${bytes} bytes)`;
    const text = `output of process ${this.#feed.id} through event ${seq} is not retained any more${size}`;
    return new ExecError("gap", text, {
      hint: "read faster, or start it with output.retainBytes and whenFull: wait",
    });
  }

  /** An exit that happened within what was gone, and so has to be told before `record`. */
  #exitBefore(record: LogRecord): LogRecord | undefined {
    const through = Math.max(0, record.seq - 1);
    if (!this.#tally.missesExitAt(through)) return undefined;
    return this.#missingExit(through) ?? this.#unplacedExit(record, through);
  }

  #unplacedExit(record: LogRecord, through: number): LogRecord | undefined {
    if (record.type !== "closed" || this.#toldExit === undefined) return undefined;
    return { type: "exited", seq: through, exit: this.#toldExit };
  }

  /** The exit, if it happened between where this began and `through`, everything up to which was told but the exit. */
  #missingExit(through: number): LogRecord | undefined {
    const { exit } = this.#feed;
    if (exit === undefined || exit.seq <= this.#after || exit.seq > through) return undefined;
    return this.#tally.missesExitAt(through) ? { type: "exited", seq: through, exit: exit.exit } : undefined;
  }

  /** Goes to the server for what comes behind `after`, up to `base` at least. */
  #beginReplay(after: number, base: number): void {
    this.#replay ??= { timeline: new Timeline(this.#feed.bounds, after, this.#tally.bytes) };
    const { timeline } = this.#replay;
    const { placedExit } = this.#feed;
    if (placedExit !== undefined) {
      // Where it stands is known, and would otherwise have to be told from the hole that it leaves.
      const { records } = timeline.push(placedExit.seq, { type: "exited", exit: placedExit.exit });
      this.#ready.push(...records);
    }
    timeline.overlook(base);
  }

  async #readPage({ timeline }: Replay): Promise<void> {
    let page: Page;
    try {
      page = await this.#session.page(this.#feed.id, timeline.beginRead(), this.#signal);
    } catch (error) {
      if (this.#isOver) return;
      if (this.#signal?.aborted) return;
      if (error instanceof ExecError && error.kind === "unknownProcess") this.#forgotten();
      else this.#ready.push(error as ExecError);
      return;
    }
    if (this.#isOver) return;
    const { delivery } = timeline.catchUp(page.response, page.whole);
    this.#toldExit = timeline.exit;
    this.#ready.push(...delivery.records);
    if (delivery.fault !== undefined) this.#ready.push(faultError(this.#feed.id, delivery.fault));
    this.#feed.rejoin(this.#reader, timeline.delivered);
  }

  /** The server has forgotten it all, but its last events are here. */
  #forgotten(): void {
    const { seq, bytes: baseBytes } = this.#feed.base;
    const told = this.#tally.bytes;
    const lost = baseBytes === undefined || told === undefined ? undefined : baseBytes - told;
    this.#ready.push({ type: "gap", seq, bytes: lost !== undefined && lost >= 0 ? lost : undefined });
    const exit = this.#missingExit(seq);
    if (exit !== undefined) this.#ready.push(exit);
    this.#feed.rejoin(this.#reader, seq);
    this.#replay = undefined;
  }
}
