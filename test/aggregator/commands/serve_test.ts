/** `serve` and `analyze` as the real program: starting, ending, and each way not to start, with its exit code.
 * @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../../shared/clock.ts";
import { flowsOf, flowWrite, nothing } from "../store/rows.ts";
import { firstLine, runProgram, spawnProgram, storeIn, withFolder } from "./harness.ts";

const demo = new URL("../../../deploy/demo/office-day.pcap", import.meta.url).pathname;

Deno.test("serve says where it listens, answers, and ends well on SIGTERM; a second one finds the port taken", () =>
  withFolder(async (folder) => {
    const child = spawnProgram(["serve", "--state", folder, "--listen", "127.0.0.1:0"]);
    const errors = new Response(child.stderr).text();
    const ready = JSON.parse(await firstLine(child));
    assertEquals(ready.dashboard, `${ready.listening}/`);
    const key = (await Deno.readTextFile(ready.key_file)).trim();
    const page = await fetch(ready.dashboard);
    assertStringIncludes(await page.text(), "<title>Picket</title>");
    const totals = await fetch(`${ready.listening}/api/v1/stats/totals`, {
      headers: { authorization: `Bearer ${key}` },
    });
    assertEquals((await totals.json()).flows, 0);
    const health = await fetch(`${ready.listening}/healthz`);
    assertEquals((await health.json()).status, "ok");

    const second = await runProgram(["serve", "--state", folder, "--listen", new URL(ready.listening).host]);
    assertEquals(second.code, 3);
    assertStringIncludes(second.stderr, "another program listens there");
    assertEquals(second.stdout, "");

    const token = await runProgram(["token", "--state", folder, "--json"]);
    assertEquals(token.code, 0, token.stderr);
    const report = await runProgram(["report", "--url", ready.listening, "--state", folder]);
    assertEquals(report.code, 1);
    assertStringIncludes(report.stderr, "no flow is stored yet");

    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    const log = await errors;
    assertStringIncludes(log, "admin API key written");
    assert(!log.includes(key), "the key is not in the log");
  }));

Deno.test("serve does not start without its database or its address, and says so", () =>
  withFolder(async (folder) => {
    const serve = ["serve", "--listen", "127.0.0.1:0"];
    const cases: [string[], number, string][] = [
      [["--store", "mariadb://picket@127.0.0.1:1/picket"], 3, "127.0.0.1"],
      [["--store", "postgres://x"], 2, "must be sqlite:PATH or mariadb://"],
      [["--kafka-brokers", "nowhere"], 2, "must be host:port"],
      [["--listen", "192.0.2.1:8600", "--insecure-http"], 3, "does not have that address"],
      [["--listen", "0.0.0.0:0"], 2, "--insecure-http"],
      [["--detectors", `${folder}/none`], 2, "is not readable"],
      [["--intelligence", `${folder}/none`], 2, 'Cannot use "intelligence" as folder'],
      [["--geoip", `${folder}/none.mmdb`], 2, 'Cannot use "geoip" as file'],
      [["--geoip", "1,2,3,4,5,6,7,8,9"], 2, "files must be <= 8: current number is 9"],
      [["--networks", "printers"], 2, 'current value is "printers"'],
      [["--limit", "beacon.callsMin=0"], 2, "must be 1 to 1000 calls"],
      [["--detector-off", "becon"], 2, 'current value is "becon"'],
      [["--roles", "ingest,apy"], 2, 'must be of ingest, detect, triage, api: current value is "apy"'],
      [["--roles", "api,detect"], 2, 'role "detect" without "ingest"'],
      [["--roles", "ingest,triage"], 2, 'role "triage" without "detect"'],
      [["--roles", "api", "--kafka-brokers", "a:1", "--publish", "flows"], 2, 'without the role "ingest"'],
      [["--publish", "flow", "--kafka-brokers", "a:1"], 2, "must be flows, threats or both"],
    ];
    const results = await Promise.all(
      cases.map(([args], index) => runProgram([...serve, "--state", `${folder}/${index}`, ...args])),
    );
    for (const [index, [args, code, words]] of cases.entries()) {
      const { code: got, stderr, stdout } = results[index];
      assertEquals(got, code, `${args.join(" ")}: ${stderr}`);
      assertStringIncludes(stderr, words);
      assertEquals(stdout, "");
    }
  }));

Deno.test("serve does what its roles name: one instance takes batches, another answers people", () =>
  withFolder(async (folder) => {
    const statusesOf = async (roles: string) => {
      const state = `${folder}/${roles}`;
      const child = spawnProgram(["serve", "--state", state, "--listen", "127.0.0.1:0", "--roles", roles]);
      const errors = new Response(child.stderr).text();
      const ready = JSON.parse(await firstLine(child));
      const headers = { authorization: `Bearer ${(await Deno.readTextFile(ready.key_file)).trim()}` };
      const statuses: Record<string, number> = {};
      for (const path of ["/healthz", "/readyz", "/metrics", "/api/v1/stats/totals", "/"]) {
        const answer = await fetch(`${ready.listening}${path}`, { headers });
        await answer.body?.cancel();
        statuses[path] = answer.status;
      }
      const batch = await fetch(`${ready.listening}/api/v1/batches`, { method: "POST", body: "x" });
      await batch.body?.cancel();
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0, await errors);
      await errors;
      statuses.batch = batch.status;
      return statuses;
    };
    const well = { "/healthz": 200, "/readyz": 200, "/metrics": 200 };
    const [taking, answering] = await Promise.all([statusesOf("ingest,detect"), statusesOf("api")]);
    assertEquals(taking, { ...well, "/api/v1/stats/totals": 404, "/": 404, batch: 400 });
    assertEquals(answering, { ...well, "/api/v1/stats/totals": 200, "/": 200, batch: 404 });
  }));

Deno.test("serve starts, answers and ends well while no broker of Kafka can be reached", () =>
  withFolder(async (folder) => {
    const args = ["serve", "--state", folder, "--listen", "127.0.0.1:0", "--kafka-brokers", "127.0.0.1:1"];
    const child = spawnProgram(args);
    const errors = new Response(child.stderr).text();
    const ready = JSON.parse(await firstLine(child));
    assertEquals((await (await fetch(`${ready.listening}/readyz`)).json()).status, "ready");
    const key = (await Deno.readTextFile(ready.key_file)).trim();
    const totals = await fetch(`${ready.listening}/api/v1/stats/totals`, {
      headers: { authorization: `Bearer ${key}` },
    });
    assertEquals((await totals.json()).flows, 0);
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    assertStringIncludes(await errors, "Connection error: ");
  }));

Deno.test("analyze prints the capture's account and explained threats, and refuses what is no capture", () =>
  withFolder(async (folder) => {
    const { code, stdout, stderr } = await runProgram(["analyze", demo, "--json"]);
    assertEquals(code, 0, stderr);
    const { capture, flows, threats } = JSON.parse(stdout);
    const leftOut = Object.values(capture.left_out as Record<string, number>).reduce((sum, n) => sum + n, 0);
    assertEquals(capture.packets, capture.in_flows + leftOut);
    assert(flows.count > 100);
    for (const threat of threats) {
      assert(threat.explanation.length > 40 && threat.suggested_action.length > 20);
    }
    await Deno.writeTextFile(`${folder}/text`, "this is no capture, whatever its name says");
    assertEquals((await runProgram(["analyze", `${folder}/text`])).code, 1);
    assertEquals((await runProgram(["analyze", `${folder}/none`])).code, 3);
    assertEquals((await runProgram(["analyze"])).code, 2);
    assertEquals((await runProgram(["analyze", "-", "-"])).code, 2);
    assertEquals((await runProgram(["analyze", demo, "--only", "nothing_such"])).code, 2);
    const timeline = await runProgram(["analyze", demo, "--only", "dns_tunnel", "--timeline"]);
    assertMatch(timeline.stdout, /^\S+ \S+ {2}critical {2}DNS tunnel \(dns_tunnel\) [^\n]*\n$/);
  }));

Deno.test("serve reads the lists of --intelligence, and shows in /metrics what is in force and what was refused", () =>
  withFolder(async (folder) => {
    const lists = `${folder}/lists`;
    await Deno.mkdir(lists);
    await Deno.writeTextFile(`${lists}/c2.txt`, "198.51.100.23\nbad.example");
    await Deno.writeTextFile(`${lists}/broken.json`, "{");
    const args = ["serve", "--state", folder, "--listen", "127.0.0.1:0", "--intelligence", lists];
    const child = spawnProgram(args);
    const errors = new Response(child.stderr).text();
    const ready = JSON.parse(await firstLine(child));
    const key = (await Deno.readTextFile(ready.key_file)).trim();
    const metrics = await fetch(`${ready.listening}/metrics`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const text = await metrics.text();
    assertMatch(text, /^picket_\w*intel_entries(?:\{.*\})? 2$/m);
    assertMatch(text, /intel_reloads_total\{.*outcome="refused".*\} 1$/m);
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    assertStringIncludes(await errors, "intelligence list refused");
  }));

Deno.test("serve finds among stored flows what a list names later", () =>
  withFolder(async (folder) => {
    const store = storeIn(folder);
    await store.start();
    await store.ingest({
      ...nothing(),
      ...flowsOf([flowWrite(1, { dst_ip: "198.51.100.23" }), flowWrite(2)]),
    });
    await store.stop();
    const lists = `${folder}/lists`;
    await Deno.mkdir(lists);
    const args = ["--state", folder, "--listen", "127.0.0.1:0", "--intelligence", lists];
    const days = ["--retain-days", "3650", "--retro-hunt-days", "3650"];
    const child = spawnProgram(["serve", ...args, ...days]);
    const errors = new Response(child.stderr).text();
    const ready = JSON.parse(await firstLine(child));
    const key = (await Deno.readTextFile(ready.key_file)).trim();
    const threats = async () => {
      const headers = { authorization: `Bearer ${key}` };
      return (await (await fetch(`${ready.listening}/api/v1/threats`, { headers })).json()).rows;
    };
    assertEquals(await threats(), []);
    await Deno.writeTextFile(`${lists}/c2.txt`, "198.51.100.23");
    for (let tries = 0; (await threats()).length === 0; tries++) {
      assert(tries < 600, "nothing was found");
      await systemClock.sleep(100);
    }
    const [threat] = await threats();
    assertEquals([threat.title, threat.flows], ["Threat-intelligence match, found afterwards", 1]);
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    assertStringIncludes(await errors, "looked for new entries of lists in stored flows");
  }));

Deno.test("serve takes Suricata's alerts in, and joins them to stored flows by Community ID", () =>
  withFolder(async (folder) => {
    const store = storeIn(folder);
    await store.start();
    const write = flowWrite(1);
    await store.ingest({ ...nothing(), ...flowsOf([write]) });
    await store.stop();
    const { src_ip, dst_ip, src_port, dst_port, start } = write.flow;
    const file = `${folder}/eve.json`;
    await Deno.writeTextFile(file, "");
    const args = ["--state", folder, "--listen", "127.0.0.1:0", "--suricata", file, "--retain-days", "3650"];
    const child = spawnProgram(["serve", ...args]);
    const errors = new Response(child.stderr).text();
    const ready = JSON.parse(await firstLine(child));
    const headers = { authorization: `Bearer ${(await Deno.readTextFile(ready.key_file)).trim()}` };
    const alert = {
      timestamp: new Date(start * 1_000 + 500).toISOString(),
      event_type: "alert",
      proto: "TCP",
      src_ip,
      src_port,
      dest_ip: dst_ip,
      dest_port: dst_port,
      alert: { signature_id: 7, severity: 1, signature: "a rule" },
    };
    const isRead = async () => {
      const text = await (await fetch(`${ready.listening}/metrics`, { headers })).text();
      return /suricata_alerts_total(?:\{.*\})? 1$/m.test(text);
    };
    // The file is followed from where it ended when it was opened.
    const isFollowed = () => Deno.stat(`${folder}/suricata.json`).then(() => true, () => false);
    for (let tries = 0; !await isFollowed(); tries++) {
      assert(tries < 300, "the file is not followed");
      await systemClock.sleep(100);
    }
    await Deno.writeTextFile(file, `${JSON.stringify(alert)}\n`, { append: true });
    for (let tries = 0; !await isRead(); tries++) {
      assert(tries < 300, "the alert is not read");
      await systemClock.sleep(100);
    }
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0, await errors);
    await store.start();
    const { rows } = await store.readThreats({}, { limit: 10 });
    assertEquals(rows.map((threat) => [threat.detector, threat.severity, threat.flow_ids]), [
      ["suricata", "low", [write.flow.flow_id]],
    ]);
    await store.stop();
  }));

Deno.test("serve keeps what leaves in its archive, and db brings it back while serve goes on", () =>
  withFolder(async (folder) => {
    const store = storeIn(folder);
    await store.start();
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1), flowWrite(2)]) });
    await store.stop();
    const archive = `${folder}/archive`;
    const child = spawnProgram(["serve", "--state", folder, "--listen", "127.0.0.1:0", "--archive", archive]);
    const errors = new Response(child.stderr).text();
    const ready = JSON.parse(await firstLine(child));
    const key = (await Deno.readTextFile(ready.key_file)).trim();
    const flows = async () => {
      const headers = { authorization: `Bearer ${key}` };
      return (await (await fetch(`${ready.listening}/api/v1/flows`, { headers })).json()).rows.length;
    };
    for (let tries = 0; await flows() > 0; tries++) {
      assert(tries < 300, "the day has not left");
      await systemClock.sleep(100);
    }
    const db = async (...args: string[]) => {
      const { code, stdout, stderr } = await runProgram(["db", ...args, "--state", folder, "--json"]);
      assertEquals(code, 0, stderr);
      return JSON.parse(stdout);
    };
    assertEquals((await db("import", archive)).files[0].inserted, 2);
    assertEquals(await flows(), 2);
    assertEquals((await db("verify", "--archive", archive)).problems, []);
    assert((await db("backup", `${folder}/copy`)).octets > 0);
    assertEquals(await (await fetch(`${ready.listening}/readyz`)).json(), {
      status: "ready",
      archive: "ok",
      sinks: "ok",
    });
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    assertStringIncludes(await errors, "a day of flows archived");
  }));
