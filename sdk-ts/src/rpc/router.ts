// Where notifications go: each to the feed of its process, or to whoever asked for that kind.
//
// Outlives connections, so that a process keeps its feed whatever carries its events.

import type { BinaryMessage } from "../core/binary.js";
import type { Feed } from "../core/feed.js";
import type { ExecError } from "../errors.js";
import type { ServerNotificationMethod, ServerNotifications } from "../generated/methods.js";
import type { LinkEvents } from "./link.js";
import { readProcessPush } from "./notifications.js";

type Listener = (params: never) => string | undefined;

/** A piece of a body that came as bytes. */
export type BodyPiece = Extract<BinaryMessage, { kind: "body" }>;

/** Told when something that lives no longer than its connection is gone with it. */
export type LossListener = (reason: string) => void;

/** See the head of the file. */
export class Router implements LinkEvents {
  readonly #pump: (feed: Feed<ExecError>) => void;
  readonly #feeds = new Map<string, Feed<ExecError>>();
  readonly #listeners = new Map<string, Listener>();
  #onBody: ((piece: BodyPiece) => void) | undefined;
  readonly #lossListeners = new Set<LossListener>();
  /** Those for which the connection should be held. */
  readonly #full = new Set<Feed<ExecError>>();
  /** Nobody may hold a connection up: the answers that are waited for stand behind what is pushed. */
  #isDraining = false;

  constructor(pump: (feed: Feed<ExecError>) => void) {
    this.#pump = pump;
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
    if (feed.wantsHold) this.#full.add(feed);
    else this.#full.delete(feed);
    this.#pump(feed);
  }

  /** Takes notifications of one method. The listener may answer with what is wrong with one. */
  listen<M extends ServerNotificationMethod>(
    method: M,
    listener: (params: ServerNotifications[M]["params"]) => string | undefined,
  ): void {
    this.#listeners.set(method, listener as Listener);
  }

  /** Takes pieces of bodies that come as bytes. */
  listenToBodies(listener: (piece: BodyPiece) => void): void {
    this.#onBody = listener;
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
        this.#feeds.get(push.processId)?.push(push.seq, push.entry);
        return undefined;
      }
      default:
        return this.#listeners.get(method)?.(params as never);
    }
  }

  onBinary(message: Extract<BinaryMessage, { kind: "output" | "body" }>): void {
    if (message.kind === "body") {
      this.#onBody?.(message);
      return;
    }
    const { processId, seq, stream, bytes, offset } = message;
    this.#feeds.get(processId)?.push(seq, { type: "output", stream, bytes, offset });
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
    for (const feed of this.#feeds.values()) feed.reconnecting();
  }

  /** Whoever wants to may hold up the connection again. */
  caughtUp(): void {
    this.#isDraining = false;
    for (const feed of this.feeds()) this.#pump(feed);
  }

  /** There is no connection any more. */
  fail(error: ExecError): void {
    this.connectionLost(error.message);
    for (const feed of this.feeds()) feed.fail(error);
    this.#feeds.clear();
  }
}
