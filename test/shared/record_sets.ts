/** Record sets of Kafka, made by hand, so that a test can make any of them wrong.
 *
 * Out: {@link recordSet}, one set in message format 2; {@link fetchAnswer} around sets. The checksum stays zero: our
 * reader leaves it to the broker. @module */

import { Buffer } from "node:buffer";

export interface SetParts {
  base?: number;
  records: Uint8Array[];
  /** Claims of the header; by default the truth. */
  count?: number;
  lastDelta?: number;
  attributes?: number;
  magic?: number;
  pack?: (records: Uint8Array) => Uint8Array;
}

export function recordSet(parts: SetParts): Buffer {
  const { base = 0, records, attributes = 0, magic = 2, pack = (octets) => octets } = parts;
  const { count = records.length, lastDelta = records.length - 1 } = parts;
  const body = pack(Buffer.concat(records));
  const set = Buffer.alloc(61 + body.length);
  set.writeBigInt64BE(BigInt(base), 0);
  set.writeInt32BE(49 + body.length, 8);
  set[16] = magic;
  set.writeInt16BE(attributes, 21);
  set.writeInt32BE(lastDelta, 23);
  set.writeBigInt64BE(1_700_000_000_000n, 27);
  set.writeBigInt64BE(1_700_000_000_999n, 35);
  set.writeBigInt64BE(77n, 43);
  set.writeInt32BE(count, 57);
  set.set(body, 61);
  return set;
}

export function recordOf(
  offsetDelta: number,
  { key = null, value = null, headers = [] }: {
    key?: string | null;
    value?: string | Uint8Array | null;
    headers?: [string, string][];
  } = {},
): Buffer {
  const inside = Buffer.concat([
    Buffer.from([0]),
    varint(5),
    varint(offsetDelta),
    sized(key),
    sized(value),
    varint(headers.length),
    ...headers.flatMap(([name, text]) => [sized(name), sized(text)]),
  ]);
  return Buffer.concat([varint(inside.length), inside]);
}

export function varint(value: number): Buffer {
  const octets: number[] = [];
  let rest = value < 0 ? -value * 2 - 1 : value * 2;
  for (; rest > 127; rest = Math.floor(rest / 128)) octets.push(rest % 128 | 128);
  return Buffer.from([...octets, rest]);
}

function sized(value: string | Uint8Array | null): Buffer {
  if (value === null) return varint(-1);
  const octets = Buffer.from(value as string);
  return Buffer.concat([varint(octets.length), octets]);
}

/** A fetch answer (version 11) of one topic with one partition. */
export function fetchAnswer(topic: string, partition: number, sets: Buffer): Buffer {
  const head = Buffer.alloc(4 + 2 + 4 + 4 + 2 + topic.length + 4 + 4 + 2 + 24 + 4 + 4 + 4);
  let at = head.writeInt32BE(7, 0);
  at = head.writeInt32BE(99, at + 2);
  at = head.writeInt32BE(1, at);
  at = head.writeInt16BE(topic.length, at);
  at += head.write(topic, at);
  at = head.writeInt32BE(1, at);
  at = head.writeInt32BE(partition, at);
  at = head.writeBigInt64BE(50n, at + 2);
  at = head.writeBigInt64BE(49n, at);
  at = head.writeBigInt64BE(3n, at);
  at = head.writeInt32BE(-1, at);
  at = head.writeInt32BE(-1, at);
  head.writeInt32BE(sets.length, at);
  return Buffer.concat([head, sets]);
}
