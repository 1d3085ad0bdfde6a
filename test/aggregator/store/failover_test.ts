/** Two real MariaDB servers behind one address: after a failover the store works with the new primary, by itself.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { openStore } from "../../../aggregator/store/open.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { mariadb } from "../../services/mariadb.ts";
import type { Service } from "../../services/service.ts";
import { skipLoudly } from "../../services/services.ts";

const missing = await mariadb.missing();
const settings = {
  ...missing ? skipLoudly("a failover between two servers", missing) : {},
  // The pool of npm:mariadb that was left to a dead server keeps its sockets and timers for a while.
  sanitizeOps: false,
  sanitizeResources: false,
};

/** Forwards each new connection to the port it was told last. */
class Switch {
  #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  #open = new Set<Deno.Conn>();

  constructor(public target: number) {
    this.#accept();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  close(): void {
    this.#listener.close();
    for (const connection of this.#open) closeQuietly(connection);
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) {
      const far = await Deno.connect({ hostname: "127.0.0.1", port: this.target }).catch(() => null);
      if (far === null) {
        // The server behind is down: its clients see that their connection ends.
        closeQuietly(near);
        continue;
      }
      for (const connection of [near, far]) this.#open.add(connection);
      near.readable.pipeTo(far.writable).catch(() => closeQuietly(far));
      far.readable.pipeTo(near.writable).catch(() => closeQuietly(near));
    }
  }
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

async function sql(server: Service, statement: string): Promise<string> {
  const { hostname, port, username, password } = new URL(server.address);
  const { success, stdout, stderr } = await new Deno.Command("mariadb", {
    args: ["--no-defaults", `-h${hostname}`, `-P${port}`, `-u${username}`, "-Ne", statement],
    env: { MYSQL_PWD: decodeURIComponent(password) },
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

async function withServers(
  work: (old: Service, fresh: Service, way: Switch, url: string) => Promise<void>,
): Promise<void> {
  const servers = await Promise.all([mariadb.start(), mariadb.start()]);
  const [old, fresh] = servers;
  const way = new Switch(Number(new URL(old.address).port));
  // One user for both, who may not write where the server is read-only.
  for (const server of servers) {
    await sql(
      server,
      "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'pw'; GRANT ALL ON picket.* TO app@'127.0.0.1'",
    );
  }
  try {
    await work(old, fresh, way, `mariadb://app:pw@127.0.0.1:${way.port}/picket`);
  } finally {
    way.close();
    await Promise.all(servers.map((server) => server.stop()));
  }
}

const token = (name: string) => ({
  token_hash: name,
  site: "lab",
  tags: [],
  created_ms: 1,
  expires_ms: 2,
  used_ms: null,
  used_by: null,
  uses_max: 1,
  uses: 0,
  needs_approval: false,
  revoked_ms: null,
});
const tokens = (server: Service) =>
  sql(server, "SELECT GROUP_CONCAT(token_hash ORDER BY created_ms, token_hash DESC) FROM picket.join_tokens");

Deno.test({
  name: "store leaves a primary that became read-only, ended its sessions, or went away",
  ...settings,
  fn: () =>
    withServers(async (old, fresh, way, url) => {
      const reporter = createReporter({ component: "test", write: () => {} });
      const ports = [old, fresh].map((server) => Number(new URL(server.address).port));
      way.target = ports[1];
      const prepare = openStore(url, { reporter });
      await prepare.start();
      await prepare.stop();
      way.target = ports[0];
      const store = openStore(url, { reporter });
      await store.start();
      await store.addJoinToken(token("one"));
      assertEquals(await store.readSensors(), []);

      // Read-only: writes move at once, and so do readers, who would not have noticed.
      await sql(old, "SET GLOBAL read_only = 1");
      way.target = ports[1];
      await store.addJoinToken(token("two"));
      assertEquals([await tokens(old), await tokens(fresh)], ["one", "two"]);
      await sql(fresh, "INSERT INTO picket.gaps VALUES ('s', 1, 0, 1, 2, 3, NULL)");
      assertEquals((await store.readGaps({}, 9)).length, 1);
      assertEquals(reporter.snapshot().get("store_pools_abandoned_total"), 1);

      // Sessions ended by the server: the next question is answered, without a restart.
      await sql(old, "SET GLOBAL read_only = 0; DELETE FROM picket.join_tokens");
      way.target = ports[0];
      const sessions = await sql(
        fresh,
        "SELECT GROUP_CONCAT(CONCAT('KILL ', id) SEPARATOR ';') FROM information_schema.processlist WHERE user = 'app'",
      );
      await sql(fresh, sessions);
      assertEquals(await store.readGaps({}, 9), []);
      await eventually(() => store.addJoinToken(token("three")));
      assertEquals(await tokens(old), "three");

      // The server goes away for good.
      await old.stop();
      way.target = ports[1];
      await eventually(() => store.addJoinToken(token("four")));
      assertEquals(await tokens(fresh), "two,four");
      await store.stop();
    }),
});

Deno.test({
  name: "a session does not depend on the server's SQL mode, time zone and isolation",
  ...settings,
  fn: () =>
    withServers(async (old, _fresh, _way, url) => {
      await sql(
        old,
        "SET GLOBAL sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES', GLOBAL time_zone = '+05:30', " +
          "GLOBAL tx_isolation = 'READ-UNCOMMITTED'",
      );
      const reporter = createReporter({ component: "test", write: () => {} });
      const store = openStore(url, { reporter });
      await store.start();
      await store.addJoinToken({ ...token("one"), tags: ['a "quoted" \\ tag'] });
      const longer = { ...token("x".repeat(65)) };
      // Refused, never cut; and not as something that passes by itself.
      const refused = await store.addJoinToken(longer).then(() => null, (error) => error);
      assert(
        refused instanceof Error && !(refused instanceof StoreUnavailable),
        "waiting does not make a value shorter",
      );
      assertEquals(await tokens(old), "one");
      await store.stop();
    }),
});

/** What may fail once more while the pool notices. */
async function eventually(work: () => Promise<void>): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || tries >= 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
