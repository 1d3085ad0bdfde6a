/** Numbers and text out of the octets of a packet.
 *
 * In: a buffer and an offset. Out: values in network order, text of one character an octet.
 * Invariant: an octet beyond the buffer reads as 0;
 * every text is a string of its own, never a part of a larger one that it would keep.
 * Why texts are remembered: the same names, agents and paths come thousands of times; looking one up costs a third of
 * making it, and facts that wait then share it.
 * Bound: one text for each of {@link rememberedMax} places, the newest stays; only short ones.
 * Why node's Buffer: its `toString` takes a sixth of a microsecond for any name;
 * adding characters up, or a TextDecoder, three times that.
 * @module */

import { Buffer } from "node:buffer";

const rememberedMax = 4_096;
const rememberedCharactersMax = 128;
const remembered: string[] = new Array(rememberedMax).fill("");

/** Sixteen bits. */
export function wordAt(buffer: Uint8Array, at: number): number {
  return buffer[at] << 8 | buffer[at + 1];
}

/** The same, lower octet first. */
export function littleShort(buffer: Uint8Array, at: number): number {
  return buffer[at] | buffer[at + 1] << 8;
}

/** One character an octet, whatever it is. */
export function textAt(buffer: Uint8Array, start: number, end: number): string {
  if (end - start > rememberedCharactersMax) return newText(buffer, start, end);
  let hash = end - start;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buffer[i], 0x01000193); // FNV-1a
  const place = (hash ^ hash >>> 16) & rememberedMax - 1;
  const known = remembered[place];
  return equals(known, buffer, start, end) ? known : remembered[place] = newText(buffer, start, end);
}

function equals(text: string, buffer: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== buffer[start + i]) return false;
  return true;
}

function newText(buffer: Uint8Array, start: number, end: number): string {
  const length = Math.max(0, Math.min(end, buffer.length) - start);
  return Buffer.from(buffer.buffer, buffer.byteOffset + start, length).toString("latin1");
}

/** Whether all octets are printable ASCII. */
export function isPrintable(buffer: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (buffer[i] < 0x20 || buffer[i] > 0x7e) return false;
  return true;
}

/** Printable ASCII as text; null when an octet is anything else. */
export function readText(buffer: Uint8Array, start: number, end: number): string | null {
  return isPrintable(buffer, start, end) ? textAt(buffer, start, end) : null;
}
