// Where notifications go: each to the feed of its process, or to whoever asked for that kind.
//
// Outlives connections, so that a process keeps its feed whatever carries its events.

import type { BodyMessage, OutputMessage } from "../core/binary.js";
import type { Acknowledgement, Feed } from "../core/feed.js";
import type { ExecError } from "../errors.js";
import type { ServerNotificationMethod, ServerNotifications } from "../generated/methods.js";
import type { ProcessAckNotification } from "../generated/types.js";
import type { LinkEvents } from "./link.js";
import { type ProcessPush, readProcessPush } from "./notifications.js";

type Listener = (params: never) => string | undefined;

/** Told when something that lives no longer than its connection is gone with it. */
export type LossListener = (reason: string) => void;

/** Tells the present server how far the readers of a process are. */
export type Say = (word: ProcessAckNotification) => void;

/** See the head of the file. */
export class Router implements LinkEvents {
  readonly #pump: (feed: Feed<ExecError>) => void;
  readonly #floor: () => Say | undefined;
  readonly #feeds = new Map<string, Feed<ExecError>>();
  readonly #listeners = new Map<string, Listener>();
  #bodies: ((piece: BodyMessage) => void) | undefined;
  readonly #lossListeners = new Set<LossListener>();
  /** Those for which the connection should be held. */
  readonly #full = new Set<Feed<ExecError>>();
  /** After how much the present server is told how far a process's readers are; `undefined` if it does not want to know. */
  #acknowledgeEvery: number | undefined;
  /**
   * Processes of which it was told that nobody here reads them. No more than its session has: each goes with its close, and
   * all with the connection.
   */
  readonly #silent = new Set<string>();
  /** Nobody may hold a connection up: the answers that are waited for stand behind what is pushed. */
  #isDraining = false;

  /** `pump` does what there is to do about a feed; `floor` is how to tell the server something, while there is a connection. */
  constructor(pump: (feed: Feed<ExecError>) => void, floor: () => Say | undefined) {
    this.#pump = pump;
    this.#floor = floor;
  }

  /** The feed of a process, if it is followed. */
  feed(processId: string): Feed<ExecError> | undefined {
    return this.#feeds.get(processId);
  }

  feeds(): readonly Feed<ExecError>[] {
    return [...this.#feeds.values()];
  }

  /** Adds a process; false if there is one of that id. */
  add(feed: Feed<ExecError>): boolean {
    if (this.#feeds.has(feed.id)) return false;
    this.#silent.delete(feed.id);
    feed.acknowledgeEvery(this.#acknowledgeEvery);
    this.#feeds.set(feed.id, feed);
    return true;
  }

  /** Frees the id of a process of which nothing more will come, unless it stands for another one by now. */
  remove(feed: Feed<ExecError>): void {
    if (this.#feeds.get(feed.id) === feed) this.#feeds.delete(feed.id);
  }

  /** Whether the id stands for another process by now: this one was closed, and its id used again. */
  isSuperseded(feed: Feed<ExecError>): boolean {
    const present = this.#feeds.get(feed.id);
    return present !== undefined && present !== feed;
  }

  /** To be called when there may be something to do about a feed. */
  changed(feed: Feed<ExecError>): void {
    if (feed.isOver) this.remove(feed);
    if (feed.isAbandoned) this.#silence(feed.id);
    this.#acknowledge(feed);
    if (feed.wantsHold) this.#full.add(feed);
    else this.#full.delete(feed);
    this.#pump(feed);
  }

  /** After how much the server of the present connection is told how far readers are. */
  acknowledgeEvery(every: number | undefined): void {
    this.#acknowledgeEvery = every;
    for (const feed of this.#feeds.values()) feed.acknowledgeEvery(every);
  }

  /** Takes notifications of one method. The listener may answer with what is wrong with one. */
  listen<M extends ServerNotificationMethod>(
    method: M,
    listener: (params: ServerNotifications[M]["params"]) => string | undefined,
  ): void {
    this.#listeners.set(method, listener as Listener);
  }

  /** Takes pieces of bodies that come as bytes. */
  listenToBodies(listener: (piece: BodyMessage) => void): void {
    this.#bodies = listener;
  }

  /** Calls `listener` whenever a connection is gone, or the session, until the returned function is called. */
  onLoss(listener: LossListener): () => void {
    this.#lossListeners.add(listener);
    return () => this.#lossListeners.delete(listener);
  }

  /** What belongs to nobody is dropped: its process was given up, or is of a kind that this client has no use for. */
  onNotification(method: string, params: unknown): string | undefined {
    switch (method) {
      case "process/output":
      case "process/exited":
      case "process/closed": {
        const push = readProcessPush(method, params);
        if (typeof push === "string") return push;
        this.#push(push);
        return undefined;
      }
      default:
        return this.#listeners.get(method)?.(params as never);
    }
  }

  onBody(piece: BodyMessage): void {
    this.#bodies?.(piece);
  }

  /** Who follows is told once, of everything. */
  onOutput(records: readonly OutputMessage[]): void {
    const told = new Set<Feed<ExecError>>();
    for (const { processId, seq, stream, bytes, offset } of records) {
      const feed = this.#feeds.get(processId);
      if (feed === undefined) {
        this.#silence(processId);
        continue;
      }
      feed.add(seq, { type: "output", stream, bytes, offset });
      told.add(feed);
    }
    for (const feed of told) feed.tell();
  }

  wantsHold(): boolean {
    return !this.#isDraining && this.#full.size > 0;
  }

  /** A connection is gone, and with it what lives no longer. */
  connectionLost(reason: string): void {
    for (const listener of [...this.#lossListeners]) listener(reason);
  }

  /**
   * Another connection is about to take the place of a lost one: what was pushed in between has to be read, and until
   * {@link Router.caughtUp} everything that is pushed is taken at once.
   */
  reconnecting(): void {
    this.#isDraining = true;
    this.#silent.clear();
    for (const feed of this.#feeds.values()) feed.reconnecting();
  }

  /** Whoever wants to may hold up the connection again. */
  caughtUp(): void {
    this.#isDraining = false;
    for (const feed of this.feeds()) {
      // What is pushed from where this says ends what is to be read.
      this.#acknowledge(feed);
      this.#pump(feed);
    }
  }

  /** Has the server push what `feed` missed, by telling it what is here. False if there is nothing to be told. */
  resume(feed: Feed<ExecError>, say: Say): boolean {
    const here = this.#feeds.get(feed.id) === feed ? feed.beginResuming() : undefined;
    if (here !== undefined) say(wordOf(feed, here));
    return here !== undefined;
  }

  /** There is no connection any more. */
  fail(error: ExecError): void {
    this.connectionLost(error.message);
    for (const feed of this.feeds()) feed.fail(error);
    this.#feeds.clear();
  }

  #push({ processId, seq, entry }: ProcessPush): void {
    const feed = this.#feeds.get(processId);
    if (feed !== undefined) feed.push(seq, entry);
    else if (entry.type === "output") this.#silence(processId);
    else if (entry.type === "closed") this.#silent.delete(processId);
  }

  /** Says how far the readers of `feed` are, if that is due, unless its id stands for another process by now. */
  #acknowledge(feed: Feed<ExecError>): void {
    if (this.#feeds.get(feed.id) !== feed) return;
    const say = this.#floor();
    const due = say === undefined ? undefined : feed.acknowledge();
    if (due !== undefined) say?.(wordOf(feed, due));
  }

  /** Says of a process that nobody here reads it, if nobody does, and the server wants to know and does not. */
  #silence(processId: string): void {
    if (this.#acknowledgeEvery === undefined || this.#feeds.has(processId) || this.#silent.has(processId))
      return;
    const say = this.#floor();
    if (say === undefined) return;
    say({ processId });
    this.#silent.add(processId);
  }
}

/** The slowest has everything through `through`, and what comes behind `after` is to be pushed. */
function wordOf({ id }: Feed<ExecError>, { through, after }: Acknowledgement): ProcessAckNotification {
  return { processId: id, throughSeq: through, ...(after !== through && { afterSeq: after }) };
}
