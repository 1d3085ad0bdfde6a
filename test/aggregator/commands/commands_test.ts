/** Commands in this process: options, help, exit codes, what is printed. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ensureAdminKey } from "../../../aggregator/serve/admin_key.ts";
import { configCommand } from "../../../aggregator/commands/config_command.ts";
import { doctorCommand } from "../../../aggregator/commands/doctor_command.ts";
import { keyCommand } from "../../../aggregator/commands/key_command.ts";
import { reportCommand } from "../../../aggregator/commands/report_command.ts";
import { revokeCommand, sensorsCommand } from "../../../aggregator/commands/sensors_command.ts";
import { checkExposure, hostnamesOf, listenAddress } from "../../../aggregator/options/serve_options.ts";
import { tokenCommand } from "../../../aggregator/commands/token_command.ts";
import { threatLines } from "../../../aggregator/cli/words.ts";
import { sha256Hex } from "../../../shared/batch.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { TestClock } from "../api/fixture.ts";
import { sampleThreat } from "../api/samples.ts";
import { hostileStrings, startHostileWorld } from "../dashboard/hostile.ts";
import { runInside, storeIn, withFolder } from "./harness.ts";

const commands = [
  tokenCommand,
  reportCommand,
  sensorsCommand,
  revokeCommand,
  keyCommand,
  doctorCommand,
  configCommand,
];

Deno.test("help lists every command, and each has options, examples and exit codes", async () => {
  const all = await runInside(commands, ["--help"]);
  assertEquals(all.code, 0);
  for (const { name } of commands) {
    assertMatch(all.stdout, new RegExp(`^  ${name}\\b`, "m"));
    const one = await runInside(commands, [name, "--help"]);
    assertEquals(one.code, 0);
    for (const part of ["Options:", "Examples:", "Exit codes:", `picket-aggregator ${name}`]) {
      assertStringIncludes(one.stdout, part);
    }
  }
  assertEquals((await runInside(commands, [])).code, 2);
  assertMatch((await runInside(commands, ["--version"])).stdout, /^picket-aggregator [0-9]+\./);
});

Deno.test("wrong options are all said at once, with exit code 2", async () => {
  const { code, stderr } = await runInside(commands, [
    "config",
    "--bukets",
    "4",
    "--kafka-replication",
    "99",
  ]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'did you mean "--buckets"');
  assertStringIncludes(stderr, '"kafkaReplication" as it must be <= 10');
  assertEquals((await runInside(commands, ["serv"])).code, 2);
  const file = await runInside(commands, ["config", "--config", "/c.json"], {
    files: { "/c.json": '{"lisen": "x"}' },
  });
  assertEquals(file.code, 2);
  assertStringIncludes(file.stderr, 'Unknown configuration key "lisen"');
  const secret = await runInside(commands, ["config", "--config", "/c.json"], {
    files: { "/c.json": '{"storePassword": "x"}' },
  });
  assertStringIncludes(secret.stderr, "set it in the environment");
  assertEquals((await runInside(commands, ["token", "extra"])).code, 2);
  assertEquals((await runInside(commands, ["revoke"])).code, 2);
});

Deno.test("config prints what is in force from file, environment and arguments, without secrets", async () => {
  const { code, stdout } = await runInside(
    commands,
    ["config", "--dump", "--config", "/c.json", "--buckets", "8"],
    {
      files: { "/c.json": '{"site": "office", "buckets": 2}' },
      env: { PICKET_LISTEN: "127.0.0.1:9000", PICKET_STORE_PASSWORD: "hunter2" },
    },
  );
  assertEquals(code, 0);
  const dumped = JSON.parse(stdout);
  assertEquals([dumped.site, dumped.buckets, dumped.listen], ["office", 8, "127.0.0.1:9000"]);
  assert(!stdout.includes("hunter2"));
});

Deno.test("a public address needs TLS or the word that it is meant", async () => {
  const open = { tlsCert: "", tlsKey: "", insecureHttp: false };
  for (const text of ["127.0.0.1:8600", "[::1]:8600", "localhost:1"]) {
    checkExposure(listenAddress(text), open);
  }
  for (const text of ["0.0.0.0:8600", "10.0.0.5:8600", "[::]:8600", "picket.example:443"]) {
    const { code, stderr } = await runInside(commands, ["config", "--listen", text]);
    assertEquals(code, 2, text);
    assertStringIncludes(stderr, "--insecure-http");
    checkExposure(listenAddress(text), { ...open, insecureHttp: true });
    checkExposure(listenAddress(text), { ...open, tlsCert: "c", tlsKey: "k" });
  }
  assertEquals((await runInside(commands, ["config", "--tls-cert", "c"])).code, 2);
  assertEquals((await runInside(commands, ["config", "--listen", "8600"])).code, 2);
  assertEquals(hostnamesOf(listenAddress("127.0.0.1:1"), []), ["localhost", "127.0.0.1", "[::1]"]);
  assertEquals(hostnamesOf(listenAddress("0.0.0.0:1"), []), null);
  assertEquals(hostnamesOf(listenAddress("0.0.0.0:1"), ["Picket.example"]), ["picket.example"]);
});

Deno.test("token makes one that the store knows by its hash only", () =>
  withFolder(async (folder) => {
    const { code, stdout } = await runInside(commands, [
      "token",
      "--state",
      folder,
      "--site",
      "lab",
      "--tags",
      "roof,north",
      "--json",
    ]);
    assertEquals(code, 0);
    const { token, site, tags } = JSON.parse(stdout);
    assertEquals([site, tags], ["lab", ["roof", "north"]]);
    const store = storeIn(folder);
    await store.start();
    const keys = { sensor_id: "s1", name: "x", key_id: "0".repeat(16), public_key: "" };
    assertEquals(
      (await store.redeemJoinToken(sha256Hex(token), keys, new TestClock().ms)).outcome,
      "enrolled",
    );
    await store.stop();
    const sensors = await runInside(commands, ["sensors", "--state", folder]);
    assertStringIncludes(sensors.stdout, "x (site lab): never seen");
    assertEquals((await runInside(commands, ["revoke", "s1", "--state", folder])).code, 0);
    assertStringIncludes((await runInside(commands, ["sensors", "--state", folder])).stdout, "revoked");
    const unknown = await runInside(commands, ["revoke", "s2", "--state", folder]);
    assertEquals(unknown.code, 1);
    assertEquals((await runInside(commands, ["token", "--state", folder, "--site", "a b"])).code, 2);
  }));

Deno.test("a store's password is not taken in its URL, and database files are their owner's alone wherever they are", () =>
  withFolder(async (folder) => {
    for (
      const url of [
        "mariadb://u:hunter2@127.0.0.1:1/picket",
        "mariadb://u:hun%74er2@[::1]/p",
        "mariadb://u@h/p?password=hunter2",
      ]
    ) {
      const { code, stdout, stderr } = await runInside(commands, [
        "token",
        "--state",
        folder,
        "--store",
        url,
      ]);
      assertEquals(code, 2, url);
      assertStringIncludes(stderr, "PICKET_STORE_PASSWORD");
      assert(!/hun/.test(stdout + stderr), stderr);
    }
    const path = `${folder}/elsewhere.db`;
    await Deno.writeTextFile(path, "", { mode: 0o644 });
    assertEquals(
      (await runInside(commands, ["token", "--state", folder, "--store", `sqlite:${path}`])).code,
      0,
    );
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  }));

Deno.test("the first start writes an admin key for the owner only, and never another", () =>
  withFolder(async (folder) => {
    const store = storeIn(folder), clock = new TestClock();
    await store.start();
    const edges = {
      clock,
      reporter: createReporter({ component: "test", write: () => undefined, clock }),
      randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
    };
    const path = await ensureAdminKey(folder, store, edges);
    const key = (await Deno.readTextFile(path)).trim();
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
    await ensureAdminKey(folder, store, edges);
    assertEquals((await Deno.readTextFile(path)).trim(), key);
    const rows = await store.readApiKeys();
    assertEquals(rows.map((row) => [row.key_hash, row.role]), [[sha256Hex(key), "admin"]]);
    await Deno.remove(path);
    await ensureAdminKey(folder, store, edges);
    assertEquals((await store.readApiKeys()).length, 1, "a key that was taken away stays away");
    await store.stop();
  }));

Deno.test("report prints fleet, totals and threats in words, with every hostile string escaped", async () => {
  const world = await startHostileWorld();
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/key`, world.fixture.keys.viewer);
    const remote = ["--url", world.url, "--key-file", `${folder}/key`];
    const { code, stdout } = await runInside(commands, ["report", ...remote]);
    assertEquals(code, 0);
    for (
      const words of [
        "cellar (site lab): lossy",
        "160 flows",
        "CRITICAL  DNS tunnel",
        "What to do:",
        "Score 75",
      ]
    ) {
      assertStringIncludes(stdout, words);
    }
    // deno-lint-ignore no-control-regex -- these are what must not reach a terminal.
    assert(!/[\u0000-\u0009\u000b-\u001f\u202e\u200b]/.test(stdout));
    const json = JSON.parse((await runInside(commands, ["report", ...remote, "--json"])).stdout);
    assertEquals([json.threats.length, json.threats[0].severity, json.totals.flows], [3, "critical", 160]);
    const key = await runInside(commands, ["key", "--name", "x", ...remote]);
    assertEquals(key.code, 2, "a viewer cannot make keys");
    assertStringIncludes(key.stderr, "403");
    await Deno.writeTextFile(`${folder}/wrong`, "pk_wrong");
    assertEquals(
      (await runInside(commands, ["report", "--url", world.url, "--key-file", `${folder}/wrong`])).code,
      2,
    );
    await Deno.writeTextFile(`${folder}/admin`, world.fixture.keys.admin);
    const admin = ["--url", world.url, "--key-file", `${folder}/admin`];
    assertMatch((await runInside(commands, ["token", ...admin])).stdout, /^pj_/);
    assertMatch((await runInside(commands, ["key", "--name", "x", ...admin])).stdout, /^pk_/);
  });
  await world.stop();
});

Deno.test("report says what is missing, and that nobody answers", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/admin.key`, "pk_x");
    const nobody = await runInside(commands, ["report", "--url", "http://127.0.0.1:1", "--state", folder]);
    assertEquals(nobody.code, 3);
    assertStringIncludes(nobody.stderr, "Is `picket-aggregator serve` running?");
    assertEquals((await runInside(commands, ["report", "--key-file", `${folder}/none`])).code, 2);
    assertEquals((await runInside(commands, ["report", "--url", "ftp://x", "--state", folder])).code, 2);
  }));

Deno.test("threat lines wrap at 100 columns and colour only a word", () => {
  const threat = sampleThreat({ explanation: `${"many words of text ".repeat(30)}${hostileStrings[9]}` });
  const plain = threatLines(threat, false);
  assert(plain.every((line) => line.length <= 100), plain.find((line) => line.length > 100));
  assertStringIncludes(plain.join("\n"), "\\u{1b}[31mred");
  assert(!plain.join("").includes("\x1b"));
  assertStringIncludes(threatLines(threat, true)[0], "\x1b[1;31mHIGH\x1b[0m");
});

Deno.test("doctor finds what is wrong and goes on to the next check", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/admin.key`, "pk_x", { mode: 0o644 });
    const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr as Deno.NetAddr;
    const clock = new TestClock();
    clock.ms = 0;
    // Whatever connects is sent away at once, as a program that speaks something else would do.
    const turnAway = (async () => {
      for await (const connection of taken) connection.close();
    })();
    const { code, stdout } = await runInside(
      commands,
      ["doctor", "--state", folder, "--listen", `127.0.0.1:${port}`, "--json"],
      { clock },
    );
    taken.close();
    await turnAway;
    assertEquals(code, 1);
    const findings: { check: string; result: string; text: string }[] = JSON.parse(stdout).findings;
    const results = Object.fromEntries(findings.map(({ check, result }) => [check, result]));
    assertEquals(results, {
      clock: "fail",
      store: "ok",
      key: "fail",
      kafka: "ok",
      address: "fail",
      model: "ok",
    });
    assertStringIncludes(findings.find(({ check }) => check === "key")!.text, "chmod 600");
    await Deno.chmod(`${folder}/admin.key`, 0o600);
    assertEquals(
      (await runInside(commands, ["doctor", "--state", folder, "--listen", "127.0.0.1:0"])).code,
      0,
    );
  }));
