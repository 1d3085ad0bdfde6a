/** The JSON Schema of a batch's value, for those who read the topic without Picket.
 *
 * In: {@link segmentColumns}. Out: a schema of JSON Schema 2020-12;
 * the same stands in batch.schema.json, which a test compares.
 * Invariant: its id is the topic's name, and so the version of the format. @module */

import { batchTopic } from "./batch.ts";
import {
  alwaysColumns,
  type ColumnKind,
  connStates,
  endReasons,
  segmentColumnNames,
  segmentColumns,
  segmentLimits,
} from "./segment.ts";

const whole = (maximum: number, minimum = 0) => ({ type: "integer", minimum, maximum });

const cells: Record<ColumnKind, Record<string, unknown>> = {
  time: whole(segmentLimits.timeUsMax),
  count: whole(segmentLimits.countMax),
  number: { type: "number", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  factor: whole(segmentLimits.factorMax, 1),
  port: whole(65_535),
  octet: whole(255),
  vlan: whole(4_095),
  isn: { type: ["integer", "null"], minimum: 0, maximum: 0xffff_ffff },
  ip: { type: "string", description: "IPv4 or IPv6 address" },
  mac: { type: "string", pattern: "^(([0-9a-f]{2}:){5}[0-9a-f]{2})?$" },
  name: { type: "string", pattern: "^[a-z0-9._-]{0,32}$" },
  conn_state: { enum: connStates },
  end_reason: { enum: endReasons },
  facts: { type: ["object", "null"] },
};

/** The schema as a plain object. */
export function batchSchema(): Record<string, unknown> {
  const properties = Object.fromEntries(segmentColumnNames.map((name) => {
    const { kind, default: absent } = segmentColumns[name];
    return [name, { type: "array", items: cells[kind], ...(alwaysColumns.has(name) ? {} : { absent }) }];
  }));
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: `urn:picket:${batchTopic}`,
    title: "Flow segments in columns",
    description:
      'All arrays are of one length, which the header picket-flows says. A column that is not there holds "absent" in every row.',
    type: "object",
    properties,
    required: [...alwaysColumns],
    additionalProperties: false,
  };
}
