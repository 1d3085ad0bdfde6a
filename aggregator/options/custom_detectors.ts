/** The operator's own detectors, as the option `--detectors` names them. @module */

import { createDetectors } from "../detect/detectors/catalogue.ts";
import type { Detector } from "../detect/detector.ts";
import { loadOwnDetectors } from "../detect/custom.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";

/** Loads the folder; "" = none. A module that cannot be used is said and left out. @throws {CommandError} */
export async function loadDetectors(
  folder: string,
  { reporter }: Pick<Edges, "reporter">,
): Promise<Detector[]> {
  if (folder === "") return [];
  try {
    const { detectors, problems } = await loadOwnDetectors(folder, createDetectors().map(({ name }) => name));
    for (const problem of problems) {
      reporter.count("own_detectors_refused_total");
      reporter.error(problem);
    }
    reporter.info("own detectors loaded", { folder, detectors: detectors.length });
    return detectors;
  } catch (cause) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot use "detectors" as folder "${folder}" is not readable: ${(cause as Error).message}`,
      { cause },
    );
  }
}
