/** `picket-sensor enrol`: gives this machine a place in the fleet. @module */

import type { OptionTable } from "../../shared/options.ts";
import { enrol } from "../control/enrol.ts";
import {
  createIdentity,
  IdentityError,
  loadIdentity,
  openStateFolder,
  saveEnrolment,
} from "../control/identity.ts";
import type { Disk } from "../disk.ts";
import { type Command, command, CommandError, exitCodes } from "../../shared/command.ts";
import { aggregatorOptions, generalOptions, openAggregator, stateFolder } from "../run/common_options.ts";

const options = {
  ...generalOptions,
  ...aggregatorOptions,
  token: {
    kind: "text",
    default: "",
    help: "One-time join token from `picket-aggregator token`; works for 15 minutes",
  },
  name: {
    kind: "text",
    default: "",
    help: "What people call this sensor, unique in the fleet; else the host name",
  },
  newKey: {
    kind: "flag",
    default: false,
    help: "Make a new key and forget the old one, as after the sensor was revoked",
  },
  timeoutMs: { kind: "number", default: 10_000, min: 100, max: 600_000, help: "Wait this long, ms" },
} as const satisfies OptionTable;

export function enrolCommand(deps: { disk: Disk; hostname: () => string }): Command {
  return command({
    name: "enrol",
    summary: "join a fleet with a one-time token",
    operands: "",
    about:
      `Makes this machine's key (it never leaves the state folder) and redeems a join token at the aggregator.
Get a token with \`picket-aggregator token\`. Giving the same command again after a lost answer is safe.`,
    examples: [
      "enrol --aggregator http://10.0.0.5:8600 --token TOKEN --name garage-pi",
      "enrol --aggregator https://picket.example --aggregator-ca ca.pem --token TOKEN",
    ],
    options,
    async run(given, operands, edges) {
      if (operands.length > 0) {
        throw new CommandError(exitCodes.usage, `Cannot enrol as "${operands[0]}" is not expected`);
      }
      if (given.aggregator === "") {
        throw new CommandError(exitCodes.usage, 'Cannot enrol as "--aggregator" is missing');
      }
      if (given.token.length < 20 || given.token.length > 200) {
        throw new CommandError(
          exitCodes.usage,
          'Cannot enrol as "--token" must be a join token: make one with `picket-aggregator token`',
        );
      }
      const name = given.name || deps.hostname();
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) {
        throw new CommandError(
          exitCodes.usage,
          `Cannot enrol as "--name" must be 1 to 63 letters, digits, ".", "_" or "-": current value is "${name}"`,
        );
      }
      const client = await openAggregator(given.aggregator, given, given.timeoutMs);
      const folder = stateFolder(given.state, edges.env);
      await openStateFolder(deps.disk, folder);
      const before = given.newKey ? null : await loadIdentity(deps.disk, folder);
      const identity = before ?? await newIdentity(deps.disk, folder, edges.randomBytes(32));
      const result = await enrol(client, identity, { token: given.token, name });
      client.close();
      if (!result.ok) {
        const isOutside = result.problem !== "refused";
        throw new CommandError(
          isOutside ? exitCodes.environment : exitCodes.failed,
          `Cannot enrol: ${result.message}`,
        );
      }
      const { enrolment } = result;
      await saveEnrolment(deps.disk, folder, enrolment);
      const { sensor_id, site, buckets, kafka, aggregator } = enrolment;
      const way = kafka ? `Kafka (${kafka.brokers.join(", ")}, topic ${kafka.topic})` : "HTTP";
      edges.print(
        given.json
          ? JSON.stringify({
            sensor_id,
            name: enrolment.name,
            site,
            buckets,
            kafka,
            aggregator,
            state: folder,
          })
          : `Enrolled as ${enrolment.name} (${sensor_id}) at site ${site}; batches go to ${aggregator} over ${way}.\n` +
            `Next: picket-sensor run --interface IF${given.state ? ` --state ${given.state}` : ""}`,
      );
      return exitCodes.ok;
    },
  });
}

async function newIdentity(disk: Disk, folder: string, seed: Uint8Array) {
  try {
    return await createIdentity(disk, folder, seed);
  } catch (cause) {
    if (cause instanceof IdentityError) throw cause;
    throw new IdentityError(
      `Cannot write identity into "${folder}": ${
        (cause as Error).message
      }; name a writable folder with --state`,
      { cause },
    );
  }
}
