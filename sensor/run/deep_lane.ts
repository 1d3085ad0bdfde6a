/** Starts the deep lane for a command, or explains why there are no facts. @module */

import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { cacheFolder } from "./common_options.ts";
import type { RunningDeepLane, Stages } from "./stages.ts";

/** Null: go on without facts, which was said. @throws {CommandError} when facts are required and cannot be had. */
export async function startDeepLane(
  stages: Stages,
  options: { facts: boolean; requireFacts: boolean; tsharkPath: string },
  live: boolean,
  edges: Edges,
): Promise<RunningDeepLane | null> {
  if (!options.facts) return null;
  const { clock, reporter, env } = edges;
  const { tsharkPath } = options;
  try {
    return await stages.deepLane({ live, tsharkPath, cacheFolder: cacheFolder(env) }, { clock, reporter });
  } catch (cause) {
    const why = (cause as Error).message;
    if (options.requireFacts) throw new CommandError(exitCodes.environment, why, { cause });
    reporter.warn("no facts will be read from payloads, flows are complete", { why });
    return null;
  }
}
