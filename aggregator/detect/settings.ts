/** What operators may set of the detectors: limits, and which detectors are off.
 *
 * In: `--limit NAME.LIMIT=VALUE`, `--detector-off NAME`, or the same in the configuration file; the declarations.
 * Out: checked settings, or every problem at once. Invariant: a limit in force lies within its declared range.
 * @module */

import { type Declaration, type Limit, settableLimits } from "./detector.ts";

export interface DetectionSettings {
  /** By detector: the limits that differ from the declared ones. */
  limits: ReadonlyMap<string, Readonly<Record<string, number>>>;
  off: ReadonlySet<string>;
}

export type SettingsRead = { ok: true; settings: DetectionSettings } | { ok: false; problems: string[] };

export function readSettings(
  given: { limit: readonly string[]; detectorOff: readonly string[] },
  declarations: readonly Declaration[],
): SettingsRead {
  const problems: string[] = [];
  const byName = new Map(declarations.map((declaration) => [declaration.name, declaration]));
  const limits = new Map<string, Record<string, number>>();
  for (const text of given.limit) {
    const read = readLimit(text, byName);
    if (typeof read === "string") problems.push(read);
    else limits.set(read.detector, { ...limits.get(read.detector), [read.limit]: read.value });
  }
  for (const name of given.detectorOff) {
    if (!byName.has(name)) {
      problems.push(
        `Cannot switch off a detector as "detectorOff" must name one of ${[...byName.keys()].join(", ")}: ` +
          `current value is "${name.slice(0, 100)}"`,
      );
    }
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, settings: { limits, off: new Set(given.detectorOff) } };
}

function readLimit(
  text: string,
  byName: ReadonlyMap<string, Declaration>,
): { detector: string; limit: string; value: number } | string {
  const say = (rule: string) =>
    `Cannot set a limit as "limit" must ${rule}: current value is "${text.slice(0, 100)}"`;
  const match = /^([a-z0-9_]+)\.([A-Za-z0-9]+)=([0-9][0-9_]*(?:\.[0-9]+)?)$/.exec(text);
  if (!match) return say("read NAME.LIMIT=VALUE");
  const [, detector, name, number] = match;
  const declaration = byName.get(detector);
  if (!declaration) return say(`name one of the detectors ${[...byName.keys()].join(", ")}`);
  const table = settableLimits(declaration);
  if (!Object.hasOwn(table, name)) return say(`name one of ${Object.keys(table).join(", ")}`);
  const value = Number(number.replaceAll("_", ""));
  const [min, max] = rangeOf(table[name]);
  if (value < min || value > max) return say(`be ${min} to ${max} ${table[name].unit}`);
  return { detector, limit: name, value };
}

/** What a limit may be set to. */
export function rangeOf({ value, unit, range }: Limit): readonly [min: number, max: number] {
  if (range) return range;
  if (unit === "share") return [0, 1];
  const min = Number((value / 100).toPrecision(3));
  return [Number.isInteger(value) ? Math.max(1, Math.ceil(min)) : min, value * 100];
}
