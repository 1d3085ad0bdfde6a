/** Operators' own detectors, from a folder of modules.
 *
 * In: a folder; each `.ts` or `.js` file in it exports `detector`, of the shape of {@link Declaration}. Out: the
 * declarations, in the order of their file names; a file that cannot be used is reported and left out.
 * A compiled program holds no TypeScript compiler: it takes `.js` files,
 * and `.ts` files only as far as they are JavaScript.
 * Invariant: nothing is loaded unasked; a module runs with the rights of the aggregator, so its folder must be as well
 * kept as the program. @module */

import type { Declaration, Limit } from "./detector.ts";
import { rangeOf } from "./settings.ts";

export const customDetectorsMax = 100;

export interface CustomDetectors {
  declarations: Declaration[];
  /** One sentence for each file that was left out. */
  problems: string[];
}

/** Loads the folder. @throws when it cannot be listed. */
export async function loadCustomDetectors(
  folder: string,
  takenNames: readonly string[],
): Promise<CustomDetectors> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (!entry.isDirectory && /^[^.].*\.(ts|js|mjs)$/.test(entry.name)) names.push(entry.name);
  }
  names.sort();
  const loaded: CustomDetectors = { declarations: [], problems: [] };
  const taken = new Set(takenNames);
  const root = await Deno.realPath(folder);
  for (const name of names.slice(0, customDetectorsMax)) {
    const problem = await load(`${root}/${name}`, taken, loaded.declarations);
    if (problem) loaded.problems.push(`Cannot use detector ${name} as ${problem}`);
  }
  if (names.length > customDetectorsMax) {
    loaded.problems.push(
      `Cannot use all detectors of ${folder} as there may be ${customDetectorsMax}: it holds ${names.length}`,
    );
  }
  return loaded;
}

async function load(path: string, taken: Set<string>, declarations: Declaration[]): Promise<string | null> {
  let module: { detector?: unknown };
  try {
    const url = new URL("file:///");
    url.pathname = path;
    module = await import(url.href);
  } catch (error) {
    return `it does not load: ${error instanceof Error ? error.message : String(error)}`;
  }
  const { detector } = module;
  if (typeof detector !== "object" || detector === null) return `it exports no "detector"`;
  const wrong = wrongParts(detector as Record<string, unknown>);
  if (wrong.length > 0) return `these parts of "detector" are missing or wrong: ${wrong.join(", ")}`;
  const declaration = detector as Declaration;
  if (taken.has(declaration.name)) return `the name "${declaration.name}" is taken`;
  taken.add(declaration.name);
  declarations.push(declaration);
  return null;
}

const isText = (value: unknown) => typeof value === "string" && value.length > 0;
const isFunction = (value: unknown) => typeof value === "function";
const isAbsentOr = (is: (value: unknown) => boolean) => (value: unknown) => value === undefined || is(value);
const isWords = (value: unknown) => isText(value) || isFunction(value);
const isTable = (value: unknown) =>
  typeof value === "object" && value !== null && Object.values(value).every(isLimit);

const parts: Readonly<Record<string, (value: unknown) => boolean>> = {
  name: (value) => typeof value === "string" && /^[a-z0-9_]{1,64}$/.test(value),
  technique: isText,
  title: isText,
  about: isText,
  needs: isAbsentOr((value) => Array.isArray(value) && value.every(isText)),
  seesAll: isAbsentOr((value) => value === true),
  lacks: isAbsentOr(isFunction),
  limits: isTable,
  window: (value) => isTable(value) && ["quietS", "ageS"].every((name) => name in (value as object)),
  keysMax: isAbsentOr((value) => Number.isInteger(value) && (value as number) >= 1),
  items: isAbsentOr(isFunction),
  key: isFunction,
  opens: isAbsentOr(isFunction),
  shared: isAbsentOr(isFunction),
  notice: isAbsentOr(isFunction),
  slight: isAbsentOr(isSlight),
  open: isFunction,
  step: isFunction,
  isThreat: isFunction,
  finding: isFunction,
  meaning: isWords,
  action: isWords,
  falseAlarm: isWords,
};

function wrongParts(detector: Record<string, unknown>): string[] {
  return Object.entries(parts).filter(([name, isRight]) => !isRight(detector[name])).map(([name]) => name);
}

function isSlight(slight: unknown): boolean {
  if (typeof slight !== "object" || slight === null) return false;
  const { isSlight, item } = slight as Record<string, unknown>;
  return isFunction(isSlight) && (item === undefined || isFunction(item));
}

function isLimit(limit: unknown): boolean {
  if (typeof limit !== "object" || limit === null) return false;
  const { value, unit, why } = limit as Record<string, unknown>;
  if (typeof value !== "number" || !Number.isFinite(value) || !isText(unit) || !isText(why)) return false;
  const [min, max] = rangeOf(limit as Limit);
  return min <= value && value <= max;
}
