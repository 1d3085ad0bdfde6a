/** Words about hosts. @module */

import type { HostRow } from "../api.ts";

export function namesOf(host: HostRow): string[] {
  return (host.names ?? []).map((one) => typeof one === "string" ? one : one.name);
}

/** The first name, or "". */
export function nameOfHost(host: HostRow): string {
  return namesOf(host)[0] ?? "";
}

export function macsOf(host: HostRow): string[] {
  return (host.macs ?? []).map((one) =>
    typeof one === "string" ? one : one.vendor ? `${one.mac} (${one.vendor})` : one.mac
  );
}
