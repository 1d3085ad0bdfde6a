/** Writes what flows and facts of one transaction add to the rollups of hosts.
 *
 * In: sums of {@link HostSums} and {@link NameSums}. Out: rows that are added to. Invariant: part of the transaction
 * that writes the flows; rows are written in key order, so that two writers lock in one order. A sum may shrink when a
 * flow's factor or role changed; readers skip rows that no flow is left of. @module */

import { systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Database, Session, Value } from "./database.ts";
import {
  conversationSum,
  hostSum,
  type HostSums,
  hourSum,
  lateMax,
  neighbourSum,
  serviceSum,
} from "./host_sums.ts";
import { domainSum, nameSum, type NameSums } from "./name_sums.ts";
import type { BoundTable, RowCaps } from "./row_caps.ts";
import { hourOf, type WrittenNames } from "./written_names.ts";
import { saturated } from "./write_flows.ts";

interface Target {
  database: Database;
  session: Session;
  reporter: Reporter;
  caps: RowCaps;
  written: WrittenNames;
}

const rowsPerTurn = 2_000;

/** How a column of a row that is there changes. */
type Change = "key" | "sum" | "least" | "greatest" | "bits";
type Columns = Readonly<Record<string, Change>>;

const times = { first_us: "least", last_us: "greatest" } as const;
const columns = {
  hosts: {
    ip: "key",
    network: "key",
    ...times,
    flows: "sum",
    packets: "sum",
    bytes: "sum",
    flows_from: "sum",
    sent_packets: "sum",
    sent_bytes: "sum",
  },
  host_hours: { ip: "key", network: "key", hour: "key", packets: "sum", bytes: "sum" },
  services: {
    ip: "key",
    network: "key",
    protocol: "key",
    port: "key",
    app: "greatest",
    ...times,
    flows: "sum",
    bytes: "sum",
  },
  conversations: {
    src_ip: "key",
    day: "key",
    dst_ip: "key",
    network: "key",
    protocol: "key",
    port: "key",
    app: "greatest",
    ...times,
    flows: "sum",
    packets: "sum",
    bytes: "sum",
    sent_bytes: "sum",
  },
  neighbours: { ip: "key", network: "key", mac: "key", ...times },
  host_names: { ip: "key", network: "key", name: "key", sources: "bits", ...times },
  domains: {
    name: "key",
    network: "key",
    ...times,
    queries: "sum",
    askers_0: "bits",
    askers_1: "bits",
    askers_2: "bits",
    askers_3: "bits",
  },
} as const satisfies Record<BoundTable, Columns>;

export async function writeHosts(target: Target, sums: HostSums, names: NameSums): Promise<void> {
  const { reporter } = target;
  // What was sent before is on its way while many rows are made.
  if (sums.conversations.size >= rowsPerTurn) await systemClock.sleep(0);
  const order = new HostOrder(sums);
  const rows: Record<BoundTable, Value[][]> = {
    hosts: hostRows(sums, order),
    host_hours: hourRows(sums, order),
    services: serviceRows(sums, order),
    conversations: conversationRows(sums, order),
    neighbours: neighbourRows(sums, order),
    host_names: nameRows(names, order, target.written),
    domains: domainRows(names),
  };
  reporter.count("rollup_names_left_out_total", undefined, names.leftOut);
  for (const table of Object.keys(rows) as BoundTable[]) {
    if (rows[table].length === 0) continue;
    await target.session.batch(upsertOf(target.database, table, columns[table]), rows[table]);
    target.caps.wrote(table, rows[table].length);
  }
}

function upsertOf({ dialect }: Database, table: string, all: Columns): string {
  const keys = Object.keys(all).filter((name) => all[name] === "key");
  const changes: Record<string, string> = {};
  for (const [name, change] of Object.entries(all)) {
    const stored = dialect.stored(table, name), fresh = dialect.fresh(name);
    if (change === "sum") changes[name] = saturated(dialect, `${stored} + ${fresh}`);
    if (change === "least") changes[name] = dialect.least(stored, fresh);
    if (change === "greatest") changes[name] = dialect.greatest(stored, fresh);
    if (change === "bits") changes[name] = `${stored} | ${fresh}`;
  }
  return dialect.upsert(table, Object.keys(all), keys, changes);
}

/** Addresses as values, and the places of hosts in the order of their keys. */
class HostOrder {
  readonly #values: Value[];
  readonly #ranks: Uint32Array;
  readonly #hosts: HostSums["hosts"];

  constructor({ addresses, hosts }: HostSums) {
    this.#hosts = hosts;
    const values = Array.from({ length: addresses.size }, (_, number) => addresses.address(number));
    const heads = Float64Array.from(values, headOf);
    const ranks = this.#ranks = new Uint32Array(hosts.size);
    Array.from({ length: hosts.size }, (_, host) => host).sort((a, b) => {
      const [one, other] = [hosts.second[a], hosts.second[b]];
      return heads[one] - heads[other] || compareOctets(values[one], values[other]) ||
        hosts.first[a] - hosts.first[b];
    }).forEach((host, rank) => ranks[host] = rank);
    this.#values = values;
  }

  ip(host: number): Value {
    return this.address(this.#hosts.second[host]);
  }

  address(number: number): Value {
    return this.#values[number];
  }

  network(host: number): number {
    return this.#hosts.first[host];
  }

  /** Rows by the key of their host, given by row. */
  rows(size: number, hostOf: (row: number) => number): Uint32Array {
    const keys = new Float64Array(size);
    for (let row = 0; row < size; row++) keys[row] = this.#ranks[hostOf(row)] * rowsMax + row;
    return Uint32Array.from(keys.sort(), (key) => key % rowsMax);
  }
}

/** More than a write has: a rank times this is below 2^53. */
const rowsMax = 2 ** 26;

/** The first octets as a number, so that most addresses are told apart by it. */
function headOf(bytes: Uint8Array): number {
  return (bytes[0] * 2 ** 24 + bytes[1] * 2 ** 16 + bytes[2] * 2 ** 8 + bytes[3]) * 2 ** 16 +
    (bytes.length > 4 ? bytes[4] * 256 + bytes[5] : 0);
}

function compareOctets(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** `values` of each row, in their order. */
function listOf(rows: Uint32Array, values: (row: number) => Value[]): Value[][] {
  return Array.from(rows, values);
}

function hostRows({ hosts }: HostSums, order: HostOrder): Value[][] {
  const rows = order.rows(hosts.size, (row) => row).filter((row) => isTouched(hosts, row, 8));
  return listOf(rows, (row) => [
    order.ip(row),
    order.network(row),
    lateMax - hosts.get(row, hostSum.late),
    hosts.get(row, hostSum.last),
    hosts.get(row, hostSum.flows),
    hosts.get(row, hostSum.packets),
    hosts.get(row, hostSum.bytes),
    hosts.get(row, hostSum.flowsFrom),
    hosts.get(row, hostSum.sentPackets),
    hosts.get(row, hostSum.sentBytes),
  ]);
}

/** A row that only lent its number to a name has nothing to write. */
function isTouched(table: HostSums["hosts"], row: number, width: number): boolean {
  for (let column = 0; column < width; column++) if (table.get(row, column) !== 0) return true;
  return false;
}

function hourRows({ hours }: HostSums, order: HostOrder): Value[][] {
  return listOf(order.rows(hours.size, (row) => hours.first[row]), (row) => [
    order.ip(hours.first[row]),
    order.network(hours.first[row]),
    hours.second[row] * 3_600,
    hours.get(row, hourSum.packets),
    hours.get(row, hourSum.bytes),
  ]);
}

function serviceRows({ services }: HostSums, order: HostOrder): Value[][] {
  return listOf(order.rows(services.size, (row) => services.first[row]), (row) => [
    order.ip(services.first[row]),
    order.network(services.first[row]),
    services.second[row] >>> 16,
    services.second[row] & 0xffff,
    services.get(row, serviceSum.app),
    lateMax - services.get(row, serviceSum.late),
    services.get(row, serviceSum.last),
    services.get(row, serviceSum.flows),
    services.get(row, serviceSum.bytes),
  ]);
}

function conversationRows({ conversations, pairs, topics }: HostSums, order: HostOrder): Value[][] {
  const source = (row: number) => pairs.first[conversations.first[row]];
  return listOf(order.rows(conversations.size, source), (row) => [
    order.ip(source(row)),
    topics.first[conversations.second[row]],
    order.address(pairs.second[conversations.first[row]]),
    order.network(source(row)),
    topics.second[conversations.second[row]] >>> 16,
    topics.second[conversations.second[row]] & 0xffff,
    conversations.get(row, conversationSum.app),
    lateMax - conversations.get(row, conversationSum.late),
    conversations.get(row, conversationSum.last),
    conversations.get(row, conversationSum.flows),
    conversations.get(row, conversationSum.packets),
    conversations.get(row, conversationSum.bytes),
    conversations.get(row, conversationSum.sentBytes),
  ]);
}

function neighbourRows({ neighbours, macs }: HostSums, order: HostOrder): Value[][] {
  return listOf(order.rows(neighbours.size, (row) => neighbours.first[row]), (row) => [
    order.ip(neighbours.first[row]),
    order.network(neighbours.first[row]),
    macs.address(neighbours.second[row]),
    lateMax - neighbours.get(row, neighbourSum.late),
    neighbours.get(row, neighbourSum.last),
  ]);
}

/** By whole hours, and only what the store does not have yet: the same names are told again and again. */
function nameRows({ names, texts }: NameSums, order: HostOrder, written: WrittenNames): Value[][] {
  const rows = order.rows(names.size, (row) => names.first[row]).filter((row) =>
    written.isNew({
      network: order.network(names.first[row]),
      ip: order.ip(names.first[row]) as Uint8Array,
      name: texts[names.second[row]],
      sources: names.get(row, nameSum.sources),
      firstUs: hourOf(lateMax - names.get(row, nameSum.late)),
      lastUs: hourOf(names.get(row, nameSum.last)),
    })
  );
  return listOf(rows, (row) => [
    order.ip(names.first[row]),
    order.network(names.first[row]),
    texts[names.second[row]],
    names.get(row, nameSum.sources),
    hourOf(lateMax - names.get(row, nameSum.late)),
    hourOf(names.get(row, nameSum.last)),
  ]);
}

function domainRows({ domains, texts }: NameSums): Value[][] {
  const text = (row: number) => texts[domains.second[row]];
  const sorted = Array.from({ length: domains.size }, (_, row) => row).sort((a, b) =>
    text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : domains.first[a] - domains.first[b]
  );
  return sorted.map((row) => [
    text(row),
    domains.first[row],
    lateMax - domains.get(row, domainSum.late),
    domains.get(row, domainSum.last),
    domains.get(row, domainSum.queries),
    ...[0, 1, 2, 3].map((word) => domains.get(row, domainSum.askers + word)),
  ]);
}
