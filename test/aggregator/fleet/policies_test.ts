/** Which policy a sensor gets, and what is said of it. @module */

import { assertEquals } from "@std/assert";
import { policiesInForce, PolicyBook, policyFor } from "../../../aggregator/fleet/policies.ts";
import { filterWarning, policyReasons } from "../../../aggregator/fleet/policy_reasons.ts";
import type { PolicyRow } from "../../../aggregator/model/policy.ts";
import { healthOf } from "../api/fixture.ts";

const roof = { sensor_id: "s1", name: "roof", tags: ["canary", "outdoor"] };
const cellar = { sensor_id: "s2", name: "cellar", tags: [] };

let version = 0;
function row(name: string, target: string, settings: PolicyRow["settings"] = {}): PolicyRow {
  return { version: ++version, name, target, settings, created_ms: 1, created_by: "ann" };
}

function versionFor(sensor: typeof roof, rows: readonly PolicyRow[]): number | null {
  return policyFor(sensor, policiesInForce(rows))?.version ?? null;
}

Deno.test("a version for a part reaches that part alone, and one for all later reaches everybody", () => {
  version = 0;
  const rows = [row("office", "all"), row("office", "tag=canary")];
  assertEquals([versionFor(roof, rows), versionFor(cellar, rows)], [2, 1]);
  rows.push(row("office", "all"));
  assertEquals([versionFor(roof, rows), versionFor(cellar, rows)], [3, 3]);
  assertEquals(
    policiesInForce(rows).map((one) => one.version),
    [3],
    "one for all takes the place of those before",
  );
  rows.push(row("office", "all", null));
  assertEquals([versionFor(roof, rows), versionFor(cellar, rows)], [null, null]);
  rows.push(row("office", "tag=outdoor"));
  assertEquals([versionFor(roof, rows), versionFor(cellar, rows)], [5, null]);
});

Deno.test("of several policies the closest to the sensor counts, then the newest", () => {
  version = 0;
  const rows = [row("one", "sensor=roof"), row("two", "tag=canary"), row("three", "all"), row("four", "all")];
  assertEquals([versionFor(roof, rows), versionFor(cellar, rows)], [1, 4]);
  assertEquals(versionFor({ ...roof, name: "attic" }, rows), 2);
  assertEquals(versionFor({ ...cellar, name: "x", sensor_id: "roof" }, rows), 1, "named by its id");
  assertEquals(versionFor({ ...cellar, tags: ["canar"] }, rows), 4);
});

Deno.test("policies are read again after 2 s, or when one was added", async () => {
  let reads = 0;
  const book = new PolicyBook({}, {
    store: { readPolicies: () => Promise.resolve([row("one", "all", { snaplen: ++reads * 100 })]) },
  });
  const at = async (nowMs: number) => (await book.wantedBy(roof, nowMs))?.settings.snaplen;
  assertEquals([await at(0), await at(1_999), await at(2_000)], [100, 100, 200]);
  book.forget();
  assertEquals(await at(2_001), 300);
});

Deno.test("a rolled back policy is said with its reason and what to do, and kept fields are said", () => {
  const policy = { name: "office", wanted: 4, actual: 3, problem: "syntax error", kept: [], filtered: true };
  const health = { ...healthOf("s1", 1), policy };
  assertEquals(policyReasons(health), [
    "Policy office version 4 was rolled back to version 3: syntax error. Change it: picket-aggregator policy set",
  ]);
  const kept = { ...policy, actual: 4, problem: null, kept: ["snaplen", "filter"] };
  assertEquals(policyReasons({ ...health, policy: kept }), [
    "Its own options keep snaplen, filter from policy office version 4",
  ]);
  assertEquals(policyReasons({ ...health, policy: { ...kept, kept: [] } }), []);
  assertEquals(policyReasons(healthOf("s1", 1)), []);
  assertEquals(filterWarning(health), "; the filter of its policy office version 3 may match nothing");
  assertEquals(filterWarning({ ...health, policy: { ...policy, filtered: false } }), "");
});
