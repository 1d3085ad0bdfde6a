/** Shapes: whether parsed JSON is what it should be.
 *
 * In: any value. Out: yes, and then TypeScript knows it; or no, and whoever asked says of what.
 * Invariant: a check reads, it never changes;
 * keys that nobody asked for are let through, as a newer aggregator may send them.
 * Why not schema.ts, which the aggregator uses: that package is a third of a sensor's start and 11 MB of its memory,
 * for four small objects. @module */

/** Says whether a value has its shape. */
export type Check<T> = (value: unknown) => value is T;

type Checks<T> = { readonly [Key in keyof T]: Check<T[Key]> };

/** Text that matches as a whole or in part, as `form` says. */
export function text(form = /^/): Check<string> {
  return (value): value is string => typeof value === "string" && form.test(value);
}

/** A number that is neither infinite nor none. */
export const number: Check<number> = (value): value is number =>
  typeof value === "number" && Number.isFinite(value);

export function integer(min: number, max = Number.MAX_SAFE_INTEGER): Check<number> {
  return (value): value is number =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

export const flag: Check<boolean> = (value): value is boolean => typeof value === "boolean";

export function listOf<T>(check: Check<T>, max = Infinity): Check<T[]> {
  return (value): value is T[] => Array.isArray(value) && value.length <= max && value.every(check);
}

export function orNull<T>(check: Check<T>): Check<T | null> {
  return (value): value is T | null => value === null || check(value);
}

export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value): value is T | undefined => value === undefined || check(value);
}

/** An object that has at least these keys.
 *
 * @example A check that TypeScript believes.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { integer, object, text } from "./shape.ts";
 *
 * const isPeer = object<{ host: string; port: number }>({ host: text(/^[a-z.]+$/), port: integer(1, 65_535) });
 * const parsed: unknown = JSON.parse('{"host":"broker.example","port":9092,"more":true}');
 * assertEquals(isPeer(parsed) && parsed.port, 9092);
 * assertEquals(isPeer({ host: "broker.example", port: 0 }), false);
 * ``` */
export function object<T extends object>(checks: Checks<T>): Check<T> {
  const all = Object.entries(checks) as [string, Check<unknown>][];
  return (value): value is T =>
    typeof value === "object" && value !== null && !Array.isArray(value) &&
    all.every(([key, check]) => check((value as Record<string, unknown>)[key]));
}

/** The same with these keys alone: for what only we write. */
export function exactly<T extends object>(checks: Checks<T>): Check<T> {
  const has = object(checks);
  return (value): value is T => has(value) && Object.keys(value).every((key) => Object.hasOwn(checks, key));
}
