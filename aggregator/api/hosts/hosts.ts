/** Hosts, services, domains, conversations: in pages, and one host in depth.
 *
 * Invariant: pages are by key, and every list has a maximum length. A host has a row when it answered somebody, or is
 * inside and sent something; see store/host_sums.ts. @module */

import { isPrivateIp, parseIp } from "../../../shared/ip.ts";
import { z } from "../../../shared/schema.ts";
import { parseNetwork } from "../../model/client_address.ts";
import type { AddressRange, Host } from "../../model/host.ts";
import { ApiError } from "../errors.ts";
import { checkRange } from "../flows/flows.ts";
import { resource } from "../route.ts";
import { name, pageOf, pageQuery, port, time, when } from "../schemas.ts";
import { present } from "../threats/threats.ts";
import {
  conversationAnswer,
  domainAnswer,
  hostAnswer,
  hostDetailsAnswer,
  serviceAnswer,
} from "./host_answers.ts";

const daySeconds = 86_400;
const threatsMax = 50;
const countDaysMax = 31;

const ip = z.string().max(50).refine(
  (text) => parseNetwork(text) !== null,
  "must be an address or a network, 10.0.0.0/8",
).describe("An address, or a network as CIDR");
const oneAddress = z.string().max(50).refine(
  (text) => parseIp(text) !== null,
  "must be an IPv4 or IPv6 address",
);
const network = name.optional().describe("Site, or global");
const protocol = z.string().toLowerCase().regex(/^[a-z0-9-]{1,16}$/, "must be a lower-case protocol")
  .optional();

export const hosts = resource({
  summary: "Hosts that were seen, last seen first or by bytes",
  query: z.strictObject({
    ip: ip.optional(),
    network,
    seen_since: when.optional().describe("Seen at or after"),
    sort: z.enum(["last_seen", "bytes"]).default("last_seen"),
    ...pageQuery,
  }),
  isQuery: true,
  answer: pageOf(hostAnswer),
  needs: ["hostStore"],
  async handle({ query }, { hostStore }) {
    const { rows, ...rest } = await hostStore.readHosts({
      ...filterOf(query),
      sort: query.sort,
      ...(query.seen_since === undefined ? {} : { seenSinceMs: query.seen_since * 1_000 }),
    }, pageRequest(query));
    return { json: { rows: rows.map(withInside), ...rest } };
  },
});

export const host = resource({
  summary: "One host: names, services, peers, traffic over time, threats, sensors",
  query: z.strictObject({ network: name.optional().describe("Default: where it was seen last") }),
  isQuery: true,
  answer: hostDetailsAnswer,
  needs: ["hostStore", "threatStore"],
  async handle({ params, query }, { hostStore, threatStore }) {
    const found = parseIp(params.id) === null ? null : await hostStore.readHost(params.id, query.network);
    if (!found) throw new ApiError("not_found", "There is no host with this address");
    const details = await hostStore.readHostDetails(found.ip, found.network);
    const { rows } = await threatStore.readThreats({ ip: found.ip, isShown: true }, { limit: threatsMax });
    const threats = rows.filter((threat) => threat.network === found.network).map(present);
    return { json: { ...withInside(found), ...details, threats } };
  },
});

export const services = resource({
  summary: "Services that hosts offer, last seen first",
  query: z.strictObject({
    ip: ip.optional(),
    network,
    protocol,
    port: port.optional(),
    ...pageQuery,
  }),
  isQuery: true,
  answer: pageOf(serviceAnswer),
  needs: ["hostStore"],
  async handle({ query }, { hostStore }) {
    const filter = {
      ...filterOf(query),
      ...(query.protocol === undefined ? {} : { protocol: query.protocol }),
      ...(query.port === undefined ? {} : { port: query.port }),
    };
    return { json: await hostStore.readServices(filter, pageRequest(query)) };
  },
});

export const domains = resource({
  summary: "Domains that were asked for by DNS, last asked for first",
  query: z.strictObject({
    name: z.string().min(1).max(253).optional().describe("The beginning of the domain"),
    network,
    seen_since: when.optional().describe("Asked for at or after"),
    ...pageQuery,
  }),
  isQuery: true,
  answer: pageOf(domainAnswer),
  needs: ["hostStore"],
  async handle({ query }, { hostStore }) {
    const filter = {
      ...(query.name === undefined ? {} : { name: query.name.toLowerCase() }),
      ...(query.network === undefined ? {} : { network: query.network }),
      ...(query.seen_since === undefined ? {} : { seenSinceMs: query.seen_since * 1_000 }),
    };
    return { json: await hostStore.readDomains(filter, pageRequest(query)) };
  },
});

export const conversations = resource({
  summary: "Who spoke with whom on one day, the largest first; without a day, that of the last packet stored",
  query: z.strictObject({
    day: z.string().regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/, "must be a date, 2026-01-31")
      .refine((text) => Number.isFinite(Date.parse(text)), "must be a date that there is").optional()
      .describe("UTC"),
    ip: oneAddress.optional().describe("Either end"),
    network,
    limit: pageQuery.limit,
  }),
  isQuery: true,
  answer: z.object({ day: z.string(), rows: z.array(conversationAnswer) }),
  needs: ["hostStore", "trafficStore"],
  async handle({ query, nowMs }, { hostStore, trafficStore }) {
    const second = query.day === undefined
      ? (await trafficStore.readTotals()).last ?? nowMs / 1_000
      : Date.parse(query.day) / 1_000;
    const day = Math.max(0, Math.floor(second / daySeconds) * daySeconds);
    const rows = await hostStore.readConversations({
      day,
      ...(query.ip === undefined ? {} : { ip: query.ip }),
      ...(query.network === undefined ? {} : { network: query.network }),
    }, query.limit);
    return { json: { day: new Date(day * 1_000).toISOString().slice(0, 10), rows } };
  },
});

export const uniqueHosts = resource({
  summary: "Different hosts in flows that began in these hours, exact; without a range, the day up to now",
  query: z.strictObject({ from: when.optional(), to: when.optional() }),
  isQuery: true,
  answer: z.object({
    from: time,
    to: time,
    hosts: z.int().min(0),
    inside: z.int().min(0),
    exact: z.literal(true).describe("Counted, not estimated; by whole hours"),
  }),
  needs: ["hostStore"],
  async handle({ query, nowMs }, { hostStore }) {
    checkRange(query);
    const to = query.to ?? Math.max(query.from ?? 0, nowMs / 1_000);
    const from = Math.min(to, query.from ?? Math.max(0, to - daySeconds));
    if (to - from > countDaysMax * daySeconds) {
      throw new ApiError(
        "bad_parameter",
        `Parameter "from" must be at most ${countDaysMax} days before "to": current values are ${from} and ${to}`,
        { field: "from" },
      );
    }
    const counted = await hostStore.countHosts({ fromMs: from * 1_000, toMs: to * 1_000 });
    return { json: { from, to, ...counted, exact: true } };
  },
});

function withInside(row: Host): Host & { inside: boolean } {
  return { ...row, inside: isPrivateIp(row.ip) };
}

function filterOf(
  query: { ip?: string | undefined; network?: string | undefined },
): { range?: AddressRange; network?: string } {
  return {
    ...(query.ip === undefined ? {} : { range: rangeOf(query.ip) }),
    ...(query.network === undefined ? {} : { network: query.network }),
  };
}

function pageRequest({ limit, cursor }: { limit: number; cursor?: string | undefined }) {
  return { limit, ...(cursor === undefined ? {} : { cursor }) };
}

/** First and last address of a network. */
function rangeOf(text: string): AddressRange {
  const { bytes, bits } = parseNetwork(text)!;
  const edge = (filled: number) =>
    bytes.map((byte, i) => {
      const mask = 0xff << Math.max(0, Math.min(8, 8 * (i + 1) - bits)) & 0xff;
      return (byte & mask) | (filled & ~mask & 0xff);
    });
  return { first: edge(0), last: edge(0xff) };
}
