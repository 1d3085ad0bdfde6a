/** What people decide, over HTTP: suppressions with a preview, feedback, precision of detectors, the audit. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { threatSource } from "../../../aggregator/publish/sources.ts";
import { type Fixture, startFixture } from "./fixture.ts";
import { sampleThreat } from "./samples.ts";

const dayS = 86_400;
const nowS = 1_800_000_000;

function threat(n: number, change: Parameters<typeof sampleThreat>[0] = {}) {
  return sampleThreat({ id: n.toString(16).padStart(16, "0"), identity: `threat ${n}`, ...change });
}

const scans = Array.from({ length: 25 }, (_, n) => threat(n + 1, { last_seen: nowS - 100 - n }));
const others = [
  threat(100, { src_ips: ["203.0.113.7"], last_seen: nowS - 50 }),
  threat(101, { last_seen: nowS - 31 * dayS, first_seen: nowS - 31 * dayS }),
];
const conditions = { src_ip: "10.0.0.5", detector: "port_scan_vertical" };

async function withThreats(work: (fixture: Fixture) => Promise<void>): Promise<void> {
  const fixture = await startFixture();
  try {
    await fixture.services.store.saveThreats([...scans, ...others]);
    await work(fixture);
  } finally {
    await fixture.stop();
  }
}

const post = (
  fixture: Fixture,
  path: string,
  json: unknown,
  role: "analyst" | "viewer" | "admin" = "analyst",
) => fixture.ask("POST", `/api/v1${path}`, { role, json });
const get = async (fixture: Fixture, path: string, role: "viewer" | "admin" = "viewer") =>
  (await fixture.ask("GET", `/api/v1${path}`, { role })).body;

Deno.test("a preview says how many threats of the last 30 days would be hidden, and shows the first 20", async () => {
  await withThreats(async (fixture) => {
    const { body } = await post(fixture, "/suppressions/preview", conditions, "viewer");
    assertEquals([body.threats, body.rows.length, body.is_cut], [25, 20, false]);
    assertEquals(body.rows[0].id, scans[0].id);
    assertEquals(body.from_ms, (nowS - 30 * dayS) * 1_000);
    assertEquals((await get(fixture, "/suppressions")).rows, [], "nothing is made");
    assertEquals((await post(fixture, "/suppressions/preview", { dst_port: 22 })).body.threats, 0);
  });
});

Deno.test("a suppression hides from lists, incidents, hosts, exports and topics, and ends", async () => {
  await withThreats(async (fixture) => {
    const made = await post(fixture, "/suppressions", {
      ...conditions,
      reason: " our scanner ",
      ttl_s: 3_600,
    });
    const { id, reason, made_by, hidden, is_in_force } = made.body;
    assertEquals([made.status, reason, made_by, hidden, is_in_force], [
      201,
      "our scanner",
      "analyst-key",
      26,
      true,
    ]);
    assertMatch(id, /^[0-9a-f]{16}$/);
    const ids = async (query: string) =>
      (await get(fixture, `/threats?limit=100${query}`)).rows.map((row: { id: string }) => row.id);
    assertEquals(await ids(""), [others[0].id]);
    assertEquals(await ids("&filter=severity%20%3E%20low"), [others[0].id]);
    assertEquals((await ids("&suppressed=true")).length, 27);
    const one = await get(fixture, `/threats/${scans[0].id}`);
    assertEquals([one.suppressed_by, one.status, one.severity], [id, "open", "high"]);
    const { rows: [incident], incidents } = await get(fixture, "/incidents");
    assertEquals([incidents, incident.threats], [1, 1]);
    const exported = async (query: string) =>
      (await fixture.ask("GET", `/api/v1/export/threats?format=ndjson${query}`, { role: "analyst" })).text
        .split("\n").filter((line) => line.includes('"detector"')).length;
    assertEquals([await exported(""), await exported("&suppressed=true")], [1, 27]);
    const { records } = await threatSource(fixture.services.store, fixture.services.reporter).read("");
    assertEquals([records.length, fixture.counter("publish_suppressed_total")], [1, 26]);
    assertEquals((await post(fixture, `/suppressions/${id}/end`, undefined)).body, { id, ended: true });
    assertEquals((await post(fixture, `/suppressions/${id}/end`, undefined)).status, 404);
    assertEquals((await ids("")).length, 27);
    assertEquals((await get(fixture, "/suppressions")).rows, []);
    const [ended] = (await get(fixture, "/suppressions?all=true")).rows;
    assertEquals([ended.id, ended.hidden, ended.is_in_force, ended.src_ip], [id, 26, false, "10.0.0.5"]);
  });
});

Deno.test("a suppression shows what it hid when it expires, without anybody's doing", async () => {
  await withThreats(async (fixture) => {
    await post(fixture, "/suppressions", { ...conditions, reason: "test", ttl_s: 3_600 });
    const shown = async () => (await get(fixture, "/threats?limit=100")).rows.length;
    fixture.clock.ms += 3_599_999;
    assertEquals(await shown(), 1);
    fixture.clock.ms += 1;
    assertEquals(await shown(), 27);
  });
});

Deno.test("a suppression needs a condition, a reason and an end within bounds, and says which is wrong", async () => {
  await withThreats(async (fixture) => {
    const good = { ...conditions, reason: "r", ttl_s: 3_600 };
    const { reason: _, ...noReason } = good, { ttl_s: _ttl, ...noEnd } = good;
    for (
      const [body, field] of [
        [noReason, "reason"],
        [noEnd, "ttl_s"],
        [{ ...good, reason: "  " }, "reason"],
        [{ ...good, reason: "a\u001b[2J" }, "reason"],
        [{ ...good, reason: "x".repeat(401) }, "reason"],
        [{ ...good, ttl_s: 3_599 }, "ttl_s"],
        [{ ...good, ttl_s: 31_536_001 }, "ttl_s"],
        [{ ...good, src_ip: "10.0.0" }, "src_ip"],
        [{ ...good, dst_ip: "0.0.0.0/0" }, "dst_ip"],
        [{ ...good, dst_port: 65_536 }, "dst_port"],
        [{ reason: "r", ttl_s: 3_600 }, undefined],
      ] as const
    ) {
      const reply = await post(fixture, "/suppressions", body);
      assertEquals(
        [reply.status, reply.body.code, reply.body.field],
        [400, "bad_body", field],
        JSON.stringify(body),
      );
    }
    assertStringIncludes(
      (await post(fixture, "/suppressions/preview", {})).body.detail,
      "everything is hidden",
    );
    assertEquals((await post(fixture, "/suppressions", { ...good, ttl_s: 31_536_000 })).status, 201);
    assertEquals((await get(fixture, "/suppressions")).rows.length, 1);
  });
});

Deno.test("feedback stands with the threat, and the detectors say how often they were right", async () => {
  await withThreats(async (fixture) => {
    const say = (n: number, verdict: string, note?: string) =>
      post(fixture, `/threats/${scans[n].id}/feedback`, { verdict, ...note !== undefined && { note } });
    const given = await say(0, "benign", "nightly scan");
    const feedback = { verdict: "benign", note: "nightly scan", by: "analyst-key", at_ms: nowS * 1_000 };
    assertEquals(given.body.verdict, "benign");
    const { at: _, ...shown } = (await get(fixture, `/threats/${scans[0].id}`)).feedback;
    assertEquals(shown, feedback);
    for (const n of [1, 2, 3]) await say(n, "true");
    await say(3, "false");
    const { rows } = await get(fixture, "/detectors");
    const [scan] = rows.filter((row: { name: string }) => row.name === "port_scan_vertical");
    const { findings, true: right, benign, false: wrong, precision, is_on } = scan;
    assertEquals([findings, right, benign, wrong, precision, is_on], [27, 2, 1, 1, 0.5, true]);
    assert(scan.limits.length > 0 && rows.length > 40);
    const [unused] = rows.filter((row: { name: string }) => row.name === "beacon");
    assertEquals([unused.findings, unused.precision], [0, null]);
    assertEquals((await say(0, "maybe")).status, 400);
    assertEquals((await say(0, "true", "x".repeat(1_001))).status, 400);
    assertEquals(
      (await post(fixture, "/threats/00000000000000ff/feedback", { verdict: "true" })).status,
      404,
    );
  });
});

Deno.test("the audit tells admins who changed what", async () => {
  await withThreats(async (fixture) => {
    await post(fixture, `/threats/${scans[0].id}/status`, { status: "closed" });
    await post(fixture, "/keys", { name: "new", role: "viewer" }, "admin");
    await post(fixture, "/keys/new/revoke", undefined, "admin");
    const token = (await post(fixture, "/tokens", {}, "admin")).body;
    await post(fixture, `/tokens/${token.id}/revoke`, undefined, "admin");
    const { rows } = await get(fixture, "/audit", "admin");
    assertEquals(
      rows.map(({ action, made_by }: Record<string, string>) => `${made_by} ${action}`),
      [
        "admin-key token_revoked",
        "admin-key token_made",
        "admin-key key_revoked",
        "admin-key key_made",
        "analyst-key threat_status",
      ],
    );
    assert(!JSON.stringify(rows).includes(token.token), "no secret");
    assertEquals((await fixture.ask("GET", "/api/v1/audit", { role: "analyst" })).status, 403);
  });
});
