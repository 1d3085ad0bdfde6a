/** The options that say where addresses are: files for those outside, names for networks inside. @module */

import { filesMax, Geo } from "../intel/geo.ts";
import { NamedPlaces, Subnets } from "../intel/subnets.ts";
import type { Places } from "../model/place.ts";
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
  networks: {
    kind: "list",
    default: [],
    value: "NAME=NETWORK",
    help:
      'Call this network by a name, like "printers=10.2.0.0/16"; may be given several times; the narrowest counts',
  },
} as const satisfies OptionTable;

/** The files, read, and the names. One that is broken is reported by {@link Geo}, and costs no other anything.
 * @throws {CommandError} when one is not readable, or there are too many; when a network
 * cannot be read. */
export async function openGeo(
  { geoip, networks }: Options<typeof geoOptions>,
  { reporter }: Pick<Edges, "reporter">,
): Promise<{ places: Places; reload: () => Promise<void> }> {
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
  const geo = new Geo({ reporter });
  const places = networks.length === 0 ? geo : new NamedPlaces(geo, subnetsOf(networks));
  const reload = () => geo.load(geoip);
  if (geoip.length > 0) await reload();
  return { places, reload };
}

function subnetsOf(lines: readonly string[]): Subnets {
  try {
    return new Subnets(lines);
  } catch (error) {
    throw new CommandError(exitCodes.usage, (error as Error).message, { cause: error });
  }
}
