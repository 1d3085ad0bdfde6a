/** What detection learned over days and cannot learn again from the flows of the last day: who calls which service,
 * which devices are known.
 *
 * In: the parts that learn, each with a name; text of an earlier run. Out: text for the next one.
 * Invariant: a part that cannot be read starts empty, and is counted; the other parts are not affected. Each part
 * bounds what it holds and what it reads back. @module */

import type { Reporter } from "../../shared/reporter.ts";
import { z } from "../../shared/schema.ts";

/** A part that learns. */
export interface Learning {
  /** As JSON can hold it. */
  save(): unknown;
  /** What {@link save} gave, perhaps of an earlier version, perhaps damaged. @throws when it is not that. */
  load(saved: unknown): void;
}

/** Where it survives; null = there is nothing yet. */
export interface LearnedFile {
  read(): string | null;
  write(text: string): void;
}

const stored = z.strictObject({ version: z.literal(1), parts: z.record(z.string().max(64), z.unknown()) });

/** A name made of what came over the wire. */
export const learnedKey = z.string().max(512);
export const learnedTime = z.number().min(0).max(32_503_680_000);
export const learnedHour = z.int().min(0).max(9_028_800);

/** The hours in which something was seen: a network is watched for so long. */
export interface Watched {
  /** Packet time of the first sight. */
  firstS: number;
  /** Different hours in which anything was seen. */
  hours: number;
  lastHour: number;
  /** Those before it, at most {@link hoursBeforeMax}:
   * flows come out of order, at the turn of an hour again and again. */
  hoursBefore: number[];
  /** Hours up to this one were counted by an earlier run,
   * and come again when flows are stepped through at the start. */
  knownHour: number;
}

const hoursBeforeMax = 4;

export function newWatched(atS: number): Watched {
  return { firstS: atS, hours: 0, lastHour: -1, hoursBefore: [], knownHour: -1 };
}

export function watch(watched: Watched, atS: number): void {
  watched.firstS = Math.min(watched.firstS, atS);
  const hour = Math.floor(atS / 3_600);
  if (hour === watched.lastHour) return;
  const isAgain = watched.hoursBefore.includes(hour);
  watched.hoursBefore = [...watched.hoursBefore.filter((one) => one !== hour), watched.lastHour].slice(
    -hoursBeforeMax,
  );
  watched.lastHour = hour;
  if (isAgain) return;
  if (hour > watched.knownHour) watched.hours++;
}

export const watchedRow = z.tuple([learnedKey, learnedTime, learnedHour, learnedHour.min(-1)]);

export function rowOfWatched(key: string, watched: Watched): z.infer<typeof watchedRow> {
  return [key, watched.firstS, watched.hours, Math.max(watched.lastHour, watched.knownHour)];
}

/** Packet times come from the wire: one that cannot be read again is not kept. */
export function isWatchedRow(row: unknown): boolean {
  return watchedRow.safeParse(row).success;
}

export function watchedOfRow([, firstS, hours, knownHour]: z.infer<typeof watchedRow>): Watched {
  return { firstS, hours, lastHour: -1, hoursBefore: [], knownHour };
}

/** Whether it learns. */
export function isLearning(part: unknown): part is Learning {
  return typeof part === "object" && part !== null && "save" in part && "load" in part;
}

export type Parts = Readonly<Record<string, Learning>>;

export function saveLearned(file: LearnedFile, parts: Parts, reporter: Reporter): void {
  try {
    const saved = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.save()]));
    file.write(JSON.stringify({ version: 1, parts: saved }));
  } catch (error) {
    refuse("cannot keep what was learned", error, reporter);
  }
}

export function loadLearned(file: LearnedFile, parts: Parts, reporter: Reporter): void {
  let saved: Record<string, unknown>;
  try {
    const text = file.read();
    if (text === null) return;
    saved = stored.parse(JSON.parse(text)).parts;
  } catch (error) {
    return refuse("cannot read what was learned before, learning begins anew", error, reporter);
  }
  for (const [name, part] of Object.entries(parts)) {
    if (!Object.hasOwn(saved, name)) continue;
    try {
      part.load(saved[name]);
    } catch (error) {
      refuse(`cannot read what ${name} learned before, it begins anew`, error, reporter);
    }
  }
}

function refuse(what: string, error: unknown, reporter: Reporter): void {
  reporter.count("learned_failures_total");
  reporter.warn(what, { error });
}
