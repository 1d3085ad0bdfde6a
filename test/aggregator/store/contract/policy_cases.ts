/** What the topic of policies must do: keep every version, give each a number of its own, refuse what is too much.
 * @module */

import { assert, assertEquals } from "@std/assert";
import type { PolicyRow } from "../../../../aggregator/model/policy.ts";
import type { Test } from "../contract.ts";
import { nowMs } from "../rows.ts";

function policy(name: string, change: Partial<PolicyRow> = {}): Omit<PolicyRow, "version"> {
  return { name, target: "all", settings: { snaplen: 256 }, created_ms: nowMs, created_by: "ann", ...change };
}

export function policyCases(test: Test): void {
  test("keeps every version of a policy whole, and its end, each with a number of its own", async ({ store, reopen }) => {
    const filter = 'not (host 192.0.2.1) and "x" \\ é';
    const first = await store.addPolicy(
      policy("office", { settings: { filter, noise: ["mdns"], facts: false } }),
    );
    const second = await store.addPolicy(policy("office", { target: "tag=canary", settings: {} }));
    const ended = await store.addPolicy(policy("office", { settings: null, created_by: "x".repeat(100) }));
    assert(first! < second! && second! < ended!);
    const rows = await (await reopen()).readPolicies();
    assertEquals(rows.map(({ version }) => version), [first, second, ended]);
    assertEquals(rows[0], {
      ...policy("office", { settings: { filter, noise: ["mdns"], facts: false } }),
      version: first!,
    });
    assertEquals([rows[1].target, rows[1].settings], ["tag=canary", {}]);
    assertEquals([rows[2].settings, rows[2].created_by.length], [null, 64]);
  });

  test("audits who set and who ended a policy, with the version", async ({ store }) => {
    const by = { name: "ann", keyId: "0123456789ab" };
    const version = await store.addPolicy(policy("office"), by);
    await store.addPolicy(policy("office", { settings: null }), by);
    await store.addPolicy(policy("unaudited"));
    const { rows } = await store.readAudit({ limit: 10 });
    assertEquals(rows.map(({ action, subject, made_by }) => [action, subject, made_by]), [
      ["policy_end", "office", "ann"],
      ["policy_set", "office", "ann"],
    ]);
    assertEquals(JSON.parse(rows[1].detail), { version, to: "all", settings: { snaplen: 256 } });
  });

  test("audits what changes nothing, too, and cuts a long detail", async ({ store }) => {
    const by = { name: "ann", keyId: "0123456789ab" };
    await store.note(by, nowMs, "packets_fetched", "threat/1", "x".repeat(3_000));
    const { rows: [row] } = await store.readAudit({ limit: 10 });
    assertEquals([row.action, row.subject, row.at_ms, row.detail.length], [
      "packets_fetched",
      "threat/1",
      nowMs,
      2_000,
    ]);
  });

  test("gives policies that are added at once different versions", async ({ store }) => {
    const versions = await Promise.all(["a", "b", "c", "d"].map((name) => store.addPolicy(policy(name))));
    assertEquals(new Set(versions).size, 4);
    assertEquals((await store.readPolicies()).length, 4);
  });

  test("refuses the 101st name and the 501st version of a policy", async ({ store }) => {
    for (let i = 0; i < 100; i++) assert(await store.addPolicy(policy(`p${i}`)) !== null);
    assertEquals(await store.addPolicy(policy("one-too-many")), null);
    for (let i = 1; i < 500; i++) await store.addPolicy(policy("p0"));
    assertEquals(await store.addPolicy(policy("p0")), null);
    assert(await store.addPolicy(policy("p1")) !== null);
  });
}
