/** Segments of one batch as typed columns: the form in which they go through ingest.
 *
 * In: the value of a verified batch, or segments as objects. Out: checked numbers, addresses as octets, and the digest
 * by which sightings of one flow meet, in the order of start; or a reason.
 * Invariant: every cell was checked to be of its kind,
 * and times and sums of them to be such that they can be stored and read back.
 * A digest is equal for both directions of a flow and for every sensor; ARP, whose flows have one direction and are
 * told apart by the sender's MAC, has one of its own.
 * Hot path: no object, string or closure for a segment; strings and facts are those that `JSON.parse` made. @module */

import { createHash } from "node:crypto";
import type { Refusal } from "../../shared/batch.ts";
import { communityIdInto } from "../../shared/community_id.ts";
import { areFacts, type Facts } from "../../shared/facts.ts";
import { arpProtocol, protocolNumber } from "../../shared/protocols.ts";
import {
  connStates,
  endReasons,
  type Segment,
  type SegmentColumn,
  segmentColumnNames,
  segmentColumns,
  segmentLimits,
} from "../../shared/segment.ts";
import type { KnownFacts } from "./known_facts.ts";
import { readIp } from "./read_ip.ts";
import { readMac } from "./read_mac.ts";

const numbers = {
  start_us: Float64Array,
  duration_us: Float64Array,
  flow_age_us: Float64Array,
  segment: Float64Array,
  ip_depth: Uint8Array,
  vlan: Uint16Array,
  vlan_inner: Uint16Array,
  src_port: Uint16Array,
  dst_port: Uint16Array,
  fwd_packets: Float64Array,
  fwd_bytes: Float64Array,
  fwd_payload_bytes: Float64Array,
  bwd_packets: Float64Array,
  bwd_bytes: Float64Array,
  bwd_payload_bytes: Float64Array,
  fwd_tcp_flags: Uint8Array,
  bwd_tcp_flags: Uint8Array,
  fwd_syn_count: Float64Array,
  bwd_syn_count: Float64Array,
  fwd_fin_count: Float64Array,
  bwd_fin_count: Float64Array,
  fwd_rst_count: Float64Array,
  bwd_rst_count: Float64Array,
  fwd_ttl: Uint8Array,
  bwd_ttl: Uint8Array,
  conn_state: Uint8Array,
  handshake_rtt_us: Float64Array,
  /** -1 = not seen. */
  tcp_isn: Float64Array,
  packet_length_min: Float64Array,
  packet_length_max: Float64Array,
  packet_length_deviation: Float64Array,
  interarrival_us_min: Float64Array,
  interarrival_us_max: Float64Array,
  interarrival_us_deviation: Float64Array,
  direction_guess: Uint8Array,
  end_reason: Uint8Array,
  factor: Float64Array,
} as const satisfies Partial<Record<SegmentColumn, unknown>>;
type NumberColumn = keyof typeof numbers;
const numberNames = Object.keys(numbers) as NumberColumn[];
const stringNames = ["tunnel", "protocol", "app_protocol"] as const;

export type NumberColumns = { [name in NumberColumn]: InstanceType<(typeof numbers)[name]> };

type Bounds = Record<string, number>;
/** Largest value of each kind of number in a batch. */
const batchBounds: Bounds = {
  time: segmentLimits.timeUsMax,
  count: segmentLimits.countMax,
  number: Number.MAX_SAFE_INTEGER,
  factor: segmentLimits.factorMax,
  port: 65_535,
  octet: 255,
  vlan: 4_095,
};
/** The same where segments did not travel: a stored flow is the sum of many. */
const ownBounds: Bounds = {
  ...batchBounds,
  time: Number.MAX_SAFE_INTEGER,
  count: Number.MAX_SAFE_INTEGER,
  number: Number.MAX_VALUE,
};
const connStateNumbers = new Map<unknown, number>(connStates.map((state, i) => [state, i]));
const endReasonNumbers = new Map<unknown, number>(endReasons.map((reason, i) => [reason, i]));
const namePattern = /^[a-z0-9._-]{0,32}$/;
const decoder = new TextDecoder("utf-8", { fatal: true });

export class SegmentColumns {
  readonly size: number;
  readonly numbers: NumberColumns;
  readonly tunnel: string[] = [];
  readonly protocol: string[] = [];
  readonly app_protocol: string[] = [];
  /** As they came; the octets are what counts. */
  readonly src_ip: string[] = [];
  readonly dst_ip: string[] = [];
  readonly facts: (Facts | null)[] = [];
  /** 32 octets a row: source, destination; and how many of 16 are used. */
  readonly ips: Uint8Array;
  readonly ipLengths: Uint8Array;
  /** 12 octets a row, and bit 1 for a source that has one, bit 2 for a destination. */
  readonly macs: Uint8Array;
  readonly hasMacs: Uint8Array;
  /** 20 octets a row. */
  readonly digests: Uint8Array;
  /** 1 = the digest is the Community ID's. */
  readonly isNamed: Uint8Array;
  /** 1 = the digest says which bucket the row is in; others are in bucket 0. */
  readonly isPlaced: Uint8Array;
  /** Rows by start: in a batch they stand as they compress best. */
  readonly order: Uint32Array;

  constructor(rows: number, numbers: NumberColumns) {
    this.size = rows;
    this.numbers = numbers;
    this.ips = new Uint8Array(32 * rows);
    this.ipLengths = new Uint8Array(2 * rows);
    this.macs = new Uint8Array(12 * rows);
    this.hasMacs = new Uint8Array(rows);
    this.digests = new Uint8Array(20 * rows);
    this.isNamed = new Uint8Array(rows);
    this.isPlaced = new Uint8Array(rows);
    this.order = new Uint32Array(rows);
  }
}

/** Decodes the value of a batch that has a good signature. Absent columns hold their default.
 * `known`: facts of former batches. */
export function readColumns(
  value: Uint8Array,
  rows: number,
  known: KnownFacts | null = null,
): SegmentColumns | Refusal {
  const column = known?.read(value, rows) ?? null;
  let parsed: unknown;
  try {
    const text = column === null
      ? decoder.decode(value)
      : `${decoder.decode(value.subarray(0, column.from))}null}`;
    parsed = JSON.parse(text);
  } catch {
    return "not_json";
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return "not_json";
  const given = parsed as Partial<Record<SegmentColumn, unknown[]>>;
  if (column !== null) given.facts = column.facts;
  for (const name of Object.keys(given)) if (!Object.hasOwn(segmentColumns, name)) return "column_unknown";
  for (const name of segmentColumnNames) {
    const cells = given[name] as unknown;
    if (cells !== undefined && (!Array.isArray(cells) || cells.length !== rows)) return "column_length";
  }
  const columns = fill(given, rows, batchBounds, column !== null);
  return typeof columns === "string" || areSumsBounded(columns.numbers, rows) ? columns : "column_value";
}

/** The same of segments that did not travel. */
export function columnsOf(segments: readonly Segment[]): SegmentColumns {
  const given: Partial<Record<SegmentColumn, unknown[]>> = {};
  const us = (seconds: number) => Math.round(seconds * 1e6);
  for (const name of segmentColumnNames) {
    if (name === "start_us") given[name] = segments.map((one) => us(one.start));
    else if (name === "duration_us") given[name] = segments.map((one) => us(one.end) - us(one.start));
    else if (name === "flow_age_us") given[name] = segments.map((one) => us(one.start) - us(one.flow_start));
    else given[name] = segments.map((one) => one[name] ?? segmentColumns[name].default);
  }
  const columns = fill(given, segments.length, ownBounds);
  if (typeof columns === "string") throw new RangeError(`Cannot use segments: ${columns}`);
  return columns;
}

function fill(
  given: Partial<Record<SegmentColumn, unknown[]>>,
  rows: number,
  bounds: Bounds,
  areFactsChecked = false,
): SegmentColumns | Refusal {
  const found: [NumberColumn, NumberColumns[NumberColumn]][] = [];
  for (const name of numberNames) {
    const cells = readNumbers(name, given[name], rows, bounds);
    if (cells === null) return "column_value";
    found.push([name, cells]);
  }
  // Made at once: adding them one by one by a computed name makes V8 look every column up in a hash table ever after.
  const columns = new SegmentColumns(rows, Object.fromEntries(found) as NumberColumns);
  for (const name of stringNames) {
    if (!readNames(columns[name], name, given[name], rows)) return "column_value";
  }
  for (const [end, name] of (["src_ip", "dst_ip"] as const).entries()) {
    if (!readIps(columns, end, given[name], columns[name])) return "column_value";
  }
  for (const [end, name] of (["src_mac", "dst_mac"] as const).entries()) {
    if (!readMacs(columns, end, given[name])) return "column_value";
  }
  for (let row = 0; row < rows; row++) {
    const facts = given.facts?.[row] ?? null;
    if (facts !== null && !areFactsChecked && !areFacts(facts)) return "column_value";
    columns.facts.push(facts as Facts | null);
  }
  addDigests(columns);
  const start = columns.numbers.start_us;
  for (let row = 0; row < rows; row++) columns.order[row] = row;
  columns.order.sort((a, b) => start[a] - start[b] || a - b);
  return columns;
}

/** Whether what is computed from a batch can be stored and read back; every cell has been checked before. */
function areSumsBounded(n: NumberColumns, rows: number): boolean {
  const { timeUsMax, batchSumMax } = segmentLimits;
  let packets = 0, bytes = 0;
  for (let row = 0; row < rows; row++) {
    if (n.start_us[row] + n.duration_us[row] > timeUsMax) return false;
    if (n.flow_age_us[row] > n.start_us[row]) return false;
    packets += (n.fwd_packets[row] + n.bwd_packets[row]) * n.factor[row];
    bytes += (n.fwd_bytes[row] + n.bwd_bytes[row]) * n.factor[row];
  }
  return packets <= batchSumMax && bytes <= batchSumMax;
}

/** Null when a cell is not of its kind. */
function readNumbers(name: NumberColumn, given: unknown[] | undefined, rows: number, bounds: Bounds) {
  const cells = new numbers[name](rows);
  const { kind, default: standard } = segmentColumns[name];
  if (kind === "conn_state" || kind === "end_reason") {
    const known = kind === "conn_state" ? connStateNumbers : endReasonNumbers;
    for (let row = 0; row < rows; row++) {
      const number = known.get(given === undefined ? standard : given[row]);
      if (number === undefined) return null;
      cells[row] = number;
    }
    return cells;
  }
  if (given === undefined) return cells.fill((standard as number | null) ?? -1);
  const max = kind === "isn" ? 0xffff_ffff : bounds[kind];
  const min = kind === "factor" ? 1 : 0;
  for (let row = 0; row < rows; row++) {
    const cell = given[row];
    if (cell === null && kind === "isn") {
      cells[row] = -1;
      continue;
    }
    if (typeof cell !== "number" || !(cell >= min && cell <= max)) return null;
    if (kind !== "number" && !Number.isInteger(cell)) return null;
    cells[row] = cell;
  }
  return cells;
}

function readNames(
  into: string[],
  name: typeof stringNames[number],
  given: unknown[] | undefined,
  rows: number,
): boolean {
  let last: unknown = segmentColumns[name].default;
  for (let row = 0; row < rows; row++) {
    const cell = given === undefined ? last : given[row];
    if (cell !== last && (typeof cell !== "string" || !namePattern.test(cell))) return false;
    into.push(cell as string);
    last = cell;
  }
  return true;
}

function readIps(
  columns: SegmentColumns,
  end: number,
  given: unknown[] | undefined,
  texts: string[],
): boolean {
  const { ips, ipLengths, size } = columns;
  let last: string | null = null, lastAt = 0, lastLength = 0;
  for (let row = 0; row < size; row++) {
    const cell = given === undefined ? "0.0.0.0" : given[row];
    const at = 32 * row + 16 * end;
    if (typeof cell !== "string") return false;
    if (cell === last) {
      for (let i = 0; i < lastLength; i++) ips[at + i] = ips[lastAt + i];
    } else {
      lastLength = readIp(cell, ips, at);
      if (lastLength === 0) return false;
      last = cell;
      lastAt = at;
    }
    texts.push(cell);
    ipLengths[2 * row + end] = lastLength;
  }
  return true;
}

function readMacs(columns: SegmentColumns, end: number, given: unknown[] | undefined): boolean {
  if (given === undefined) return true;
  for (let row = 0; row < columns.size; row++) {
    const cell = given[row];
    if (cell === "") continue;
    if (typeof cell !== "string" || !readMac(cell, columns.macs, 12 * row + 6 * end)) return false;
    columns.hasMacs[row] |= 1 << end;
  }
  return true;
}

function addDigests(columns: SegmentColumns): void {
  const { ips, ipLengths, protocol, digests, isNamed, isPlaced } = columns;
  const { src_port, dst_port } = columns.numbers;
  let name = "", number = protocolNumber("");
  for (let row = 0; row < columns.size; row++) {
    if (protocol[row] !== name) number = protocolNumber(name = protocol[row]);
    const length = ipLengths[2 * row];
    const isPair = number >= 0 && length === ipLengths[2 * row + 1];
    if (isPair) {
      const code = number === arpProtocol ? 0 : number;
      communityIdInto(code, ips, 32 * row, length, src_port[row], dst_port[row], digests, 20 * row);
      isPlaced[row] = 1;
    }
    if (isPair && number !== arpProtocol) isNamed[row] = 1;
  }
}

/** The key of a row whose own digest is no name: ARP's, told apart by the sender's MAC and by what it asks for,
 * and pairs of two families. */
export function ownKey(columns: SegmentColumns, row: number): Uint8Array {
  const hash = createHash("sha1").update(columns.protocol[row]);
  if (columns.hasMacs[row] & 1) hash.update(columns.macs.subarray(12 * row, 12 * row + 6));
  return hash.update(columns.ipLengths.subarray(2 * row, 2 * row + 2)).update(
    columns.ips.subarray(32 * row, 32 * row + 32),
  ).update(`${columns.numbers.src_port[row]}|${columns.numbers.dst_port[row]}`).digest();
}
