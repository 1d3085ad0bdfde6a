/** Options of the flow table, their defaults and their check.
 *
 * Why these numbers: design section 3; argus and Zeek use the same order of magnitude. All times are packet time.
 * @module */

export interface FlowOptions {
  /** Open flows; when reached the one due next is exported early. */
  flowsMax: number;
  tcpIdleMs: number;
  /** UDP, ICMP, ARP and all other protocols. */
  otherIdleMs: number;
  /** TCP of which only one side was seen. */
  unansweredIdleMs: number;
  /** A closed connection is exported after this silence ... */
  closedMs: number;
  /** ... and forgotten after this one: stragglers until then are a further segment of the same flow. */
  lingerMs: number;
  /** Longest segment of a flow that goes on. */
  activeMs: number;
  /** A step back of the packets' clock beyond this starts the clock anew;
   * below it, packets were merely out of order. */
  stepBackMs: number;
  /** Makes hash values unpredictable to those who choose addresses and ports. */
  hashSeed: number;
}

export const flowDefaults: Readonly<FlowOptions> = {
  flowsMax: 262_144,
  tcpIdleMs: 120_000,
  otherIdleMs: 30_000,
  unansweredIdleMs: 10_000,
  closedMs: 100,
  lingerMs: 2_000,
  activeMs: 60_000,
  stepBackMs: 30_000,
  hashSeed: 0x9e3779b9,
};

/** Defaults filled in, each value checked.
 * @throws {RangeError} when a value is out of range. */
export function checkFlowOptions(given: Partial<FlowOptions>): FlowOptions {
  const options = { ...flowDefaults, ...given };
  check("flowsMax", options.flowsMax, 16, 4_194_304);
  for (
    const name of [
      "tcpIdleMs",
      "otherIdleMs",
      "unansweredIdleMs",
      "closedMs",
      "lingerMs",
      "activeMs",
      "stepBackMs",
    ] as const
  ) check(name, options[name], 1, 86_400_000);
  if (!Number.isInteger(options.hashSeed)) {
    throw new RangeError(
      `Cannot open flow table as "hashSeed" must be an integer: current value is ${options.hashSeed}`,
    );
  }
  return options;
}

function check(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot open flow table as "${name}" must be ${min} to ${max}: current value is ${value}`,
  );
}
