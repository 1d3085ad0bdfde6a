/** The option of the files that say where addresses are. @module */

import { filesMax, Geo } from "../intel/geo.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import type { Options, OptionTable } from "../../shared/options.ts";

export const geoOptions = {
  geoip: {
    kind: "list",
    default: [],
    value: "FILE",
    help:
      "Know country and operator of public addresses from this MaxMind-format file; may be given several times; read again on SIGHUP",
  },
} as const satisfies OptionTable;

/** The files, read. One that is broken is reported by {@link Geo}, and costs no other anything.
 * @throws {CommandError} when one is not readable, or there are too many. */
export async function openGeo(
  { geoip }: Options<typeof geoOptions>,
  { reporter }: Pick<Edges, "reporter">,
): Promise<{ places: Geo; reload: () => Promise<void> }> {
  if (geoip.length > filesMax) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot use "geoip" as files must be <= ${filesMax}: current number is ${geoip.length}`,
    );
  }
  for (const file of geoip) {
    try {
      (await Deno.open(file)).close();
    } catch (cause) {
      throw new CommandError(
        exitCodes.usage,
        `Cannot use "geoip" as file "${file}" is not readable: ${(cause as Error).message}`,
        { cause },
      );
    }
  }
  const places = new Geo({ reporter });
  const reload = () => places.load(geoip);
  if (geoip.length > 0) await reload();
  return { places, reload };
}
