/** The own certificate authority: what others accept, when a certificate is made anew, and what stays as it is.
 * @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { X509Certificate } from "node:crypto";
import {
  ensureAuthority,
  machineNames,
  readAuthority,
  serverCertificate,
} from "../../../aggregator/tls/authority.ts";
import { CommandError } from "../../../shared/command.ts";
import { findProgram } from "../../services/guarded_child.ts";
import { randomBytes } from "../api/fixture.ts";

const dayMs = 86_400_000;
const deps = (nowMs: number) => ({ nowMs, randomBytes });
const names = ["127.0.0.1", "::1", "localhost", "picket.example"];

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-authority-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a server with the authority's certificate is trusted by whoever trusts the authority, by name and by address", () =>
  withFolder(async (folder) => {
    const { pem, fingerprint } = await ensureAuthority(folder, "centre", deps(Date.now()));
    assertEquals(fingerprint.length, 64);
    const { cert, key } = await serverCertificate(folder, names, deps(Date.now()));
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => undefined },
      () => new Response("hello"),
    );
    const client = Deno.createHttpClient({ caCerts: [pem] });
    for (const host of ["127.0.0.1", "localhost"]) {
      const response = await fetch(`https://${host}:${server.addr.port}/`, { client });
      assertEquals(await response.text(), "hello");
    }
    const stranger = Deno.createHttpClient({});
    await assertRejects(
      () => fetch(`https://localhost:${server.addr.port}/`, { client: stranger }),
      TypeError,
    );
    stranger.close();
    client.close();
    await server.shutdown();
  }));

Deno.test("openssl finds nothing to complain about, also strictly, and certificates are no authorities", () =>
  withFolder(async (folder) => {
    if (await findProgram("openssl") === undefined) return;
    await ensureAuthority(
      folder,
      "a name of more than sixty-four characters, as cloud machines have them",
      deps(Date.now()),
    );
    await serverCertificate(folder, names, deps(Date.now()));
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command("openssl", { args, cwd: `${folder}/tls` })
        .output();
      return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
    };
    const verified = await run(
      "verify",
      "-x509_strict",
      "-purpose",
      "sslserver",
      "-CAfile",
      "ca.pem",
      "server.pem",
    );
    assertEquals(verified.code, 0, verified.text);
    const [leaf, authority] = [
      await run("x509", "-noout", "-text", "-in", "server.pem"),
      await run("x509", "-noout", "-text", "-in", "ca.pem"),
    ];
    assert(leaf.text.includes("CA:FALSE") && leaf.text.includes("TLS Web Server Authentication"), leaf.text);
    assert(
      authority.text.includes("CA:TRUE, pathlen:0") && authority.text.includes("Certificate Sign"),
      authority.text,
    );
  }));

Deno.test("everything is for the owner only, and the authority stays the same", () =>
  withFolder(async (folder) => {
    const first = await ensureAuthority(folder, "centre", deps(Date.now()));
    await serverCertificate(folder, names, deps(Date.now()));
    assertEquals(await ensureAuthority(folder, "another name", deps(Date.now() + 400 * dayMs)), first);
    assertEquals((await Deno.stat(`${folder}/tls`)).mode! & 0o777, 0o700);
    const files = [...Deno.readDirSync(`${folder}/tls`)].map(({ name }) => name).sort();
    assertEquals(files, ["ca.key", "ca.pem", "server.key", "server.pem"]);
    for (const file of files) assertEquals((await Deno.stat(`${folder}/tls/${file}`)).mode! & 0o777, 0o600);
  }));

Deno.test("a certificate is made anew before it expires, for new names, when damaged, and after a clock was wrong", () =>
  withFolder(async (folder) => {
    const nowMs = Date.UTC(2026, 0, 1);
    await ensureAuthority(folder, "centre", deps(nowMs));
    const isNew = async (ms: number, wanted = names) =>
      (await serverCertificate(folder, wanted, deps(ms))).isNew;
    assertEquals(await isNew(nowMs), true);
    assertEquals(await isNew(nowMs + 60 * dayMs - 1_000), false, "30 days and a second are left");
    assertEquals(await isNew(nowMs + 60 * dayMs), true, "30 days are left");
    assertEquals(await isNew(nowMs + 60 * dayMs, names.slice(1)), false, "a name less is no reason");
    assertEquals(await isNew(nowMs + 60 * dayMs, [...names, "192.0.2.7"]), true);
    assertEquals(await isNew(nowMs), true, "the clock was two months ahead");
    await Deno.writeTextFile(`${folder}/tls/server.key`, await Deno.readTextFile(`${folder}/tls/ca.key`));
    assertEquals(await isNew(nowMs), true, "a key that does not fit");
    await Deno.writeTextFile(`${folder}/tls/server.pem`, "torn");
    assertEquals(await isNew(nowMs), true);
    await Deno.remove(`${folder}/tls/server.pem`);
    assertEquals(await isNew(nowMs), true);
  }));

Deno.test("an authority that lost its key or is damaged is said to be so, never replaced in silence", () =>
  withFolder(async (folder) => {
    assertEquals(await readAuthority(folder), null);
    const nowMs = Date.now();
    await ensureAuthority(folder, "centre", deps(nowMs));
    await Deno.remove(`${folder}/tls/ca.key`);
    await assertRejects(
      () => serverCertificate(folder, names, deps(nowMs)),
      CommandError,
      "restore ca.pem and ca.key",
    );
    await Deno.writeTextFile(
      `${folder}/tls/ca.pem`,
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    await assertRejects(() => ensureAuthority(folder, "centre", deps(nowMs)), CommandError, "restore ca.pem");
  }));

Deno.test("a certificate beyond 2049 has four digits of the year", () =>
  withFolder(async (folder) => {
    await ensureAuthority(folder, "centre", deps(Date.UTC(2041, 5, 1)));
    const pem = await Deno.readTextFile(`${folder}/tls/ca.pem`);
    assertEquals(new Date(new X509Certificate(pem).validTo).getUTCFullYear(), 2051);
  }));

Deno.test("a machine is known by its name, its addresses, and what its operator adds", () => {
  const found = machineNames(["Picket.Example", "2001:DB8:0::1"]);
  for (const name of ["localhost", "127.0.0.1", "picket.example", "2001:db8::1"]) {
    assert(found.includes(name), name);
  }
  assert(!found.some((name) => name.startsWith("fe80:")));
});
