/** Options of detection, and the detectors they mean. @module */

import { catalogue } from "../detect/detectors/catalogue.ts";
import { loadCustomDetectors } from "../detect/custom.ts";
import type { Declaration } from "../detect/detector.ts";
import { type DetectionSettings, readSettings } from "../detect/settings.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import type { Options, OptionTable } from "../../shared/options.ts";

export const detectionOptions = {
  detectors: {
    kind: "text",
    default: "",
    value: "DIR",
    help: "Also use the detectors in this folder of modules",
  },
  limit: {
    kind: "list",
    default: [],
    value: "NAME.LIMIT=VALUE",
    help: "Set a limit of a detector; may be given several times",
  },
  detectorOff: {
    kind: "list",
    default: [],
    value: "NAME",
    help: "Switch a detector off; may be given several times",
  },
} as const satisfies OptionTable;

/** Detectors to start: {@link startDetectors} takes both. */
export interface DetectorChoice {
  settings: DetectionSettings;
  declarations: readonly Declaration[];
}

/** Detectors that ship and those of the operator's folder, with their settings. A module that cannot be used is reported and left
 * out. @throws {CommandError} */
export async function chooseDetectors(
  options: Options<typeof detectionOptions>,
  { reporter }: Pick<Edges, "reporter">,
): Promise<DetectorChoice> {
  const declarations = [...catalogue, ...await loadFolder(options.detectors, reporter)];
  const read = readSettings(options, declarations);
  if (!read.ok) throw new CommandError(exitCodes.usage, read.problems.join("\n"));
  return { settings: read.settings, declarations };
}

async function loadFolder(folder: string, reporter: Edges["reporter"]): Promise<Declaration[]> {
  if (folder === "") return [];
  try {
    const { declarations, problems } = await loadCustomDetectors(folder, catalogue.map(({ name }) => name));
    for (const problem of problems) {
      reporter.count("custom_detectors_refused_total");
      reporter.error(problem);
    }
    reporter.info("custom detectors loaded", { folder, detectors: declarations.length });
    return declarations;
  } catch (cause) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot use "detectors" as folder "${folder}" is not readable: ${(cause as Error).message}`,
      { cause },
    );
  }
}
