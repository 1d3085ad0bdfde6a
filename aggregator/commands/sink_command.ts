/** `picket-aggregator sink`: lists and tests the sinks of a running aggregator, and shows their dead letters.
 * @module */

import { openClient } from "../cli/api_client.ts";
import { readVerb } from "../cli/admin_api.ts";
import { generalOptions, runningOptions } from "../options/store_options.ts";
import { type Command, command, exitCodes, noOperands, onlyOperand } from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";

const verbs = ["list", "test", "dead"] as const;

interface Sink {
  name: string;
  kind: string;
  waiting: number;
  dead: number;
  last_sent_ms: number | null;
  problem: string | null;
}

interface Dead {
  id: string;
  made_ms: number;
  attempts: number;
  reason: string;
  title: string;
}

export const sinkCommand: Command = command({
  name: "sink",
  summary: "where word is sent: list, test, dead letters",
  operands: "[list | test NAME | dead NAME]",
  about:
    `Asks a running aggregator. list shows each sink of its file (serve --sinks) and how it is; test sends a message that says it is a
test, past what waits, and ends with code 1 when it could not be sent; dead lists the messages that were given up.`,
  examples: ["sink list", "sink test chat", "sink dead chat --json"],
  options: { ...generalOptions, ...runningOptions },
  async run(options, operands, edges) {
    const { verb, rest } = readVerb(operands, verbs, "list");
    const name = verb === "list" ? (noOperands(rest), "") : encodeURIComponent(onlyOperand(rest, "sink"));
    const client = await openClient(options.url, options, edges);
    const say = (words: string[]) => edges.print(escapeLine(words.join("  ")));
    if (verb === "test") {
      const answer = await client.post<{ sent: boolean; reason: string }>(`/sinks/${name}/test`, {});
      if (options.json) edges.print(JSON.stringify(answer));
      else say([answer.sent ? "sent" : `not sent: ${answer.reason}`]);
      return answer.sent ? exitCodes.ok : exitCodes.failed;
    }
    if (verb === "dead") {
      const { rows } = await client.get<{ rows: Dead[] }>(`/sinks/${name}/dead-letters?limit=1000`);
      if (options.json) edges.print(JSON.stringify({ rows }));
      else {for (const { id, made_ms, attempts, reason, title } of rows) {
          say([new Date(made_ms).toISOString(), id, `${attempts} tries`, title, `(${reason})`]);
        }}
      return exitCodes.ok;
    }
    const { rows } = await client.get<{ rows: Sink[] }>("/sinks");
    if (options.json) edges.print(JSON.stringify({ rows }));
    else {for (const { name, kind, waiting, dead, last_sent_ms, problem } of rows) {
        const sent = last_sent_ms === null
          ? "nothing sent yet"
          : `sent ${new Date(last_sent_ms).toISOString()}`;
        say([
          name,
          kind,
          `${waiting} waiting`,
          `${dead} dead`,
          sent,
          ...problem === null ? [] : [`failing: ${problem}`],
        ]);
      }}
    return exitCodes.ok;
  },
});
