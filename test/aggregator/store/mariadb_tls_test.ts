/** The store over TLS, with a real MariaDB that has a certificate of its own. @module */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { ArchiveThread } from "../../../aggregator/archive/archive_thread.ts";
import { backUp, BackupProblem, bringBack } from "../../../aggregator/archive/database_file.ts";
import { openDatabase, openStore } from "../../../aggregator/store/open.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { Certificates, hasOpenssl } from "../../sensor/certificates.ts";
import { askMariadb, mariadb, startMariadb } from "../../services/mariadb.ts";
import { createDatabase, skipLoudly } from "../../services/services.ts";
import { passwordOf, withoutPassword } from "../archive/stores.ts";
import { flowsOf, flowWrite, nothing } from "./rows.ts";

const why = hasOpenssl ? await mariadb.missing() : "openssl is not installed";
const { ignore } = why ? skipLoudly("tests of MariaDB with TLS", why) : { ignore: false };
const reporter = createReporter({ component: "test", write: () => {} });

Deno.test("a certificate authority is only for a store that is reached over a network", () => {
  assertThrows(() => openStore("sqlite::memory:", { reporter, ca: "x" }), RangeError, "only MariaDB");
});

Deno.test({
  name: "mariadb store speaks TLS, and calls a fault of the certificate what it is",
  ignore,
  // The pool closes its connections a moment after it ends.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const made = new Certificates();
    const ca = await made.authority("ca");
    const other = await made.authority("other");
    await made.server("right", "ca");
    await made.server("named", "ca", { names: "DNS:db.example" });
    await made.server("expired", "ca", { to: "20250101000000Z" });
    const live = `${made.folder}/live`;
    const show = (name: string) => {
      for (const end of ["pem", "key"]) Deno.copyFileSync(`${made.folder}/${name}.${end}`, `${live}.${end}`);
    };
    show("right");
    const tls = [`--ssl-cert=${live}.pem`, `--ssl-key=${live}.key`, `--ssl-ca=${made.folder}/ca.pem`];
    const { address, stop } = await startMariadb(tls);
    const use = async (name: string) => {
      show(name);
      await askMariadb(address, "FLUSH SSL");
    };
    try {
      const url = await createDatabase(address);
      await askMariadb(address, "ALTER USER 'picket'@'127.0.0.1' REQUIRE SSL").catch(() => undefined);
      const database = openDatabase(url, { reporter, ca: ca.cert });
      await database.open();
      const [{ Value: cipher }] = await database.read((session) =>
        session.all("SHOW STATUS LIKE 'Ssl_cipher'")
      );
      assertStringIncludes(String(cipher), "_AES_256_");
      await database.close();
      const words = async (authority: string | null, at = url) => {
        const store = openStore(at, { reporter, ...(authority === null ? {} : { ca: authority }) });
        const error = await assertRejects(() => store.start(), StoreUnavailable);
        await store.stop();
        return error.message;
      };
      assertStringIncludes(await words(other.cert), "issuer that is not trusted here: name the certificate");
      assertStringIncludes(await words(other.cert), "--store-ca");
      // The user above may not come without TLS.
      assertStringIncludes(await words(null), "access denied");
      await use("named");
      assertStringIncludes(await words(ca.cert), "is for db.example, not for this address");
      await use("expired");
      assertStringIncludes(await words(ca.cert), "expired on 2025-01-01 00:00 UTC");
      await use("right");
      const store = openStore(url, { reporter, ca: ca.cert });
      await store.start();
      assertEquals((await store.readTotals()).flows, 0);
      await store.ingest({ ...nothing(), ...flowsOf([flowWrite(0)]) });
      const [stored] = await store.readDays();
      const keep = (authority: string | null) =>
        new ArchiveThread({
          url: withoutPassword(url),
          password: passwordOf(url),
          ca: authority,
          folder: made.folder,
          bucket: null,
        }).keep(stored, true, new AbortController().signal);
      await assertRejects(() => keep(null), Error, "access denied");
      assertEquals((await keep(ca.cert)).rows, 1);
      const target = (name: string) => ({
        url,
        password: "",
        caFile: name && `${made.folder}/${name}.pem`,
        reporter,
      });
      const dump = `${made.folder}/dump.sql`;
      await assertRejects(() => backUp(target("other"), dump), BackupProblem, "mariadb-dump failed");
      await backUp(target("ca"), dump);
      await bringBack(store, target("ca"), dump, true);
      const again = openStore(url, { reporter, ca: ca.cert });
      await again.start();
      assertEquals((await again.readTotals()).flows, 1);
      await again.stop();
    } finally {
      await stop();
      made.remove();
    }
  },
});

Deno.test({
  name: "mariadb store says that a server speaks no TLS, instead of sending the password without",
  ignore,
  // The pool closes its connections a moment after it ends.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const made = new Certificates();
    const ca = await made.authority("ca");
    const { address, stop } = await startMariadb(["--skip-ssl"]);
    const store = openStore(new URL("x", address).href, { reporter, ca: ca.cert });
    try {
      await assertRejects(() => store.start(), StoreUnavailable, "the server speaks no TLS");
    } finally {
      await store.stop();
      await stop();
      made.remove();
    }
  },
});
