/** What one JSON document for each packet would weigh.
 *
 * In: a capture. Out: octets a packet of `tshark -T ek`, the form Elasticsearch takes, and of the least document anyone
 * would send, of 13 fields; both over the first packets. Why uncompressed: a document a packet is sent as it is.
 * @module */

import { flowFields } from "./programs.ts";

export const documentPackets = 20_000;

export interface DocumentBytes {
  packets: number;
  ek: number;
  small: number;
}

async function tshark(capture: string, args: readonly string[]): Promise<Uint8Array> {
  const command = new Deno.Command("tshark", {
    args: ["-n", "-r", capture, "-c", String(documentPackets), ...args],
    stderr: "null",
  });
  return (await command.output()).stdout;
}

/** null when there is no tshark to ask. */
export async function documentBytes(capture: string): Promise<DocumentBytes | null> {
  const fields = flowFields.flatMap((field) => ["-e", field]);
  let lines: string[];
  try {
    const text = new TextDecoder().decode(await tshark(capture, ["-T", "fields", ...fields]));
    lines = text.split("\n").filter((line) => line !== "");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const ek = (await tshark(capture, ["-T", "ek"])).length;
  const small = lines.reduce((sum, line) => {
    const values = line.split("\t");
    const document = Object.fromEntries(flowFields.map((field, index) => [field, values[index]]));
    return sum + JSON.stringify(document).length + 1;
  }, 0);
  return { packets: lines.length, ek: ek / lines.length, small: small / lines.length };
}
