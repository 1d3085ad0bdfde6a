/** SHA-1 of a message that fits one block, for names of flows.
 *
 * In: at most 55 octets. Out: 20 octets, written where the caller wants them. Invariant: nothing is allocated.
 * Why our own: such a message is hashed for every flow, and a call to the runtime's costs ten times the hash itself. It
 * protects nothing: signatures and content hashes use SHA-256 and Ed25519 of the runtime. @module */

/** Longest message that fits one block with its padding. */
export const sha1OctetsMax = 55;

const words = new Int32Array(80);

export function sha1Into(message: Uint8Array, length: number, out: Uint8Array, at: number): void {
  if (length > sha1OctetsMax) {
    throw new RangeError(
      `Cannot hash message as its length must be <= ${sha1OctetsMax}: current value is ${length}`,
    );
  }
  for (let i = 0; i < 16; i++) words[i] = 0;
  for (let i = 0; i < length; i++) words[i >> 2] |= message[i] << (24 - 8 * (i & 3));
  words[length >> 2] |= 0x80 << (24 - 8 * (length & 3));
  words[15] = length * 8;
  for (let i = 16; i < 80; i++) {
    const word = words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16];
    words[i] = word << 1 | word >>> 31;
  }
  let a = 0x67452301, b = 0xefcdab89 | 0, c = 0x98badcfe | 0, d = 0x10325476, e = 0xc3d2e1f0 | 0;
  for (let i = 0; i < 80; i++) {
    let mixed: number;
    if (i < 20) mixed = (b & c | ~b & d) + 0x5a827999;
    else if (i < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (i < 60) mixed = (b & c | b & d | c & d) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    const next = (a << 5 | a >>> 27) + mixed + e + words[i] | 0;
    e = d;
    d = c;
    c = b << 30 | b >>> 2;
    b = a;
    a = next;
  }
  put(out, at, 0x67452301 + a);
  put(out, at + 4, 0xefcdab89 + b);
  put(out, at + 8, 0x98badcfe + c);
  put(out, at + 12, 0x10325476 + d);
  put(out, at + 16, 0xc3d2e1f0 + e);
}

function put(out: Uint8Array, at: number, word: number): void {
  out[at] = word >>> 24;
  out[at + 1] = word >>> 16;
  out[at + 2] = word >>> 8;
  out[at + 3] = word;
}
