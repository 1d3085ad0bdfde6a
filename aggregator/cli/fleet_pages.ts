/** The whole fleet, for commands: all pages of the API's list joined.
 *
 * In: a way to ask the API. Out: what one page says of the fleet, with the rows of all.
 * Invariant: at most {@link pagesMax} pages are asked for; a sensor that moves between two pages is listed once.
 * @module */

import type { FleetPage, FleetRow } from "../fleet/page.ts";

export type WholeFleet = Omit<FleetPage, "next_cursor"> & { problem: string | null };

const pagesMax = 100;

export async function readWholeFleet(
  api: { get<Body>(path: string): Promise<Body> },
): Promise<WholeFleet> {
  const rows = new Map<string, FleetRow>();
  let cursor: string | undefined;
  for (let pages = 1;; pages++) {
    const next: string = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await api.get<WholeFleet & FleetPage>(`/fleet?limit=1000${next}`);
    for (const row of page.sensors) rows.set(row.sensor_id, row);
    const { next_cursor, ...rest } = page;
    if (next_cursor === undefined || pages >= pagesMax) return { ...rest, sensors: [...rows.values()] };
    cursor = next_cursor;
  }
}
