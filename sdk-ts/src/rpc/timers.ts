// Waiting, so that nothing is left behind: every timer and listener is gone once the wait is over, and none keeps a
// program alive.

/** Resolves after `ms`, or as soon as `signal` is aborted. Never rejects. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, Math.max(0, ms));
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}

/** Keeps a timer from keeping the program alive, where there is such a thing. */
export function unref(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}

/**
 * What `promise` comes to, or a rejection with `signal.reason` if that is aborted first. The promise's own outcome is then
 * of no interest to anybody.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    function aborted(): void {
      reject(signal?.reason);
    }
    if (signal.aborted) {
      promise.catch(() => {});
      return aborted();
    }
    signal.addEventListener("abort", aborted, { once: true });
    const done = (): void => signal.removeEventListener("abort", aborted);
    promise.then(
      (value) => {
        done();
        resolve(value);
      },
      (error) => {
        done();
        reject(error);
      },
    );
  });
}
