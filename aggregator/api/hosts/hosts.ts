/** Hosts, services, domains, conversations: in pages, and one host in depth.
 *
 * Invariant: pages are by key, and every list has a maximum length. A host has a row when it answered somebody, or is
 * inside and sent something; see store/host_sums.ts. @module */

import { isPrivateIp, parseIp } from "../../../shared/ip.ts";
import { z } from "../../../shared/schema.ts";
import { dateOf, dayOf } from "../../archive/manifest.ts";
import { hostTable } from "../../filter/host_table.ts";
import type { Filter } from "../../model/filter.ts";
import { type AddressRange, type Host, hostOrders, type HostQuery } from "../../model/host.ts";
import { readNetwork } from "../../model/network.ts";
import { ApiError } from "../errors.ts";
import { filterQuery, readFilter } from "../filter/filter.ts";
import { checkRange } from "../flows/flows.ts";
import { hostWithPlace } from "../places.ts";
import { resource } from "../route.ts";
import { address, name, pageOf, pageQuery, port, time, when } from "../schemas.ts";
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

const oneAddress = z.string().max(50).refine(
  (text) => parseIp(text) !== null,
  "must be an IPv4 or IPv6 address",
);
const network = name.optional().describe("Site, or global");
const protocol = z.string().toLowerCase().regex(/^[a-z0-9-]{1,16}$/, "must be a lower-case protocol")
  .optional();

export const hostFilters = {
  ip: address.optional().describe("An address, or a network as CIDR"),
  network,
  seen_since: when.optional().describe("Seen at or after"),
  ...filterQuery,
};

export const hosts = resource({
  summary: "Hosts that were seen: last seen first, newest first, or by bytes",
  query: z.strictObject({
    ...hostFilters,
    sort: z.enum(hostOrders).default("last_seen"),
    ...pageQuery,
  }),
  isQuery: true,
  answer: pageOf(hostAnswer),
  needs: ["hostStore", "directory", "places"],
  async handle({ query, nowMs, signal }, { hostStore, directory, places }) {
    const asked = await hostQuery(query, nowMs, { directory, places });
    const { rows, ...rest } = await hostStore.readHosts({ ...asked, sort: query.sort }, {
      ...pageRequest(query),
      signal,
    });
    return { json: { rows: rows.map((row) => hostWithPlace(withInside(row), places)), ...rest } };
  },
});

type HostFilters = { [Name in keyof typeof hostFilters]?: z.infer<typeof hostFilters[Name]> };

/** @throws {ApiError} when the filter cannot be read */
export async function hostQuery(
  query: HostFilters,
  nowMs: number,
  has: Parameters<typeof readFilter>[3],
): Promise<Omit<HostQuery, "sort">> {
  return {
    ...filterOf(query),
    ...query.filter === undefined ? {} : { filter: await readFilter(query.filter, hostTable, nowMs, has) },
    ...query.seen_since === undefined ? {} : { seenSinceMs: query.seen_since * 1_000 },
  };
}

export const host = resource({
  summary: "One host: names, services, peers, traffic over time, threats, sensors",
  query: z.strictObject({ network: name.optional().describe("Default: where it was seen last") }),
  isQuery: true,
  answer: hostDetailsAnswer,
  needs: ["hostStore", "threatStore", "places"],
  async handle({ params, query }, { hostStore, threatStore, places }) {
    const found = parseIp(params.id) === null ? null : await hostStore.readHost(params.id, query.network);
    if (!found) throw new ApiError("not_found", "There is no host with this address");
    const details = await hostStore.readHostDetails(found.ip, found.network);
    const filter: Filter = { op: "=", column: "network", values: [found.network] };
    const { rows } = await threatStore.readThreats(
      { ip: found.ip, isShown: true, filter },
      { limit: threatsMax },
    );
    return {
      json: {
        ...hostWithPlace(withInside(found), places),
        ...details,
        threats: rows.map((row) => present(row, places)),
      },
    };
  },
});

export const services = resource({
  summary: "Services that hosts offer, last seen first",
  query: z.strictObject({
    ip: address.optional().describe("An address, or a network as CIDR"),
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
    day: z.string().refine((text) => dayOf(text) !== null, "must be a date, 2026-01-31").optional()
      .describe("UTC"),
    ip: oneAddress.optional().describe("Either end"),
    network,
    limit: pageQuery.limit,
  }),
  isQuery: true,
  answer: z.object({ day: z.string(), rows: z.array(conversationAnswer) }),
  needs: ["hostStore", "trafficStore"],
  async handle({ query, nowMs }, { hostStore, trafficStore }) {
    const second = dayOf(query.day ?? "") ?? (await trafficStore.readTotals()).last ?? nowMs / 1_000;
    const day = Math.max(0, Math.floor(second / daySeconds) * daySeconds);
    const rows = await hostStore.readConversations({
      day,
      ...(query.ip === undefined ? {} : { ip: query.ip }),
      ...(query.network === undefined ? {} : { network: query.network }),
    }, query.limit);
    return { json: { day: dateOf(day), rows } };
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

export function withInside(row: Host): Host & { inside: boolean } {
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

function rangeOf(text: string): AddressRange {
  const { low, high } = readNetwork(text)!;
  return { first: low, last: high };
}
