/** A flow as a row of the table `flows`, and back.
 *
 * In: rows of {@link FlowRows}. Out: values in the order of {@link flowColumns}; rows again.
 * Invariant: what was written is read back, except that deviations and gaps between packets have three significant
 * digits.
 *
 * The column `more` packs what is read with one flow at a time. Numbers are varints (seven bits an octet, low first),
 * `s` = with a sign, `f` = two octets, a number of three digits times a power of ten:
 *
 * | field | when |
 * | --- | --- |
 * | marks, see below | always |
 * | IP depth, where it is not 1 | mark 128 |
 * | 6 octets source MAC; 6 octets destination MAC; 4 octets initial sequence number | by mark |
 * | SYN, FIN, RST forward, then backward: one octet of bits by mark 8, else six numbers | always |
 * | TTL forward, backward; payload octets forward, backward; handshake, us | always |
 * | least length, greatest length, f deviation of length | always |
 * | f least, greatest, deviation of gaps between packets | of two packets and more |
 * | stored ms - ms of the id, s; updated ms - stored ms | always |
 * | start - time of the id, us, s; offset of the vantage's clock, us, s | mark 16 |
 * | number of the tunnel's word; inner VLAN | mark 32 |
 * | segments of the only vantage | mark 64 |
 *
 * Marks are bits: 1 source MAC, 2 destination MAC, 4 sequence number, 8 flag counts are 0 or 1, 16 times, 32 tunnel,
 * 64 several segments, 128 depth. @module */

import { Buffer } from "node:buffer";
import { connStates, endReasons } from "../../shared/segment.ts";
import type { FlowRows } from "../model/flow_rows.ts";
import type { Row, RowSink, Value } from "./database.ts";
import { readFacts, writeFacts } from "./fact_text.ts";
import { Reader, Writer } from "./packed.ts";
import type { Words } from "./words.ts";

/** After the key. */
export const flowColumns = [
  "network",
  "protocol",
  "app",
  "src_ip",
  "src_port",
  "dst_ip",
  "dst_port",
  "community",
  "duration_us",
  "fwd_packets",
  "fwd_bytes",
  "bwd_packets",
  "bwd_bytes",
  "fwd_tcp_flags",
  "bwd_tcp_flags",
  "conn_state",
  "end_reason",
  "vlan",
  "fwd_sensor",
  "bwd_sensor",
  "factor",
  "time_suspect",
  "more",
  "facts",
] as const;

/** Columns whose value is the number of a word. */
export const wordColumns = ["network", "protocol", "app", "fwd_sensor", "bwd_sensor"] as const;

/** What to select, so that no number is too large to be read and enumerations are numbers from 1. */
export const flowSelection = [
  "flows.id >> 11 AS id_us",
  "flows.id & 2047 AS slot",
  ...flowColumns.map((column) =>
    column === "conn_state" || column === "end_reason"
      ? `flows.${column} + 0 AS ${column}`
      : `flows.${column}`
  ),
].join(", ");

const mark = {
  srcMac: 1,
  dstMac: 2,
  isn: 4,
  bits: 8,
  times: 16,
  tunnel: 32,
  segments: 64,
  depth: 128,
} as const;
const packed = new Writer(512);

/** The values of a row, after its key. */
export function writeFlow(rows: FlowRows, i: number, words: Words, sink: RowSink): void {
  const c = rows.columns;
  sink.integer(words.numberOf(rows.network[i]));
  sink.integer(words.numberOf(rows.protocol[i]));
  sink.integer(words.numberOf(rows.app[i]));
  sink.octets(rows.ips, 32 * i, 32 * i + c.srcLength[i]);
  sink.integer(c.srcPort[i]);
  sink.octets(rows.ips, 32 * i + 16, 32 * i + 16 + c.dstLength[i]);
  sink.integer(c.dstPort[i]);
  sink.integer(c.community[i]);
  sink.integer(Math.max(0, c.endUs[i] - c.startUs[i]));
  sink.integer(c.fwdPackets[i]);
  sink.integer(c.fwdBytes[i]);
  sink.integer(c.bwdPackets[i]);
  sink.integer(c.bwdBytes[i]);
  sink.integer(c.fwdFlags[i]);
  sink.integer(c.bwdFlags[i]);
  sink.choice(connStates, c.connState[i]);
  sink.choice(endReasons, c.endReason[i]);
  sink.integer(c.vlan[i]);
  sink.integer(words.numberOf(rows.fwdSensor[i]));
  sink.integer(words.numberOf(rows.bwdSensor[i]));
  sink.integer(c.factor[i]);
  sink.integer(c.isSuspect[i]);
  pack(rows, i, words);
  sink.octets(packed.bytes, 0, packed.at);
  const facts = rows.facts[i];
  if (facts === null) sink.nothing();
  else sink.text(writeFacts(facts));
}

function pack(rows: FlowRows, i: number, words: Words): void {
  const c = rows.columns;
  const areBits = c.fwdSyn[i] <= 1 && c.bwdSyn[i] <= 1 && c.fwdFin[i] <= 1 && c.bwdFin[i] <= 1 &&
    c.fwdRst[i] <= 1 && c.bwdRst[i] <= 1;
  const startUs = c.startUs[i] - c.idUs[i];
  const hasTimes = startUs !== 0 || c.offsetUs[i] !== 0;
  const hasTunnel = rows.tunnel[i] !== "" || c.vlanInner[i] !== 0;
  const marks = c.macs[i] | (c.isn[i] >= 0 ? mark.isn : 0) | (areBits ? mark.bits : 0) |
    (hasTimes ? mark.times : 0) | (hasTunnel ? mark.tunnel : 0) | (c.segments[i] > 1 ? mark.segments : 0) |
    (c.ipDepth[i] !== 1 ? mark.depth : 0);
  const to = packed;
  to.at = 0;
  to.octet(marks);
  if (marks & mark.depth) to.octet(c.ipDepth[i]);
  if (marks & mark.srcMac) to.copy(rows.macs, 12 * i, 6);
  if (marks & mark.dstMac) to.copy(rows.macs, 12 * i + 6, 6);
  if (marks & mark.isn) to.word(c.isn[i]);
  if (areBits) {
    to.octet(
      c.fwdSyn[i] | c.fwdFin[i] << 1 | c.fwdRst[i] << 2 | c.bwdSyn[i] << 3 | c.bwdFin[i] << 4 |
        c.bwdRst[i] << 5,
    );
  } else {
    to.number(c.fwdSyn[i]);
    to.number(c.fwdFin[i]);
    to.number(c.fwdRst[i]);
    to.number(c.bwdSyn[i]);
    to.number(c.bwdFin[i]);
    to.number(c.bwdRst[i]);
  }
  to.octet(c.fwdTtl[i]);
  to.octet(c.bwdTtl[i]);
  to.number(c.fwdPayload[i]);
  to.number(c.bwdPayload[i]);
  to.number(c.rttUs[i]);
  packStatistics(rows, i);
  const idMs = Math.floor(c.idUs[i] / 1e3);
  to.signed(c.storedMs[i] - idMs);
  to.number(Math.max(0, c.updatedMs[i] - c.storedMs[i]));
  if (hasTimes) {
    to.signed(startUs);
    to.signed(c.offsetUs[i]);
  }
  if (hasTunnel) {
    to.number(words.numberOf(rows.tunnel[i]));
    to.number(c.vlanInner[i]);
  }
  if (c.segments[i] > 1) to.number(c.segments[i]);
}

function packStatistics(rows: FlowRows, i: number): void {
  const c = rows.columns;
  packed.number(c.lengthMin[i]);
  packed.number(c.lengthMax[i]);
  packed.digits(spread(c.lengthSquare[i], lengthMean(rows, i)));
  if (packetsOf(rows, i) < 2) return;
  packed.digits(c.gapMin[i]);
  packed.digits(c.gapMax[i]);
  packed.digits(spread(c.gapSquare[i], gapMean(rows, i)));
}

function packetsOf({ columns: c }: FlowRows, i: number): number {
  return c.fwdPackets[i] + c.bwdPackets[i];
}

function lengthMean(rows: FlowRows, i: number): number {
  const { columns: c } = rows;
  const packets = packetsOf(rows, i);
  return packets > 0 ? (c.fwdBytes[i] + c.bwdBytes[i]) / packets : 0;
}

function gapMean(rows: FlowRows, i: number): number {
  const { columns: c } = rows;
  const packets = packetsOf(rows, i);
  return packets > 1 ? (c.endUs[i] - c.startUs[i]) / (packets - 1) : 0;
}

/** Deviation from mean and mean of squares. */
function spread(square: number, mean: number): number {
  const variance = square - mean * mean;
  return variance <= square * 1e-12 ? 0 : Math.sqrt(variance);
}

/** Appends a row that was read with {@link flowSelection}. @throws {RangeError} when it is damaged. */
export function readFlow(row: Row, rows: FlowRows, words: Words): number {
  const i = rows.append();
  try {
    readColumns(row, rows, i, words);
    unpack(new Reader(row.more as Uint8Array), rows, i, words, row.duration_us as number);
    rows.facts[i] = row.facts === null ? null : readFacts(factText(row.facts));
    return i;
  } catch (error) {
    rows.drop();
    throw error;
  }
}

/** MariaDB's client gives text columns as text. */
function factText(value: Value): string {
  return typeof value === "string" ? value : Buffer.from(value as Uint8Array).toString();
}

function readColumns(row: Row, rows: FlowRows, i: number, words: Words): void {
  const c = rows.columns;
  const number = (name: typeof flowColumns[number]) => row[name] as number;
  const src = row.src_ip as Uint8Array, dst = row.dst_ip as Uint8Array;
  for (const { length } of [src, dst]) {
    if (length !== 4 && length !== 16) {
      throw new RangeError(`Cannot read flow: an address has ${length} octets`);
    }
  }
  c.idUs[i] = row.id_us as number;
  c.slot[i] = row.slot as number;
  rows.network[i] = words.wordOf(number("network"));
  rows.protocol[i] = words.wordOf(number("protocol"));
  rows.app[i] = words.wordOf(number("app"));
  rows.fwdSensor[i] = words.wordOf(number("fwd_sensor"));
  rows.bwdSensor[i] = words.wordOf(number("bwd_sensor"));
  rows.ips.set(src, 32 * i);
  rows.ips.set(dst, 32 * i + 16);
  c.srcLength[i] = src.length;
  c.dstLength[i] = dst.length;
  c.srcPort[i] = number("src_port");
  c.dstPort[i] = number("dst_port");
  c.community[i] = number("community");
  c.fwdPackets[i] = number("fwd_packets");
  c.fwdBytes[i] = number("fwd_bytes");
  c.bwdPackets[i] = number("bwd_packets");
  c.bwdBytes[i] = number("bwd_bytes");
  c.fwdFlags[i] = number("fwd_tcp_flags");
  c.bwdFlags[i] = number("bwd_tcp_flags");
  c.connState[i] = placeIn(connStates, number("conn_state"));
  c.endReason[i] = placeIn(endReasons, number("end_reason"));
  c.vlan[i] = number("vlan");
  c.factor[i] = number("factor");
  c.isSuspect[i] = number("time_suspect");
  c.isNew[i] = 0;
}

function placeIn(words: readonly string[], number: number): number {
  if (number >= 1 && number <= words.length) return number - 1;
  throw new RangeError(`Cannot read flow: ${number} is not one of ${words.length} words`);
}

function unpack(from: Reader, rows: FlowRows, i: number, words: Words, durationUs: number): void {
  const c = rows.columns;
  const marks = from.octet();
  c.ipDepth[i] = marks & mark.depth ? from.octet() : 1;
  c.macs[i] = marks & 3;
  if (marks & mark.srcMac) from.copy(rows.macs, 12 * i, 6);
  if (marks & mark.dstMac) from.copy(rows.macs, 12 * i + 6, 6);
  c.isn[i] = marks & mark.isn ? from.word() : -1;
  const counts = [c.fwdSyn, c.fwdFin, c.fwdRst, c.bwdSyn, c.bwdFin, c.bwdRst];
  const bits = marks & mark.bits ? from.octet() : 0;
  for (const [bit, count] of counts.entries()) {
    count[i] = marks & mark.bits ? bits >> bit & 1 : from.number();
  }
  c.fwdTtl[i] = from.octet();
  c.bwdTtl[i] = from.octet();
  c.fwdPayload[i] = from.number();
  c.bwdPayload[i] = from.number();
  c.rttUs[i] = from.number();
  c.lengthMin[i] = from.number();
  c.lengthMax[i] = from.number();
  const lengthDeviation = from.digits();
  const hasGaps = packetsOf(rows, i) >= 2;
  c.gapMin[i] = hasGaps ? from.digits() : 0;
  c.gapMax[i] = hasGaps ? from.digits() : 0;
  const gapDeviation = hasGaps ? from.digits() : 0;
  c.storedMs[i] = from.signed() + Math.floor(c.idUs[i] / 1e3);
  c.updatedMs[i] = from.number() + c.storedMs[i];
  c.startUs[i] = c.idUs[i] + (marks & mark.times ? from.signed() : 0);
  c.offsetUs[i] = marks & mark.times ? from.signed() : 0;
  rows.tunnel[i] = marks & mark.tunnel ? words.wordOf(from.number()) : "";
  c.vlanInner[i] = marks & mark.tunnel ? from.number() : 0;
  c.segments[i] = marks & mark.segments ? from.number() : 1;
  c.endUs[i] = c.startUs[i] + durationUs;
  c.lengthSquare[i] = lengthMean(rows, i) ** 2 + lengthDeviation ** 2;
  c.gapSquare[i] = gapMean(rows, i) ** 2 + gapDeviation ** 2;
}
