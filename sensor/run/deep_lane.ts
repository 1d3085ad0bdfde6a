/** Starts the deep lane for a command, or explains why there are no facts. @module */

import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import type { Options } from "../../shared/options.ts";
import { cacheFolder, type factsOptions } from "./common_options.ts";
import type { RunningDeepLane, Stages } from "./stages.ts";

/** Null: go on without facts, which was said. @throws {CommandError} when facts are required and cannot be had. */
export async function startDeepLane(
  stages: Stages,
  options: Options<typeof factsOptions>,
  mode: { live: boolean; keyPath: string | null },
  edges: Edges,
): Promise<RunningDeepLane | null> {
  if (!options.facts) return null;
  const { clock, reporter, env } = edges;
  const deepLane = {
    ...mode,
    tsharkPath: options.tsharkPath,
    socketPath: options.dissector || null,
    cacheFolder: cacheFolder(env),
  };
  try {
    return await stages.deepLane(deepLane, { clock, reporter });
  } catch (cause) {
    const why = (cause as Error).message;
    if (options.requireFacts) throw new CommandError(exitCodes.environment, why, { cause });
    reporter.warn("no facts will be read from payloads, flows are complete", { why });
    return null;
  }
}
