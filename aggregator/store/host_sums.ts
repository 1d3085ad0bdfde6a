/** What the flows of one transaction add to hosts, their hours, services, conversations and neighbours.
 *
 * In: flows as they are stored, and as they were before. Out: sums by key.
 * Invariant: what a flow counts for follows from its row alone, so a change counts for what the new row gives less what
 * the old one gave, and the rollups are at any moment what the stored flows give, however these came:
 * replays, several sensors, take-overs.
 * Which addresses get a row: one inside (private) that sent something; one outside that answered, or that asked and
 * went on once it was answered: in TCP with an ACK, else with a second packet. So neither a scan of addresses nor a
 * flood from invented ones fills the tables: nobody behind these ever answers. What a flood from invented inside
 * addresses adds is bounded in row_caps.ts.
 * A service is a port that accepted (TCP) or answered; ports from 49152 up only where the application was recognised,
 * as RFC 6335 leaves them to clients. A conversation of another port counts under port 0.
 * A MAC belongs to an address when ARP says so, or when the packets crossed no router:
 * their TTL is one that systems start with.
 * Counts are scaled by the flow's sampling factor, as talkers are.
 * Times are the flow's, or those of its id when they are suspect.
 * Hot path: called once a flow; typed tables, no object and no string for a row. @module */

import { connStates } from "../../shared/segment.ts";
import type { FlowRows } from "../model/flow_rows.ts";
import { SumTable } from "../model/sum_table.ts";
import { isPrivate } from "../../shared/ip.ts";
import { AddressTable } from "./address_table.ts";
import type { Words } from "./words.ts";

/** Columns of the sums; `late` is {@link lateMax} less the first time, so that the greater one stays. */
export const hostSum = {
  flows: 0,
  packets: 1,
  bytes: 2,
  flowsFrom: 3,
  sentPackets: 4,
  sentBytes: 5,
  last: 6,
  late: 7,
} as const;
export const hourSum = { packets: 0, bytes: 1 } as const;
export const serviceSum = { flows: 0, bytes: 1, app: 2, last: 3, late: 4 } as const;
export const conversationSum = {
  flows: 0,
  packets: 1,
  bytes: 2,
  sentBytes: 3,
  app: 4,
  last: 5,
  late: 6,
} as const;
export const neighbourSum = { last: 0, late: 1 } as const;
export const lateMax = Number.MAX_SAFE_INTEGER;

const kinds = { unknown: 0, none: 1, inside: 2, outside: 3 } as const;
const syn = 2, ack = 16;
const clientPortMin = 49_152;
const dayUs = 86_400e6, hourUs = 3_600e6;
const rejected = connStates.indexOf("REJ");
/** TTLs that systems start with. */
const freshTtls = [64, 128, 255];

/** The numbers of both ends of each flow of a write. */
export function numberEnds(flows: FlowRows): { addresses: AddressTable; ends: Uint32Array } {
  const addresses = new AddressTable(), ends = new Uint32Array(2 * flows.size);
  const { srcLength, dstLength } = flows.columns;
  for (let i = 0; i < flows.size; i++) {
    ends[2 * i] = addresses.number(flows.ips, 32 * i, srcLength[i]);
    ends[2 * i + 1] = addresses.number(flows.ips, 32 * i + 16, dstLength[i]);
  }
  return { addresses, ends };
}

export class HostSums {
  /** By network and address; also the number of that pair. A row that nothing was added to has no last time. */
  readonly hosts = new SumTable(8);
  /** By host and hour. */
  readonly hours = new SumTable(2);
  /** By host, and protocol and port. */
  readonly services = new SumTable(5);
  /** By pair, and by day and service. */
  readonly conversations = new SumTable(7);
  /** By host and other address. */
  readonly pairs = new SumTable(0);
  /** By day, and protocol and port. */
  readonly topics = new SumTable(0);
  /** By host and MAC. */
  readonly neighbours = new SumTable(2);
  readonly macs = new AddressTable();
  readonly addresses: AddressTable;
  readonly ends: Uint32Array;
  readonly #words: Words;
  #kinds = new Uint8Array(1_024);

  constructor(flows: FlowRows, words: Words) {
    const { addresses, ends } = numberEnds(flows);
    this.addresses = addresses;
    this.ends = ends;
    this.#words = words;
  }

  /** `flow` = the row in the write that `i` of `rows` is the present or former state of. */
  add(rows: FlowRows, i: number, flow: number): void {
    this.#count(rows, i, flow, 1);
  }

  subtract(rows: FlowRows, i: number, flow: number): void {
    this.#count(rows, i, flow, -1);
  }

  #count(rows: FlowRows, i: number, flow: number, sign: 1 | -1): void {
    const c = rows.columns;
    const src = this.ends[2 * flow], dst = this.ends[2 * flow + 1];
    const hasSrc = this.#isSource(rows, i, src);
    const hasDst = c.bwdPackets[i] > 0 && this.#kindOf(dst) !== kinds.none;
    if (!hasSrc && !hasDst) return;
    const network = this.#words.numberOf(rows.network[i]);
    const first = c.isSuspect[i] === 1 ? c.idUs[i] : c.startUs[i];
    const last = c.isSuspect[i] === 1 ? c.idUs[i] : c.endUs[i];
    const isAdded = sign === 1;
    const source = hasSrc ? this.#addHost(rows, i, network, src, true, sign) : -1;
    if (hasSrc && isAdded) {
      this.#raiseTimes(this.hosts, source, hostSum, first, last);
      if (c.macs[i] & 1) this.#addNeighbour(rows, i, source, src, 0, first, last);
    }
    if (!hasDst) return;
    const host = this.#addHost(rows, i, network, dst, false, sign);
    if (isAdded) this.#raiseTimes(this.hosts, host, hostSum, first, last);
    if (isAdded && c.macs[i] & 2) this.#addNeighbour(rows, i, host, dst, 1, first, last);
    const port = servicePort(rows, i);
    const service = (this.#words.numberOf(rows.protocol[i]) << 16 | port) >>> 0;
    const factor = c.factor[i] * sign;
    const app = this.#words.numberOf(rows.app[i]);
    const bytes = (c.fwdBytes[i] + c.bwdBytes[i]) * factor;
    if (port > 0) {
      const row = this.services.row(host, service);
      this.services.add(row, serviceSum.flows, factor);
      this.services.add(row, serviceSum.bytes, bytes);
      if (isAdded) {
        this.services.raise(row, serviceSum.app, app);
        this.#raiseTimes(this.services, row, serviceSum, first, last);
      }
    }
    if (!hasSrc) return;
    const day = Math.floor(c.idUs[i] / dayUs) * 86_400;
    const pair = this.pairs.row(source, dst);
    const row = this.conversations.row(pair, this.topics.row(day, service));
    this.conversations.add(row, conversationSum.flows, factor);
    this.conversations.add(row, conversationSum.packets, (c.fwdPackets[i] + c.bwdPackets[i]) * factor);
    this.conversations.add(row, conversationSum.bytes, bytes);
    this.conversations.add(row, conversationSum.sentBytes, c.fwdBytes[i] * factor);
    if (!isAdded) return;
    this.conversations.raise(row, conversationSum.app, app);
    this.#raiseTimes(this.conversations, row, conversationSum, first, last);
  }

  #isSource(rows: FlowRows, i: number, src: number): boolean {
    const c = rows.columns;
    const kind = this.#kindOf(src);
    if (kind === kinds.none || c.fwdPackets[i] === 0) return false;
    if (kind === kinds.inside) return true;
    if (c.bwdPackets[i] === 0) return false;
    return rows.protocol[i] === "tcp" ? (c.fwdFlags[i] & ack) !== 0 : c.fwdPackets[i] >= 2;
  }

  #addHost(
    rows: FlowRows,
    i: number,
    network: number,
    address: number,
    isSource: boolean,
    sign: 1 | -1,
  ): number {
    const c = rows.columns;
    const factor = c.factor[i] * sign;
    const packets = (c.fwdPackets[i] + c.bwdPackets[i]) * factor;
    const bytes = (c.fwdBytes[i] + c.bwdBytes[i]) * factor;
    const host = this.hosts.row(network, address);
    this.hosts.add(host, hostSum.flows, factor);
    this.hosts.add(host, hostSum.packets, packets);
    this.hosts.add(host, hostSum.bytes, bytes);
    if (isSource) this.hosts.add(host, hostSum.flowsFrom, factor);
    this.hosts.add(host, hostSum.sentPackets, (isSource ? c.fwdPackets[i] : c.bwdPackets[i]) * factor);
    this.hosts.add(host, hostSum.sentBytes, (isSource ? c.fwdBytes[i] : c.bwdBytes[i]) * factor);
    const hour = this.hours.row(host, Math.floor(c.idUs[i] / hourUs));
    this.hours.add(hour, hourSum.packets, packets);
    this.hours.add(hour, hourSum.bytes, bytes);
    return host;
  }

  #raiseTimes(
    table: SumTable,
    row: number,
    { last, late }: { last: number; late: number },
    firstUs: number,
    lastUs: number,
  ): void {
    table.raise(row, last, lastUs);
    table.raise(row, late, lateMax - firstUs);
  }

  #addNeighbour(
    rows: FlowRows,
    i: number,
    host: number,
    address: number,
    end: 0 | 1,
    first: number,
    last: number,
  ): void {
    if (this.#kindOf(address) !== kinds.inside) return;
    const ttl = end === 0 ? rows.columns.fwdTtl[i] : rows.columns.bwdTtl[i];
    if (rows.protocol[i] !== "arp" && !freshTtls.includes(ttl)) return;
    const row = this.neighbours.row(host, this.macs.number(rows.macs, 12 * i + 6 * end, 6));
    this.#raiseTimes(this.neighbours, row, neighbourSum, first, last);
  }

  #kindOf(address: number): number {
    if (address >= this.#kinds.length) {
      const grown = new Uint8Array(2 * Math.max(address, this.#kinds.length));
      grown.set(this.#kinds);
      this.#kinds = grown;
    }
    return this.#kinds[address] ||= kindOf(this.addresses.address(address));
  }
}

/** What a flow's destination offered, 0 = no service. */
function servicePort(rows: FlowRows, i: number): number {
  const c = rows.columns;
  const protocol = rows.protocol[i];
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") return 0;
  if (c.dstPort[i] >= clientPortMin && rows.app[i] === "") return 0;
  if (protocol !== "tcp") return c.dstPort[i];
  const accepted = c.connState[i] !== rejected && ((c.bwdFlags[i] & syn) !== 0 || c.bwdPayload[i] > 0);
  return accepted ? c.dstPort[i] : 0;
}

/** Groups, broadcasts, loopback and unspecified addresses are no hosts. */
function kindOf(bytes: Uint8Array): number {
  const isGroup = bytes.length === 4
    ? bytes[0] === 0 || bytes[0] === 127 || bytes[0] >= 224
    : bytes[0] === 0xff || bytes.every((byte, i) => byte === 0 || (i === 15 && byte === 1));
  if (isGroup) return kinds.none;
  return isPrivate(bytes) ? kinds.inside : kinds.outside;
}

/** Whether an address can be a host's. */
export function isHostAddress(bytes: Uint8Array): boolean {
  return kindOf(bytes) !== kinds.none;
}
