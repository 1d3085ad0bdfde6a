/** The sensor's self-examination: one finding for each thing that must be right, with what to do when it is not.
 *
 * In: probes, each an edge of its own. Out: findings in a fixed order; nothing is changed on the machine.
 * Invariant: every check ends within its own time limit and never throws; `fail` only for what stops the sensor from
 * working, `warn` for what limits it or is not set up yet. @module */

export const outcomes = ["ok", "warn", "fail"] as const;

export interface Finding {
  name: string;
  outcome: typeof outcomes[number];
  /** What was found. */
  detail: string;
  /** What to do about it; "" when nothing. */
  advice: string;
}

export type Check = () => Promise<Omit<Finding, "name">>;

/** Runs the checks one after the other; a check that throws has failed. */
export async function examine(
  checks: readonly [name: string, check: Check][],
  onFinding: (finding: Finding) => void,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, check] of checks) {
    const finding = { name, ...await check().catch(failed) };
    findings.push(finding);
    onFinding(finding);
  }
  return findings;
}

export const ok = (detail: string): Omit<Finding, "name"> => ({ outcome: "ok", detail, advice: "" });
export const warn = (detail: string, advice: string): Omit<Finding, "name"> => ({
  outcome: "warn",
  detail,
  advice,
});
export const fail = (detail: string, advice: string): Omit<Finding, "name"> => ({
  outcome: "fail",
  detail,
  advice,
});

function failed(error: unknown): Omit<Finding, "name"> {
  return fail(error instanceof Error ? error.message : String(error), "");
}

/** The wall clock is plausible: after this program was made, before its grandchildren. */
export function checkClock(nowMs: number): Omit<Finding, "name"> {
  const shown = new Date(nowMs).toISOString();
  const isSane = nowMs > Date.UTC(2024, 0, 1) && nowMs < Date.UTC(2100, 0, 1);
  return isSane ? ok(shown) : fail(`the clock says ${shown}`, "set it, for example with systemd-timesyncd");
}

/** How far the aggregator's clock, known to the second, is from ours. */
export function checkClockOffset(dateMs: number | null, nowMs: number): string {
  if (dateMs === null) return "";
  const offsetS = Math.round((dateMs - nowMs) / 1_000);
  return Math.abs(offsetS) <= 1 ? ", clocks agree" : `, its clock is ${offsetS} s from ours`;
}

/** A DNS query for `picket-canary.example`, as an IPv4 packet, for a check of the whole deep lane. */
export function canaryPacket(): { packet: Uint8Array; name: string } {
  const labels = ["picket-canary", "example"];
  const question = labels.flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  const dns = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...question, 0, 0, 1, 0, 1];
  const udp = [0xc0, 0, 0, 53, 0, dns.length + 8, 0, 0, ...dns];
  const ip = [0x45, 0, 0, udp.length + 20, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 53];
  const sum = ip.reduce((total, octet, i) => total + (i % 2 === 0 ? octet << 8 : octet), 0);
  const checksum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
  ip[10] = checksum >> 8;
  ip[11] = checksum & 255;
  return { packet: Uint8Array.from([...ip, ...udp]), name: labels.join(".") };
}
