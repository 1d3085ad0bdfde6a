/** `setup`, and `serve` after it:
 * what is printed, who may read the files, and a certificate that changes while connections go on. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { TextLineStream } from "@std/streams/text-line-stream";
import { qrLines } from "../../../aggregator/cli/qr.ts";
import { invitation, joinCommand } from "../../../aggregator/model/invitation.ts";
import { configCommand } from "../../../aggregator/commands/config_command.ts";
import { setupCommand } from "../../../aggregator/commands/setup_command.ts";
import { CertificateKeeper } from "../../../aggregator/serve/certificate_keeper.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { TestClock } from "../api/fixture.ts";
import { runInside, runProgram, spawnProgram, storeIn, withFolder } from "./harness.ts";

const commands = [setupCommand, configCommand];
const clock = new TestClock();

Deno.test("setup prints dashboard, key and the line for a sensor, as text and as a QR code; again it keeps the authority", () =>
  withFolder(async (folder) => {
    const setup = ["setup", "--state", `${folder}/new`, "--no-service"];
    const first = await runInside(commands, [...setup, "--host", "Picket.example", "--json"], { clock });
    assertEquals(first.code, 0, first.stderr);
    const done = JSON.parse(first.stdout);
    assertEquals(done.dashboard, "https://picket.example:8600/");
    assertEquals([done.service, done.expires_ms], [null, clock.ms + 900_000]);
    const pem = await Deno.readTextFile(done.ca_file);
    const fingerprint = new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase();
    assertEquals(
      done.command,
      `sudo picket-sensor enrol 'picket://picket.example:8600/${done.token}#${fingerprint}'`,
    );
    assertMatch((await Deno.readTextFile(done.key_file)).trim(), /^pk_/);
    const second = await runInside(commands, [...setup, "--listen", "[::]:9000"], { clock });
    assertEquals(second.code, 0, second.stderr);
    assertStringIncludes(second.stdout, `#${fingerprint}'`);
    assertMatch(second.stdout, /picket:\/\/[^/]+:9000\/pj_/);
    assertStringIncludes(second.stdout, "▄▄▄▄▄");
    const inForce = JSON.parse((await runInside(commands, ["config", "--state", `${folder}/new`])).stdout);
    assertEquals(inForce.listen, "[::]:9000");
    for (
      const path of ["admin.key", "setup.json", "tls/ca.key", "tls/ca.pem", "tls/server.key", "picket.db"]
    ) {
      assertEquals((await Deno.stat(`${folder}/new/${path}`)).mode! & 0o777, 0o600, path);
    }
    for (const path of ["", "tls"]) {
      assertEquals((await Deno.stat(`${folder}/new/${path}`)).mode! & 0o777, 0o700, path);
    }
    const store = storeIn(`${folder}/new`);
    await store.start();
    const keys = { sensor_id: "s1", name: "x", key_id: "0".repeat(16), public_key: "" };
    const hash = (await import("../../../shared/batch.ts")).sha256Hex(done.token);
    assertEquals((await store.redeemJoinToken(hash, keys, clock.ms)).outcome, "enrolled");
    await store.stop();
  }));

Deno.test("setup refuses a host and a site that are none", () =>
  withFolder(async (folder) => {
    for (const wrong of [["--host", "a b"], ["--site", "a b"], ["--listen", "8600"]]) {
      assertEquals(
        (await runInside(commands, ["setup", "--no-service", "--state", folder, ...wrong])).code,
        2,
      );
    }
  }));

Deno.test("the line for a sensor fits the address: with and without fingerprint, with a path, without TLS", () => {
  const token = "pj_0123456789abcdefghij";
  const fingerprint = "a".repeat(64);
  const line = (url: string, of: string | null) => invitation({ url, fingerprint: of }, token);
  assertEquals(line("https://10.0.0.5:8600", fingerprint), `picket://10.0.0.5:8600/${token}#${fingerprint}`);
  assertEquals(line("https://[2001:db8::5]:8600/", null), `picket://[2001:db8::5]:8600/${token}`);
  assertEquals(line("https://picket.example", null), `picket://picket.example:443/${token}`);
  assertEquals(line("https://picket.example/watch/", null), null);
  assertEquals(
    joinCommand({ url: "https://picket.example/watch/", fingerprint: null }, token),
    `sudo picket-sensor enrol --aggregator https://picket.example/watch --token ${token}`,
  );
  assertEquals(line("http://127.0.0.1:8600", null), null);
  const lines = qrLines(line("https://10.0.0.5:8600", fingerprint)!);
  assert(lines.length < 30 && lines.every((row) => row.length < 60), "fits a terminal of 80 columns");
});

Deno.test("after setup serve listens with TLS, offers its authority, and takes a new certificate on SIGHUP", () =>
  withFolder(async (folder) => {
    const { code, stderr } = await runProgram([
      "setup",
      "--state",
      folder,
      "--no-service",
      "--listen",
      "0.0.0.0:0",
    ]);
    assertEquals(code, 0, stderr);
    const child = spawnProgram(["serve", "--state", folder]);
    const errors = new Response(child.stderr).text();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
    const { port } = new URL(JSON.parse((await lines.read()).value!).listening);
    const ca = await Deno.readTextFile(`${folder}/tls/ca.pem`);
    const url = `https://localhost:${port}`;
    const kept = Deno.createHttpClient({ caCerts: [ca] });
    assertEquals(await (await fetch(`${url}/ca.pem`, { client: kept })).text(), ca);
    const before = await Deno.readTextFile(`${folder}/tls/server.pem`);
    await Deno.remove(`${folder}/tls/server.pem`);
    child.kill("SIGHUP");
    for (let i = 0; i < 100; i++) {
      if (await Deno.stat(`${folder}/tls/server.pem`).then(() => true, () => false)) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const after = await Deno.readTextFile(`${folder}/tls/server.pem`);
    assert(after !== before);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assertEquals(await servedBy(port), new X509Certificate(after).fingerprint256);
    assertEquals((await (await fetch(`${url}/healthz`, { client: kept })).json()).status, "ok");
    const report = await runProgram(["report", "--state", folder]);
    assertStringIncludes(report.stderr, "no flow is stored yet");
    await Deno.copyFile(`${folder}/admin.key`, `${folder}/key`);
    const elsewhere = ["--state", `${folder}/none`, "--key-file", `${folder}/key`];
    const faults: [string, string][] = [
      [
        url,
        "its certificate is from an issuer that is not trusted here: name the certificate authority that signed it with --ca",
      ],
      [url.replace("https:", "http:"), 'write "https://" instead of "http://"'],
    ];
    for (const [at, words] of faults) {
      const { code, stderr } = await runProgram(["report", "--url", at, ...elsewhere]);
      assertEquals(code, 3, stderr);
      assertStringIncludes(stderr, words);
    }
    const told = await runProgram([
      "sensor",
      "list",
      "--url",
      url,
      "--ca",
      `${folder}/tls/ca.pem`,
      ...elsewhere,
    ]);
    assertEquals(told.code, 0, told.stderr);
    kept.close();
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    await lines.cancel();
    assertStringIncludes(await errors, "serving a new certificate");
  }));

/** Fingerprint of the certificate that a new connection gets. */
async function servedBy(port: string): Promise<string> {
  const { connect } = await import("node:tls");
  const socket = connect({ host: "127.0.0.1", port: Number(port), rejectUnauthorized: false });
  await new Promise<void>((resolve, reject) => socket.on("secureConnect", resolve).on("error", reject));
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

Deno.test("a certificate that cannot be read or used never replaces one that works, and is looked for every hour", async () => {
  const clock = new TestClock();
  const counted = createReporter({ component: "test", write: () => undefined, clock });
  const used: string[] = [];
  let next: () => { cert: string; key: string } = () => ({ cert: "a", key: "a" });
  const keeper = new CertificateKeeper({ cert: "a", key: "a" }, {
    read: () => Promise.resolve().then(() => next()),
    use: ({ cert }) => {
      if (cert === "bad") throw new TypeError("no certificate");
      used.push(cert);
    },
    clock,
    reporter: counted,
  });
  keeper.start();
  const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
  await settle();
  next = () => ({ cert: "b", key: "b" });
  clock.advance(3_599_999);
  await settle();
  assertEquals(used, []);
  clock.advance(1);
  await settle();
  assertEquals(used, ["b"]);
  next = () => {
    throw new Error("no such file");
  };
  await keeper.look();
  next = () => ({ cert: "bad", key: "b" });
  await keeper.look();
  assertEquals(counted.snapshot().get("certificates_refused_total"), 2);
  next = () => ({ cert: "c", key: "b" });
  await keeper.look();
  assertEquals(used, ["b", "c"]);
  await keeper.stop();
});
