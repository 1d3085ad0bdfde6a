/** A fleet at a glance. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { SensorStatus } from "../../../fleet/reasons.ts";
import { urgency } from "../../../fleet/urgency.ts";
import type { FleetRow } from "../api.ts";
import { linkTo } from "../place.ts";
import type { VNode } from "../preact.ts";

const squaresMax = 600;

export function statusWords(status: SensorStatus): string {
  return status.replace("_", " ");
}

export function isUnwell({ status }: Pick<FleetRow, "status">): boolean {
  return !["healthy", "stopped", "revoked"].includes(status);
}

export function byUrgency(a: FleetRow, b: FleetRow): number {
  return urgency.indexOf(a.status) - urgency.indexOf(b.status) ||
    a.name.localeCompare(b.name, "en", { numeric: true });
}

/** One square a sensor; where they are few, each is named. */
export function FleetSquares({ sensors }: { sensors: readonly FleetRow[] }): VNode {
  const rows = [...sensors].sort(byUrgency).slice(0, squaresMax);
  return (
    <ul class={`squares ${rows.length <= 12 ? "named" : ""}`}>
      {rows.map(({ sensor_id, name, status }) => (
        <li key={sensor_id}>
          <a
            href={linkTo("fleet", name)}
            class={`status-${status}`}
            title={`${name}: ${statusWords(status)}`}
          >
            <span class={rows.length <= 12 ? "" : "unseen"}>{name}: {statusWords(status)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}
