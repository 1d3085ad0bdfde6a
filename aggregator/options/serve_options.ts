/** Options of `serve`, and what they must satisfy together. @module */

import { parseIp } from "../../shared/ip.ts";
import type { Options, OptionTable } from "../../shared/options.ts";
import { CommandError, exitCodes } from "../../shared/command.ts";
import { TrustedProxies } from "../model/client_address.ts";
import { generalOptions, kafkaOptions, storeOptions } from "./store_options.ts";
import { detectionOptions } from "./detection_options.ts";
import { geoOptions } from "./geo_options.ts";
import { triageOptions } from "./triage_options.ts";

export const serveOptions = {
  ...generalOptions,
  ...storeOptions,
  listen: {
    kind: "text",
    default: "",
    value: "HOST:PORT",
    help: "Address of API and dashboard; else 0.0.0.0:8600 once setup was run, and 127.0.0.1:8600 before",
  },
  tlsCert: { kind: "text", default: "", value: "FILE", help: "Certificate chain (PEM) for HTTPS" },
  tlsKey: { kind: "text", default: "", value: "FILE", help: "Private key (PEM) of the certificate" },
  insecureHttp: {
    kind: "flag",
    default: false,
    help:
      "Listen without TLS on an address that other machines reach: keys and batches can be read on the way",
  },
  hostnames: {
    kind: "list",
    default: [],
    help:
      "Names under which browsers may call; else any, and on loopback only localhost, 127.0.0.1 and [::1]",
  },
  publicUrl: {
    kind: "text",
    default: "",
    value: "URL",
    help: "Address under which browsers and sensors reach a proxy before this server, with its path prefix",
  },
  trustedProxies: {
    kind: "list",
    default: [],
    value: "CIDR,..",
    help: "Proxies whose X-Forwarded-For or Forwarded is trusted",
  },
  site: { kind: "text", default: "default", help: "Site of join tokens that name none" },
  buckets: {
    kind: "number",
    default: 4,
    min: 1,
    max: 1_024,
    help: "Parallel sequences of batches, the same for the whole fleet; Kafka partitions",
  },
  roles: {
    kind: "list",
    default: [],
    value: "ingest,detect,triage,api",
    help: "The parts that this instance does, where several share one database; else all",
  },
  suricata: {
    kind: "text",
    default: "",
    value: "FILE",
    help:
      "Follow this eve.json of Suricata, and take its alerts in as threats, joined to flows by Community ID",
  },
  retroHuntDays: {
    kind: "number",
    default: 7,
    min: 0,
    max: 3_650,
    help: "Days of stored flows searched for new entries when an intelligence list changes; 0 = none",
  },
  retainDays: {
    kind: "number",
    default: 30,
    min: 1,
    max: 3_650,
    help: "Days that flows are kept after their day, or after they came if that was later",
  },
  retainGigabytes: {
    kind: "number",
    default: 8,
    min: 0,
    max: 1_000_000,
    help: "Disk for all that is stored: above it the oldest days of flows are dropped; 0 = no limit",
  },
  archive: {
    kind: "text",
    default: "",
    value: "DIR",
    help:
      "Folder or s3://BUCKET/PREFIX to which a day of flows goes, as Parquet, before it is dropped, the same for all aggregators of one database; else none",
  },
  retainPacketsMb: {
    kind: "number",
    default: 1_024,
    min: 0,
    max: 1_000_000,
    help:
      "Disk for packets of threats, which sensors are asked for, MiB: above it the oldest leave; 0 = ask for none",
  },
  upgradeMibPerS: {
    kind: "number",
    default: 20,
    min: 1,
    max: 1_000,
    help: "Programs of upgrades on their way to all sensors together, MiB a second",
  },
  sinks: {
    kind: "text",
    default: "",
    value: "FILE",
    help:
      "Tell others of incidents as this JSON file says: webhooks, e-mail, syslog, files; read again on SIGHUP",
  },
  ...kafkaOptions,
  ...detectionOptions,
  ...geoOptions,
  ...triageOptions,
  geminiCallsPerDay: {
    kind: "number",
    default: 200,
    min: 0,
    max: 1_000_000,
    help: "Calls to the model per day",
  },
  geminiTokensPerDay: {
    kind: "number",
    default: 1_000_000,
    min: 1,
    max: 1_000_000_000,
    help: "Tokens per day, sent to the model and received",
  },
} as const satisfies OptionTable;
export type ServeOptions = Options<typeof serveOptions>;

export const roles = ["ingest", "detect", "triage", "api"] as const;
export type Role = typeof roles[number];
/** Detectors step over what their own instance merged, and a model is asked about what they found. */
const rests: Partial<Record<Role, Role>> = { detect: "ingest", triage: "detect" };

/** Reads `--roles`; nothing named = all. @throws {CommandError} */
export function readRoles(
  { roles: named, publish }: Pick<ServeOptions, "roles" | "publish">,
): ReadonlySet<Role> {
  const chosen = new Set((named.length === 0 ? roles : named) as readonly Role[]);
  for (const role of chosen) {
    if (!roles.includes(role)) {
      throw new CommandError(
        exitCodes.usage,
        `Cannot serve as "roles" must be of ${roles.join(", ")}: current value is "${
          String(role).slice(0, 50)
        }"`,
      );
    }
    const under = rests[role];
    if (under === undefined || chosen.has(under)) continue;
    throw new CommandError(exitCodes.usage, `Cannot serve the role "${role}" without "${under}": name both`);
  }
  if (!chosen.has("ingest") && publish.length > 0) {
    throw new CommandError(
      exitCodes.usage,
      'Cannot publish without the role "ingest": name it, or leave "publish" out',
    );
  }
  return chosen;
}

export interface ListenAddress {
  hostname: string;
  port: number;
  isLoopback: boolean;
}

/** Reads `--listen`. @throws {CommandError} */
export function listenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot listen as "listen" must be HOST:PORT: current value is "${text.slice(0, 100)}"`,
    );
  }
  const hostname = match[1] ?? match[2];
  return { hostname, port, isLoopback: isLoopback(hostname) };
}

/** Refuses to send keys over an open network. @throws {CommandError} */
export function checkExposure(
  address: ListenAddress,
  options: Pick<ServeOptions, "tlsCert" | "tlsKey" | "insecureHttp">,
  hasAuthority = false,
): void {
  if ((options.tlsCert === "") !== (options.tlsKey === "")) {
    throw new CommandError(exitCodes.usage, 'Cannot use TLS as "tlsCert" and "tlsKey" must both be given');
  }
  if (address.isLoopback || options.tlsCert !== "" || hasAuthority || options.insecureHttp) return;
  throw new CommandError(
    exitCodes.usage,
    `Cannot listen on ${address.hostname} without TLS as other machines reach it: run setup for a certificate of its own, ` +
      "give --tls-cert and --tls-key, put a TLS proxy before a loopback address, or say --insecure-http",
  );
}

/** Reads `--public-url`; null = none is given. @throws {CommandError} */
export function readPublicUrl(text: string): URL | null {
  if (text === "") return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url !== null && /^https?:$/.test(url.protocol) &&
    url.search + url.hash + url.username === "";
  if (isPlain) return url;
  throw new CommandError(
    exitCodes.usage,
    `Cannot use "publicUrl" as it must be like "https://picket.example/prefix": current value is "${
      text.slice(0, 100)
    }"`,
  );
}

/** Reads `--trusted-proxies`. @throws {CommandError} */
export function readTrustedProxies(networks: readonly string[]): TrustedProxies {
  try {
    return new TrustedProxies(networks);
  } catch (cause) {
    throw new CommandError(exitCodes.usage, (cause as Error).message, { cause });
  }
}

/** Host names to answer for; null = any. */
export function hostnamesOf(
  address: ListenAddress,
  given: readonly string[],
  publicUrl: URL | null = null,
): string[] | null {
  const names = [
    ...given,
    ...(publicUrl && (address.isLoopback || given.length > 0) ? [publicUrl.hostname] : []),
  ]
    .map((name) => name.toLowerCase());
  if (!address.isLoopback) return names.length === 0 ? null : names;
  return [...new Set(["localhost", "127.0.0.1", "[::1]", bracketed(address.hostname), ...names])];
}

export function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname.toLowerCase();
}

function isLoopback(hostname: string): boolean {
  if (hostname.toLowerCase() === "localhost") return true;
  const bytes = parseIp(hostname);
  if (!bytes) return false;
  return bytes.length === 4 ? bytes[0] === 127 : bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}
