/** Detectors of the operator's own, from a folder of modules.
 *
 * In: a folder; each `.ts` or `.js` file in it exports `detector`, of the shape of {@link Detector}. Out: the detectors, in the order of
 * their file names; a file that cannot be used is told apart from the others and left out.
 * A compiled program holds no TypeScript compiler: it takes `.js` files, and `.ts` files only as far as they are JavaScript.
 * Invariant: nothing is loaded unasked; a module runs with the rights of the aggregator, so its folder must be as well kept as the program.
 * @module */

import type { Detector } from "./detector.ts";

export const ownDetectorsMax = 100;

export interface OwnDetectors {
  detectors: Detector[];
  /** One sentence for each file that was left out. */
  problems: string[];
}

/** Loads the folder. @throws when it cannot be listed. */
export async function loadOwnDetectors(folder: string, takenNames: readonly string[]): Promise<OwnDetectors> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (!entry.isDirectory && /^[^.].*\.(ts|js|mjs)$/.test(entry.name)) names.push(entry.name);
  }
  names.sort();
  const loaded: OwnDetectors = { detectors: [], problems: [] };
  const taken = new Set(takenNames);
  const root = await Deno.realPath(folder);
  for (const name of names.slice(0, ownDetectorsMax)) {
    const problem = await load(`${root}/${name}`, taken, loaded.detectors);
    if (problem) loaded.problems.push(`Cannot use detector ${name} as ${problem}`);
  }
  if (names.length > ownDetectorsMax) {
    loaded.problems.push(
      `Cannot use all detectors of ${folder} as there may be ${ownDetectorsMax}: it holds ${names.length}`,
    );
  }
  return loaded;
}

async function load(path: string, taken: Set<string>, detectors: Detector[]): Promise<string | null> {
  let module: { detector?: unknown };
  try {
    const url = new URL("file:///");
    url.pathname = path;
    module = await import(url.href);
  } catch (error) {
    return `it does not load: ${error instanceof Error ? error.message : String(error)}`;
  }
  const { detector } = module;
  if (!isDetector(detector)) return `it exports no "detector" with name, advice, step and collect`;
  if (taken.has(detector.name)) return `the name "${detector.name}" is taken`;
  taken.add(detector.name);
  detectors.push(detector);
  return null;
}

function isDetector(value: unknown): value is Detector {
  if (typeof value !== "object" || value === null) return false;
  const { name, advice, step, collect } = value as Record<string, unknown>;
  return typeof name === "string" && /^[a-z0-9_]{1,64}$/.test(name) && typeof step === "function" &&
    typeof collect === "function" && isAdvice(advice);
}

function isAdvice(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { summary, meaning, action, falseAlarm } = value as Record<string, unknown>;
  return typeof summary === "function" &&
    [meaning, action, falseAlarm].every((text) => typeof text === "string");
}
