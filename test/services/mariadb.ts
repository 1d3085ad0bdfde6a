/** A real MariaDB for tests: private data folder, private port, thrown away at the end.
 *
 * Out: `mariadb://picket:<password>@127.0.0.1:<port>/`, a user who may create databases; each test makes its own.
 * Why: the server's own programs are used for set-up, so that the tests of our store are the only place that imports
 * the client package. Durable mode stays on, as tests of crash and replay mean nothing without it. @module */

import { findProgram, freePort, GuardedChild } from "./guarded_child.ts";
import type { Service, Start } from "./service.ts";

const readyTimeoutMs = 60_000;

export const mariadb: Start = {
  name: "mariadb",
  async missing() {
    if (!await findProgram("mariadbd", "mysqld")) return "mariadbd is not installed (apt: mariadb-server)";
    if (!await findProgram("mariadb-install-db")) {
      return "mariadb-install-db is not installed (apt: mariadb-server)";
    }
    if (!await findProgram("mariadb")) return "mariadb is not installed (apt: mariadb-client)";
    return undefined;
  },
  start: () => startMariadb(),
};

/** Another one than the shared one, with arguments of its own. */
export async function startMariadb(moreArgs: readonly string[] = []): Promise<Service> {
  const folder = await Deno.makeTempDir({ prefix: "picket-mariadb-" });
  const data = `${folder}/data`;
  const asRoot = Deno.uid() === 0 ? ["--user=root"] : [];
  await installDatabase(folder, data, asRoot);
  const port = freePort();
  const password = crypto.randomUUID();
  await Deno.writeTextFile(`${folder}/init.sql`, firstStatements(password), { mode: 0o600 });
  const child = new GuardedChild({
    command: (await findProgram("mariadbd", "mysqld"))!,
    args: [
      "--no-defaults",
      ...asRoot,
      `--datadir=${data}`,
      // A server that starts removes what it takes for leftovers of its own from the folder for temporary tables.
      `--tmpdir=${folder}`,
      `--port=${port}`,
      `--socket=${folder}/s.sock`,
      `--pid-file=${folder}/pid`,
      `--init-file=${folder}/init.sql`,
      "--bind-address=127.0.0.1",
      "--skip-name-resolve",
      "--max-connections=300",
      "--innodb-buffer-pool-size=256M",
      ...moreArgs,
    ],
    folder,
  });
  const url = `mariadb://picket:${password}@127.0.0.1:${port}/`;
  await child.waitUntilReady("mariadb", () => runSql(url, "SELECT 1"), readyTimeoutMs);
  return { address: url, stop: () => child.stop() };
}

/** Makes an empty database of its own for one test and gives its URL; the server's end removes it. */
export async function createDatabase(url: string, prefix = "picket_test"): Promise<string> {
  const name = `${prefix}_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
  if (!await runSql(url, `CREATE DATABASE ${name}`)) {
    throw new Error(`Cannot create database: name is "${name}"`);
  }
  return new URL(name, url).href;
}

async function installDatabase(folder: string, data: string, asRoot: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command((await findProgram("mariadb-install-db"))!, {
    args: [
      "--no-defaults",
      ...asRoot,
      `--datadir=${data}`,
      `--tmpdir=${folder}`,
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (success) return;
  await Deno.remove(folder, { recursive: true });
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  throw new Error(`Cannot install mariadb data folder: mariadb-install-db said\n${said}`);
}

/** Only the password opens this server, also for other users of the same machine. */
function firstStatements(password: string): string {
  return [
    `CREATE USER 'picket'@'127.0.0.1' IDENTIFIED BY '${password}';`,
    `GRANT ALL PRIVILEGES ON *.* TO 'picket'@'127.0.0.1' WITH GRANT OPTION;`,
    `ALTER USER 'root'@'localhost' IDENTIFIED BY '${password}';`,
    "",
  ].join("\n");
}

/** Asks with the server's own client, as people do; rows of text. @throws with what the server said. */
export async function askMariadb(url: string, statements: string): Promise<string[][]> {
  const { success, stdout, stderr } = await runClient(url, statements);
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr).trim());
  return decoder.decode(stdout).split("\n").slice(0, -1).map((line) => line.split("\t"));
}

/** Runs one statement with the server's own client; false when the server does not answer or refuses. */
async function runSql(url: string, statement: string): Promise<boolean> {
  return (await runClient(url, statement)).success;
}

async function runClient(url: string, statements: string): Promise<Deno.CommandOutput> {
  const { hostname, port, username, password, pathname } = new URL(url);
  return await new Deno.Command((await findProgram("mariadb"))!, {
    args: [
      "--no-defaults",
      "--local-infile",
      "--batch",
      "--skip-column-names",
      `--host=${hostname}`,
      `--port=${port}`,
      `--user=${username}`,
      `--database=${pathname.slice(1)}`,
      "--execute",
      statements,
    ],
    env: { MYSQL_PWD: decodeURIComponent(password) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
}
