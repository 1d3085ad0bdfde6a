/** `picket-sensor status`: how the sensor of this state folder is doing, from the file it writes at each check-in.
 * @module */

import { cardDrops } from "../../shared/control_messages.ts";
import { escapeLine } from "../../shared/escape.ts";
import { checkAuthority, fingerprintOf } from "../authority.ts";
import { loadIdentity } from "../control/identity.ts";
import { canaryText, isFresh, readStatus, type Status } from "../control/status_file.ts";
import type { Disk } from "../disk.ts";
import { type Command, command, exitCodes } from "../../shared/command.ts";
import { generalOptions, stateFolder } from "../run/common_options.ts";

export function statusCommand(deps: { disk: Disk }): Command {
  return command({
    name: "status",
    summary: "how the sensor on this machine is doing",
    operands: "",
    about: `Reads what the running sensor last wrote into its state folder; asks nobody else.
Exit code 0 when it runs and ships, 1 when it does not, 3 when this machine is not enrolled.`,
    examples: ["status", "status --json --state /var/lib/picket-sensor"],
    options: generalOptions,
    async run(given, _operands, edges) {
      const folder = stateFolder(given.state, edges.env);
      const identity = await loadIdentity(deps.disk, folder);
      const status = await readStatus(deps.disk, folder);
      const ageMs = status ? edges.clock.nowMs() - status.written_ms : null;
      const isRunning = isFresh(status, edges.clock.nowMs());
      const enrolled = identity?.enrolment ?? null;
      if (given.json) {
        const shown = enrolled && { ...enrolled, aggregator_ca: fingerprint(enrolled.aggregator_ca) };
        edges.print(
          JSON.stringify({ state: folder, enrolled: shown, running: isRunning, age_ms: ageMs, status }),
        );
      } else {
        if (enrolled) {
          const { name, sensor_id, site, aggregator } = enrolled;
          edges.print(`sensor     ${name} (${sensor_id}), site ${site}, aggregator ${aggregator}`);
        } else edges.print(`sensor     not enrolled in ${folder}: see \`picket-sensor enrol --help\``);
        for (const line of status ? lines(status, isRunning, ageMs!) : ["running    never, or not yet"]) {
          edges.print(escapeLine(line));
        }
      }
      if (!enrolled) return exitCodes.environment;
      const isWell = isRunning && status?.health.transport.error === null && !status?.health.spool.error;
      return isWell ? exitCodes.ok : exitCodes.failed;
    },
  });
}

/** Of the authority that is trusted, SHA-256; null = none. */
function fingerprint(pem: string | null): string | null {
  return pem === null ? null : fingerprintOf(checkAuthority(pem)[0]);
}

type Capture = Status["health"]["capture"];

function lines(status: Status, isRunning: boolean, ageMs: number): string[] {
  const { capture, flows, facts, spool, transport, ring, policy, upgrade } = status.health;
  const leftOut = Object.values(capture.left_out).reduce((sum, count) => sum + count, 0);
  return [
    `running    ${isRunning ? "yes" : "no"}, as of ${Math.max(0, Math.round(ageMs / 1_000))} s ago`,
    `capture    ${capture.state} ${capture.source}${capture.error ? `: ${capture.error}` : ""}`,
    ...(capture.links && capture.links.length > 1 ? capture.links.map(linkText) : []),
    `packets    ${capture.packets} seen, ${capture.in_flows} in flows, ${leftOut} left out`,
    `lost       ${lossText(capture)}`,
    `flows      ${flows.open} open, ${flows.segments} segments sealed, ${flows.evicted} evicted${
      flows.factor > 1 ? `; overloaded, keeps 1 flow in ${flows.factor}` : ""
    }`,
    `facts      ${facts.answered} of ${facts.offered} packets answered, ${facts.refused} refused, ${facts.restarts} restarts${
      facts.failures && facts.failures.total > 0 ? `, last failure: ${facts.failures.words}` : ""
    }`,
    `walls      ${wallsText(facts.walls)}`,
    `spool      ${spool.batches} batches, ${spool.bytes} of ${spool.bytes_max} octets, oldest ${
      Math.round(spool.oldest_s)
    } s, ${spool.dropped_batches} dropped, ${spool.quarantined} set aside${
      spool.error ? `; ${spool.error}, ${spool.unwritten} in memory only` : ""
    }`,
    `transport  ${transport.kind}, ${transport.sent_batches} batches sent${
      transport.error ? `: ${transport.error}` : ""
    }`,
    `ring       ${ringText(ring, status.written_ms)}`,
    ...(policy ? [`policy     ${policyText(policy)}`] : []),
    ...(upgrade ? [`upgrade    ${upgradeText(upgrade)}`] : []),
    `canary     ${canaryText(status)}`,
    `check-in   ${status.check_in_error ?? "good"}${
      status.clock_offset_ms === null ? "" : `, clock ${status.clock_offset_ms} ms behind the aggregator's`
    }`,
  ];
}

function policyText(
  { name, wanted, actual, problem, kept }: NonNullable<Status["health"]["policy"]>,
): string {
  const held = actual === 0 ? "own options hold" : `version ${actual} holds`;
  const words = name === null ? `none, ${held}` : `${name} version ${wanted}: ${held}`;
  return `${words}${problem === null ? "" : `, rolled back: ${problem}`}${
    kept.length > 0 ? `; own options keep ${kept.join(", ")}` : ""
  }`;
}

function upgradeText(
  { state, version, problem, key, received }: NonNullable<Status["health"]["upgrade"]>,
): string {
  const trusts = `release key ${key ?? "none"}`;
  if (state === "unable") return `none is taken: ${problem}`;
  if (state === "failed") return `version ${version} failed: ${problem}; ${trusts}`;
  if (state === "idle") return `none is under way; ${trusts}`;
  return `version ${version}, ${state}${state === "downloading" ? `, ${received} octets are there` : ""}`;
}

function ringText(ring: Status["health"]["ring"], writtenMs: number): string {
  if (!ring) return "no packets are kept";
  const { packets, overwritten, oldest, payload, bytes_max } = ring;
  const since = oldest === null
    ? ""
    : `, back to ${Math.max(0, Math.round(writtenMs / 1_000 - oldest))} s ago`;
  return `${packets} packets (${payload}) in ${bytes_max} octets${since}, ${overwritten} overwritten`;
}

function linkText({ name, error, dropped, restarts }: NonNullable<Capture["links"]>[number]): string {
  return `  ${name.padEnd(8)} ${
    error ?? "capturing"
  }, ${dropped} dropped by the kernel, ${restarts} restarts`;
}

function wallsText(walls: Status["health"]["facts"]["walls"]): string {
  if (!walls) return "not known: no tshark has run";
  const { standing, missing } = walls;
  const around = `around tshark: ${standing.join(", ") || "none"}`;
  return missing.length === 0 ? around : `${around}; MISSING: ${missing.join(", ")}`;
}

/** "3 dropped by the kernel, 0 by the card (eth0: 10 in, 2 out, 0 with errors);
 * of the last 60 s 3 by the kernel, 0 by the card". */
function lossText({ dropped, interfaces, recent }: Capture): string {
  const kernel = `${dropped} dropped by the kernel`;
  if (!interfaces) return `${kernel}; what the card dropped is not known`;
  const each = interfaces.map(({ name, rx_packets, tx_packets, rx_errors }) =>
    `${name}: ${rx_packets} in, ${tx_packets} out, ${rx_errors} with errors`
  );
  const lately = recent
    ? `; in the last ${
      Math.round(recent.seconds)
    } s ${recent.dropped} by the kernel, ${recent.card_dropped} by the card`
    : "";
  return `${kernel}, ${cardDrops(interfaces)} by the card (${each.join("; ")})${lately}`;
}
