/** Suppressions: which threats people do not want to see, why, and until when.
 *
 * In: conditions, a threat. Out: whether it meets all of them.
 * Invariant: a suppression hides; it never changes severity or status. Every condition must hold. An address condition
 * holds when every address of that side lies in it, so that an attack from a suppressed scanner and a stranger is
 * shown; a threat whose list of addresses is full meets none, as nobody knows the rest.
 * Linear in the addresses and the evidence of the threat. @module */

import { parseIp } from "../../shared/ip.ts";
import { type Filter, lowerAscii, type Test } from "./filter.ts";
import { isWithin, type Network, readNetwork } from "./network.ts";
import { type Threat, threatAddressesMax } from "./threat.ts";

export interface SuppressionConditions {
  /** Site, or global. */
  network?: string;
  /** Each an address or CIDR. */
  src_ip?: string;
  dst_ip?: string;
  dst_port?: number;
  detector?: string;
  /** A name in the evidence: this one, or a domain below it. */
  name?: string;
}

export interface Suppression extends SuppressionConditions {
  /** 16 hex digits. */
  id: string;
  reason: string;
  made_by: string;
  made_ms: number;
  expires_ms: number;
  /** A person ended it, or it expired; null = neither. */
  ended_ms: number | null;
}

export interface SuppressionRow extends Suppression {
  /** Threats that met it while it was in force. */
  hidden: number;
}

export const suppressionLimits = {
  lifeS: { least: 3_600, most: 365 * 86_400 },
  /** In force at once. */
  activeMax: 500,
  reasonCharactersMax: 400,
  nameCharactersMax: 253,
} as const;

export const conditionNames = ["network", "src_ip", "dst_ip", "dst_port", "detector", "name"] as const;

/** The field that makes `conditions` hide everything, and the rule it breaks; null = they can be used. */
export function faultOf(conditions: SuppressionConditions): { field: string; rule: string } | null {
  if (conditionNames.every((name) => conditions[name] === undefined)) {
    return { field: "", rule: `one of ${conditionNames.join(", ")} must be given, or everything is hidden` };
  }
  for (const field of ["src_ip", "dst_ip"] as const) {
    const network = readNetwork(conditions[field] ?? "");
    if (network !== null && isEvery(network)) {
      return { field, rule: `"${field}" must not hold every address: leave it out for any` };
    }
  }
  return null;
}

function isEvery({ low, high }: Network): boolean {
  return low.every((octet) => octet === 0) && high.every((octet) => octet === 255);
}

type Suppressible = Pick<Threat, "network" | "src_ips" | "dst_ips" | "dst_port" | "detector" | "evidence">;

/** Whether a threat meets `conditions`; what cannot be read is met by nothing. */
export function matcherOf(conditions: SuppressionConditions): (threat: Suppressible) => boolean {
  const { network, dst_port, detector } = conditions;
  const source = sideOf(conditions.src_ip), destination = sideOf(conditions.dst_ip);
  const name = conditions.name === undefined ? null : bareName(conditions.name);
  return (threat) =>
    (network === undefined || threat.network === network) &&
    (detector === undefined || threat.detector === detector) &&
    (dst_port === undefined || threat.dst_port === dst_port) &&
    (source === null || source(threat.src_ips)) &&
    (destination === null || destination(threat.dst_ips)) &&
    (name === null || threat.evidence.some(({ value }) => isBelow(value, name)));
}

/** Null = any. */
function sideOf(text: string | undefined): ((ips: readonly string[]) => boolean) | null {
  if (text === undefined) return null;
  const network = readNetwork(text);
  if (network === null) return () => false;
  const isIn = (ip: string) => {
    const octets = parseIp(ip);
    return octets !== null && isWithin(network, octets);
  };
  return (ips) => ips.length > 0 && ips.length < threatAddressesMax && ips.every(isIn);
}

/** Of a list each name must lie below it. */
function isBelow(value: string | number, name: string): boolean {
  return typeof value === "string" && value.split(", ").every((part) => {
    const given = bareName(part);
    return given === name || given.endsWith(`.${name}`);
  });
}

function bareName(text: string): string {
  const lower = lowerAscii(text.trim());
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** What narrows the threats down to those that may meet `conditions`; undefined = nothing does. */
export function filterOf(conditions: SuppressionConditions): Filter | undefined {
  const parts: Test[] = [];
  const add = (column: string, ...values: Test["values"]) => parts.push({ op: "=", column, values });
  if (conditions.network !== undefined) add("network", conditions.network);
  if (conditions.detector !== undefined) add("kind", conditions.detector);
  if (conditions.dst_port !== undefined) add("port", conditions.dst_port);
  for (const side of ["src_ip", "dst_ip"] as const) {
    const network = readNetwork(conditions[side] ?? "");
    if (network !== null) add(side, network);
  }
  return parts.length === 0 ? undefined : { op: "and", parts };
}

/** Whether it hides what it meets at `nowMs`. */
export function isInForce({ expires_ms, ended_ms }: Suppression, nowMs: number): boolean {
  return ended_ms === null && nowMs < expires_ms;
}
