/** Shapes of parameters and answers that several resources share; the OpenAPI page is printed from them.
 *
 * Invariant: every list has a largest page, every text a largest length.
 * Answers are described, not checked: the store is ours. @module */

import { z } from "../../shared/schema.ts";
import { connStates, endReasons } from "../../shared/segment.ts";
import { type ApiErrorCode, apiErrors } from "./errors.ts";
import { placeAnswer } from "./places.ts";
import { stages } from "../model/incident.ts";
import { packetStates } from "../model/packets.ts";
import { readNetwork } from "../model/network.ts";
import { timeForms } from "../model/time_text.ts";
import { reasonKinds } from "../fleet/reasons.ts";
import { severities, threatStatuses, verdicts } from "../model/threat.ts";

/** Every error: problem details as in RFC 9457. */
export const problemAnswer = z.looseObject({
  type: z.string().regex(/^urn:picket:problem:[a-z_]+$/),
  title: z.string(),
  status: z.int().min(400).max(599),
  detail: z.string().optional().describe("Names the parameter, the rule and the value"),
  instance: z.string().describe("Path that was asked for"),
  code: z.enum(Object.keys(apiErrors) as [ApiErrorCode, ...ApiErrorCode[]]),
  field: z.string().optional().describe("The parameter or field that is wrong"),
});

export const pageRowsMax = 1_000;

export const name = z.string().regex(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
  "must be 1-63 letters, digits, . _ or -",
);
export const sensorId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "must be the id of a sensor");
export const address = z.string().max(50).refine(
  (text) => readNetwork(text) !== null,
  "must be an IPv4 or IPv6 address, or CIDR like 10.0.0.0/8",
).meta({ examples: ["192.0.2.7", "10.0.0.0/8", "2001:db8::/32"] });
export const port = z.int().min(0).max(65_535);
/** Epoch seconds. */
export const time = z.number().min(0).max(32_503_680_000).describe("Epoch seconds");
/** A time in a query, in any form that people write; epoch seconds once it is read. */
export const when = z.number(`must be a time: ${timeForms}`).min(0).max(32_503_680_000).meta({
  format: "time",
});
const word = z.string().toLowerCase().regex(/^[a-z0-9._-]{1,32}$/, "must be a name, in any case");

export const pageQuery = {
  limit: z.int().min(1).max(pageRowsMax).default(50).describe("Rows of a page"),
  cursor: z.string().min(1).max(200).optional().describe("What the page before gave as next_cursor"),
};

export const rangeQuery = {
  from: when.optional().describe(`Earliest start: ${timeForms}`),
  to: when.optional().describe(`Latest start: ${timeForms}`),
};

/** Order of a list by `name`, the one that an index serves. */
export function sortBy(name: string): z.ZodDefault<z.ZodEnum> {
  return z.enum([`-${name}`, name]).default(`-${name}`)
    .describe(`-${name}: newest first, ${name}: oldest first`);
}

/** Every filter of {@link FlowQuery}; absent = any. */
export const flowFilters = {
  ...rangeQuery,
  ip: address.optional().describe("Either end: an address or CIDR"),
  src_ip: address.optional(),
  dst_ip: address.optional(),
  port: port.optional().describe("Either end"),
  dst_port: port.optional(),
  protocol: word.optional().describe("tcp, udp, icmp, icmp6, arp, ..."),
  app_protocol: word.optional().describe("dns, tls, http, ..."),
  sensor_id: sensorId.optional().describe("Seen by this sensor"),
  community_id: z.string().regex(/^1:[A-Za-z0-9+/]{27}=$/, "must be a Community ID, 1:...=").optional(),
  conn_state: z.enum(connStates).optional(),
  network: name.optional().describe("Site, or global"),
  min_bytes: z.int().min(0).optional(),
  name: z.string().min(1).max(255).optional().describe("Part of a DNS name, server name or host"),
  threat_id: z.string().regex(/^[0-9a-f]{16}$/, "must be the id of a threat").optional(),
};

/** A page of `rows`. */
export function pageOf(rows: z.ZodType) {
  return z.object({ rows: z.array(rows), next_cursor: z.string().optional() });
}

const count = z.int().min(0);

export const sightingAnswer = z.object({
  sensor_id: sensorId,
  vlan: count,
  ip_depth: count,
  start: time,
  end: time,
  fwd_packets: count,
  fwd_bytes: count,
  bwd_packets: count,
  bwd_bytes: count,
  segments: count,
  clock_offset_ms: z.number(),
});

const dnsAnswer = z.object({
  name: z.string(),
  type: z.string(),
  rcode: z.string().optional().describe("Absent: no answer seen in this part of the flow"),
  answers: z.array(z.string()).optional().describe("Absent: none"),
  unasked: z.literal(true).optional().describe("The question was not seen in this part of the flow"),
});

export const flowAnswer = z.object({
  flow_id: z.string(),
  community_id: z.string(),
  network: z.string(),
  protocol: z.string(),
  src_ip: z.string(),
  src_port: port,
  dst_ip: z.string(),
  dst_port: port,
  ip_depth: count,
  vlan: count,
  start: time,
  end: time,
  fwd_packets: count,
  fwd_bytes: count,
  fwd_payload_bytes: count,
  bwd_packets: count,
  bwd_bytes: count,
  bwd_payload_bytes: count,
  total_packets: count,
  total_bytes: count,
  conn_state: z.enum(connStates),
  end_reason: z.enum(endReasons),
  app_protocol: z.string(),
  facts: z.looseObject({ dns: z.array(dnsAnswer).optional() }).nullable().describe(
    "What was read in the payload; chosen by whoever sent it",
  ),
  time_suspect: z.boolean(),
  seen_by: z.array(sightingAnswer),
  src_place: placeAnswer,
  dst_place: placeAnswer,
}).loose();

export const feedbackAnswer = z.object({
  verdict: z.enum(verdicts),
  note: z.string(),
  by: z.string(),
  at_ms: z.number(),
});

export const threatAnswer = z.object({
  id: z.string(),
  detector: z.string(),
  technique: z.string().describe("ATT&CK technique"),
  title: z.string(),
  network: z.string(),
  severity: z.enum(severities),
  score: z.int().min(0).max(100),
  status: z.enum(threatStatuses),
  src_ip: z.string().optional().describe("Present when there is exactly one"),
  dst_ip: z.string().optional().describe("Present when there is exactly one"),
  src_ips: z.array(z.string()),
  dst_ips: z.array(z.string()),
  dst_port: port.nullable(),
  first_seen: time,
  last_seen: time,
  count,
  reasons: z.array(z.object({ name: z.string(), points: z.number(), text: z.string() })),
  evidence: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      value: z.union([z.string(), z.number()]),
      hostile: z.boolean().describe("Chosen by whoever sent the packets"),
    }),
  ),
  explanation: z.string(),
  suggested_action: z.string(),
  engine: z.string().describe("rules, or the model's name"),
  confidence: z.number().min(0).max(1),
  fallback: z.string().nullable().describe("Why a model's answer was not used"),
  flow_ids: z.array(z.string()),
  sensors: z.array(z.string()),
  suppressed_by: z.string().nullable().describe("The suppression that hides it from lists"),
  feedback: feedbackAnswer.nullable().describe("What a person said of it last"),
}).loose();

export const incidentAnswer = z.object({
  id: z.string().describe("That of its first threat"),
  network: z.string(),
  actors: z.array(z.string()).describe("Machines that acted, the first one first"),
  targets: z.array(z.string()).describe("Machines acted upon, at most 100"),
  severity: z.enum(severities).describe("Of the worst threat, raised by each further stage"),
  stages: z.array(z.enum(stages)).describe("Reached by threats of medium severity or above"),
  status: z.enum(threatStatuses).describe("Open while a threat is, then acknowledged while one is"),
  first_seen: time,
  last_seen: time,
  threats: count,
  timeline: z.array(z.object({
    threat_id: z.string(),
    stage: z.enum(stages),
    title: z.string(),
    detector: z.string(),
    severity: z.enum(severities),
    first_seen: time,
    last_seen: time,
    summary: z.string(),
  })),
});

export const packetStatusAnswer = z.object({
  state: z.enum(["none", ...packetStates]).describe(
    "arrived: of one sensor at least; the others have their own",
  ),
  reason: z.string().describe("The state in words"),
  sensors: z.array(z.object({
    name: z.string(),
    state: z.enum(packetStates),
    reason: z.string(),
    packets: count,
    bytes: count,
    at_ms: z.number().describe("Last change"),
  })),
});

export const gapAnswer = z.object({
  sensor_id: sensorId,
  epoch: count,
  bucket: count,
  from_seq: count,
  to_seq: count,
  found_ms: z.number(),
  closed_ms: z.number().nullable(),
});

const conservation = z.object({
  packets: count,
  in_flows: count,
  left_out: z.record(z.string(), count),
  dropped: count.describe("Packets the kernel or dumpcap dropped before the sensor saw them"),
  card_dropped: count.describe("Packets card and driver dropped before that, where it is known"),
  unaccounted: z.int().describe("Packets neither in flows nor left out: must be 0"),
});

export const sensorAnswer = z.object({
  sensor_id: sensorId,
  name: z.string(),
  site: z.string(),
  tags: z.array(z.string()),
  status: z.string(),
  reasons: z.array(z.string()),
  kinds: z.array(z.enum(reasonKinds)).describe("What each of the reasons is about"),
  enrolled_ms: z.number(),
  last_check_in_ms: z.number().nullable(),
  last_batch_ms: z.number().nullable(),
  clock_offset_ms: z.number().nullable(),
  conservation: conservation.nullable(),
  delivery: z.object({ sealed: count, stored: count, spooled: count, dropped: count, in_flight: count })
    .nullable(),
  open_gaps: count,
  missing_batches: count,
  holes: z.array(z.object({
    epoch: count,
    packets: count,
    from_ms: z.number(),
    found_ms: z.number(),
  })).describe("Packets it had counted in flows, and no batch brought"),
  packet_ring: z.string().nullable().describe("How far its ring of packets reaches back"),
  canary: z.string().nullable().describe(
    "Whether the marked flow that it sent last was found among those stored here",
  ),
  canary_state: z.object({
    sent_ms: z.number().describe("Of the newest, by the sensor's clock"),
    announced_ms: z.number(),
    missing: z.array(z.string()).describe("Interfaces whose flow was not found so far"),
    is_missed: z.boolean(),
    missed: count.describe("Given up in a row"),
    arrived_ms: z.number().nullable().describe("When the last to arrive was found here"),
    arrived_sent_ms: z.number().nullable(),
  }).nullable(),
  limits: z.record(z.string(), z.number()).describe("Thresholds of its health; policies set them"),
}).loose();

const fleetRow = sensorAnswer.pick({
  sensor_id: true,
  name: true,
  site: true,
  tags: true,
  status: true,
  enrolled_ms: true,
  last_check_in_ms: true,
  clock_offset_ms: true,
  conservation: true,
  delivery: true,
  missing_batches: true,
  packet_ring: true,
  canary: true,
}).extend({
  reasons: z.array(z.string()).describe("The first two, and how many more there are"),
  version: z.string().nullable(),
  capture: z.object({ state: z.string(), source: z.string() }).nullable(),
}).loose();

export const fleetAnswer = z.object({
  now_ms: z.number(),
  problem: z.string().nullable().describe("Why the aggregator itself does not store what comes in"),
  summary: z.record(z.string(), count).describe("Sensors by status, of the whole fleet"),
  total: count,
  fitting: count.describe("Sensors that the filter leaves"),
  sites: z.array(z.string()),
  tags: z.array(z.string()),
  conservation,
  sensors: z.array(fleetRow),
  next_cursor: z.string().optional(),
});
