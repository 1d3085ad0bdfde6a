/** Rollups of hosts as they follow from flows, written once more and as plainly as possible:
 * what the store's sums are held against.
 *
 * In: stored flows. Out: rows as the store must answer them, and the comparison.
 * Invariant: nothing of the code under test is used. @module */

import { assert, assertEquals } from "@std/assert";
import type { Store } from "../../../aggregator/store/store.ts";
import type { Flow } from "../../../aggregator/model/flow.ts";
import type { Conversation, Host, ServiceRow } from "../../../aggregator/model/host.ts";

type Sums = Omit<Host, "names" | "macs" | "ports" | "threats">;

/** Whole numbers below `below`, the same for one seed. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

/** The store's rollups against the flows that it has, of which there are more than `min`. */
export async function assertRollups(store: Store, min: number): Promise<void> {
  const flows: Flow[] = (await store.readFlows({}, { limit: 1_000 })).rows;
  assert(flows.length > min, `only ${flows.length} flows`);
  const hosts = (await store.readHosts({ sort: "last_seen" }, { limit: 1_000 })).rows;
  const plain = hosts.map(({ names: _n, macs: _m, ports: _p, threats: _t, ...sums }) => sums);
  const byKey = <Row extends { ip: string; network: string }>(rows: Row[]) =>
    rows.sort((a, b) => JSON.stringify([a.ip, a.network, a]) < JSON.stringify([b.ip, b.network, b]) ? -1 : 1);
  assertEquals(byKey(plain), byKey(hostsOf(flows)));
  const services = (await store.readServices({}, { limit: 1_000 })).rows;
  assertEquals(byKey(services), byKey(servicesOf(flows)));
  for (const host of hosts) {
    const { series } = await store.readHostDetails(host.ip, host.network);
    assertEquals(series.reduce((sum, { bytes }) => sum + bytes, 0), host.bytes);
    assertEquals(series.reduce((sum, { packets }) => sum + packets, 0), host.packets);
  }
  for (const [at, expected] of conversationsOf(flows)) {
    const found = await store.readConversations({ day: at }, 1_000);
    const key = (row: unknown) => JSON.stringify(Object.entries(row as object).sort());
    assertEquals(found.map(key).sort(), expected.map(key).sort());
  }
}

export function hostsOf(flows: readonly Flow[]): Sums[] {
  const hosts = new Map<string, Sums>();
  for (const flow of flows) {
    const ends = [...(isSource(flow) ? [flow.src_ip] : []), ...(isTarget(flow) ? [flow.dst_ip] : [])];
    for (const ip of ends) {
      const sums = kept(hosts, `${ip} ${flow.network}`, { ip, network: flow.network, ...start(flow) });
      sums.flows += flow.factor;
      sums.packets += flow.total_packets * flow.factor;
      sums.bytes += flow.total_bytes * flow.factor;
      widen(sums, flow);
    }
  }
  return [...hosts.values()];
}

export function servicesOf(flows: readonly Flow[]): ServiceRow[] {
  const services = new Map<string, ServiceRow>();
  for (const flow of flows) {
    const port = portOf(flow);
    if (!isTarget(flow) || port === 0) continue;
    const { dst_ip: ip, network, protocol } = flow;
    const { packets: _, ...sums } = start(flow);
    const row = kept(services, `${ip} ${network} ${protocol} ${port}`, {
      ip,
      network,
      protocol,
      port,
      app: "",
      ...sums,
    });
    row.flows += flow.factor;
    row.bytes += flow.total_bytes * flow.factor;
    widen(row, flow);
    row.app ||= flow.app_protocol;
  }
  return [...services.values()];
}

/** By day, epoch seconds. */
export function conversationsOf(flows: readonly Flow[]): Map<number, Conversation[]> {
  const days = new Map<number, Map<string, Conversation>>();
  for (const flow of flows) {
    if (!isSource(flow) || !isTarget(flow)) continue;
    const us = Number(BigInt(`0x${flow.flow_id}`) >> 11n);
    const rows = kept(days, Math.floor(us / 86_400e6) * 86_400, new Map<string, Conversation>());
    const { src_ip, dst_ip, network, protocol } = flow;
    const port = portOf(flow);
    const row = kept(rows, `${src_ip} ${dst_ip} ${network} ${protocol} ${port}`, {
      src_ip,
      dst_ip,
      network,
      protocol,
      port,
      app: "",
      sent_bytes: 0,
      ...start(flow),
    });
    row.flows += flow.factor;
    row.packets += flow.total_packets * flow.factor;
    row.bytes += flow.total_bytes * flow.factor;
    row.sent_bytes += flow.fwd_bytes * flow.factor;
    widen(row, flow);
    row.app ||= flow.app_protocol;
  }
  return new Map([...days].map(([day, rows]) => [day, [...rows.values()]]));
}

function isSource(flow: Flow): boolean {
  if (flow.src_ip.startsWith("224.") || flow.fwd_packets === 0) return false;
  if (/^(10|192\.168)\./.test(flow.src_ip)) return true;
  if (flow.bwd_packets === 0) return false;
  return flow.protocol === "tcp" ? (flow.fwd_tcp_flags & 16) > 0 : flow.fwd_packets > 1;
}

function isTarget(flow: Flow): boolean {
  return !flow.dst_ip.startsWith("224.") && flow.bwd_packets > 0;
}

function portOf(flow: Flow): number {
  if (flow.protocol === "icmp" || (flow.dst_port === 50_000 && flow.app_protocol === "")) return 0;
  if (flow.protocol === "udp") return flow.dst_port;
  const accepted = flow.conn_state !== "REJ" && ((flow.bwd_tcp_flags & 2) > 0 || flow.bwd_payload_bytes > 0);
  return accepted ? flow.dst_port : 0;
}

function timesOf(flow: Flow): [number, number] {
  const ms = Math.floor(Number(BigInt(`0x${flow.flow_id}`) >> 11n) / 1e3);
  return flow.time_suspect ? [ms, ms] : [Math.floor(flow.start * 1e3), Math.floor(flow.end * 1e3)];
}

function start(flow: Flow) {
  const [first_seen_ms, last_seen_ms] = timesOf(flow);
  return { first_seen_ms, last_seen_ms, flows: 0, packets: 0, bytes: 0 };
}

function widen(row: { first_seen_ms: number; last_seen_ms: number }, flow: Flow): void {
  const [first, last] = timesOf(flow);
  row.first_seen_ms = Math.min(row.first_seen_ms, first);
  row.last_seen_ms = Math.max(row.last_seen_ms, last);
}

function kept<Key, Value>(map: Map<Key, Value>, key: Key, fresh: Value): Value {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = fresh);
  return value;
}
