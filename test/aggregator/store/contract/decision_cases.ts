/** What the topics of people's decisions must do: hide what a suppression says, keep feedback, note who changed what.
 * @module */

import { assertEquals, assertRejects } from "@std/assert";
import type { Suppression } from "../../../../aggregator/model/suppression.ts";
import { BadCursor, type Store } from "../../../../aggregator/store/store.ts";
import { makeJoinToken } from "../../../../aggregator/api/admin/tokens.ts";
import type { Test } from "../contract.ts";
import { nowMs, threat } from "../rows.ts";

const by = { name: "ann", keyId: "0123456789ab" };
/** Later than any clock of a test. */
const farMs = 4_000_000_000_000;

function suppression(id: string, conditions: Partial<Suppression>): Suppression {
  const made = { reason: "our scanner", made_by: "ann", made_ms: nowMs, expires_ms: farMs, ended_ms: null };
  return { id, ...made, ...conditions };
}

async function shownIn(store: Store): Promise<string[]> {
  const { rows } = await store.readThreats({ isShown: true }, { limit: 10 });
  return rows.map(({ id }) => id).sort();
}

async function hiddenIn(store: Store): Promise<Record<string, number>> {
  return Object.fromEntries((await store.readSuppressions()).map(({ id, hidden }) => [id, hidden]));
}

export function decisionCases(test: Test): void {
  test("hides stored and new threats that meet a suppression, counts them, and closes nothing", async ({ store }) => {
    await store.saveThreats([
      threat("t1", { src_ips: ["10.0.0.66"] }),
      threat("t2", { src_ips: ["10.0.0.66", "203.0.113.9"] }),
      threat("t3", { src_ips: ["10.0.0.70"] }),
    ]);
    const made = suppression("00000000000000a1", { src_ip: "10.0.0.64/29" });
    assertEquals(await store.addSuppression(made, by), true);
    assertEquals(await shownIn(store), ["t2"], "a source outside shows it");
    await store.saveThreats([
      threat("t4", { src_ips: ["10.0.0.65"] }),
      threat("t5", { src_ips: ["10.0.0.72"] }),
    ]);
    assertEquals(await shownIn(store), ["t2", "t5"]);
    const hidden = await store.readThreat("t4");
    assertEquals([hidden?.suppressed_by, hidden?.status, hidden?.severity], [made.id, "open", "medium"]);
    assertEquals((await store.readThreats({}, { limit: 10 })).rows.length, 5);
    assertEquals(await store.readSuppressions(nowMs), [{ ...made, hidden: 3 }]);
    assertEquals(await store.readSuppressions(farMs), [], "expired");
    await store.saveThreats([threat("t4", { src_ips: ["10.0.0.65", "203.0.113.9"] })]);
    assertEquals(await shownIn(store), ["t2", "t4", "t5"], "it grew beyond the suppression");
  });

  test("shows again what a suppression hid when it ends, but for what another one hides", async ({ store }) => {
    await store.saveThreats([
      threat("t1"),
      threat("t2", { detector: "beacon", dst_port: 443 }),
      threat("t3", { detector: "beacon", network: "other" }),
    ]);
    await store.forgetThreatChanges(await store.readThreatChanges(10));
    await store.addSuppression(suppression("00000000000000a1", { detector: "beacon" }), by);
    await store.addSuppression(suppression("00000000000000a2", { dst_port: 443 }), by);
    assertEquals(await shownIn(store), ["t1"]);
    assertEquals((await store.readThreat("t2"))?.suppressed_by, "00000000000000a1");
    assertEquals(await store.endSuppression("00000000000000a1", nowMs + 5, by), true);
    assertEquals(await store.endSuppression("00000000000000a1", nowMs + 6, by), false);
    assertEquals(await store.endSuppression("none", nowMs, by), false);
    assertEquals(await shownIn(store), ["t1", "t3"]);
    assertEquals((await store.readThreat("t2"))?.suppressed_by, "00000000000000a2");
    const changes = (await store.readThreatChanges(10)).map(({ id, threat }) => [id, threat?.suppressed_by]);
    assertEquals(changes, [["t2", "00000000000000a2"], ["t3", null]]);
    assertEquals(
      await hiddenIn(store),
      { "00000000000000a1": 2, "00000000000000a2": 1 },
      "what it hid stays counted",
    );
  });

  test("shows what a suppression hid from the moment it expires, and notes the end once", async ({ store }) => {
    const late = suppression("00000000000000a1", { detector: "beacon", made_ms: 0, expires_ms: 3_600_000 });
    await store.addSuppression(late, by);
    await store.saveThreats([threat("t1", { detector: "beacon" })]);
    assertEquals(await shownIn(store), ["t1"]);
    assertEquals(await store.endExpired(3_599_999), 0);
    assertEquals(await store.endExpired(3_600_000), 1);
    assertEquals(await store.endExpired(3_600_000), 0);
    assertEquals((await store.readSuppressions()).map(({ ended_ms }) => ended_ms), [3_600_000]);
  });

  test("suppresses by name what the detectors' columns do not hold, and at most 500 at once", async ({ store }) => {
    const named = (value: string) => [{ id: "e1", name: "domain", value, hostile: true }];
    await store.saveThreats([
      threat("t1", { evidence: named("a.update.example.com.") }),
      threat("t2", { evidence: named("update.example.com.evil.test") }),
    ]);
    await store.addSuppression(suppression("b0000000000000a0", { name: "Update.example.com" }), by);
    assertEquals(await shownIn(store), ["t2"]);
    for (let n = 1; n < 500; n++) {
      await store.addSuppression(suppression(n.toString(16).padStart(16, "0"), { dst_port: n }), by);
    }
    const more = suppression("ffffffffffffffff", { dst_port: 600 });
    assertEquals(await store.addSuppression(more, by), false);
    await store.endSuppression("b0000000000000a0", nowMs, by);
    assertEquals(await store.addSuppression(more, by), true);
  });

  test("keeps the last feedback on a threat, and counts it by detector", async ({ store }) => {
    await store.saveThreats([threat("t1"), threat("t2"), threat("t3", { detector: "beacon" })]);
    const first = { verdict: "true" as const, note: "", by: "ann", at_ms: nowMs };
    const last = { verdict: "benign" as const, note: "the 'backup' \u{1f4be}", by: "bob", at_ms: nowMs + 1 };
    assertEquals(await store.giveFeedback("t1", first, by), true);
    assertEquals(await store.giveFeedback("t1", last, { name: "bob", keyId: "b" }), true);
    assertEquals(await store.giveFeedback("t3", first, by), true);
    assertEquals(await store.giveFeedback("none", first, by), false);
    assertEquals((await store.readThreat("t1"))?.feedback, last);
    await store.saveThreats([threat("t1", { count: 9 })]);
    assertEquals((await store.readThreat("t1"))?.feedback, last, "growing keeps it");
    assertEquals((await store.readThreat("t2"))?.feedback, null);
    assertEquals(await store.countFeedback(), [
      { detector: "beacon", findings: 1, true: 1, benign: 0, false: 0 },
      { detector: "port_scan_vertical", findings: 2, true: 0, benign: 1, false: 0 },
    ]);
  });

  test("notes who changed what, newest first and in pages, and forgets it with age", async ({ store }) => {
    await store.saveThreats([threat("t1"), threat("t2")]);
    await store.setThreatStatus("t1", "acknowledged", nowMs, by);
    await store.setThreatStatus("none", "closed", nowMs, by);
    await store.setThreatStatus("t1", "open", nowMs);
    const threatIds = ["t1", "t2", "gone"];
    assertEquals(await store.setIncidentStatus({ id: "i1", threatIds }, "closed", nowMs + 1, by), [
      "t1",
      "t2",
    ]);
    await store.giveFeedback("t1", { verdict: "false", note: "no", by: "ann", at_ms: nowMs + 2 }, by);
    await store.addSuppression(suppression("00000000000000a1", { dst_port: 22, made_ms: nowMs + 3 }), by);
    await store.endSuppression("00000000000000a1", nowMs + 4, by);
    const { row } = makeJoinToken(new Uint8Array(24), { site: "lab", tags: [], nowMs: nowMs + 5 });
    await store.addJoinToken(row, by);
    const rows = (await store.readAudit({ limit: 100 })).rows;
    assertEquals(rows.map(({ action, subject, detail }) => [action, subject, detail]), [
      ["token_made", row.token_hash.slice(0, 12), "site lab, uses 1"],
      ["suppression_ended", "00000000000000a1", ""],
      ["suppression_made", "00000000000000a1", '{"dst_port":22} our scanner'],
      ["threat_feedback", "t1", "false: no"],
      ["incident_status", "i1", "closed: 2 threats"],
      ["threat_status", "t1", "acknowledged"],
    ]);
    assertEquals([rows[5].made_by, rows[5].key_id, rows[5].at_ms], ["ann", "0123456789ab", nowMs]);
    const page = await store.readAudit({ limit: 4 });
    const rest = await store.readAudit({ limit: 4, cursor: page.next_cursor! });
    assertEquals([...page.rows, ...rest.rows], rows);
    assertEquals(rest.next_cursor, undefined);
    await assertRejects(() => store.readAudit({ limit: 1, cursor: "x' --" }), BadCursor);
    await store.pruneDecisions(nowMs + 4);
    assertEquals((await store.readAudit({ limit: 100 })).rows.map(({ at_ms }) => at_ms - nowMs), [5, 4]);
    assertEquals(Object.keys(await hiddenIn(store)), ["00000000000000a1"]);
    await store.pruneDecisions(nowMs + 5);
    assertEquals(await hiddenIn(store), {});
  });
}
