/** Options of detection: the detectors they mean, and the lists of threat intelligence these look into. @module */

import { catalogueWith } from "../detect/detectors/catalogue.ts";
import { loadCustomDetectors } from "../detect/custom.ts";
import type { Declaration } from "../detect/detector.ts";
import { type DetectionSettings, readSettings } from "../detect/settings.ts";
import { noPlaces, type Places } from "../model/place.ts";
import { IntelLists } from "../intel/lists.ts";
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
  intelligence: {
    kind: "text",
    default: "",
    value: "DIR",
    help: "Match traffic against the threat-intelligence lists in this folder: text, CSV, MISP, STIX",
  },
} as const satisfies OptionTable;

/** Detectors to start: {@link startDetectors} takes both. */
export interface DetectorChoice {
  settings: DetectionSettings;
  declarations: readonly Declaration[];
  /** Read once; null = none are given. Start them to have them read again when they change. */
  lists: IntelLists | null;
}

/** Detectors that ship and those of the operator's folder, with their settings. A module that cannot be used is
 * reported and left out. @throws {CommandError} */
export async function chooseDetectors(
  options: Options<typeof detectionOptions>,
  edges: Pick<Edges, "reporter" | "clock" | "randomBytes">,
  places: Places = noPlaces,
): Promise<DetectorChoice> {
  const lists = await readLists(options.intelligence, edges);
  const shipped = catalogueWith(lists, places);
  const taken = shipped.map(({ name }) => name);
  const declarations = [...shipped, ...await loadFolder(options.detectors, taken, edges.reporter)];
  const read = readSettings(options, declarations);
  if (!read.ok) throw new CommandError(exitCodes.usage, read.problems.join("\n"));
  return { settings: read.settings, declarations, lists };
}

/** A list that is refused is reported by {@link IntelLists}, and costs no other list anything. */
async function readLists(
  folder: string,
  { clock, reporter, randomBytes }: Pick<Edges, "reporter" | "clock" | "randomBytes">,
): Promise<IntelLists | null> {
  if (folder === "") return null;
  const lists = new IntelLists({ folder }, { clock, reporter, randomBytes });
  try {
    await lists.refresh();
  } catch (cause) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot use "intelligence" as folder "${folder}" is not readable: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (lists.entries === 0) {
    reporter.warn("no intelligence list is in force, nothing will be found by one", { folder });
  }
  return lists;
}

async function loadFolder(
  folder: string,
  taken: readonly string[],
  reporter: Edges["reporter"],
): Promise<Declaration[]> {
  if (folder === "") return [];
  try {
    const { declarations, problems } = await loadCustomDetectors(folder, taken);
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

/** The declarations of those names, all without names. @throws {CommandError} */
export function onlyThese(
  declarations: readonly Declaration[],
  names: readonly string[],
): readonly Declaration[] {
  const unknown = names.find((one) => !declarations.some(({ name }) => name === one));
  if (unknown !== undefined) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot choose a detector as "only" must name one of ${
        declarations.map(({ name }) => name).join(", ")
      }: current value is "${unknown.slice(0, 100)}"`,
    );
  }
  return names.length === 0 ? declarations : declarations.filter(({ name }) => names.includes(name));
}
