// A session over as many connections as it takes: who waits for which connection, and the task that owns it.
//
// When to do what about a lost connection is decided by core/reconnect.ts; here it is done.

import type { ClientConfig } from "../config.js";
import type { Feed } from "../core/feed.js";
import { afterLoss, Reconnect, type Repeat } from "../core/reconnect.js";
import { ExecError, refusal, unsupported } from "../errors.js";
import type { CapabilityFlag } from "../generated/constants.js";
import type { ClientRequestMethod, ClientRequests } from "../generated/methods.js";
import type { Dial } from "../transport/transport.js";
import { Link, type LinkEnd, type Outcome } from "./link.js";
import { acknowledgementsOf, isTransient, lostError, openSession, type Peer, type Wanted } from "./peer.js";
import { askPage, catchUp, type Page } from "./reading.js";
import { FIRST_APPROACH, recover } from "./recovery.js";
import { Router, type Say } from "./router.js";
import { abortable, sleep, unref } from "./timers.js";

/** How a client is connected right now. */
export type ConnectionState =
  /** Requests are on their way as soon as they are made. `generation` counts connections from 1. */
  | { readonly status: "connected"; readonly generation: number }
  /** The connection was lost and is sought again; requests wait. `until`: when the client gives up, as of `Date.now()`. */
  | { readonly status: "recovering"; readonly until: number; readonly reason: string }
  /** It did not come back, or the client was closed; requests fail with this. */
  | { readonly status: "failed"; readonly error: ExecError };

/** A connection with an open session. */
export interface Attached {
  readonly link: Link;
  readonly peer: Peer;
}

/** How one call is to be made. */
export interface CallOptions {
  readonly repeat: Repeat;
  readonly signal?: AbortSignal | undefined;
  /** Asked before it is sent, or sent again; where it says no, the call fails as for an unknown process. */
  readonly holds?: (() => boolean) | undefined;
}

type Params<M extends ClientRequestMethod> = ClientRequests[M]["params"];
type Response<M extends ClientRequestMethod> = ClientRequests[M]["response"];

interface Waiter {
  readonly resolve: (attached: Attached) => void;
  readonly reject: (error: ExecError) => void;
}

/** See the head of the file. */
export class Session {
  readonly config: ClientConfig;
  readonly router: Router;
  readonly #dial: Dial;
  readonly #onState: (state: ConnectionState) => void;
  readonly #reconnect: Reconnect;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #peer!: Peer;
  #wasResumed = false;
  #attached: Attached | undefined;
  #state: ConnectionState = { status: "connected", generation: 1 };
  #probe: unknown;
  /** Resolves when nothing of this session runs any more. */
  #over: Promise<void> = Promise.resolve();

  private constructor(dial: Dial, config: ClientConfig, onState: (state: ConnectionState) => void) {
    this.config = config;
    this.#dial = dial;
    this.#onState = onState;
    this.#reconnect = new Reconnect({
      deadlineMs: config.recoveryDeadlineMs,
      pauseMs: config.recoveryPauseMs,
    });
    this.router = new Router(
      (feed) => this.#pump(feed),
      () => this.#floor(),
    );
  }

  /** Dials and opens a session. One attempt. */
  static async open(
    dial: Dial,
    config: ClientConfig,
    wanted: Wanted,
    signal: AbortSignal | undefined,
    onState: (state: ConnectionState) => void,
  ): Promise<Session> {
    signal?.throwIfAborted();
    const session = new Session(dial, config, onState);
    const whole = signal ?? session.#stop.signal;
    const link = await session.dialLink(whole);
    const letGo = (): void => link.abandon();
    whole.addEventListener("abort", letGo, { once: true });
    try {
      const peer = await openSession(link, config, wanted, whole);
      link.notify("initialized", {});
      session.#wasResumed = wanted.type !== "new";
      session.#begin({ link, peer });
      return session;
    } catch (error) {
      link.abandon();
      if (signal?.aborted) throw signal.reason;
      throw error;
    } finally {
      whole.removeEventListener("abort", letGo);
    }
  }

  /** Opens a session at the same place. */
  again(
    wanted: Wanted,
    signal: AbortSignal | undefined,
    onState: (state: ConnectionState) => void,
  ): Promise<Session> {
    return Session.open(this.#dial, this.config, wanted, signal, onState);
  }

  /** Whether it was there before this client. */
  get wasResumed(): boolean {
    return this.#wasResumed;
  }

  get peer(): Peer {
    return this.#peer;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Whether the server has a feature. */
  supports(flag: CapabilityFlag): boolean {
    return this.#peer.environment.capabilities?.[flag] === true;
  }

  /** Throws unless the server has a feature. */
  demand(flag: CapabilityFlag): void {
    if (!this.supports(flag)) throw unsupported(flag);
  }

  /** Makes a connection, within the time for that. */
  async dialLink(signal: AbortSignal): Promise<Link> {
    const { connectTimeoutMs, callsInFlight } = this.config;
    const patience = new AbortController();
    const done = new AbortController();
    const aborted = (): void => patience.abort(signal.reason);
    signal.addEventListener("abort", aborted);
    void sleep(connectTimeoutMs, done.signal).then(() => {
      if (done.signal.aborted) return;
      patience.abort(
        new ExecError("timeout", `no connection within ${connectTimeoutMs} ms`, {
          hint: "check the address, and whether a firewall drops what is sent there",
        }),
      );
    });
    try {
      signal.throwIfAborted();
      return await abortable(
        Link.dial(this.#dial, this.router, callsInFlight, patience.signal),
        patience.signal,
      );
    } finally {
      done.abort();
      signal.removeEventListener("abort", aborted);
    }
  }

  /**
   * The present connection, waiting for one if there is none; with `last`, the one that takes its place. Rejects when the
   * session has failed.
   */
  connection(last?: Attached, signal?: AbortSignal): Promise<Attached> {
    signal?.throwIfAborted();
    if (this.#state.status === "failed") return Promise.reject(this.#state.error);
    const attached = this.#attached;
    if (attached !== undefined && attached !== last) return Promise.resolve(attached);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: (attached) => {
          done();
          resolve(attached);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      const aborted = (): void => {
        done();
        reject(signal?.reason);
      };
      const done = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", aborted);
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", aborted);
    });
  }

  /** Makes a call over this and, as far as `repeat` allows, further connections. */
  async call<M extends ClientRequestMethod>(
    method: M,
    params: Params<M>,
    options: CallOptions,
  ): Promise<Response<M>> {
    const { repeat, signal, holds } = options;
    let last: Attached | undefined;
    for (;;) {
      const attached = await this.connection(last, signal);
      if (holds !== undefined && !holds()) {
        throw new ExecError("unknownProcess", `${method}: the id stands for another process by now`);
      }
      const outcome = await this.callOver(attached, method, params, signal);
      if (outcome.type === "result") return outcome.result;
      if (outcome.type === "refused") throw refusal(method, outcome.error);
      if (afterLoss(repeat, outcome.sent) === "unknown") {
        throw new ExecError("outcomeUnknown", `${method}: connection was lost before the answer came`, {
          hint: "it may have taken effect or not; look before you repeat it",
        });
      }
      last = attached;
    }
  }

  /** Makes a call over one connection. Rejects only when `signal` is aborted; the server is told then, if it understands. */
  callOver<M extends ClientRequestMethod>(
    attached: Attached,
    method: M,
    params: Params<M>,
    signal: AbortSignal | undefined,
    settled?: (outcome: Outcome<Response<M>>) => void,
  ): Promise<Outcome<Response<M>>> {
    return new Promise((resolve, reject) => {
      const forget = attached.link.call(method, params, (outcome) => {
        signal?.removeEventListener("abort", aborted);
        settled?.(outcome);
        resolve(outcome);
      });
      const aborted = (): void => {
        const id = forget();
        if (id !== undefined && this.supports("cancel")) attached.link.notify("$/cancel", { id });
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  /** Reads what is behind `after`. */
  async page(processId: string, after: number, signal: AbortSignal | undefined): Promise<Page> {
    let last: Attached | undefined;
    for (;;) {
      const attached = await this.connection(last, signal);
      const { whole, answer } = askPage(attached, processId, after);
      const outcome = await abortable(answer, signal);
      if (outcome.type === "result") return { response: outcome.result, whole };
      if (outcome.type === "refused") {
        throw new ExecError(
          "unknownProcess",
          `process ${processId} can't be read any more: ${outcome.error.message}`,
        );
      }
      last = attached;
    }
  }

  /** Ends it; the server keeps the session for a while. Resolves when nothing runs any more. */
  close(): Promise<void> {
    if (this.#state.status !== "failed") {
      const error = new ExecError("closed", "client is closed", { hint: "connect again" });
      this.#attached?.link.close();
      this.#fail(error);
    }
    return this.#over;
  }

  #begin(attached: Attached): void {
    this.#attach(attached);
    this.#over = this.#supervise(attached);
    const { probeAfterMs } = this.config;
    if (probeAfterMs > 0) {
      this.#probe = setInterval(() => this.#probeOnce(), probeAfterMs);
      unref(this.#probe);
    }
  }

  #attach(attached: Attached): void {
    this.#attached = attached;
    this.#peer = attached.peer;
    this.router.acknowledgeEvery(acknowledgementsOf(attached.peer, this.config));
  }

  /** Asks a connection that has been silent whether it still stands. */
  #probeOnce(): void {
    const { probeAfterMs, probeTimeoutMs } = this.config;
    const link = this.#attached?.link;
    if (link === undefined || link.isHeld || performance.now() - link.lastHeard < probeAfterMs) return;
    const timer = setTimeout(() => link.abandon("server was silent"), probeTimeoutMs);
    unref(timer);
    link.call("environment/status", null, () => clearTimeout(timer));
  }

  /** Waits for the end of each connection and gets the one that takes its place, until there is none. */
  async #supervise(first: Attached): Promise<void> {
    let attached = first;
    for (;;) {
      const end = await attached.link.ended;
      if (this.#state.status === "failed") return;
      try {
        attached = await this.#replace(attached, end);
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#fail(error);
        return;
      }
    }
  }

  async #replace(lost: Attached, end: LinkEnd): Promise<Attached> {
    this.#attached = undefined;
    if (end.type !== "lost") throw lostError(end);
    const { phase } = this.#reconnect;
    if (phase.status === "connected") this.#reconnect.lost(performance.now(), phase.generation);
    this.#tellRecovering(end.reason);
    lost.link.abandon();
    this.router.connectionLost(end.reason);
    const attached = await this.#recover(lost.peer, end.reason);
    const generation = this.#reconnect.restored() ?? 0;
    this.#attach(attached);
    this.#setState({ status: "connected", generation });
    for (const waiter of [...this.#waiters]) waiter.resolve(attached);
    this.router.caughtUp();
    return attached;
  }

  /** Tries again and again, as often as it is worth it. `last`: what the last attempt came to. */
  async #recover(peer: Peer, reason: string): Promise<Attached> {
    const reconnect = this.#reconnect;
    const stop = this.#stop.signal;
    let approach = FIRST_APPROACH;
    let last = reason;
    for (;;) {
      const step = reconnect.next(performance.now());
      stop.throwIfAborted();
      if (step.do === "wait") {
        await sleep(step.until - performance.now(), stop);
        continue;
      }
      if (step.do !== "try") {
        const after = Math.round(this.config.recoveryDeadlineMs / 1000);
        throw new ExecError(
          "disconnected",
          `connection was lost and did not come back within ${after} s: ${last}`,
          {
            hint: "the server may still hold the session: connect with its id to go on",
          },
        );
      }
      let hasProgressed = false;
      const attempt = new AbortController();
      const stopped = (): void => attempt.abort(stop.reason);
      stop.addEventListener("abort", stopped);
      let deadline = setTimeout(late, step.until - performance.now());
      function late(): void {
        attempt.abort(new ExecError("timeout", "time was over"));
      }
      try {
        return await recover(this, peer, approach, attempt.signal, () => {
          hasProgressed = true;
          reconnect.progressed(performance.now());
          clearTimeout(deadline);
          const next = reconnect.next(performance.now());
          if (next.do === "try") deadline = setTimeout(late, next.until - performance.now());
          this.#tellRecovering(reason);
        });
      } catch (error) {
        stop.throwIfAborted();
        if (reconnect.attemptFailed(performance.now(), isTransient(error) ? "transient" : "final"))
          throw error;
        last = error instanceof Error ? error.message : String(error);
        approach = approach.afterFailure(hasProgressed);
      } finally {
        clearTimeout(deadline);
        stop.removeEventListener("abort", stopped);
      }
    }
  }

  /** Tells how long there is hope. */
  #tellRecovering(reason: string): void {
    const { phase } = this.#reconnect;
    if (phase.status !== "recovering") return;
    const until = Date.now() + (phase.until - performance.now());
    this.#setState({ status: "recovering", until, reason });
  }

  /** Reads what a feed is missing while there is a connection. What it misses when one is lost is recovery's. */
  #pump(feed: Feed<ExecError>): void {
    const attached = this.#attached;
    attached?.link.reconsider();
    if (attached === undefined || attached.link.isOver || !feed.isBehind || feed.isReading) return;
    void catchUp(attached, feed).then((outcome) => {
      if (outcome !== "lost") this.#pump(feed);
    });
  }

  /** How to tell the server something that may as well get lost with the connection. */
  #floor(): Say | undefined {
    const link = this.#attached?.link;
    if (link === undefined || link.isOver) return undefined;
    return (word) => link.notify("process/ack", word);
  }

  #fail(reason: unknown): void {
    const error =
      reason instanceof ExecError
        ? reason
        : new ExecError("disconnected", "connection can't be recovered", { cause: reason });
    this.#reconnect.fail();
    this.#attached = undefined;
    this.#setState({ status: "failed", error });
    this.#stop.abort(error);
    clearInterval(this.#probe as number | undefined);
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    this.router.fail(error);
  }

  #setState(state: ConnectionState): void {
    this.#state = state;
    try {
      this.#onState(state);
    } catch (error) {
      // What the caller's own function throws is the caller's: it is told as such, and spoils nothing here.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
