/** Layout of one open flow in the flow table's memory: 72 words of 32 bits, part of them read as 64-bit floats.
 *
 * Invariant: `strideWords` is even and every float field lies behind the integer fields, so no two fields overlap.
 * Hot path: the first 16 words are what every packet reads, one cache line.
 * Floats hold integers up to 2^53: microseconds, octets. @module */

export const strideWords = 72;

/** Integer fields, as word offsets. */
export const word = {
  hash: 0,
  /** Next flow of the same hash chain, -1 = last. */
  chain: 1,
  /** In an exported segment, which is in no chain: index of its end reason. */
  endReason: 1,
  src: 2, // four words
  dst: 6, // four words
  /** Source port in the upper half; for ICMP the type and the type that answers it. */
  ports: 10,
  /** Protocol, family, depth, tunnel, one-way mark; see `metaOf`. */
  meta: 11,
  /** Outer tag in the lower 12 bits, inner above it. */
  vlan: 12,
  /** TCP state bits, and whether the direction is a guess; see tcp_state.ts. */
  state: 13,
  /** Flag unions and TTLs, four octets: forward flags, backward flags, forward TTL, backward TTL. */
  flags: 14,
  timeoutClass: 15,
  packets: 16, // forward, backward
  lengthMin: 18,
  lengthMax: 19,
  gapMinUs: 20,
  gapMaxUs: 21,
  synCount: 22, // forward, backward
  finCount: 24,
  rstCount: 26,
  isn: 28,
  segment: 29,
  wheelPrevious: 30,
  wheelNext: 31,
  wheelSlot: 32,
  /** Packets with payload so far in the whole flow, forward and backward; what the chooser remembers of each. */
  payloads: 33,
  memory: 35,
  /** Source and destination MAC, 12 octets. */
  macs: 37,
  handshakeUs: 40,
  /** ICMP code of the first packet; in the upper half the sampling level at the flow's start. */
  code: 41,
} as const;

/** Float fields, as offsets in 64-bit units. */
export const float = {
  startUs: 21,
  lastUs: 22,
  flowStartUs: 23,
  /** Table time of the last packet, and of the first of this segment; never steps back. */
  touchedUs: 24,
  openedUs: 25,
  bytes: 26, // forward, backward
  payloadBytes: 28,
  lengthSquares: 30,
  gapSumUs: 31,
  gapSquares: 32,
  synUs: 33,
  flowId: 34,
  /** Last ticket of the deep lane for this flow, 0 = none. */
  ticket: 35,
} as const;
