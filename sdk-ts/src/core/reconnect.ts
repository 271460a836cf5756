// How a client comes back: when a lost connection matters, what is tried again and until when, and what a loss means for
// each call that was under way. Times are milliseconds of any steady clock, and arguments.
//
// Connections are counted. Whatever is heard of an earlier one than the present changes nothing.

/** How long and how often a lost connection is tried again. */
export interface Patience {
  /** From the loss, or the last progress since, until it is given up. */
  readonly deadlineMs: number;
  /** Between two attempts. The first one follows the loss at once. */
  readonly pauseMs: number;
}

/** Where a client stands. Generations count the connections of one session, from 1. */
export type Phase =
  | { readonly status: "connected"; readonly generation: number }
  /** Calls wait for the connection after `lost`, which is given up at `until`. */
  | { readonly status: "recovering"; readonly lost: number; readonly until: number }
  | { readonly status: "failed" };

/** What to do about a connection that was lost. */
export type Step =
  /** Try to get another one, at most until then. */
  | { readonly do: "try"; readonly until: number }
  /** Nothing before then. */
  | { readonly do: "wait"; readonly until: number }
  /** It took too long. */
  | { readonly do: "giveUp" }
  /** There is nothing to recover. */
  | { readonly do: "rest" };

/**
 * Why one attempt came to nothing. `transient`: trying again may help (the network, a time-out, a session that its server
 * has not yet noticed to be free). `final`: it won't (the server has forgotten the session, refuses the credential, or
 * breaks the protocol).
 */
export type Verdict = "transient" | "final";

/** The state machine; see the head of the file. */
export class Reconnect {
  readonly #patience: Patience;
  #phase: Phase = { status: "connected", generation: 1 };
  /** When the next attempt is due, while recovering. */
  #due: number | undefined;

  /** Of a client whose first connection stands. */
  constructor(patience: Patience) {
    this.#patience = patience;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** A connection was lost. False if that was known, or is not the present one's business. */
  lost(now: number, generation: number): boolean {
    if (this.#phase.status !== "connected" || this.#phase.generation !== generation) return false;
    this.#phase = { status: "recovering", lost: generation, until: now + this.#patience.deadlineMs };
    this.#due = now;
    return true;
  }

  /** What to do now. An attempt that would only begin when it is too late is not waited for. */
  next(now: number): Step {
    if (this.#phase.status !== "recovering" || this.#due === undefined) return { do: "rest" };
    const { until } = this.#phase;
    if (now >= until || this.#due >= until) return { do: "giveUp" };
    return now < this.#due ? { do: "wait", until: this.#due } : { do: "try", until };
  }

  /** An attempt has brought something new, so the server is there: the deadline begins anew. */
  progressed(now: number): void {
    if (this.#phase.status === "recovering") {
      const until = Math.max(this.#phase.until, now + this.#patience.deadlineMs);
      this.#phase = { ...this.#phase, until };
    }
  }

  /** An attempt came to nothing. True if the client is to be failed. */
  attemptFailed(now: number, verdict: Verdict): boolean {
    if (this.#phase.status === "recovering") this.#due = now + this.#patience.pauseMs;
    return verdict === "final";
  }

  /**
   * A connection with the session, caught up, takes the place of the lost one; returns its number. `undefined` when
   * nothing was to be replaced any more.
   */
  restored(): number | undefined {
    if (this.#phase.status !== "recovering") return undefined;
    const generation = this.#phase.lost + 1;
    this.#phase = { status: "connected", generation };
    this.#due = undefined;
    return generation;
  }

  /** The client is of no more use. */
  fail(): void {
    this.#phase = { status: "failed" };
    this.#due = undefined;
  }
}

/**
 * Whether a request does harm when the server gets it a second time. `ifUnsent`: it does, so it may only be sent again if
 * it certainly did not arrive. `always`: it reads, names a state to reach, or carries a key by which the server knows it.
 */
export type Repeat = "ifUnsent" | "always";

/** What becomes of a call whose connection was lost before the answer. `sent`: it may have arrived. */
export function afterLoss(repeat: Repeat, sent: boolean): "sendAgain" | "unknown" {
  return repeat === "ifUnsent" && sent ? "unknown" : "sendAgain";
}
