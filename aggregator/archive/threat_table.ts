/** Threats as rows of a table that people and their tools read. Lists are JSON text. @module */

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
} as const satisfies Record<keyof Omit<Threat, "rules" | "suppressed_by" | "feedback">, Kind>;

export function cellsOfThreat(
  { rules: _, suppressed_by: _by, feedback: _feedback, ...threat }: Threat,
): Cells {
  const { src_ips, dst_ips, reasons, evidence, words, sensors, flow_ids, ...plain } = threat;
  const lists = { src_ips, dst_ips, reasons, evidence, words, sensors, flow_ids };
  return {
    ...plain,
    ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, JSON.stringify(list)])),
  };
}
