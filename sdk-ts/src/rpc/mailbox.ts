// Between notifications, which come when they come, and a reader who takes them when it likes.

/** A bounded queue with one reader. What does not fit is dropped, and that is told. */
export class Mailbox<T> {
  #items: T[] = [];
  readonly #limit: number;
  #hasOverflowed = false;
  #wake: (() => void) | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  put(item: T): void {
    if (this.#items.length >= this.#limit) this.#hasOverflowed = true;
    else this.#items.push(item);
    this.#wake?.();
  }

  /** Everything that is here; waits for something if there is nothing. Rejects when `signal` is aborted. */
  async take(
    signal: AbortSignal | undefined,
  ): Promise<{ readonly items: readonly T[]; readonly hasOverflowed: boolean }> {
    while (this.#items.length === 0 && !this.#hasOverflowed) {
      signal?.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal?.removeEventListener("abort", done);
          resolve();
        };
        this.#wake = done;
        signal?.addEventListener("abort", done);
      });
      this.#wake = undefined;
    }
    const taken = { items: this.#items, hasOverflowed: this.#hasOverflowed };
    this.#items = [];
    this.#hasOverflowed = false;
    return taken;
  }
}
