/** A restore that did not read all of its file says so, even when MariaDB's client reports success. Other cases of
 * backup and restore are in test/aggregator/commands/db_command_test.ts. @module */

import { assertRejects } from "@std/assert";
import { BackupProblem, bringBack } from "../../../aggregator/archive/database_file.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";

const mariadb = await useMariadb();

Deno.test({
  name: "a dump of which the client did not want the rest is not brought back",
  ignore: mariadb.ignore,
  fn: async () => {
    const reporter = createReporter({ component: "test", write: () => {} });
    const url = await createDatabase(mariadb.address);
    const store = openStore(url, { reporter });
    await store.start();
    const path = await Deno.makeTempFile({ suffix: ".sql" });
    await Deno.writeTextFile(path, `SELECT 1;\n\\q\n${"-- more\n".repeat(500_000)}-- Dump completed\n`);
    await assertRejects(
      () => bringBack(store, { url, password: "", caFile: "", reporter }, path, true),
      BackupProblem,
      "not all of it was read",
    );
    await Deno.remove(path);
  },
});
