/** Starts the sinks, which notify others.
 *
 * In: the file that names them. Out: running sinks, which add how to stop them to `stops`. @module */

import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import type { SensorDirectory } from "../fleet/directory.ts";
import type { MakeReport } from "../sinks/reports.ts";
import { BadSinks, Sinks } from "../sinks/sinks.ts";
import type { Store } from "../store/store.ts";
import type { Stop } from "./start.ts";

/** @throws {CommandError} when the file of sinks cannot be used. */
export async function startSinks(
  path: string,
  edges: Edges,
  { store, directory, holder, makeReport }: {
    store: Store;
    directory: SensorDirectory;
    holder: string;
    makeReport: MakeReport;
  },
  stops: Stop[],
): Promise<Sinks> {
  const { clock, reporter, randomBytes, env } = edges;
  const sensor = (id: string) => ({ name: directory.nameOf(id), tags: directory.tagsOf(id) });
  const sinks = new Sinks(path, {
    store,
    sensor,
    holder,
    clock,
    reporter,
    randomBytes,
    env,
    hostname: () => Deno.hostname(),
    makeReport,
  });
  try {
    await sinks.start();
  } catch (error) {
    if (!(error instanceof BadSinks)) throw error;
    throw new CommandError(exitCodes.usage, error.message, { cause: error });
  }
  const forget = edges.onReload(() => sinks.reload());
  stops.push(() => sinks.stop(), () => Promise.resolve(forget()));
  return sinks;
}
