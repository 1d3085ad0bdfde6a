/** Calls back when a stream is first read and when it is over.
 *
 * In: a stream; what to call at the first read, which returns what to call at the end. Out: the same octets.
 * Invariant: each is called once, whether the stream ends, fails or is cancelled; a stream nobody reads calls neither.
 * @module */

export function heldOpen(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  hold: () => () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  let release: (() => void) | null = null;
  const end = () => {
    release?.();
    release = null;
  };
  return new ReadableStream({
    async pull(controller) {
      release ??= hold();
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        end();
        controller.close();
      } catch (error) {
        end();
        throw error;
      }
    },
    cancel(reason) {
      end();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
