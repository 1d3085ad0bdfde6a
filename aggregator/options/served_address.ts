/** What `setup` decided and `serve` does, as other commands of the same machine find it in the state folder.
 *
 * Files: `setup.json`, the address to listen on that was given to `setup`;
 * `address`, where the last `serve` answers on this machine.
 * Invariant: both are hints. A file that is damaged is as one that is not there. @module */

import { parseIp } from "../../shared/ip.ts";
import { bracketed, listenAddress } from "./serve_options.ts";

const loopbackListen = "127.0.0.1:8600";
const textLengthMax = 1_024;

/** Address to listen on: as given, as `setup` noted it, or loopback. */
export async function listenTextOf(given: string, folder: string): Promise<string> {
  if (given !== "") return given;
  const noted = await readShort(`${folder}/setup.json`);
  try {
    const { listen } = JSON.parse(noted ?? "{}");
    if (typeof listen === "string") {
      return `${bracketed(listenAddress(listen).hostname)}:${listenAddress(listen).port}`;
    }
  } catch {
    // As if it were not there.
  }
  return loopbackListen;
}

export async function noteSetup(folder: string, listen: string): Promise<void> {
  await Deno.writeTextFile(`${folder}/setup.json`, `${JSON.stringify({ listen })}\n`, { mode: 0o600 });
}

/** Notes where this aggregator answers, as seen from this machine. */
export async function noteAddress(folder: string, url: string): Promise<void> {
  const local = new URL(url);
  const host = local.hostname.replace(/^\[|\]$/g, "");
  if (parseIp(host)?.every((octet) => octet === 0)) local.hostname = "127.0.0.1";
  await Deno.writeTextFile(`${folder}/address`, `${local.origin}\n`, { mode: 0o600 });
}

/** Where the aggregator of this state folder answers. */
export async function localUrl(folder: string): Promise<string> {
  const noted = (await readShort(`${folder}/address`))?.trim() ?? "";
  return URL.canParse(noted) ? noted : `http://${loopbackListen}`;
}

async function readShort(path: string): Promise<string | null> {
  return await Deno.readTextFile(path).then((text) => text.length > textLengthMax ? null : text, () => null);
}
