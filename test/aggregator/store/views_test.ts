/** The SQL that analysts bring runs unchanged on MariaDB, says the same in every time zone, and cannot write.
 * @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { askMariadb } from "../../services/mariadb.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { flowsOf, flowWrite, idOf, nothing, threat } from "./rows.ts";

const mariadb = await useMariadb();
const reporter = createReporter({ component: "test", write: () => {} });
const views = ["v_flows", "traffic_logs", "ai_threat_logs", "network_flows", "flow_metrics"];
/** A whole second, so that a date says all of it. */
const nowS = Math.floor(Date.now() / 1e3);

/** Asks with the server's own client, as people do: rows of text. */
type Ask = (sql: string, zone?: string) => Promise<string[][]>;

/** Runs `work` over 40 flows, one a minute up to now: the newest 12 of one source to 12 ports, others to port 443. */
async function withFlows(work: (ask: Ask) => Promise<void>): Promise<void> {
  const url = await createDatabase(mariadb.address);
  const store = openStore(url, { reporter });
  await store.start();
  await store.prepareDays(nowS * 1e3);
  const base = flowWrite(0).flow.start;
  const writes = Array.from({ length: 40 }, (_, i) => {
    const n = nowS - base - 60 * i;
    return flowWrite(n, {
      src_ip: i < 12 ? "10.0.0.66" : `10.0.1.${i}`,
      dst_port: i < 12 ? 1_000 + i : 443,
      protocol: i % 4 === 0 ? "udp" : "tcp",
      facts: { tls: { sni: "www.example.org" } },
    });
  });
  await store.ingest({ ...nothing(), ...flowsOf(writes) });
  const flow_ids = [3, 1, 2].map((i) => writes[i].flow.flow_id);
  await store.saveThreats([
    threat("t1", { severity: "high", flow_ids }),
    threat("t2", { severity: "low", flow_ids: [writes[20].flow.flow_id] }),
    threat("t3", { severity: "critical", flow_ids: [] }),
  ]);
  try {
    await work((sql, zone = "+00:00") => askMariadb(url, `SET time_zone = '${zone}'; ${sql}`));
  } finally {
    await store.stop();
  }
}

const test = (name: string, work: (ask: Ask) => Promise<void>) =>
  Deno.test({
    name: `views: ${name}`,
    ignore: mariadb.ignore,
    fn: () => withFlows(work),
  });

for (const [zone, hours] of [["+00:00", 0], ["+05:30", 5.5], ["-08:00", -8]] as const) {
  test(`analysts' queries are right in the time zone ${zone}`, async (ask) => {
    const local = (seconds: number) =>
      new Date((seconds + hours * 3_600) * 1e3).toISOString().slice(0, 19).replace("T", " ");
    const newest = await ask("SELECT * FROM traffic_logs ORDER BY event_time DESC LIMIT 10", zone);
    assertEquals(
      newest.map(([, event_time]) => event_time.slice(0, 19)),
      Array.from({ length: 10 }, (_, i) => local(nowS - 60 * i)),
    );
    const [, , ...rest] = newest[1];
    assertEquals(rest.slice(0, 6), ["10.0.0.66", "40000", "10.0.0.9", "1001", "tcp", "3000"]);
    assertEquals(rest[7], "1");
    assert(rest[6].startsWith("SF tls") && rest[6].includes("www.example.org"), rest[6]);
    const scanners = await ask(
      "SELECT source_ip, COUNT(DISTINCT dest_port) FROM traffic_logs WHERE event_time >= NOW() - INTERVAL 1 HOUR " +
        "GROUP BY source_ip HAVING COUNT(DISTINCT dest_port) > 10",
      zone,
    );
    assertEquals(scanners, [["10.0.0.66", "12"]]);
    const perHour = await ask(
      "SELECT DATE_FORMAT(event_time, '%Y-%m-%d %H:00') AS hour, COUNT(*) FROM traffic_logs " +
        "WHERE event_time >= NOW() - INTERVAL 24 HOUR GROUP BY hour ORDER BY hour",
      zone,
    );
    const expected = new Map<string, number>();
    for (let i = 39; i >= 0; i--) {
      const hour = `${local(nowS - 60 * i).slice(0, 13)}:00`;
      expected.set(hour, (expected.get(hour) ?? 0) + 1);
    }
    assertEquals(perHour, [...expected].map(([hour, flows]) => [hour, String(flows)]));
  });
}

test("threats join the flows they began with", async (ask) => {
  const joined = await ask(
    "SELECT t.id, t.source_ip, t.is_suspicious, a.severity_level FROM traffic_logs t JOIN ai_threat_logs a " +
      "ON t.id = a.log_id WHERE a.severity_level IN ('HIGH','CRITICAL') ORDER BY t.event_time DESC",
  );
  const base = flowWrite(0).flow.start;
  const oldest = BigInt(`0x${idOf(nowS - base - 180)}`).toString();
  assertEquals(joined, [[oldest, "10.0.0.66", "1", "HIGH"]]);
  const byProtocol = await ask(
    "SELECT protocol, COUNT(*), AVG(length), SUM(CASE WHEN is_suspicious = TRUE THEN 1 ELSE 0 END), MIN(length), MAX(length) " +
      "FROM traffic_logs GROUP BY protocol ORDER BY protocol",
  );
  assertEquals(byProtocol, [
    ["tcp", "30", "3000.0000", "3", "3000", "3000"],
    ["udp", "10", "3000.0000", "1", "3000", "3000"],
  ]);
  const top = await ask(
    "SELECT src_ip, SUM(total_bytes) AS octets FROM flow_metrics GROUP BY src_ip ORDER BY octets DESC LIMIT 10",
  );
  assertEquals([top[0], top.length], [["10.0.0.66", "36000"], 10]);
  assertEquals(await ask("SELECT COUNT(*) FROM ai_threat_logs WHERE severity_level = 'LOW'"), [["1"]]);
  const [[octets]] = await ask(
    "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()",
  );
  assert(Number(octets) > 0);
});

test("the newest flows, and an hour of them, are read by the key and of the days asked for", async (ask) => {
  const explain = async (sql: string) =>
    (await ask(`EXPLAIN PARTITIONS ${sql}`)).find(([, , table]) => table === "flows")!;
  const newest = await explain("SELECT * FROM traffic_logs ORDER BY event_time DESC LIMIT 10");
  assert(newest.includes("PRIMARY") && !newest.join(" ").includes("filesort"), newest.join(" "));
  const hour = await explain("SELECT * FROM traffic_logs WHERE event_time >= NOW() - INTERVAL 1 HOUR");
  assert(hour.includes("PRIMARY") && hour.includes("range"), hour.join(" "));
  assert(!hour[3].includes("p_first") || nowS % 86_400 < 3_700, hour[3]);
});

test("nobody can write through a view", async (ask) => {
  for (const view of views) {
    for (
      const sql of [`DELETE FROM ${view}`, `UPDATE ${view} SET id = 1`, `INSERT INTO ${view} (id) VALUES (1)`]
    ) {
      await assertRejects(() => ask(sql), Error, "able", sql);
    }
  }
  assertEquals(await ask("SELECT COUNT(*) FROM traffic_logs"), [["40"]]);
});
