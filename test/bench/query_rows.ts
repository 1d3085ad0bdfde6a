/** A store of any size for benchmarks: days of made flows with all their rollups, and threats that link them.
 *
 * In: a started store, how many flows and days. Out: the store, full. Invariant: everything is written by the store's
 * own ingest, in order of time, and retention has had its turn after each day. What was filled before is not filled
 * again, so that a filling that broke off goes on. The flows: made_flows.ts. @module */

import type { Store } from "../../aggregator/store/store.ts";
import { nothing, threat } from "../aggregator/store/rows.ts";
import { busiest, dayS, MadeDay } from "./made_flows.ts";

const flowsPerWrite = 4_000;
const threatsPerWrite = 200;
const flowsPerThreat = 50;
/** Links of the first threat: as many as one may have. */
const flowsOfLargest = 100_000;
const detectors = ["port_scan_vertical", "password_guessing", "beacon", "flood", "obsolete_tls"];
const levels = ["info", "low", "medium", "high", "critical"] as const;

export interface Filling {
  /** The newest day, seconds since 1970. */
  day: number;
  days: number;
  flows: number;
  threats: number;
  say?: (line: string) => void;
}

export async function fill(store: Store, { day, days, flows, threats, say }: Filling): Promise<void> {
  const ofDay = Math.ceil(flows / days);
  for (let k = days - 1; k >= 0; k--) {
    const made = new MadeDay(day - k * dayS, ofDay);
    await fillDay(store, made);
    await store.pruneTalkers((made.day + dayS) * 1e3);
    await store.pruneLedger((made.day + dayS) * 1e3);
    say?.(`  ${new Date(made.day * 1e3).toISOString().slice(0, 10)} is there`);
  }
  if (await store.readThreat(idOfThreat(threats - 1)) !== null) return;
  await fillThreats(store, { day, days, threats, ofDay });
}

export async function fillDay(store: Store, made: MadeDay): Promise<void> {
  await store.prepareDays(made.day * 1e3);
  const stored = (await store.readDays()).find(({ day }) => day === made.day);
  for (let from = stored?.flows ?? 0; from < made.flows; from += flowsPerWrite) {
    await store.ingest({ ...nothing(), ...made.write(from, Math.min(flowsPerWrite, made.flows - from)) });
  }
}

async function fillThreats(
  store: Store,
  { day, days, threats, ofDay }: { day: number; days: number; threats: number; ofDay: number },
): Promise<void> {
  const made = Array.from({ length: days }, (_, k) => new MadeDay(day - k * dayS, ofDay));
  for (let from = 0; from < threats; from += threatsPerWrite) {
    const some = Array.from({ length: Math.min(threatsPerWrite, threats - from) }, (_, i) => {
      const n = from + i;
      // The newest first, spread over all days.
      const age = n / threats * days, of = made[Math.floor(age)];
      const at = Math.floor((1 - age % 1) * (ofDay - flowsPerThreat - 1));
      const { src, dst, site } = of.endsOf(at);
      const last_seen = Math.floor(of.startUs(at + flowsPerThreat - 1) / 1e6);
      return threat(idOfThreat(n), {
        network: site,
        detector: detectors[n % detectors.length],
        severity: levels[n % 7 % levels.length],
        src_ips: [src],
        dst_ips: [n % 10 === 0 ? busiest : dst],
        first_seen: Math.floor(of.startUs(at) / 1e6),
        last_seen,
        flow_ids: Array.from({ length: flowsPerThreat }, (_, j) => of.idOf(at + j)),
      });
    });
    await store.saveThreats(some);
  }
  const count = Math.min(flowsOfLargest, ofDay);
  const flow_ids = Array.from({ length: count }, (_, n) => made[0].idOf(n));
  const { id } = (await store.readThreat(idOfThreat(0)))!;
  await store.saveThreats([], [{ threat_id: id, flow_ids }]);
}

/** The n-th threat, the newest first; the first one has by far the most flows. */
export function idOfThreat(n: number): string {
  return (n + 1).toString(16).padStart(16, "0");
}
