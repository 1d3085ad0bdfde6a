/** What an episode is about, told by the parts of an update that make its key: `by.pair` instead of a text for each
 * update and detector.
 *
 * In: the ends of an update. Out: a hash and a comparison for the table of episodes; the text, when somebody reads it.
 * Invariant: two updates have the same key if and only if they have the same network and text. No part of a text holds
 * the "|" between parts, but for the network before them.
 * Hashes depend on numbers that are drawn at the start, so that nobody outside can choose addresses that collide.
 * Why: making, flattening and hashing texts took a quarter of the time of detection, and most are never read.
 * @module */

/** An end, as far as a key goes. */
export interface KeyEnd {
  readonly ip: string;
  readonly hash: number;
}

/** What keys are made of. */
export interface KeyEnds {
  readonly network: string;
  /** {@link saltOf} the network. */
  readonly salt: number;
  readonly protocol: string;
  readonly src: KeyEnd;
  readonly dst: KeyEnd;
  /** The destination's. */
  readonly port: number;
}

const protocolBit = 1, srcBit = 2, dstBit = 4, portBit = 8;
const drawn = crypto.getRandomValues(new Int32Array(2)), seed = drawn[0], factor = drawn[1] | 1;

let nextId = 1;

/** Some of the parts of an update, perhaps after a word that tells kinds of episode of one detector apart. */
export class KeyParts {
  /** Tells keys apart in tables; they are constants, and few. */
  readonly id = nextId++;
  readonly #seed: number;

  constructor(readonly parts: number, readonly word = "") {
    this.#seed = hashText(word, parts);
  }

  /** The same parts after `word`. */
  after(word: string): KeyParts {
    return new KeyParts(this.parts, word);
  }

  hashOf({ salt, protocol, src, dst, port }: KeyEnds): number {
    const { parts } = this;
    let hash = this.#seed ^ salt;
    // By its length and first letter alone: there are few protocols.
    if (parts & protocolBit) hash = mix(hash, protocol.length << 8 ^ protocol.charCodeAt(0));
    if (parts & srcBit) hash = mix(hash, src.hash);
    if (parts & dstBit) hash = mix(hash, dst.hash);
    if (parts & portBit) hash = mix(hash, port);
    return hash ^ hash >>> 15;
  }

  isSame(a: KeyEnds, b: KeyEnds): boolean {
    const { parts } = this;
    return a.network === b.network &&
      (!(parts & srcBit) || a.src.ip === b.src.ip) &&
      (!(parts & dstBit) || a.dst.ip === b.dst.ip) &&
      (!(parts & portBit) || a.port === b.port) &&
      (!(parts & protocolBit) || a.protocol === b.protocol);
  }

  /** With the network before it. */
  textOf({ network, protocol, src, dst, port }: KeyEnds): string {
    const { parts, word } = this;
    let text = word === "" ? network : `${network}|${word}`;
    if (parts & protocolBit) text += `|${protocol}`;
    if (parts & srcBit) text += `|${src.ip}`;
    if (parts & dstBit) text += `|${dst.ip}`;
    if (parts & portBit) text += `|${port}`;
    return text;
  }

  /** The ends of which `text` is the text; null = it is none of these parts. */
  read(text: string): KeyEnds | null {
    const values = text.split("|");
    const take = (bit: number) => this.parts & bit ? values.pop() : "";
    const port = take(portBit), dst = take(dstBit), src = take(srcBit), protocol = take(protocolBit);
    if (this.word !== "" && values.pop() !== this.word) return null;
    if (port === undefined || dst === undefined || src === undefined || protocol === undefined) return null;
    const network = values.join("|");
    const ends = {
      network,
      salt: saltOf(network),
      protocol,
      src: endOf(src),
      dst: endOf(dst),
      port: Number(port),
    };
    return this.textOf(ends) === text ? ends : null;
  }
}

/** Keys of the usual parts, by the words of their texts. */
export const by = {
  src: new KeyParts(srcBit),
  dst: new KeyParts(dstBit),
  /** "dst|port" */
  dstPort: new KeyParts(dstBit | portBit),
  /** "src|dst" */
  pair: new KeyParts(srcBit | dstBit),
  /** "src|dst|port" */
  pairPort: new KeyParts(srcBit | dstBit | portBit),
  /** "protocol|src" */
  protocolSrc: new KeyParts(protocolBit | srcBit),
  /** "protocol|dst" */
  protocolDst: new KeyParts(protocolBit | dstBit),
  /** "protocol|port" */
  protocolPort: new KeyParts(protocolBit | portBit),
  /** "protocol|src|port" */
  protocolSrcPort: new KeyParts(protocolBit | srcBit | portBit),
  /** "protocol|src|dst" */
  protocolPair: new KeyParts(protocolBit | srcBit | dstBit),
  /** "protocol|src|dst|port" */
  call: new KeyParts(protocolBit | srcBit | dstBit | portBit),
} as const;

/** Tells networks apart. */
export function saltOf(network: string): number {
  return hashText(network, seed);
}

/** Of the text of an address. */
export function hashOfIp(ip: string): number {
  return hashText(ip, seed);
}

function endOf(ip: string): KeyEnd {
  return { ip, hash: hashOfIp(ip) };
}

function hashText(text: string, from: number): number {
  let hash = from;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), factor);
  return mix(hash, text.length);
}

/** A round of MurmurHash3. */
function mix(hash: number, value: number): number {
  const scattered = Math.imul(Math.imul(value, 0xcc9e2d51) ^ value >>> 15, 0x1b873593);
  const turned = hash ^ scattered;
  return Math.imul(turned << 13 | turned >>> 19, 5) + 0xe6546b64 | 0;
}
