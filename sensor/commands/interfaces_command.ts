/** `picket-sensor interfaces`: what could be captured on this machine. @module */

import { escapeLine } from "../../shared/escape.ts";
import { type Command, command, exitCodes } from "../../shared/command.ts";
import { captureOptions, generalOptions } from "../run/common_options.ts";
import type { Stages } from "../run/stages.ts";

const options = { dumpcapPath: captureOptions.dumpcapPath, ...generalOptions } as const;

export function interfacesCommand(stages: Stages): Command {
  return command({
    name: "interfaces",
    summary: "what can be captured on this machine",
    operands: "",
    about:
      `Lists the interfaces that dumpcap can open, with addresses, and which one \`run\` would take by itself.
An interface without addresses may be just right: a mirror port of a switch has none.`,
    examples: ["interfaces", "interfaces --json"],
    options,
    async run(given, _operands, edges) {
      const all = await stages.interfaces(given.dumpcapPath);
      if (given.json) edges.print(JSON.stringify(all));
      else {
        const width = Math.max(4, ...all.map(({ name }) => name.length));
        for (const { name, description, addresses, isLoopback, isUp } of all) {
          const words = [isLoopback ? "loopback" : isUp ? "up" : "no address", ...addresses, description];
          edges.print(escapeLine(`${name.padEnd(width)}  ${words.filter((word) => word !== "").join("  ")}`));
        }
        if (all.length === 0) {
          edges.print("none: is the permission to capture missing? see `picket-sensor doctor`");
        }
      }
      return all.length > 0 ? exitCodes.ok : exitCodes.environment;
    },
  });
}
