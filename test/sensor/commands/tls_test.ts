/** Tests of TLS to the aggregator: what enrolment keeps, what later commands use of it, and what a fault is called.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { AggregatorClient } from "../../../sensor/aggregator_client.ts";
import { skipLoudly } from "../../services/services.ts";
import { type Certificate, Certificates, fingerprintOfPem, hasOpenssl } from "../certificates.ts";
import { type Machine, machineTest as testOnMachine, until } from "./machine.ts";

const needs = hasOpenssl ? { ignore: false } : skipLoudly("TLS", "openssl is not installed");

function machineTest(name: string, use: (machine: Machine, made: Certificates) => Promise<void>): void {
  testOnMachine(name, async (machine) => {
    const made = new Certificates();
    try {
      await use(machine, made);
    } finally {
      made.remove();
    }
  }, needs);
}

/** Starts the machine's aggregator anew, with TLS. */
async function speakTls(machine: Machine, tls: Certificate): Promise<void> {
  await machine.aggregator.stop();
  machine.aggregator.tls = tls;
  machine.aggregator.start();
}

/** The string that this aggregator would print. */
function invitation({ aggregator }: Machine, fingerprint: string): string {
  return `picket://127.0.0.1:${aggregator.port}/${aggregator.token}#${fingerprint}`;
}

machineTest(
  "enrol keeps the authority it was told, and every later command trusts it",
  async (machine, made) => {
    const ca = await made.authority("ca");
    await speakTls(machine, await made.server("good", "ca"));
    const file = `${machine.folder}/given.pem`;
    Deno.writeTextFileSync(file, ca.cert);
    const { aggregator } = machine;
    const how = ["--aggregator", aggregator.url, "--token", aggregator.token];
    const enrolled = await machine.call("enrol", ...how, "--aggregator-ca", file);
    assertEquals([enrolled.code, enrolled.err], [0, ""]);
    Deno.removeSync(file);
    const shipped = await machine.call("replay", machine.capture(20), "--ship", "--no-facts");
    assertEquals([shipped.code, aggregator.flows], [0, 20], shipped.log);
    assert(aggregator.checkIns.length > 0);
    const doctor = await machine.call("doctor");
    assertStringIncludes(doctor.out, `${aggregator.url} answers, clocks agree`);
    const { enrolled: shown } = JSON.parse((await machine.call("status", "--json")).out);
    assertEquals(shown.aggregator_ca, fingerprintOfPem(ca.cert));
    // Again at the same address without naming it, as with a fresh token.
    assertEquals((await machine.call("enrol", ...how)).code, 0);
    // Told otherwise, that counts.
    const other = await made.authority("other");
    Deno.writeTextFileSync(file, other.cert);
    const refused = await machine.call("doctor", "--aggregator-ca", file);
    assertStringIncludes(refused.out, "issuer that is not trusted here");
  },
);

machineTest(
  "enrol with one string fetches the authority, knows it by its fingerprint, keeps it",
  async (machine, made) => {
    const ca = await made.authority("ca");
    await speakTls(machine, await made.server("good", "ca"));
    const { aggregator } = machine;
    aggregator.authority = () => new Response(ca.cert);
    const fingerprint = fingerprintOfPem(ca.cert);
    const enrolled = await machine.call("enrol", invitation(machine, fingerprint));
    assertEquals([enrolled.code, enrolled.err], [0, ""]);
    const shipped = await machine.call("replay", machine.capture(5), "--ship", "--no-facts");
    assertEquals([shipped.code, aggregator.flows], [0, 5], shipped.log);
    // As openssl shows it, and beside a certificate that nobody asked for.
    const other = await made.authority("other");
    aggregator.authority = () => new Response(other.cert + ca.cert);
    const colons = fingerprint.toUpperCase().match(/../g)!.join(":");
    assertEquals((await machine.call("enrol", invitation(machine, colons))).code, 0);
  },
);

machineTest(
  "enrol with one string takes no other authority, and enrols nowhere then",
  async (machine, made) => {
    const ca = await made.authority("ca");
    const other = await made.authority("other");
    await speakTls(machine, await made.server("good", "ca"));
    const { aggregator } = machine;
    const fingerprint = fingerprintOfPem(ca.cert);
    const cases: [string, () => Response | Promise<Response>, number, string][] = [
      ["another one", () => new Response(other.cert), 1, "somebody stands in between"],
      ["none", () => new Response("", { status: 404 }), 3, "offers no certificate authority"],
      ["a page", () => new Response("<html>"), 3, "no certificate"],
      ["a key", () => new Response(ca.key), 3, "a private key"],
      ["too much", () => new Response("A".repeat(65_537)), 3, "more than 65536 octets"],
      [
        "nothing in time",
        () => new Promise((resolve) => setTimeout(() => resolve(new Response("")), 800)),
        3,
        "no answer within 300 ms",
      ],
    ];
    for (const [name, answer, code, words] of cases) {
      aggregator.authority = answer;
      const refused = await machine.call("enrol", invitation(machine, fingerprint), "--timeout-ms", "300");
      assertEquals(refused.code, code, name);
      assertStringIncludes(refused.err, words, name);
    }
    // The authority is the right one, and did not sign this server.
    await speakTls(machine, await made.server("foreign", "other"));
    aggregator.authority = () => new Response(ca.cert);
    const foreign = await machine.call("enrol", invitation(machine, fingerprint));
    assertEquals(foreign.code, 3);
    assertStringIncludes(foreign.err, "issuer that is not trusted here");
    assertEquals(aggregator.enrolled, null);
  },
);

testOnMachine("enrol refuses a string that is none, without printing the token", async (machine) => {
  const { token, port } = machine.aggregator;
  const hex = "ab".repeat(32);
  for (
    const wrong of [
      `picket://127.0.0.1:${port}/${token}#${hex.slice(1)}`,
      `picket://127.0.0.1:${port}/${token}#${hex}ff`,
      `picket://127.0.0.1:0/${token}#${hex}`,
      `picket://127.0.0.1:65536/${token}#${hex}`,
      `picket://[127.0.0]:8600/${token}#${hex}`,
      `picket://user@127.0.0.1/${token}#${hex}`,
      `picket://127.0.0.1/${token}/more#${hex}`,
      "picket://127.0.0.1/short",
      `https://127.0.0.1:${port}/${token}#${hex}`,
    ]
  ) {
    const { code, err } = await machine.call("enrol", wrong);
    assertEquals(code, 2, wrong);
    assert(!err.includes(token), err);
  }
  const plain = `picket://127.0.0.1:${port}/${token}`;
  assertEquals((await machine.call("enrol", plain, "--token", token)).code, 2);
  assertEquals((await machine.call("enrol", plain, plain)).code, 2);
  assertEquals((await machine.call("enrol", plain)).code, 0);
});

testOnMachine("enrol comes again when the aggregator is busy, after as long as it says", async (machine) => {
  machine.aggregator.busyEnrolments = 2;
  const startedMs = performance.now();
  const { code, log } = await machine.enrol();
  assertEquals(code, 0);
  assert(performance.now() - startedMs > 2_000, "came back too soon");
  assertStringIncludes(log, "the aggregator is busy");
});

Deno.test({
  name: "a certificate fault is called what it is, with its cure",
  ...needs,
  fn: async () => {
    const made = new Certificates();
    const ca = await made.authority("ca");
    const past = { from: "20240101000000Z", to: "20250101000000Z" };
    const future = { from: "20400101000000Z", to: "20410101000000Z" };
    const cases: [Certificate, string | null, string[]][] = [
      [await made.server("good", "ca"), null, ["issuer that is not trusted", "--aggregator-ca"]],
      [ca, ca.cert, ["certificate of a certificate authority as its own", "CA:FALSE"]],
      [await made.server("name", "ca", { names: "DNS:other.example" }), ca.cert, [
        "for other.example, not for",
      ]],
      [await made.server("expired", "ca", past), ca.cert, [
        "expired on 2025-01-01 00:00 UTC",
        "the clock here",
      ]],
      [await made.server("future", "ca", future), ca.cert, ["not valid yet, but on 2040-01-01", "clock"]],
      [await made.server("client", "ca", { usage: "clientAuth" }), ca.cert, ["not made for servers"]],
    ];
    for (const [tls, trusted, words] of cases) {
      const server = Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen: () => {}, ...tls },
        () => new Response("{}"),
      );
      const url = `https://127.0.0.1:${server.addr.port}`;
      const client = new AggregatorClient({ url, ca: trusted, timeoutMs: 5_000 });
      const answer = await client.get("/healthz");
      client.close();
      await server.shutdown();
      assert(!answer.ok && answer.problem === "certificate", JSON.stringify(answer));
      const said = `${answer.message}: ${answer.cure}`;
      for (const word of words) assertStringIncludes(said, word);
      assert(!said.includes("reachable"), said);
    }
    made.remove();
  },
});

Deno.test("a server that speaks no TLS, or only TLS, is said to", async () => {
  const plain = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => new Response("{}"));
  const client = new AggregatorClient({ url: `https://127.0.0.1:${plain.addr.port}` });
  const answer = await client.get("/healthz");
  client.close();
  await plain.shutdown();
  assert(!answer.ok);
  assertStringIncludes(`${answer.message} ${answer.cure}`, 'write "http://"');
});

machineTest(
  "run trusts the authority that enrolment keeps now, once it is told to reload",
  async (machine, made) => {
    await made.authority("old");
    await made.authority("new");
    const { aggregator } = machine;
    const file = `${machine.folder}/ca.pem`;
    const trust = (name: string) => Deno.copyFileSync(`${made.folder}/${name}.pem`, file);
    const enrol = () => {
      const how = ["--aggregator", aggregator.url, "--token", aggregator.token];
      return machine.call("enrol", ...how, "--aggregator-ca", file);
    };
    await speakTls(machine, await made.server("first", "old"));
    trust("old");
    assertEquals((await enrol()).code, 0);
    const { ended, stop, reload, logs } = machine.begin("run", "--no-facts", "--check-in-s", "1");
    await until(() => aggregator.checkIns.length > 0);
    await speakTls(machine, await made.server("second", "new"));
    await until(() => logs.some((line) => line.includes("issuer that is not trusted")));
    // A reload that finds nothing new changes nothing.
    await reload();
    trust("new");
    assertEquals((await enrol()).code, 0);
    const before = aggregator.checkIns.length;
    await reload();
    machine.live.packet(Date.now() * 1_000);
    await until(() => aggregator.checkIns.length > before && aggregator.flows === 1);
    stop();
    assertEquals(await ended, 0);
  },
);
