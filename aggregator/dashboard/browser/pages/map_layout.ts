/** Where the bands of the map lie.
 *
 * In: flows and threats. Out: ends on both sides and the bands between, as shares of the height, 0..1.
 * Invariant: at most {@link endsMax} ends a side, "others" included; bands of one end lie one below the other and fill
 * it. What goes from others to others is left out. @module */

import { isPrivateIp } from "../../../../shared/ip.ts";
import type { Flow } from "../../../model/flow.ts";
import type { Place } from "../../../model/place.ts";
import { severities, type Threat } from "../../../model/threat.ts";

type Told = Pick<Threat, "id" | "title" | "severity">;

interface Link {
  from: string;
  to: string;
  bytes: number;
  flows: number;
  threat: Told | null;
}

export interface End {
  name: string;
  bytes: number;
  at: number;
  share: number;
  /** What did not fit, taken together. */
  isRest: boolean;
}

export interface Band extends Link {
  fromAt: number;
  toAt: number;
  share: number;
}

export const endsMax = 14;
const rest = "others";
/** Of the height, for bands; the rest keeps the names of thin ends apart. */
const bandShare = 0.45;

/** "10.0.0.0/24"; of IPv6 the first four groups. */
export function networkOf(ip: string): string {
  if (!ip.includes(":")) return ip.replace(/\.\d+$/, ".0/24");
  const [head] = ip.split("::");
  return `${head.split(":").slice(0, 4).join(":")}::/64`;
}

interface Placed extends Pick<Flow, "src_ip" | "dst_ip"> {
  src_place?: Place;
  dst_place?: Place;
}

/** The network of an address of these flows: by the operator's name, else by its octets. */
export function networksOf(flows: readonly Placed[]): (ip: string) => string {
  const names = namesOf(flows, (place) => place.subnet);
  return (ip) => names.get(ip) ?? networkOf(ip);
}

/** The country of an address of these flows; addresses inside, and those that no file knows, by what they are. */
export function countriesOf(flows: readonly Placed[]): (ip: string) => string {
  const names = namesOf(flows, ({ country_name, country }) => country_name ?? country);
  return (ip) => names.get(ip) ?? (isPrivateIp(ip) ? "inside" : "unknown");
}

function namesOf(
  flows: readonly Placed[],
  nameOf: (place: Place) => string | undefined,
): Map<string, string> {
  const names = new Map<string, string>();
  for (const { src_ip, dst_ip, src_place, dst_place } of flows) {
    for (const [ip, place] of [[src_ip, src_place], [dst_ip, dst_place]] as const) {
      const name = place && nameOf(place);
      if (name !== undefined) names.set(ip, name);
    }
  }
  return names;
}

export function linksOf(
  flows: readonly Pick<Flow, "src_ip" | "dst_ip" | "total_bytes">[],
  threats: readonly (Told & Pick<Threat, "src_ips" | "dst_ips">)[],
  nameOf: (ip: string) => string,
): Link[] {
  const links = new Map<string, Link>();
  for (const { src_ip, dst_ip, total_bytes } of flows) {
    add(links, { from: nameOf(src_ip), to: nameOf(dst_ip), bytes: total_bytes, flows: 1, threat: null });
  }
  for (const { id, title, severity, src_ips, dst_ips } of threats) {
    for (const source of src_ips.slice(0, endsMax)) {
      for (const target of dst_ips.slice(0, endsMax)) {
        const link = links.get(`${nameOf(source)}>${nameOf(target)}`);
        if (link && isWorse(severity, link.threat)) link.threat = { id, title, severity };
      }
    }
  }
  return [...links.values()];
}

export function layOut(links: readonly Link[]): { sources: End[]; targets: End[]; bands: Band[] } {
  const [shownSources, shownTargets] = [shownOf(links, ({ from }) => from), shownOf(links, ({ to }) => to)];
  const merged = new Map<string, Link>();
  for (const link of links) {
    const from = shownSources.has(link.from) ? link.from : rest;
    const to = shownTargets.has(link.to) ? link.to : rest;
    if (from !== rest || to !== rest) add(merged, { ...link, from, to });
  }
  const drawn = [...merged.values()];
  const sources = spread(drawn, ({ from }) => from);
  const targets = spread(drawn, ({ to }) => to);
  const total = Math.max(1, drawn.reduce((sum, { bytes }) => sum + bytes, 0));
  const order = (ends: readonly End[], name: string) => ends.findIndex((end) => end.name === name);
  drawn.sort((a, b) =>
    order(targets, a.to) - order(targets, b.to) || order(sources, a.from) - order(sources, b.from)
  );
  const used = new Map<End, number>();
  const place = (end: End, share: number) => {
    const before = used.get(end) ?? 0;
    used.set(end, before + share);
    return end.at + before;
  };
  const bands = drawn.map((link): Band => {
    const share = bandShare * link.bytes / total;
    const fromAt = place(sources[order(sources, link.from)], share);
    return { ...link, share, fromAt, toAt: place(targets[order(targets, link.to)], share) };
  });
  // Threats lie on top.
  bands.sort((a, b) => Number(a.threat !== null) - Number(b.threat !== null));
  return { sources, targets, bands };
}

function add(links: Map<string, Link>, link: Link): void {
  const known = links.get(`${link.from}>${link.to}`);
  if (!known) return void links.set(`${link.from}>${link.to}`, { ...link });
  known.bytes += link.bytes;
  known.flows += link.flows;
  if (link.threat && isWorse(link.threat.severity, known.threat)) known.threat = link.threat;
}

function isWorse(severity: Threat["severity"], than: Told | null): boolean {
  return than === null || severities.indexOf(severity) > severities.indexOf(than.severity);
}

/** Names with an end of their own: whoever is in a threat, however little it sent, then the largest. */
function shownOf(links: readonly Link[], nameOf: (link: Link) => string): Set<string> {
  const sums = new Map<string, { bytes: number; isTold: boolean }>();
  for (const link of links) {
    const { bytes, isTold } = sums.get(nameOf(link)) ?? { bytes: 0, isTold: false };
    sums.set(nameOf(link), { bytes: bytes + link.bytes, isTold: isTold || link.threat !== null });
  }
  const sorted = [...sums].sort(([, a], [, b]) => Number(b.isTold) - Number(a.isTold) || b.bytes - a.bytes);
  return new Set(sorted.slice(0, sorted.length > endsMax ? endsMax - 1 : endsMax).map(([name]) => name));
}

/** Ends of one side below each other, the largest first and "others" last. */
function spread(links: readonly Link[], nameOf: (link: Link) => string): End[] {
  const sums = new Map<string, number>();
  for (const link of links) sums.set(nameOf(link), (sums.get(nameOf(link)) ?? 0) + link.bytes);
  const total = Math.max(1, [...sums.values()].reduce((sum, bytes) => sum + bytes, 0));
  const gap = (1 - bandShare) / (sums.size + 1);
  let at = gap;
  return [...sums]
    .sort(([a, x], [b, y]) => Number(a === rest) - Number(b === rest) || y - x)
    .map(([name, bytes]) => {
      const end = { name, bytes, at, share: bandShare * bytes / total, isRest: name === rest };
      at += end.share + gap;
      return end;
    });
}
