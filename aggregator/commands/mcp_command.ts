/** `picket-aggregator mcp`: answers an assistant over standard input and output.
 *
 * In: requests of the Model Context Protocol, one a line; a running aggregator. Out: only answers on standard output,
 * everything else on standard error.
 * Invariant: one request is handled at a time, and the next is read after its answer, so nothing piles up. @module */

import { openClient } from "../cli/api_client.ts";
import { answerLine } from "../mcp/conversation.ts";
import { linesOf } from "../mcp/lines.ts";
import type { JsonObject } from "../mcp/untrusted.ts";
import { type Command, command, exitCodes, noOperands } from "../../shared/command.ts";
import { generalOptions, runningOptions } from "../options/store_options.ts";

/** `input`: standard input; a function, as it is not to be touched by other commands. */
export function mcpCommand(input: () => ReadableStream<Uint8Array>): Command {
  return command({
    name: "mcp",
    summary: "let an assistant ask, over the Model Context Protocol",
    operands: "",
    about:
      `Serves the Model Context Protocol on standard input and output, for an assistant that starts it: fleet health, incidents, threats,
flows and hosts of a running aggregator, read-only and bounded. Texts that came from the network are marked as untrusted data, and
stand as they are: the assistant's model sees addresses and names. Give it a key of the role viewer, from
\`picket-aggregator key create\`. Ends when its input does.`,
    examples: [
      "mcp --key-file viewer.key",
      "mcp --url https://picket.example:8600 --key-file viewer.key --ca ca.pem",
    ],
    options: {
      ...generalOptions,
      ...runningOptions,
    },
    async run(options, operands, edges) {
      noOperands(operands);
      const client = await openClient(options.url, options, edges);
      const ask = (path: string) => client.get<JsonObject>(path);
      for await (const line of linesOf(untilStopped(input(), edges.signal))) {
        if (line?.trim() === "") continue;
        const answer = await answerLine(line, ask);
        if (answer !== null) edges.print(answer);
      }
      return exitCodes.ok;
    },
  });
}

/** Ends as the stream does, or when the program is told to stop. */
async function* untilStopped(stream: ReadableStream<Uint8Array>, signal: AbortSignal) {
  const reader = stream.getReader();
  const stop = () => reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", stop, { once: true });
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done || signal.aborted) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    reader.releaseLock();
  }
}
