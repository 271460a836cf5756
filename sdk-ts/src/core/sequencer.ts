// Restores order on the receiving side: parks what comes early, drops what comes twice, and knows what is missing.

/** More events arrived early than may be parked: the missing one has to be fetched, or given up. */
export interface TooFarAhead {
  /** The first position that is missing. */
  readonly missing: number;
}

/** Delivers the events of one process once and in order, whatever order they arrive in. */
export class Sequencer<E> {
  #delivered = 0;
  readonly #parked = new Map<number, E>();
  readonly #limit: number;

  /** Nothing delivered yet; up to `limit` early events are parked. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The last position that was delivered or skipped. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Whether something waits for an event that has not come. */
  get hasGap(): boolean {
    return this.#parked.size > 0;
  }

  /**
   * Takes an event and returns what may be delivered now, in order. One that was delivered or is parked already is
   * dropped.
   */
  accept(seq: number, event: E): E[] | TooFarAhead {
    if (seq <= this.#delivered) return [];
    if (seq === this.#delivered + 1) {
      // What is parked at a position came first, and counts.
      const first = this.#parked.get(seq) ?? event;
      this.#parked.delete(seq);
      this.#delivered = seq;
      return this.#parked.size === 0 ? [first] : [first, ...this.#deliver()];
    }
    if (!this.#parked.has(seq)) {
      if (this.#parked.size >= this.#limit) return { missing: this.#delivered + 1 };
      this.#parked.set(seq, event);
    }
    return [];
  }

  /**
   * The source holds nothing through `seq` any more (or nothing but what it has sent already): delivery goes on behind
   * it. Returns what may be delivered now, parked events before `seq` included.
   */
  skipThrough(seq: number): E[] {
    if (seq <= this.#delivered) return [];
    const events: E[] = [];
    if (this.#parked.size > 0) {
      const passed = [...this.#parked.keys()].filter((parked) => parked <= seq).sort((a, b) => a - b);
      for (const parked of passed) {
        events.push(this.#parked.get(parked) as E);
        this.#parked.delete(parked);
      }
    }
    this.#delivered = seq;
    events.push(...this.#deliver());
    return events;
  }

  #deliver(): E[] {
    const events: E[] = [];
    for (let next = this.#delivered + 1; this.#parked.has(next); next++) {
      events.push(this.#parked.get(next) as E);
      this.#parked.delete(next);
      this.#delivered = next;
    }
    return events;
  }
}
