/** Reads the requests and responses of HTTP/2 without TLS (RFC 9113) where they arrive.
 *
 * In: the payloads of connections, in their order, and which of them may begin a direction.
 * Out: one entry of facts a header block, in the packet that its last octet came in.
 * Invariant: what is read is what was sent: a header block is read when it is whole, over segments and over HEADERS and
 * CONTINUATION; a hole in a body does no harm. A direction joined in its middle, or again behind a hole in a header, is
 * read without the table of what was sent before: fields that stand there are left out, and each block that lacks some
 * is counted in `cut`, as each hole is.
 * Bounds: {@link sidesMax} directions and {@link octetsMax} octets of all, the one that was silent longest goes first;
 * {@link blockOctetsMax} a header block. The chooser bounds the packets of a direction.
 * Why here and not by tshark: 4.0 knows HTTP/2 on ports of HTTP alone, loses headers that begin in the packet of the
 * preface and end in another, and tells a block of several frames in pieces. @module */

import { Octets } from "../../flow/octets.ts";
import { FactText } from "../facts/fact_text.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";
import { isHttp2Middle, upgradeOctets } from "../http2_signs.ts";
import { HpackDecoder } from "./hpack.ts";
import { plainKind } from "./plain_kind.ts";

const sidesMax = 512;
const octetsMax = 8_388_608;
const blockOctetsMax = 65_536;
const prefaceOctets = 24;
const frameHeaderOctets = 9;
const type = { headers: 1, pushPromise: 5, continuation: 9 } as const;
const flag = { endHeaders: 4, padded: 8, priority: 0x20 } as const;
const capitalP = 0x50;

/** Where the payload is. */
export interface Http2Payload {
  readonly plainOffset: number;
  readonly plainLength: number;
  /** TCP sequence number of its first octet. */
  readonly plainSeq: number;
  readonly isFromServer: boolean;
  /** Of {@link plainKind}: how it may begin its direction. */
  readonly plainKind: number;
}

/** What a header block says; "" = nothing. */
const said = {
  method: "",
  path: "",
  authority: "",
  host: "",
  userAgent: "",
  contentType: "",
  status: "",
  header: "",
};
/** As in http_message.ts. */
const telling = /[$%#*@{]\{|\)\s*\{|'[ %)+\-/|]|<[?!s]|rO0AB/i;
const tellingNameMax = 40, tellingBefore = 24, tellingBehind = 150;
const kept: Readonly<Record<string, keyof typeof said>> = {
  ":method": "method",
  ":path": "path",
  ":authority": "authority",
  host: "host",
  "user-agent": "userAgent",
  "content-type": "contentType",
  ":status": "status",
};
const text = new FactText();

/** One direction of a connection. */
class Side {
  nextSeq: number;
  readonly #hpack: HpackDecoder;
  /** Of the frame under way: octets that are still to come, and whether they belong to a header block. */
  #left = 0;
  #isBlock = false;
  #type = 0;
  #flags = 0;
  readonly #head = new Uint8Array(frameHeaderOctets);
  #headLength = 0;
  /** The header block under way; its last frame begins at `#frameAt`. */
  #block: Octets | null = null;
  #frameAt = 0;

  /** `isJoined`: what was sent before is not known. */
  constructor(seq: number, skipped: number, isJoined: boolean) {
    this.nextSeq = seq;
    this.#left = skipped;
    this.#hpack = new HpackDecoder(isJoined);
  }

  /** Memory that names on the wire decide. */
  get octets(): number {
    return this.#hpack.octets + (this.#block?.bytes.length ?? 0);
  }

  /** Whether it goes on at `seq`; false = octets that were not seen may have been part of a header. */
  reaches(seq: number): boolean {
    const missing = (seq - this.nextSeq) | 0;
    if (missing === 0) return true;
    if (missing < 0 || this.#isBlock || this.#left < missing) return false;
    this.#left -= missing;
    return true;
  }

  /** False = the frames make no sense (any more). */
  read(buffer: Uint8Array, start: number, end: number, facts: SegmentFacts): boolean {
    let at = start;
    while (at < end) {
      if (this.#left > 0) {
        const count = Math.min(this.#left, end - at);
        if (this.#isBlock) this.#append(buffer, at, at + count);
        this.#left -= count;
        at += count;
      } else {
        this.#head[this.#headLength++] = buffer[at++];
        if (this.#headLength < frameHeaderOctets) continue;
        this.#headLength = 0;
        if (!this.#begins()) return false;
      }
      if (this.#left === 0 && this.#isBlock && !this.#ends(facts)) return false;
    }
    return true;
  }

  #begins(): boolean {
    const head = this.#head;
    this.#left = head[0] << 16 | head[1] << 8 | head[2];
    this.#type = head[3];
    this.#flags = head[4];
    const isFurther = this.#type === type.continuation;
    this.#isBlock = isFurther || this.#type === type.headers || this.#type === type.pushPromise;
    // Between the frames of a block nothing else may stand (RFC 9113, 6.10).
    if (isFurther !== (this.#block !== null)) return false;
    if (!this.#isBlock) return true;
    this.#block ??= new Octets();
    this.#frameAt = this.#block.length;
    return this.#frameAt + this.#left <= blockOctetsMax;
  }

  #append(buffer: Uint8Array, start: number, end: number): void {
    const block = this.#block!;
    block.ensure(end - start);
    block.bytes.set(buffer.subarray(start, end), block.length);
    block.length += end - start;
  }

  /** The frame is whole. */
  #ends(facts: SegmentFacts): boolean {
    this.#isBlock = false;
    const block = this.#block!;
    if (this.#type !== type.continuation && !this.#strip(block)) return false;
    if ((this.#flags & flag.endHeaders) === 0) return true;
    this.#block = null;
    for (const name in said) said[name as keyof typeof said] = "";
    const isRead = this.#hpack.decode(block.bytes, block.length, (name, value) => {
      const what = Object.hasOwn(kept, name) ? kept[name] : undefined;
      if (what !== undefined) said[what] = value;
      else if (said.header === "" && name[0] !== ":") said.header = tellingHeader(name, value);
    });
    if (isRead) keep(facts);
    if (isRead && this.#hpack.isLacking) facts.cut(1);
    return isRead;
  }

  /** Takes away what stands around the fragment of a block in the first frame. */
  #strip(block: Octets): boolean {
    const { bytes } = block, at = this.#frameAt;
    const isPadded = (this.#flags & flag.padded) !== 0;
    const before = (isPadded ? 1 : 0) +
      (this.#type === type.pushPromise ? 4 : (this.#flags & flag.priority) !== 0 ? 5 : 0);
    const end = block.length - (isPadded && block.length > at ? bytes[at] : 0);
    if (at + before > end) return false;
    bytes.copyWithin(at, at + before, end);
    block.length = end - before;
    return true;
  }
}

function keep(facts: SegmentFacts): void {
  const { method, path, authority, host, userAgent, contentType, status, header } = said;
  text.begin();
  if (method !== "") {
    text.words(`{"method":`);
    text.quoted(method);
    write(`,"uri":`, path);
    write(`,"host":`, authority || host);
    write(`,"user_agent":`, userAgent);
  } else if (/^[1-9][0-9]{2}$/.test(status)) {
    text.words(`{"status":${status}`);
  } else {
    return; // Trailers.
  }
  write(`,"content_type":`, contentType);
  if (method !== "") write(`,"header":`, header);
  facts.addHttp(text, 0, text.length);
  facts.cut(text.cut);
}

function tellingHeader(name: string, value: string): string {
  const at = value.search(telling);
  if (at < 0) return "";
  const around = value.slice(Math.max(0, at - tellingBefore), at + tellingBehind);
  return `${name.slice(0, tellingNameMax)}: ${around}`;
}

function write(name: string, value: string): void {
  if (value === "") return;
  text.words(name);
  text.quoted(value);
}

/** The answer to "Upgrade: h2c", which says nothing else. */
function keepUpgrade(facts: SegmentFacts): void {
  text.begin();
  text.words(`{"status":101`);
  facts.addHttp(text, 0, text.length);
}

/** The side that a payload begins, if it begins one. */
function begun(payload: Http2Payload, buffer: Uint8Array): Side | undefined {
  const { plainKind: kind, plainOffset: at, plainLength, plainSeq } = payload;
  if (kind === plainKind.http2Upgrade) {
    return new Side(plainSeq, upgradeOctets(buffer, at, plainLength), false);
  }
  if (kind !== plainKind.http2) return undefined;
  return new Side(plainSeq, buffer[at] === capitalP ? prefaceOctets : 0, false);
}

export class Http2Reader {
  /** By flow and direction; the one read last is the last. */
  readonly #sides = new Map<number, Side>();
  #octets = 0;

  /** Directions whose next headers can be read. */
  get size(): number {
    return this.#sides.size;
  }

  /** Reads a payload into `facts`. */
  read(payload: Http2Payload, buffer: Uint8Array, facts: SegmentFacts, flowId: number): void {
    const { plainOffset: at, plainLength: length, plainSeq, isFromServer } = payload;
    const key = 2 * flowId + (isFromServer ? 1 : 0);
    let side = begun(payload, buffer) ?? this.#sides.get(key);
    this.#forget(key);
    if (payload.plainKind === plainKind.http2Upgrade) keepUpgrade(facts);
    if (side !== undefined && !side.reaches(plainSeq)) {
      facts.cut(1);
      side = undefined;
    }
    if (side === undefined) {
      if (!isHttp2Middle(buffer, at, length)) return;
      side = new Side(plainSeq, 0, true);
    }
    side.nextSeq = (plainSeq + length) | 0;
    if (!side.read(buffer, at, at + length, facts)) return facts.cut(1);
    this.#sides.set(key, side);
    this.#octets += side.octets;
    while (this.#sides.size > sidesMax || this.#octets > octetsMax) {
      this.#forget(this.#sides.keys().next().value!);
      facts.cut(1);
    }
  }

  #forget(key: number): void {
    const side = this.#sides.get(key);
    if (side === undefined) return;
    this.#octets -= side.octets;
    this.#sides.delete(key);
  }
}
