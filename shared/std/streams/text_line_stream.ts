/** `TextLineStream` with the signature of `@std/streams/text-line-stream`, for machines that cannot reach JSR.
 *
 * In: text in chunks. Out: one string a line, without its `\n` or `\r\n`; a last line without an end comes too.
 * @module */

/** Splits a stream of text into lines. */
export class TextLineStream extends TransformStream<string, string> {
  constructor(options: { allowCR?: boolean } = {}) {
    let rest = "";
    super({
      transform(chunk, controller) {
        const lines = (rest + chunk).split(options.allowCR ? /\r\n|\n|\r(?!$)/ : /\r?\n/);
        rest = lines.pop()!;
        for (const line of lines) controller.enqueue(line);
      },
      flush(controller) {
        if (rest !== "") {
          controller.enqueue(options.allowCR && rest.endsWith("\r") ? rest.slice(0, -1) : rest);
        }
      },
    });
  }
}
