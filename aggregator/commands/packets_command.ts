/** `picket-aggregator packets ID -o FILE`: the packets of a threat or a flow as one pcapng file.
 *
 * In: the id, a running aggregator. Out: the file, readable by this user only; progress meanwhile.
 * Invariant: nothing waits longer than `--wait-s`;
 * what has arrived by then is written, and the sensors still missing are named. @module */

import type { PacketStatus } from "../model/packets.ts";
import { type ApiClient, openClient } from "../cli/api_client.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  onlyOperand,
} from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";
import { generalOptions, runningOptions } from "../options/store_options.ts";

const everyMs = 1_000;

export const packetsCommand: Command = command({
  name: "packets",
  summary: "fetch the packets of a threat or a flow from the sensors",
  operands: "ID",
  about:
    `Asks the sensors that saw a threat or a flow for its packets, waits until they have answered, and writes one pcapng file in which
each sensor has an interface of its own. Sensors keep packets for a short time: what their rings have overwritten is gone, and said.
Exit code 0 when packets were written, 1 when there are none.`,
  examples: ["packets 00112233aabbccdd -o evidence.pcapng", "packets 00112233aabbccdd --wait-s 300"],
  options: {
    ...generalOptions,
    ...runningOptions,
    output: {
      kind: "text",
      default: "",
      value: "FILE",
      short: "o",
      help: "File to write, which must not be there yet; else picket-ID.pcapng",
    },
    waitS: {
      kind: "number",
      default: 60,
      min: 0,
      max: 3_600,
      help: "Wait this long for sensors that have not answered, s",
    },
  },
  async run(options, operands, edges) {
    const id = onlyOperand(operands, "threat or flow");
    if (!/^[0-9a-f]{16}$/.test(id)) {
      throw new CommandError(
        exitCodes.usage,
        `Cannot fetch packets as an id has 16 hexadecimal digits: current value is "${id.slice(0, 60)}"`,
      );
    }
    const client = await openClient(options.url, options, edges);
    const path = await ask(client, id);
    const status = await settled(client, path, options.waitS * 1_000, edges);
    const file = options.output || `picket-${id}.pcapng`;
    const bytes = status.state === "arrived" ? await client.getBytes(path) : null;
    if (bytes !== null) await write(file, bytes);
    if (options.json) edges.print(JSON.stringify({ file: bytes === null ? null : file, ...status }));
    else {
      for (const { reason } of status.sensors) edges.print(escapeLine(reason));
      edges.print(bytes === null ? escapeLine(`no packets: ${status.reason}`) : `written to ${file}`);
    }
    return bytes === null ? exitCodes.failed : exitCodes.ok;
  },
});

/** Asks; returns the path of what was asked for. An id may be that of a threat or of a flow. */
async function ask(client: ApiClient, id: string): Promise<string> {
  const kinds = ["threats", "flows"] as const;
  let failure: unknown = null;
  for (const kind of kinds) {
    try {
      await client.post(`/${kind}/${id}/packets`, undefined);
      return `/${kind}/${id}/packets`;
    } catch (error) {
      failure = error;
      if (!/: 404 /.test((error as Error).message)) break;
    }
  }
  throw failure;
}

/** How it stands once nobody is awaited any more, or the time is up. */
async function settled(client: ApiClient, path: string, waitMs: number, edges: Edges): Promise<PacketStatus> {
  const { clock, progress, signal, reporter } = edges;
  const startedMs = clock.monotonicMs();
  let said = "";
  try {
    for (;;) {
      const status = await client.get<PacketStatus>(`${path}?as=status`);
      const waiting = status.sensors.filter(({ state }) => state === "asked").length;
      const passedMs = clock.monotonicMs() - startedMs;
      if (waiting === 0 || passedMs >= waitMs || signal.aborted) return status;
      const words = escapeLine(status.reason);
      if (progress) progress(`${words} (${Math.round(passedMs / 1_000)} s)`);
      else if (words !== said) reporter.info(said = words);
      await clock.sleep(everyMs, signal);
    }
  } finally {
    progress?.("");
  }
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await Deno.writeFile(path, bytes, { createNew: true, mode: 0o600 });
  } catch (cause) {
    const why = cause instanceof Deno.errors.AlreadyExists ? "it is there already" : (cause as Error).message;
    throw new CommandError(exitCodes.environment, `Cannot write "${path}": ${why}`, { cause });
  }
}
