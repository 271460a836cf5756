// One connection: calls and their answers, notifications to the router, and the end of it all.
//
// A lost connection ends every call that waits. What a loss means is decided above: a link knows no session and never
// comes back.

import { type BodyMessage, decodeBinary, isBinaryMessage, type OutputMessage } from "../core/binary.js";
import { encodeError, encodeNotification, encodeRequest, parseMessage } from "../core/message.js";
import { ERROR_CODES } from "../generated/constants.js";
import type {
  ClientNotificationMethod,
  ClientNotifications,
  ClientRequestMethod,
  ClientRequests,
} from "../generated/methods.js";
import type { RpcError } from "../generated/types.js";
import type { Dial, Transport, TransportEnd } from "../transport/transport.js";

/** What one call on one connection came to. */
export type Outcome<R> =
  | { readonly type: "result"; readonly result: R }
  | { readonly type: "refused"; readonly error: RpcError }
  /** `sent`: the request may have reached the server. */
  | { readonly type: "lost"; readonly sent: boolean };

/** Why a link ended. */
export type LinkEnd =
  /** The connection broke or was closed; another one may serve. */
  | { readonly type: "lost"; readonly reason: string }
  /** The server gave the session to another connection, and said so. To take it back would be to fight over it. */
  | { readonly type: "takenOver"; readonly reason: string }
  /** The session that was observed is over. */
  | { readonly type: "observedEnded"; readonly reason: string }
  /** The server sent what it must not send, and another connection would not change that. */
  | { readonly type: "violation"; readonly reason: string };

/** What a link tells its owner. */
export interface LinkEvents {
  /** Takes a notification. A text says that it can't be read. */
  onNotification(method: string, params: unknown): string | undefined;
  /** Takes output that came as bytes, in one message. */
  onOutput(records: readonly OutputMessage[]): void;
  /** Takes a piece of a body that came as bytes. */
  onBody(piece: BodyMessage): void;
  /** Whether the connection should not be read now. Asked after every message, and by {@link Link.reconsider}. */
  wantsHold(): boolean;
}

/** A policy violation, as which the server ends a connection whose session was taken over. */
const CLOSE_POLICY = 1008;
const TAKEN_OVER = "session was taken over by another connection";
/** A normal end, which has to be told from that of a server that stops. */
const CLOSE_NORMAL = 1000;
const OBSERVED_SESSION_ENDED = "observed session has ended";

type Waiting = (outcome: Outcome<unknown>) => void;
type Response<M extends ClientRequestMethod> = ClientRequests[M]["response"];

/** See the head of the file. */
export class Link {
  readonly #events: LinkEvents;
  readonly #waiting = new Map<number, Waiting>();
  readonly #limit: number;
  /** Calls that wait for their turn. */
  readonly #queue: Array<() => void> = [];
  #transport: Transport | undefined;
  #lastId = 0;
  #isHeld = false;
  #end: LinkEnd | undefined;
  #tellEnd!: (end: LinkEnd) => void;
  /** Resolves when the connection is gone; every call has failed by then. */
  readonly ended: Promise<LinkEnd>;
  /** When something came last, by `performance.now()`. */
  lastHeard = performance.now();

  private constructor(events: LinkEvents, callsInFlight: number) {
    this.#events = events;
    this.#limit = Math.max(1, callsInFlight);
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
  }

  /** Makes a connection; rejects as `dial` does. */
  static async dial(
    dial: Dial,
    events: LinkEvents,
    callsInFlight: number,
    signal: AbortSignal,
  ): Promise<Link> {
    const link = new Link(events, callsInFlight);
    link.#transport = await dial(
      { onMessage: (message) => link.#receive(message), onEnd: (end) => link.#ended(end) },
      signal,
    );
    return link;
  }

  /** Whether the connection is gone. */
  get isOver(): boolean {
    return this.#end !== undefined;
  }

  /** Whether the connection is not read at the moment. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /**
   * Sends a request. `settle` is called exactly once, as soon as the answer is read, before anything that came behind it;
   * it must not throw. Returns a function that forgets the call: `settle` is not called any more. It returns the id of a
   * request that was sent.
   */
  call<M extends ClientRequestMethod>(
    method: M,
    params: ClientRequests[M]["params"],
    settle: (outcome: Outcome<Response<M>>) => void,
  ): () => number | undefined {
    if (this.isOver) {
      settle({ type: "lost", sent: false });
      return () => undefined;
    }
    let id: number | undefined;
    let isForgotten = false;
    const send = (): void => {
      if (isForgotten) this.#next();
      else if (this.isOver) settle({ type: "lost", sent: false });
      else {
        id = ++this.#lastId;
        this.#waiting.set(id, settle as Waiting);
        this.#transport?.send(encodeRequest(id, method, params));
        this.reconsider();
      }
    };
    if (this.#waiting.size >= this.#limit) this.#queue.push(send);
    else send();
    return () => {
      isForgotten = true;
      if (id === undefined || !this.#waiting.delete(id)) return undefined;
      this.#next();
      return id;
    };
  }

  /** Sends a notification. */
  notify<M extends ClientNotificationMethod>(method: M, params: ClientNotifications[M]["params"]): void {
    if (!this.isOver) this.#transport?.send(encodeNotification(method, params));
  }

  /** Holds the connection or lets it go on, whichever is right by now. Answers that are waited for always come through. */
  reconsider(): void {
    const transport = this.#transport;
    if (this.isOver || transport?.pause === undefined) return;
    const hold = this.#waiting.size === 0 && this.#events.wantsHold();
    if (hold === this.#isHeld) return;
    this.#isHeld = hold;
    if (hold) {
      transport.pause();
      return;
    }
    // Silence was our own doing.
    this.lastHeard = performance.now();
    transport.resume?.();
  }

  /** Ends the connection with a farewell. */
  close(): void {
    this.#finish({ type: "lost", reason: "closed" });
    this.#transport?.close();
  }

  /** Lets go of the connection at once. When this returns, nothing of it will be told any more. */
  abandon(reason = "closed"): void {
    this.#finish({ type: "lost", reason });
    this.#transport?.abandon();
  }

  #receive(message: string | Uint8Array<ArrayBuffer>): void {
    if (this.isOver) return;
    this.lastHeard = performance.now();
    const violation = typeof message === "string" ? this.#take(message) : this.#takeBytes(message);
    if (violation !== undefined) {
      this.#finish({ type: "violation", reason: violation });
      this.#transport?.abandon();
      return;
    }
    this.reconsider();
  }

  /** Takes one message. A text ends the connection. */
  #take(text: string): string | undefined {
    const message = parseMessage(text);
    switch (message.kind) {
      case "result":
        this.#settle(message.id, { type: "result", result: message.result });
        return undefined;
      case "error":
        this.#settle(message.id, { type: "refused", error: message.error });
        return undefined;
      case "notification":
        return this.#events.onNotification(message.method, message.params);
      case "request": {
        const error = { code: ERROR_CODES.methodNotFound, message: `unknown method \`${message.method}\`` };
        this.#transport?.send(encodeError(message.id, error));
        return undefined;
      }
      case "malformed":
        return `malformed message: ${message.reason}`;
    }
  }

  /** Takes a message of bytes. A text ends the connection. */
  #takeBytes(bytes: Uint8Array<ArrayBuffer>): string | undefined {
    if (!isBinaryMessage(bytes)) return this.#take(new TextDecoder().decode(bytes));
    const message = decodeBinary(bytes);
    if (message.kind === "fault") return `malformed binary message: wrong ${message.fault}`;
    if (message.kind === "pack") this.#events.onOutput(message.records);
    else if (message.kind === "block") {
      this.#settle(message.id, { type: "result", result: { chunk: message.bytes, eof: message.eof } });
    } else if (message.kind === "range") {
      const { id, bytes: dataBase64, eof, size, etag } = message;
      this.#settle(id, { type: "result", result: { dataBase64, eof, size, etag } });
    } else if (message.kind === "output") this.#events.onOutput([message]);
    else this.#events.onBody(message);
    return undefined;
  }

  /** Nobody waits for the answer to a call that was forgotten. */
  #settle(id: number | string, outcome: Outcome<unknown>): void {
    if (typeof id !== "number") return;
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting(outcome);
    this.#next();
  }

  #next(): void {
    if (this.#waiting.size < this.#limit) this.#queue.shift()?.();
  }

  #ended({ code, reason }: TransportEnd): void {
    if (code === CLOSE_POLICY && reason === TAKEN_OVER) this.#finish({ type: "takenOver", reason });
    else if (code === CLOSE_NORMAL && reason === OBSERVED_SESSION_ENDED)
      this.#finish({ type: "observedEnded", reason });
    else this.#finish({ type: "lost", reason: reason === "" ? "server closed it" : reason });
  }

  /** The connection is gone: nobody waits any longer. The first reason counts. */
  #finish(end: LinkEnd): void {
    if (this.isOver) return;
    this.#end = end;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    const queue = this.#queue.splice(0);
    for (const settle of waiting) settle({ type: "lost", sent: true });
    for (const send of queue) send();
    this.#tellEnd(end);
  }
}
