/** Tells what the body of an HTTP message begins with.
 *
 * In: its first octets, behind the header or in the packet after it. Out: `body` and `magic` of {@link HttpFact}, as
 * JSON behind what is there already.
 * Invariant: by the octets alone, whatever the header calls them; a chunk's size in front of them is passed over.
 * Sources: the formats' own first octets (PE, ELF, Mach-O, ZIP, Java class files, CFB, PDF, ...). @module */

import { FactText } from "../facts/fact_text.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";

const bodyOctetsMax = 128;
const chunkDigitsMax = 8;

interface Magic {
  words: string;
  octets: Uint8Array;
}

/** By their first octet. */
const magics: (Magic[] | undefined)[] = [];
for (
  const [name, hex] of [
    ["exe", "4d5a"],
    ["elf", "7f454c46"],
    ["zip", "504b0304"],
    ["class", "cafebabe"],
    ["macho", "cffaedfe"],
    ["macho", "cefaedfe"],
    ["dex", "6465780a"],
    ["ole", "d0cf11e0"],
    ["lnk", "4c00000001140200"],
    ["cab", "4d534346"],
    ["rar", "52617221"],
    ["7z", "377abcaf"],
    ["gzip", "1f8b08"],
    ["pdf", "255044462d"],
    ["rtf", "7b5c7274"],
    ["script", "2321"],
    ["php", "3c3f706870"],
    ["html", "3c21444f4354"],
    ["html", "3c21646f6374"],
    ["html", "3c68746d6c"],
    ["html", "3c48544d4c"],
  ] as const
) {
  const octets = Uint8Array.fromHex(hex);
  (magics[octets[0]] ??= []).push({ words: `,"magic":"${name}"`, octets });
}

const scratch = new Uint8Array(bodyOctetsMax);
const text = new FactText();
const requestHead = new TextEncoder().encode(`{"method"`);
const responseHead = new TextEncoder().encode(`{"status"`);

/** Adds what is in `buffer[at, limit)` to `out`, nothing when there is nothing. */
export function writeBody(
  out: FactText,
  buffer: Uint8Array,
  at: number,
  limit: number,
  isRequest: boolean,
): void {
  if (at >= limit) return;
  if (isRequest) {
    const count = Math.min(limit - at, bodyOctetsMax);
    for (let i = 0; i < count; i++) {
      const octet = buffer[at + i];
      scratch[i] = octet >= 0x20 && octet < 0x7f ? octet : 0x2e;
    }
    out.words(`,"body":`);
    out.quotedOctets(scratch, 0, count);
  }
  writeMagic(out, buffer, behindChunkSize(buffer, at, limit), limit);
}

/** Adds what a packet holds that goes on behind the header of a request or a response. */
export function readBody(
  buffer: Uint8Array,
  at: number,
  length: number,
  isRequest: boolean,
  facts: SegmentFacts,
): void {
  text.begin();
  writeBody(text, buffer, at, at + length, isRequest);
  if (text.length > 0) facts.growHttp(isRequest ? requestHead : responseHead, text);
}

function writeMagic(out: FactText, buffer: Uint8Array, at: number, limit: number): void {
  const candidates = magics[buffer[at]];
  if (candidates === undefined) return;
  for (const { words, octets } of candidates) {
    if (at + octets.length <= limit && startsWith(buffer, at, octets)) return out.words(words);
  }
}

function startsWith(buffer: Uint8Array, at: number, octets: Uint8Array): boolean {
  for (let i = 0; i < octets.length; i++) if (buffer[at + i] !== octets[i]) return false;
  return true;
}

/** Hexadecimal digits and a line's end. */
function behindChunkSize(buffer: Uint8Array, at: number, limit: number): number {
  let next = at;
  while (next < limit && next < at + chunkDigitsMax && isHexDigit(buffer[next])) next++;
  return next > at && next + 1 < limit && buffer[next] === 13 && buffer[next + 1] === 10 ? next + 2 : at;
}

function isHexDigit(octet: number): boolean {
  return (octet >= 0x30 && octet <= 0x39) || (octet >= 0x61 && octet <= 0x66) ||
    (octet >= 0x41 && octet <= 0x46);
}
