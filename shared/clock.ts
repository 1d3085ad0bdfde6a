/** Time as a dependency, so that a test can own it.
 *
 * Out: wall time for stamps, monotonic time for durations, and a cancellable sleep.
 * Why: code that reads the clock itself cannot be replayed; everything below the edges takes `nowMs` as an argument.
 * @module */

export interface Clock {
  /** Wall clock, milliseconds since the epoch; may step. */
  nowMs(): number;
  /** Milliseconds from an arbitrary origin; never steps back. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(ms, signal) {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    });
  },
};
