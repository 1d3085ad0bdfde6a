/** Traffic with hosts outside, by host and step, from the hours of hosts.
 *
 * In: a range in whole hours. Out: the largest sums of a host and a step, and what all hosts outside had in each step.
 * Invariant: at most {@link hoursMax} hours of hosts are read, the newest, and at most {@link cellsMax} sums are given.
 * A flow counts in the hour in which it began, for each of its ends that is outside and is a host, see host_sums.ts.
 * @module */

import { insideRanges } from "../model/inside.ts";
import type { OutsideTraffic } from "../model/traffic.ts";
import { ipOut, isAddressOf } from "./addresses.ts";
import type { Session, Value } from "./database.ts";

const hourS = 3_600;
const hoursMax = 500_000;
const cellsMax = 20_000;
const pointsMax = 5_000;

/** @throws {RangeError} when the step is no whole number of hours. */
export async function queryOutside(
  session: Session,
  { from, to }: { from: number; to: number },
  stepS: number,
): Promise<OutsideTraffic> {
  if (!Number.isInteger(stepS / hourS) || stepS <= 0) {
    throw new RangeError(`Cannot read traffic as "stepS" must be whole hours: current value is ${stepS}`);
  }
  const inside = insideRanges.map((range) => isAddressOf("ip", range));
  const hours = "(SELECT ip, hour, packets, bytes FROM host_hours WHERE hour >= ? AND hour <= ? " +
    `ORDER BY hour DESC LIMIT ${hoursMax}) AS newest WHERE NOT (${
      inside.map(({ sql }) => sql).join(" OR ")
    })`;
  const values: Value[] = [from - from % stepS, Math.floor(to), ...inside.flatMap(({ values }) => values)];
  const cells = await session.all(
    `SELECT ip, hour - hour % ${stepS} AS time, SUM(packets) AS packets, SUM(bytes) AS bytes FROM ${hours} ` +
      `GROUP BY ip, hour - hour % ${stepS} ORDER BY bytes DESC, ip, time LIMIT ${cellsMax}`,
    values,
  );
  const totals = await session.all(
    `SELECT hour - hour % ${stepS} AS time, SUM(packets) AS packets, SUM(bytes) AS bytes FROM ${hours} ` +
      `GROUP BY hour - hour % ${stepS} LIMIT ${pointsMax}`,
    values,
  );
  const sum = (value: Value) => Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Number(value)));
  return {
    cells: cells.map(({ ip, time, packets, bytes }) => ({
      ip: ipOut(ip),
      time: Number(time),
      packets: sum(packets),
      bytes: sum(bytes),
    })),
    totals: totals.map(({ time, packets, bytes }) => ({
      time: Number(time),
      packets: sum(packets),
      bytes: sum(bytes),
    })),
  };
}
