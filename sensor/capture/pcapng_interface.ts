/** One interface of a pcapng section: link type and how its stamps are to be read.
 *
 * In: the two halves of a 64-bit stamp. Out: microseconds since the epoch.
 * Why not BigInt: a stamp a packet would be an allocation a packet;
 * the division is split so that every step stays exact. @module */

export class PcapngInterface {
  drops = 0;
  #isPowerOfTwo: boolean;
  /** Stamp units a microsecond (fine stamps), or microseconds a unit (coarse ones). */
  #divisor: number;
  #multiplier: number;
  /** 2^32 units in whole microseconds, and what is left over in units. */
  #highQuotient: number;
  #highRemainder: number;
  #offsetUs: number;

  /** `resolution` is the octet of if_tsresol, `offsetSeconds` that of if_tsoffset. */
  constructor(
    readonly linkType: number,
    readonly snapLength: number,
    resolution: number,
    offsetSeconds: number,
  ) {
    this.#isPowerOfTwo = (resolution & 0x80) !== 0;
    const exponent = resolution & 0x7f;
    this.#multiplier = this.#isPowerOfTwo ? 1e6 / 2 ** exponent : exponent < 6 ? 10 ** (6 - exponent) : 1;
    this.#divisor = !this.#isPowerOfTwo && exponent > 6 ? 10 ** (exponent - 6) : 1;
    this.#highQuotient = Math.floor(4_294_967_296 / this.#divisor);
    this.#highRemainder = 4_294_967_296 % this.#divisor;
    this.#offsetUs = offsetSeconds * 1e6;
  }

  timeUs(high: number, low: number): number {
    if (this.#divisor === 1) {
      if (this.#multiplier === 1) return high * 4_294_967_296 + low + this.#offsetUs;
      return Math.floor(high * (4_294_967_296 * this.#multiplier) + low * this.#multiplier) + this.#offsetUs;
    }
    return high * this.#highQuotient + Math.floor((high * this.#highRemainder + low) / this.#divisor) +
      this.#offsetUs;
  }
}
