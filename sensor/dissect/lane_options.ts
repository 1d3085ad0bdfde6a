/** Options of the deep lane: names, defaults, bounds.
 *
 * In: what the caller sets. Out: all options, checked.
 * Invariant: every number is at least 1; the first wrong one is named. @module */

export interface LaneOptions {
  /** Live: refuse what does not fit. Otherwise wait for room. */
  live: boolean;
  /** Packets given to a child and not answered; bounds what a crash costs. */
  waitingPacketsMax: number;
  /** Replay: `turn` waits while more packets than this are not answered, for their flows wait in memory too. */
  replayPacketsMax: number;
  /** Bytes not yet written to a child. */
  bufferBytesMax: number;
  /** Live: packets taken in one second. */
  packetsPerSecondMax: number;
  /** Flows whose facts are held. */
  flowsMax: number;
  /** A child that owes answers is killed after this silence. */
  silenceMs: number;
  /** The same before its first answer: starting takes seconds on a small machine. */
  startMs: number;
  /** A child is relieved after this many packets, or after this time. */
  handOverPackets: number;
  handOverMs: number;
  /** After a hand-over the old child goes on with messages it has begun, until the new one took this many packets,
   * or for this time. */
  overlapPackets: number;
  overlapMs: number;
  /** First and last delay between a crash and the next child. */
  restartMinMs: number;
  restartMaxMs: number;
  /** How often the lane looks after its children. */
  tendMs: number;
}

const defaults: LaneOptions = {
  live: true,
  waitingPacketsMax: 32_768,
  replayPacketsMax: 2_048,
  bufferBytesMax: 16_000_000,
  packetsPerSecondMax: 30_000,
  flowsMax: 65_536,
  silenceMs: 3_000,
  startMs: 5_000,
  handOverPackets: 100_000,
  handOverMs: 600_000,
  overlapPackets: 4_096,
  overlapMs: 2_000,
  restartMinMs: 100,
  restartMaxMs: 5_000,
  tendMs: 50,
};

/** The options in force: `given` over the defaults. */
export function laneOptions(given: Partial<LaneOptions>): LaneOptions {
  const options = { ...defaults, ...given };
  for (const [name, value] of Object.entries(options)) {
    if (typeof value === "number" && !(value >= 1)) {
      throw new RangeError(`Cannot open the deep lane as "${name}" must be >= 1: current value is ${value}`);
    }
  }
  return options;
}
