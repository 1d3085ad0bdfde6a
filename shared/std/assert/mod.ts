/** The assertions of `@std/assert` that the tests use, for machines that cannot reach JSR.
 *
 * Invariant: same names, argument order and meaning as std, so that deleting `links` from deno.json changes nothing.
 * @module */

import { AssertionError, deepStrictEqual } from "node:assert";

export { AssertionError };

type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError({ message: msg || "Expected a truthy value" });
}

/** Fails unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    deepStrictEqual(actual, expected);
  } catch (error) {
    throw new AssertionError({ message: `${msg ? msg + ": " : ""}${(error as Error).message}` });
  }
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError({
    message: `${msg ? msg + ": " : ""}Expected "${actual}" to contain "${expected}"`,
  });
}

/** Fails unless `actual` matches `expected`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError({ message: `${msg ? msg + ": " : ""}Expected "${actual}" to match ${expected}` });
}

/** Fails unless `fn` throws an error of the class and with the text given; returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E {
  try {
    fn();
  } catch (error) {
    return checked(error, errorClass, msgIncludes, msg);
  }
  throw new AssertionError({ message: `${msg ? msg + ": " : ""}Expected function to throw` });
}

/** As {@link assertThrows}, for a promise. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    return checked(error, errorClass, msgIncludes, msg);
  }
  throw new AssertionError({ message: `${msg ? msg + ": " : ""}Expected function to reject` });
}

function checked<E extends Error>(
  error: unknown,
  errorClass: ErrorClass<E> | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): E {
  const prefix = msg ? msg + ": " : "";
  if (!(error instanceof Error)) {
    throw new AssertionError({ message: `${prefix}Expected an Error, got ${error}` });
  }
  if (errorClass && !(error instanceof (errorClass as unknown as new () => E))) {
    throw new AssertionError({
      message: `${prefix}Expected another error class than ${error.constructor.name}: ${error.message}`,
    });
  }
  if (msgIncludes !== undefined && !error.message.includes(msgIncludes)) {
    throw new AssertionError({ message: `${prefix}Expected "${error.message}" to contain "${msgIncludes}"` });
  }
  return error as E;
}
