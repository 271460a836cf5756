// When a server is told how far the readers of a process are: seldom enough to cost nothing, and before it waits.
//
// Rules only. What is said is what History.progress tells.

/** What an event costs besides its bytes of output, as the server's window counts. */
const EVENT_COST = 256;

/** A reader's position. */
export interface At {
  /** It has everything through here. */
  readonly seq: number;
  /** What all events through here cost; `undefined` where that was forgotten. */
  readonly cost: number | undefined;
}

/** How far the readers are. */
export interface Progress {
  readonly slowest: At;
  readonly furthest: At;
}

/** What sending an event with so much output costs. */
export function costOf(outputBytes: number): number {
  return outputBytes + EVENT_COST;
}

/**
 * After how much of a window it is said. That leaves room for what is on its way meanwhile, so a reader that took everything
 * is never waited for.
 */
export function acknowledgeEvery(windowBytes: number): number {
  return Math.floor(windowBytes / 4);
}

const START: At = { seq: 0, cost: 0 };

/** See the head of the file. Of one process that begins here, as its server knows. */
export class Acknowledging {
  /** After how much; `undefined` if the server does not want to know. */
  every: number | undefined;
  /** What was said last; `undefined` if anything is to be said, since the server knows nothing of us. */
  #said: Progress | undefined = { slowest: START, furthest: START };

  /** The server knows nothing of what was said. */
  beginAgain(): void {
    this.#said = undefined;
  }

  /** Whether the server waits for a first word. */
  get mustBegin(): boolean {
    return this.every !== undefined && this.#said === undefined;
  }

  /** Whether it is time to say how far they are. */
  isDue({ slowest, furthest }: Progress): boolean {
    const { every } = this;
    if (every === undefined) return false;
    if (this.#said === undefined) return true;
    const hasMoved = (before: At, now: At): boolean => {
      if (now.seq <= before.seq) return false;
      // Where the distance is not known, a page or more was read elsewhere.
      return now.cost === undefined || before.cost === undefined || now.cost >= before.cost + every;
    };
    return hasMoved(this.#said.slowest, slowest) || hasMoved(this.#said.furthest, furthest);
  }

  /** It is being said. */
  say(now: Progress): void {
    this.#said = now;
  }
}
