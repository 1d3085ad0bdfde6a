/** Reads Suricata's alerts and puts those of one rule between two hosts together.
 *
 * In: lines of `eve.json`. Out: alerts, or the reason why a line is none; one {@link AlertEntry} for each rule, source
 * and target, once it has waited long enough for its flows to be stored.
 * Invariant: what a rule matched was chosen by whoever sent the packets, and the rule's words by whoever wrote it: both
 * are shown as evidence from outside and stand in no sentence of ours. Rules match harmless traffic too, so an alert
 * alone never rises above low; it counts where threats of the same hosts stand beside it, in their incident.
 * Bounds: {@link entriesMax} entries wait, {@link communitiesMax} flows of each are remembered.
 * Source: Suricata user guide, "Eve JSON Format"; the keyword `target` says who attacks whom. @module */

import { communityId } from "../../shared/community_id.ts";
import { formatIp, parseIp } from "../../shared/ip.ts";
import { z } from "../../shared/schema.ts";

/** Why a line that claims to be an alert is none. With "too_long" the label set of `suricata_lines_refused_total`. */
export type AlertProblem = "not_json" | "incomplete";

export const lineOctetsMax = 65_536;
export const entriesMax = 2_000;
const communitiesMax = 10, textMax = 200;

export interface Alert {
  atS: number;
  attacker: string;
  victim: string;
  /** Null = the protocol has none. */
  port: number | null;
  community: string;
  rule: number;
  signature: string;
  category: string;
  /** 1 is the gravest. */
  severity: number;
}

const port = z.int().min(0).max(65_535);
const end = z.object({ ip: z.string().max(45) });
const schema = z.object({
  timestamp: z.string().max(40),
  src_ip: z.string().max(45),
  dest_ip: z.string().max(45),
  src_port: port.optional(),
  dest_port: port.optional(),
  proto: z.string().max(20),
  community_id: z.string().max(40).optional(),
  alert: z.object({
    signature_id: z.int().min(0),
    signature: z.string().optional(),
    category: z.string().optional(),
    severity: z.int().min(0).max(255).optional(),
    source: end.optional(),
    target: end.optional(),
  }),
});

/** The alert of a line; null = the line is of something else. */
export function readAlert(line: string): Alert | AlertProblem | null {
  // Most lines are flows and protocols; parsing each of them would cost more than all the rest.
  if (!/"event_type": ?"alert"/.test(line)) return null;
  let given: unknown;
  try {
    given = JSON.parse(line);
  } catch {
    return "not_json";
  }
  const read = schema.safeParse(given);
  if (!read.success) return "incomplete";
  const { timestamp, src_ip, dest_ip, src_port, dest_port, proto, community_id, alert } = read.data;
  // "+0000" is RFC 3339 only with a colon.
  const atS = Date.parse(timestamp.replace(/([+-]\d\d)(\d\d)$/, "$1:$2")) / 1_000;
  const src = canonical(src_ip), dst = canonical(dest_ip);
  const attacker = canonical(alert.source?.ip ?? "") ?? src,
    victim = canonical(alert.target?.ip ?? "") ?? dst;
  if (!Number.isFinite(atS) || src === null || dst === null || attacker === null || victim === null) {
    return "incomplete";
  }
  const protocol = proto.toLowerCase(), hasPorts = protocol === "tcp" || protocol === "udp";
  const flow = {
    protocol,
    src_ip: src,
    dst_ip: dst,
    src_port: src_port ?? 0,
    dst_port: dest_port ?? 0,
  };
  return {
    atS,
    attacker,
    victim,
    // A rule may match an answer: the lower port is the service's.
    port: hasPorts ? Math.min(flow.src_port, flow.dst_port) : null,
    community: community_id ?? (hasPorts ? communityId(flow) : ""),
    rule: alert.signature_id,
    signature: (alert.signature ?? "").slice(0, textMax),
    category: (alert.category ?? "").slice(0, textMax),
    severity: alert.severity ?? 3,
  };
}

function canonical(ip: string): string | null {
  const bytes = parseIp(ip.toLowerCase());
  return bytes === null ? null : formatIp(bytes);
}

/** The alerts of one rule between two hosts, that wait together. */
export interface AlertEntry extends Omit<Alert, "community" | "atS"> {
  firstS: number;
  lastS: number;
  count: number;
  communities: Set<string>;
  /** Since when it waits, by the aggregator's clock. */
  sinceMs: number;
}

/** As it survives a run. */
export const savedEntry = z.strictObject({
  attacker: z.string().max(45),
  victim: z.string().max(45),
  port: port.nullable(),
  rule: z.int().min(0),
  signature: z.string().max(textMax),
  category: z.string().max(textMax),
  severity: z.int().min(0).max(255),
  firstS: z.number(),
  lastS: z.number(),
  count: z.int().min(1),
  communities: z.array(z.string().max(40)).max(communitiesMax),
  sinceMs: z.number(),
});
export type SavedEntry = z.infer<typeof savedEntry>;

export function saveEntry(entry: AlertEntry): SavedEntry {
  return { ...entry, communities: [...entry.communities] };
}

export function loadEntry(saved: SavedEntry, nowMs: number): AlertEntry {
  // A clock that was set back meanwhile lets nobody wait longer.
  return { ...saved, communities: new Set(saved.communities), sinceMs: Math.min(saved.sinceMs, nowMs) };
}

function keyOf({ rule, attacker, victim }: Pick<Alert, "rule" | "attacker" | "victim">): string {
  return `${rule}|${attacker}|${victim}`;
}

export class AlertBook {
  readonly #entries = new Map<string, AlertEntry>();

  /** False: there is no room for another rule or pair of hosts. */
  add({ atS, community, ...alert }: Alert, nowMs: number): boolean {
    const key = keyOf(alert);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      if (this.#entries.size >= entriesMax) return false;
      entry = { ...alert, firstS: atS, lastS: atS, count: 0, communities: new Set(), sinceMs: nowMs };
      this.#entries.set(key, entry);
    }
    entry.count++;
    entry.firstS = Math.min(entry.firstS, atS);
    entry.lastS = Math.max(entry.lastS, atS);
    if (entry.port !== alert.port) entry.port = null;
    if (community !== "" && entry.communities.size < communitiesMax) entry.communities.add(community);
    return true;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** For the next run. */
  save(): SavedEntry[] {
    return Array.from(this.#entries.values(), saveEntry);
  }

  /** Lets what another run saved wait on. */
  load(entries: readonly SavedEntry[], nowMs: number): void {
    for (const entry of entries.slice(0, entriesMax)) {
      const loaded = loadEntry(entry, nowMs);
      this.#entries.set(keyOf(loaded), loaded);
    }
  }

  /** Takes those that have waited since before `untilMs`. */
  take(untilMs: number): AlertEntry[] {
    const due: AlertEntry[] = [];
    for (const [key, entry] of this.#entries) {
      if (entry.sinceMs > untilMs) break;
      due.push(entry);
      this.#entries.delete(key);
    }
    return due;
  }
}
