/** Signs of HTTP/2 without TLS (RFC 9113): how a connection begins, and what its middle looks like.
 *
 * In: the first octets of a TCP payload. Out: a {@link plainKind}, `none` = it does not look like HTTP/2.
 * Invariant: reads only octets the caller says are there.
 * Rule for the middle: the payload begins with whole frames, each with the flags, the stream and the length that its
 * type allows, and one of them is a HEADERS frame or a frame of fixed length. What begins inside a frame is joined at
 * the next payload that begins with one.
 * Why so strict: any binary protocol with a length in front begins with zeros.
 * @module */

import { plainKind } from "./plain/plain_kind.ts";

const frameHeaderOctets = 9;
/** Frames looked at; more than one segment of small ones holds is no better sign. */
const framesMax = 8;
/** What no receiver has to take without saying so (RFC 9113, 4.2). */
const frameOctetsMax = 16_384;
const type = {
  headers: 1,
  settings: 4,
  pushPromise: 5,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** By type, for DATA to CONTINUATION: flags it may have; octets of its payload, -1 = any number; whether its stream is
 * 0 (0), another (1) or either (2). */
const flagsOf = [0x09, 0x2d, 0, 0, 0x01, 0x0c, 0x01, 0, 0, 0x04];
const octetsOf = [-1, -1, 5, 4, -1, -1, 8, -1, 4, -1];
const streamOf = [1, 1, 1, 1, 0, 1, 0, 0, 2, 1];

const preface = 0x50524920; // "PRI "
const response = 0x48545450; // "HTTP"
/** ORIGIN, and NO_RFC7540_PRIORITIES with some room. */
const typeMax = 12;
const settingMax = 16;
const carriageReturn = 13, lineFeed = 10;
/** A colon has the bit of small letters too. */
const upgrade = new TextEncoder().encode("upgrade:");

/** Nine bytes or more. `payloadIndex`: how many payloads this direction had before. */
export function http2Kind(buffer: Uint8Array, at: number, length: number, payloadIndex: number): number {
  const first = buffer[at];
  if (first === 0) {
    if (payloadIndex === 0 && isSettingsStart(buffer, at, length)) return plainKind.http2;
    return isHttp2Middle(buffer, at, length) ? plainKind.http2Middle : plainKind.none;
  }
  const start = first << 24 | buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3];
  // The client's preface (RFC 9113, 3.4), also where HTTP/1 went before.
  if (start === preface) {
    const isPreface = buffer[at + 4] === 0x2a && buffer[at + 5] === 0x20 && buffer[at + 6] === 0x48;
    return isPreface ? plainKind.http2 : plainKind.none;
  }
  return start === response && upgradeOctets(buffer, at, length) > 0
    ? plainKind.http2Upgrade
    : plainKind.none;
}

/** The server's settings, which begin its side. Behind those stands another frame, or nothing. */
function isSettingsStart(buffer: Uint8Array, at: number, length: number): boolean {
  const octets = buffer[at + 1] << 8 | buffer[at + 2], end = at + frameHeaderOctets + octets;
  return buffer[at + 3] === type.settings && octets % 6 === 0 && octets <= 600 &&
    (buffer[at + 4] | buffer[at + 5] | buffer[at + 6] | buffer[at + 7] | buffer[at + 8]) === 0 &&
    areSettings(buffer, at + frameHeaderOctets, Math.min(end, at + length)) &&
    (end + frameHeaderOctets > at + length || (buffer[end + 3] <= typeMax && buffer[end + 5] < 0x80));
}

/** Whether each setting has a number that is in use, or one that greases. */
function areSettings(buffer: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at + 2 <= end; at += 6) {
    const setting = buffer[at] << 8 | buffer[at + 1];
    if ((setting < 1 || setting > settingMax) && (setting & 0x0f0f) !== 0x0a0a) return false;
  }
  return true;
}

/** Whether the payload begins with frames of a connection that is under way. */
export function isHttp2Middle(buffer: Uint8Array, start: number, length: number): boolean {
  const limit = start + length;
  let isSure = false;
  for (let at = start, frames = 0; frames < framesMax && at < limit; frames++) {
    // The header of the next frame is in the next segment.
    if (at + frameHeaderOctets > limit) return isSure;
    const octets = buffer[at] << 16 | buffer[at + 1] << 8 | buffer[at + 2];
    if (!isFrame(buffer, at, octets)) return false;
    const body = at + frameHeaderOctets;
    at = body + octets;
    if (at <= limit && isSign(buffer, body, octets)) isSure = true;
  }
  return isSure;
}

/** Nine bytes or more. */
function isFrame(buffer: Uint8Array, at: number, octets: number): boolean {
  const kind = buffer[at + 3];
  if (kind > type.continuation || octets > frameOctetsMax) return false;
  if ((buffer[at + 4] & ~flagsOf[kind]) !== 0 || buffer[at + 5] >= 0x80) return false;
  if (octetsOf[kind] >= 0 && octets !== octetsOf[kind]) return false;
  if ((kind === type.settings && octets % 6 !== 0) || (kind === type.goAway && octets < 8)) return false;
  const isStream = (buffer[at + 5] | buffer[at + 6] | buffer[at + 7] | buffer[at + 8]) !== 0;
  return streamOf[kind] === 2 || isStream === (streamOf[kind] === 1);
}

/** A whole frame at `body` that hardly any other protocol has octet by octet. */
function isSign(buffer: Uint8Array, body: number, octets: number): boolean {
  const kind = buffer[body - 6], flags = buffer[body - 5];
  switch (kind) {
    case type.headers: {
      const at = body + ((flags & 8) !== 0 ? 1 : 0) + ((flags & 0x20) !== 0 ? 5 : 0);
      return at < body + octets && beginsHeaders(buffer[at]);
    }
    case type.windowUpdate:
      return buffer[body] < 0x80 &&
        (buffer[body] | buffer[body + 1] | buffer[body + 2] | buffer[body + 3]) !== 0;
    case type.settings:
      return areSettings(buffer, body, body + octets);
    case type.goAway:
      return buffer[body] < 0x80 && buffer[body + 4] === 0;
    default:
      // PING, PRIORITY and RST_STREAM have one length alone.
      return octetsOf[kind] > 0;
  }
}

/** A block begins with a pseudo-header, mostly one of the static table, or with a change of the table's size; trailers
 * begin with a name that is written out, or that the table has. */
function beginsHeaders(first: number): boolean {
  if (first >= 0x80) return first !== 0x80;
  const index = first >= 0x40 ? first & 0x3f : first >= 0x20 ? -1 : first & 0x0f;
  return index < 0 || index <= 14 || first > 0x40 + 61;
}

/** Octets of an answer that hands the connection over to HTTP/2 (RFC 7540, 3.2), its empty line included; 0 = it is
 * none, or goes on in another segment. Nine bytes or more. */
export function upgradeOctets(buffer: Uint8Array, at: number, length: number): number {
  // "HTTP/1.1 101"
  if (length < 16 || buffer[at + 5] !== 0x31 || buffer[at + 6] !== 0x2e) return 0;
  if (buffer[at + 9] !== 0x31 || buffer[at + 10] !== 0x30 || buffer[at + 11] !== 0x31) return 0;
  let isToHttp2 = false;
  for (let i = at + 12; i + 3 < at + length; i++) {
    if (buffer[i] !== lineFeed) continue;
    if (buffer[i + 1] === carriageReturn && buffer[i + 2] === lineFeed) return isToHttp2 ? i + 3 - at : 0;
    if (isUpgrade(buffer, i, at + length)) isToHttp2 = true;
  }
  // The loop needs an octet behind the empty line, which may be the last.
  const last = at + length - 1;
  const ends = buffer[last] === lineFeed && buffer[last - 1] === carriageReturn &&
    buffer[last - 2] === lineFeed;
  return isToHttp2 && ends ? length : 0;
}

/** "Upgrade: h2c", in any case, behind the line feed at `lineFeedAt`. */
function isUpgrade(buffer: Uint8Array, lineFeedAt: number, limit: number): boolean {
  let at = lineFeedAt + 1;
  if (at + upgrade.length + 4 > limit) return false;
  for (const octet of upgrade) if ((buffer[at++] | 0x20) !== octet) return false;
  while (at + 4 < limit && buffer[at] === 0x20) at++;
  return (buffer[at] | 0x20) === 0x68 && buffer[at + 1] === 0x32 && (buffer[at + 2] | 0x20) === 0x63 &&
    buffer[at + 3] === carriageReturn;
}
