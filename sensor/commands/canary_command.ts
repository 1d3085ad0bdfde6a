/** `picket-sensor canary`: does what is on the wire here arrive at the centre?
 *
 * Method: it asks the running service for a canary and reads the status file until the centre has found the flow. The
 * service sends it, so that its own interfaces, filter and way are what is tried. @module */

import { escapeLine } from "../../shared/escape.ts";
import { type Command, command, CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { canaryQuestion } from "../control/canary.ts";
import { canaryText, isFresh, readStatus, type Status } from "../control/status_file.ts";
import type { Disk } from "../disk.ts";
import { generalOptions, stateFolder } from "../run/common_options.ts";

const options = {
  waitS: { kind: "number", default: 90, min: 1, max: 3_600, help: "Wait so long for it to be found, s" },
  ...generalOptions,
} as const;
const lookMs = 1_000;

export function canaryCommand(deps: { disk: Disk }): Command {
  return command({
    name: "canary",
    summary: "send a marked flow, and wait until the centre has found it",
    operands: "",
    about:
      `Has the running service send one small datagram on each captured interface, to a group that no router passes on, and waits until
the aggregator has found its flow among those it stored: capture, filter, spool, the way and ingest work then.
Exit code 0 when it was found, 1 when it was not, 3 when no sensor runs here.`,
    examples: ["canary", "canary --json --wait-s 30"],
    options,
    async run(given, _operands, edges) {
      const folder = stateFolder(given.state, edges.env);
      const askedMs = edges.clock.nowMs();
      if (!isFresh(await readStatus(deps.disk, folder), askedMs)) {
        throw new CommandError(
          exitCodes.environment,
          `Cannot send a canary as no sensor runs with "${folder}": start it, or name its folder with --state`,
        );
      }
      await deps.disk.write(canaryQuestion(folder), new Uint8Array(0));
      const status = await wait(deps.disk, folder, askedMs, given.waitS * 1_000, edges);
      const isFound = isAnswer(status, askedMs) && status.canary_arrived_ms === status.health.canary!.sent_ms;
      const canary = isAnswer(status, askedMs) ? status.health.canary! : null;
      const says = status === null || canary === null ? "the service has not sent one" : canaryText(status);
      if (given.json) edges.print(JSON.stringify({ found: isFound, says, canary }));
      else edges.print(escapeLine(isFound || canary === null ? says : `${says}${adviceOf(canary)}`));
      return isFound ? exitCodes.ok : exitCodes.failed;
    },
  });
}

/** The service has sent one since it was asked. */
function isAnswer(status: Status | null, askedMs: number): status is Status {
  return status !== null && (status.health.canary?.sent_ms ?? -Infinity) >= askedMs;
}

/** The last status that was read: one that settles the question, or the one there was when the time was up. */
async function wait(
  disk: Disk,
  folder: string,
  askedMs: number,
  waitMs: number,
  { clock, reporter, signal }: Edges,
): Promise<Status | null> {
  const sinceMs = clock.monotonicMs();
  let isSaid = false;
  for (;;) {
    const status = await readStatus(disk, folder);
    if (isAnswer(status, askedMs)) {
      const { sent_ms, flows } = status.health.canary!;
      if (status.canary_arrived_ms === sent_ms || flows.every(({ problem }) => problem !== null)) {
        return status;
      }
      if (!isSaid) reporter.info("sent, waiting until the centre has found it");
      isSaid = true;
    }
    if (signal.aborted || clock.monotonicMs() - sinceMs >= waitMs) return status;
    await clock.sleep(lookMs, signal);
  }
}

function adviceOf({ flows }: NonNullable<Status["health"]["canary"]>): string {
  if (flows.every(({ problem }) => problem !== null)) return "";
  return "; look at `picket-sensor doctor`, then at the aggregator: `picket-aggregator sensor show NAME`";
}
