/** `picket-sensor doctor`: is everything here that the sensor needs? @module */

import { escapeLine } from "../../shared/escape.ts";
import { type Enrolment, identityPath, loadIdentity } from "../control/identity.ts";
import { isFresh, readStatus } from "../control/status_file.ts";
import { type Check, checkClock, examine, fail, type Finding, ok, warn } from "../doctor.ts";
import { type Command, command, exitCodes } from "../../shared/command.ts";
import {
  authorityFor,
  captureOptions,
  factsOptions,
  generalOptions,
  stateFolder,
} from "../run/common_options.ts";
import {
  aggregatorCheck,
  arrivalCheck,
  brokerCheck,
  canaryCheck,
  captureCheck,
  machineCheck,
  stateCheck,
  toolCheck,
} from "../run/probes.ts";
import { sessionOptions } from "../run/session.ts";
import type { Stages } from "../run/stages.ts";

const options = {
  ...captureOptions,
  tsharkPath: factsOptions.tsharkPath,
  ...sessionOptions,
  ...generalOptions,
} as const;

export function doctorCommand(stages: Stages): Command {
  return command({
    name: "doctor",
    summary: "check tools, permissions, interface, disk, clock, aggregator",
    operands: "",
    about:
      `Looks at everything the sensor needs and says what to do about what is not right. Changes nothing, needs no enrolment.
Exit code 0 when nothing failed (warnings allowed), else 1.`,
    examples: ["doctor", "doctor --interface eth0 --json", "doctor --aggregator http://10.0.0.5:8600"],
    options,
    async run(given, _operands, edges) {
      const folder = stateFolder(given.state, edges.env);
      let enrolment: Enrolment | null = null;
      const identityCheck: Check = async () => {
        enrolment = (await loadIdentity(stages.disk, folder))?.enrolment ?? null;
        if (enrolment === null) return warn(`not enrolled in ${folder}`, "use `picket-sensor enrol`");
        return ok(`${enrolment.name} (${enrolment.sensor_id}), site ${enrolment.site}`);
      };
      // These two look at the enrolment when their turn comes, which is after the check that reads it.
      const aggregator: Check = async () => {
        const ca = await authorityFor(given.aggregatorCa, enrolment?.aggregator_ca ?? null);
        return await aggregatorCheck(given.aggregator || enrolment?.aggregator || "", ca, edges)();
      };
      const running = async () => {
        const status = await readStatus(stages.disk, folder);
        return isFresh(status, edges.clock.nowMs()) ? status : null;
      };
      const broker: Check = () => brokerCheck(given, enrolment, edges)();
      const checks: [string, Check][] = [
        ["machine", machineCheck()],
        ["clock", () => Promise.resolve(checkClock(edges.clock.nowMs()))],
        ["state folder", stateCheck(folder)],
        ["dumpcap", toolCheck(given.dumpcapPath, "to capture live", false)],
        ["tshark", toolCheck(given.tsharkPath, "to read facts from payloads", false)],
        [
          "tshark canary",
          canaryCheck(stages, {
            tsharkPath: given.tsharkPath,
            keyPath: identityPath(folder),
            running: async () => (await running())?.health.facts.walls ?? null,
          }, edges),
        ],
        [
          "capture",
          captureCheck(stages, {
            interfaces: given.interface,
            filter: given.filter,
            snaplen: given.snaplen,
            bufferMb: given.bufferMb,
            dumpcapPath: given.dumpcapPath,
          }, edges),
        ],
        ["identity", () => identityCheck().catch((error) => fail(error.message, ""))],
        ["aggregator", aggregator],
        ["broker", broker],
        ["canary", arrivalCheck(running)],
      ];
      const print = given.json ? () => {} : (finding: Finding) => edges.print(lineOf(finding));
      const findings = await examine(checks, print);
      const failures = findings.filter((finding) => finding.outcome === "fail").length;
      const warnings = findings.filter((finding) => finding.outcome === "warn").length;
      if (given.json) edges.print(JSON.stringify({ failures, warnings, findings }));
      else edges.print(`${failures} failed, ${warnings} warnings`);
      return failures > 0 ? exitCodes.failed : exitCodes.ok;
    },
  });
}

function lineOf({ name, outcome, detail, advice }: Finding): string {
  const line = escapeLine(`${outcome.padEnd(4)}  ${name.padEnd(13)}  ${detail}`);
  return advice === "" ? line : `${line}\n${" ".repeat(21)}${escapeLine(`-> ${advice}`)}`;
}
