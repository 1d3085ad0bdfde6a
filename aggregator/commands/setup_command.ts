/** `picket-aggregator setup`: from an empty machine to one line for the first sensor. @module */

import { makeJoinToken } from "../api/admin/tokens.ts";
import { name as nameSchema } from "../api/schemas.ts";
import { joinCommand } from "../model/invitation.ts";
import { qrLines } from "../cli/qr.ts";
import { bracketed, listenAddress } from "../options/serve_options.ts";
import { listenTextOf, noteSetup } from "../options/served_address.ts";
import { generalOptions, stateFolder, storeOf, storeOptions } from "../options/store_options.ts";
import { ensureAdminKey } from "../serve/admin_key.ts";
import { ensureAuthority, machineNames, reachableAddress, serverCertificate } from "../tls/authority.ts";
import { startService } from "../serve/service.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  noOperands,
} from "../../shared/command.ts";
import type { Options } from "../../shared/options.ts";

const listenDefault = "0.0.0.0:8600";

const options = {
  ...generalOptions,
  ...storeOptions,
  listen: {
    kind: "text",
    default: "",
    value: "HOST:PORT",
    help: `Address to listen on from now on; else what setup noted before, or ${listenDefault}`,
  },
  host: {
    kind: "text",
    default: "",
    value: "NAME",
    help: "Name or address under which sensors reach this machine; else its first address on the network",
  },
  site: { kind: "text", default: "default", help: "Site of the first sensor" },
  service: { kind: "flag", default: true, help: "Do not start the service picket-aggregator" },
} as const;

interface Done {
  dashboard: string;
  key_file: string;
  ca_file: string;
  fingerprint: string;
  /** What to type on the sensor. */
  command: string;
  token: string;
  expires_ms: number;
  /** Whether the service was started; null = this machine has none. */
  service: "started" | "failed" | null;
}

export const setupCommand: Command = command({
  name: "setup",
  summary: "make a certificate authority, a key and the line for the first sensor; start the service",
  operands: "",
  about:
    `Makes what is missing, and leaves what is there: a certificate authority and a certificate for the names and addresses of this
machine, an admin key, and a join token for one sensor. From then on serve listens on the network, with TLS. Where systemd runs and
setup runs as root, it also starts the service. Prints the dashboard's address, where the key is, and what to type on the sensor.
Can be run again: the authority stays, so that sensors go on trusting it.`,
  examples: ["setup", "setup --host picket.example --site office"],
  options,
  async run(options, operands, edges) {
    noOperands(operands);
    const done = await setUp(options, edges);
    if (options.json) edges.print(JSON.stringify(done));
    else for (const line of words(done, edges)) edges.print(line);
    return done.service === "failed" ? exitCodes.environment : exitCodes.ok;
  },
});

async function setUp(given: Options<typeof options>, edges: Edges): Promise<Done> {
  if (!nameSchema.safeParse(given.site).success) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot set up as "site" must be 1-63 letters, digits, . _ or -: current value is "${given.site}"`,
    );
  }
  const folder = stateFolder(given.state, edges.env);
  const store = await storeOf(given, edges);
  const listen = given.listen || await keptListen(folder);
  const { port } = listenAddress(listen);
  const host = given.host === "" ? reachableAddress() : bracketed(given.host.replace(/^\[|\]$/g, ""));
  if (!URL.canParse(`https://${host}:${port}`)) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot set up as "host" must be a name or an address: current value is "${given.host.slice(0, 100)}"`,
    );
  }
  const nowMs = edges.clock.nowMs();
  const deps = { nowMs, randomBytes: edges.randomBytes };
  const { fingerprint } = await ensureAuthority(folder, Deno.hostname(), deps);
  await serverCertificate(folder, machineNames([host.replace(/^\[|\]$/g, "")]), deps);
  await noteSetup(folder, listen);
  await store.start();
  let keyFile: string;
  const { token, row } = makeJoinToken(edges.randomBytes(24), { site: given.site, tags: [], nowMs });
  try {
    keyFile = await ensureAdminKey(folder, store, edges);
    await store.addJoinToken(row);
  } finally {
    await store.stop();
  }
  const url = `https://${host}:${port}`;
  return {
    dashboard: `${url}/`,
    key_file: keyFile,
    ca_file: `${folder}/tls/ca.pem`,
    fingerprint,
    command: joinCommand({ url, fingerprint }, token),
    token,
    expires_ms: row.expires_ms,
    service: given.service ? await startService() : null,
  };
}

/** What setup noted before; loopback was nobody's choice. */
async function keptListen(folder: string): Promise<string> {
  const kept = await listenTextOf("", folder);
  return listenAddress(kept).isLoopback ? listenDefault : kept;
}

function words(done: Done, edges: Edges): string[] {
  const minutes = Math.round((done.expires_ms - edges.clock.nowMs()) / 60_000);
  const string = /'(.*)'/.exec(done.command)?.[1] ?? done.command;
  const next = {
    started: "The service picket-aggregator runs.",
    failed: "The service picket-aggregator did not start: see systemctl status picket-aggregator",
    none: "Start it with: picket-aggregator serve",
  }[done.service ?? "none"];
  return [
    `Dashboard   ${done.dashboard}`,
    `Admin key   ${done.key_file}`,
    `Authority   ${done.ca_file} (import it into browsers that ask about the certificate)`,
    "",
    next,
    "",
    `On the sensor, within ${minutes} minutes:`,
    "",
    `  ${done.command}`,
    "",
    ...qrLines(string),
    "",
    "More sensors: picket-aggregator token create",
  ];
}
