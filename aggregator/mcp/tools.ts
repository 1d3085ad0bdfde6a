/** What an assistant may ask: one row per tool, each a bounded read of the API that a viewer's key allows.
 *
 * In: checked arguments. Out: the path to ask. Invariant: a tool reads; none changes anything. Descriptions are
 * constants, so that no text from the network ever appears where an assistant looks for instructions. @module */

import { parseIp } from "../../shared/ip.ts";
import { z } from "../../shared/schema.ts";
import { hostOrders } from "../model/host.ts";
import { stages } from "../model/incident.ts";
import { severities, threatStatuses } from "../model/threat.ts";
import { timeForms } from "../model/time_text.ts";

export interface Tool {
  name: string;
  title: string;
  description: string;
  input: z.ZodObject;
  /** Below /api/v1, with its query. */
  path(given: Record<string, unknown>): string;
  /** Every text of the answer is Picket's own. */
  isOwn?: true;
}

const text = (max: number) => z.string().min(1).max(max);
const id = z.string().regex(/^[0-9a-f]{16}$/, "must be an id: 16 hexadecimal digits");
const limit = z.int().min(1).max(100).default(20).describe("At most this many rows");
const cursor = text(200).optional().describe("next_cursor of the page before");
const range = {
  from: text(40).optional().describe(`Earliest: ${timeForms}`),
  to: text(40).optional().describe(`Latest: ${timeForms}`),
};
const network = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "must be the name of a site").optional()
  .describe("Site, or global");
const filter = (of: string) =>
  text(2_000).optional().describe(`Filter language; the tool filter_columns lists its columns: of "${of}"`);

function withQuery(path: string, given: Record<string, unknown>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && name !== "id") query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query}`;
}

export const tools: readonly Tool[] = [
  {
    name: "fleet_health",
    title: "Fleet health",
    description: "Health of every sensor, the unwell first: status, packets accounted for, losses, gaps.",
    input: z.strictObject({}),
    path: () => "/fleet",
  },
  {
    name: "list_incidents",
    title: "Incidents",
    description: "What is wrong: threats of one attacker as one story, the most severe first. Start here.",
    input: z.strictObject({
      ...range,
      severity_min: z.enum(severities).optional(),
      stage: z.enum(stages).optional().describe("Only incidents that reached this stage"),
      limit,
    }),
    path: (given) => withQuery("/incidents", given),
  },
  {
    name: "list_threats",
    title: "Threats",
    description:
      "Threats, newest first, each with explanation, reasons and evidence. Example: severity >= high and not status = closed",
    input: z.strictObject({
      ...range,
      filter: filter("threats"),
      severity_min: z.enum(severities).optional(),
      status: z.enum(threatStatuses).optional(),
      ip: text(50).optional().describe("Attacker or victim: an address or CIDR"),
      limit,
      cursor,
    }),
    path: (given) => withQuery("/threats", given),
  },
  {
    name: "get_threat",
    title: "One threat",
    description: "One threat with its explanation, reasons, evidence and suggested action.",
    input: z.strictObject({ id }),
    path: (given) => `/threats/${given.id}`,
  },
  {
    name: "threat_flows",
    title: "Flows of a threat",
    description: "The flows that a threat rests on, newest first.",
    input: z.strictObject({ id, limit, cursor }),
    path: (given) => withQuery(`/threats/${given.id}/flows`, given),
  },
  {
    name: "search_flows",
    title: "Flows",
    description:
      "Flows, newest first. Example: src_ip in 10.0.0.0/8 and dst_port in (22, 3389) and bytes > 1MB and start >= now-1h",
    input: z.strictObject({ ...range, filter: filter("flows"), limit, cursor }),
    path: (given) => withQuery("/flows/search", given),
  },
  {
    name: "get_flow",
    title: "One flow",
    description: "One flow with every sensor's own counts.",
    input: z.strictObject({ id }),
    path: (given) => `/flows/${given.id}`,
  },
  {
    name: "filter_columns",
    title: "Columns of the filter language",
    description: "Columns, operators and examples of the filter language, for flows, threats or hosts.",
    input: z.strictObject({ of: z.enum(["flows", "threats", "hosts"]) }),
    path: (given) => withQuery("/filter/columns", given),
    isOwn: true,
  },
  {
    name: "list_hosts",
    title: "Hosts",
    description:
      "Hosts that were seen, last seen first, by first_seen or by bytes, with names, ports, traffic and number of threats. Example: inside = yes and port = 3389",
    input: z.strictObject({
      filter: filter("hosts"),
      ip: text(50).optional().describe("An address, or a network as CIDR"),
      network,
      sort: z.enum(hostOrders).optional(),
      limit,
      cursor,
    }),
    path: (given) => withQuery("/hosts", given),
  },
  {
    name: "get_host",
    title: "One host",
    description: "One host in depth: names, services offered and used, peers, traffic by the hour, threats.",
    input: z.strictObject({
      ip: z.string().max(50).refine((given) => parseIp(given) !== null, "must be an IPv4 or IPv6 address"),
      network,
    }),
    path: ({ ip, ...given }) => withQuery(`/hosts/${encodeURIComponent(String(ip))}`, given),
  },
];
