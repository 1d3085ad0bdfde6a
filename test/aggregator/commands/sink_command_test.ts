/** Sinks of the real program: a threat becomes a line, a test becomes a request, and SIGHUP reads the file again.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { systemClock } from "../../../shared/clock.ts";
import { threat } from "../store/rows.ts";
import { runProgram, spawnProgram, storeIn, withFolder } from "./harness.ts";

async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    if (await is()) return;
    await systemClock.sleep(200);
  }
  throw new Error(`Cannot go on as there must be ${what}: it did not come in 30 s`);
}

Deno.test("serve --sinks tells of a threat; sink lists, tests, and shows what was refused; SIGHUP reads it again", () =>
  withFolder(async (folder) => {
    const got: string[] = [];
    const hook = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
      got.push(await request.text());
      return new Response(null, { status: got.length === 1 ? 400 : 204 });
    });
    const path = `${folder}/sinks.json`, lines = `${folder}/threats.ndjson`;
    const file = { name: "lines", kind: "file", path: lines, format: "ecs" };
    const chat = { name: "chat", kind: "webhook", url: { env: "CHAT_URL" }, private: true };
    await Deno.writeTextFile(path, JSON.stringify({ sinks: [file, chat] }));
    const child = spawnProgram(["serve", "--state", folder, "--listen", "127.0.0.1:0", "--sinks", path], {
      CHAT_URL: `http://127.0.0.1:${hook.addr.port}/hook`,
    });
    const errors = new Response(child.stderr).text();
    try {
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
        .getReader();
      const { listening } = JSON.parse((await reader.read()).value ?? "{}");
      const sink = (...args: string[]) =>
        runProgram(["sink", ...args, "--url", listening, "--state", folder]);
      await systemClock.sleep(500);
      const store = storeIn(folder);
      await store.start();
      const now = { stored_ms: systemClock.nowMs() + 60_000, updated_ms: systemClock.nowMs() + 60_000 };
      await store.saveThreats([threat("00112233445566aa", now)]);
      await store.stop();
      await until("a line", () => Deno.stat(lines).then(({ size }) => size > 0, () => false));
      assertEquals(JSON.parse(await Deno.readTextFile(lines)).rule.name, "Vertical port scan");
      await until("a request", () => Promise.resolve(got.length > 0));
      await until("a dead letter", async () => (await sink("dead", "chat")).stdout.includes("answered 400"));
      const list = await sink("list");
      assertStringIncludes(list.stdout, "chat  webhook  0 waiting  1 dead");
      assert(!list.stdout.includes("127.0.0.1"), "an address can be a secret");
      assertEquals((await sink("test", "chat")).stdout.trim(), "sent");
      assertEquals(JSON.parse(got[1]).kind, "test");
      assertEquals((await sink("test", "none")).code, 1);
      const ready = await (await fetch(`${listening}/readyz`)).json();
      assertEquals(ready.sinks, "ok");
      await Deno.writeTextFile(path, JSON.stringify({ sinks: [{ ...file, name: "others" }] }));
      child.kill("SIGHUP");
      await until("the new sink", async () => (await sink("list")).stdout.startsWith("others"));
      await Deno.writeTextFile(path, "{");
      child.kill("SIGHUP");
      await systemClock.sleep(500);
      assertStringIncludes((await sink("list")).stdout, "others  file");
    } finally {
      child.kill("SIGTERM");
      await child.status;
      await hook.shutdown();
    }
    assertStringIncludes(await errors, "the old sinks stay");
  }));

Deno.test("serve writes the report that is due, from what it has stored, and no incident where only that is wanted", () =>
  withFolder(async (folder) => {
    const path = `${folder}/sinks.json`, page = `${folder}/report.html`;
    const report = { every: "week", path: page, only: true };
    const boss = { name: "boss", kind: "file", path: `${folder}/lines`, severity_min: "info", report };
    await Deno.writeTextFile(path, JSON.stringify({ sinks: [boss] }));
    const store = storeIn(folder);
    await store.start();
    // As if one had been made long ago.
    const lease = (await store.takeLease("report.boss", "before", 1_000))!;
    await store.moveLease("report.boss", lease, "1");
    await store.releaseLease("report.boss", "before");
    const now = { stored_ms: systemClock.nowMs() + 60_000, updated_ms: systemClock.nowMs() + 60_000 };
    await store.saveThreats([threat("00112233445566aa", now)]);
    await store.stop();
    const child = spawnProgram(["serve", "--state", folder, "--listen", "127.0.0.1:0", "--sinks", path]);
    const errors = new Response(child.stderr).text();
    const output = new Response(child.stdout).text();
    try {
      await until("a page", () => Deno.stat(page).then(({ size }) => size > 0, () => false));
      const html = await Deno.readTextFile(page);
      for (const words of ["Network report", "Incidents", "Top talkers", "</html>"]) {
        assertStringIncludes(html, words);
      }
    } finally {
      child.kill("SIGTERM");
      await child.status;
    }
    assertEquals(await Deno.stat(`${folder}/lines`).catch(() => null), null);
    const after = storeIn(folder);
    await after.start();
    assert(Number((await after.takeLease("report.boss", "test", 1_000))!.position) > 1);
    assertEquals((await after.countMessages()).map(({ sink, waiting, dead }) => [sink, waiting, dead]), [[
      "boss",
      0,
      0,
    ]]);
    await after.stop();
    await Promise.all([errors, output]);
  }));

Deno.test("serve does not start with a file of sinks that cannot be used, and says why", () =>
  withFolder(async (folder) => {
    const path = `${folder}/sinks.json`;
    const serve = ["serve", "--state", folder, "--listen", "127.0.0.1:0", "--sinks", path];
    assertEquals((await runProgram(serve)).code, 2);
    await Deno.writeTextFile(
      path,
      JSON.stringify({ sinks: [{ name: "a", kind: "webhook", url: { env: "NO_SUCH" } }] }),
    );
    const { code, stderr } = await runProgram(serve);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "must have NO_SUCH");
  }));
