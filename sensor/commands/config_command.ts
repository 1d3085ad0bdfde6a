/** `picket-sensor config`: what is in force, after file, environment and arguments. @module */

import { dumpOptions } from "../../shared/options.ts";
import { type Command, command, exitCodes } from "../../shared/command.ts";
import {
  captureOptions,
  factsOptions,
  flowOptions,
  generalOptions,
  stateFolder,
} from "../run/common_options.ts";
import { sessionOptions } from "../run/session.ts";

const options = {
  dump: { kind: "flag", default: true, help: "Only check, print nothing" },
  ...captureOptions,
  ...factsOptions,
  ...flowOptions,
  ...sessionOptions,
  ...generalOptions,
} as const;

/** Options of `config` itself, which mean nothing in a file. */
const ownNames = ["dump", "config", "json", "logJson"];

export function configCommand(): Command {
  return command({
    name: "config",
    summary: "check the configuration and print what is in force",
    operands: "",
    about:
      `Prints every option of \`run\` as a JSON file that can be given back with --config. Secrets are left out.
Exit code 2, and every problem at once, when something is wrong.`,
    examples: ["config --config sensor.json", "config --dump > sensor.json"],
    options,
    run(given, _operands, edges) {
      if (given.dump) {
        const { state, ...rest } = JSON.parse(dumpOptions(options, given));
        for (const name of ownNames) delete rest[name];
        edges.print(JSON.stringify({ state: stateFolder(state, edges.env), ...rest }, null, 2));
      }
      return Promise.resolve(exitCodes.ok);
    },
  });
}
