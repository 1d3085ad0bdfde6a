/** What a report tells, asked of the API.
 *
 * In: a way to ask, the end of a time and its length. Out: the data of its page. Bound: {@link hostPagesMax} pages of
 * hosts are looked through for new ones, and the page says when there may be more. @module */

import type { Host } from "../model/host.ts";
import type { Incident } from "../model/incident.ts";
import type { Page } from "../model/page.ts";
import type { SeriesPoint, TopTalker, Totals } from "../model/traffic.ts";
import { readWholeFleet } from "./fleet_pages.ts";
import type { ReportData } from "./report_page.ts";

const hostPagesMax = 20;

type Asking = Parameters<typeof readWholeFleet>[0];

export async function readReport(client: Asking, toS: number, spanS: number): Promise<ReportData> {
  const fromS = toS - spanS, range = `from=${fromS}&to=${toS}`;
  const incidents = await client.get<{ rows: Incident[]; incidents: number }>(`/incidents?${range}&limit=50`);
  const newHosts: Host[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < hostPagesMax; pages++) {
    const next = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await client.get<Page<Host>>(`/hosts?seen_since=${fromS}&limit=500${next}`);
    newHosts.push(...page.rows.filter(({ first_seen_ms }) => first_seen_ms >= fromS * 1_000));
    cursor = page.next_cursor;
    if (cursor === undefined) break;
  }
  return {
    fromS,
    toS,
    fleet: await readWholeFleet(client),
    totals: await client.get<Totals>("/stats/totals"),
    incidents: incidents.rows,
    incidentsInAll: incidents.incidents,
    series: await client.get<{ step: number; rows: SeriesPoint[] }>(`/stats/series?${range}`),
    talkers: (await client.get<{ rows: TopTalker[] }>(`/stats/top-talkers?${range}&limit=20`)).rows,
    newHosts: newHosts.sort((a, b) => b.first_seen_ms - a.first_seen_ms),
    isHostsCut: cursor !== undefined,
  };
}
