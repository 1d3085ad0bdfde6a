/** Decides, for every test file, which real services it gets.
 *
 * In: `PICKET_TEST_MARIADB`, `PICKET_TEST_KAFKA` (set by the gate, which starts one of each for the whole run), or
 * `missing: <reason>` in their place; `CI`.
 * Out: an address, or a reason to skip. Use at the top of a test file:
 *
 *     const mariadb = await useMariadb();
 *     Deno.test({ name: "store keeps flows", ignore: mariadb.ignore, fn: async () => {
 *       const url = await createDatabase(mariadb.address);
 *
 * Invariant: a missing service is said aloud and counted as skipped; with `CI=true` it fails the file instead.
 * Why: without the variables the file starts its own service outside any test, so that no test leaks it;
 * the guard ends it. @module */

import { mariadb } from "./mariadb.ts";
import { kafka } from "./kafka.ts";
import { browser } from "./browser.ts";
import type { Start } from "./service.ts";

export { createDatabase } from "./mariadb.ts";
export { newTopic } from "./kafka.ts";
export { openBrowser } from "./browser.ts";

export interface Use {
  /** For `Deno.test({ ignore })`. */
  ignore: boolean;
  /** Empty when ignored. */
  address: string;
}

const missingPrefix = "missing: ";

export const useMariadb = (): Promise<Use> => use(mariadb, "PICKET_TEST_MARIADB");
export const useKafka = (): Promise<Use> => use(kafka, "PICKET_TEST_KAFKA");
export const useBrowser = (): Promise<Use> => use(browser, "PICKET_TEST_BROWSER");

/** Says why tests are skipped: on standard error at once, and in the gate's closing list. Throws with `CI=true`. */
export function skipLoudly(what: string, reason: string): { ignore: true } {
  if (Deno.env.get("CI") === "true") throw new Error(`Cannot skip ${what} as "CI" is "true": ${reason}`);
  const line = `skipped: ${what}: ${reason}\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(line));
  const listPath = Deno.env.get("PICKET_TEST_SKIPS");
  if (listPath) Deno.writeTextFileSync(listPath, line, { append: true });
  return { ignore: true };
}

/** For a test that takes minutes: it runs by `deno task nightly` alone, and is said to be left out elsewhere. */
export function nightly(what: string): { ignore: boolean } {
  if (Deno.env.get("PICKET_TEST_NIGHTLY") === "1") return { ignore: false };
  Deno.stderr.writeSync(new TextEncoder().encode(`left for deno task nightly: ${what}\n`));
  return { ignore: true };
}

async function use(service: Start, variable: string): Promise<Use> {
  const shared = Deno.env.get(variable);
  if (shared && !shared.startsWith(missingPrefix)) return { ignore: false, address: shared };
  const reason = shared?.slice(missingPrefix.length) ?? await service.missing();
  if (reason) return { ...skipLoudly(`tests that need ${service.name}`, reason), address: "" };
  const { address } = await service.start();
  return { ignore: false, address };
}
