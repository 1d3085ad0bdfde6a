/** Threats as rows of a table that people and their tools read. Lists are JSON text. @module */

import type { PlacedAddress } from "../model/place.ts";
import type { Threat } from "../model/threat.ts";
import type { Cells, Kind } from "./parquet.ts";

export const threatTable = {
  id: "text",
  first_seen: "time",
  last_seen: "time",
  severity: "text",
  score: "small",
  status: "text",
  detector: "text",
  technique: "text",
  title: "text",
  network: "text",
  src_ips: "json",
  dst_ips: "json",
  dst_port: "integer or null",
  count: "integer",
  flows: "integer",
  episodes: "integer",
  explanation: "text",
  suggested_action: "text",
  engine: "text",
  confidence: "real",
  fallback: "json",
  rules_severity: "text",
  reasons: "json",
  evidence: "json",
  words: "json",
  sensors: "json",
  flow_ids: "json",
  identity: "text",
  stored_ms: "integer",
  updated_ms: "integer",
  countries: "json",
  asns: "json",
  as_orgs: "json",
} as const satisfies Record<
  keyof Omit<Threat, "rules" | "suppressed_by" | "feedback"> | "countries" | "asns" | "as_orgs",
  Kind
>;

export function cellsOfThreat(
  { rules: _, suppressed_by: _by, feedback: _feedback, outside = [], ...threat }: Threat & {
    outside?: PlacedAddress[];
  },
): Cells {
  const { src_ips, dst_ips, reasons, evidence, words, sensors, flow_ids, ...plain } = threat;
  const lists = { src_ips, dst_ips, reasons, evidence, words, sensors, flow_ids };
  return {
    ...plain,
    ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, JSON.stringify(list)])),
    countries: known(outside.map(({ country }) => country)),
    asns: known(outside.map(({ asn }) => asn)),
    as_orgs: known(outside.map(({ as_org }) => as_org)),
  };
}

/** Each once; null = none is known. */
function known(values: readonly (string | number | undefined)[]): string | null {
  const all = new Set(values.filter((value) => value !== undefined));
  return all.size === 0 ? null : JSON.stringify([...all]);
}
