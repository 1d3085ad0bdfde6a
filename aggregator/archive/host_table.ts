/** Hosts as rows of a table that people and their tools read. Lists are JSON text. @module */

import type { Host } from "../model/host.ts";
import type { Place } from "../model/place.ts";
import type { Cells, Kind } from "./parquet.ts";

type HostRow = Host & { inside: boolean; place?: Place };

export const hostTable = {
  ip: "text",
  network: "text",
  inside: "flag",
  first_seen: "time",
  last_seen: "time",
  names: "json",
  macs: "json",
  ports: "json",
  flows: "integer",
  packets: "integer",
  bytes: "integer",
  threats: "integer",
  country: "json",
  city: "json",
  asn: "integer or null",
  as_org: "json",
  subnet: "json",
} as const satisfies Record<string, Kind>;

export function cellsOfHost(host: HostRow): Cells {
  const { first_seen_ms, last_seen_ms, names, macs, ports, place = {}, ...plain } = host;
  return {
    ...plain,
    first_seen: first_seen_ms / 1e3,
    last_seen: last_seen_ms / 1e3,
    names: JSON.stringify(names),
    macs: JSON.stringify(macs),
    ports: JSON.stringify(ports),
    country: place.country ?? null,
    city: place.city ?? null,
    asn: place.asn ?? null,
    as_org: place.as_org ?? null,
    subnet: place.subnet ?? null,
  };
}
