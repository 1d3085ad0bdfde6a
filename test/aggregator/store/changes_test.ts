/** What publishes reads behind writers on other connections: no transaction is skipped, in whatever order they end.
 * @module */

import { assertEquals } from "@std/assert";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { flowsOf, flowWrite, idOf, nothing } from "./rows.ts";

const mariadb = await useMariadb();
const writers = 4, rounds = 30;

Deno.test({
  name: "mariadb store tells of every change, while several instances write",
  ignore: mariadb.ignore,
  // The pool closes its connections a moment after it ends.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const reporter = createReporter({ component: "test", write: () => {} });
    const url = await createDatabase(mariadb.address);
    const stores = Array.from({ length: writers }, () => openStore(url, { reporter }));
    for (const store of stores) await store.start();
    let open = writers;
    const written = stores.map(async (store, writer) => {
      for (let round = 0; round < rounds; round++) {
        const n = writer * rounds + round;
        // Of unequal size, so that they end out of turn.
        const flows = Array.from(
          { length: 1 + 60 * (n % 3 === 0 ? 1 : 0) },
          (_, i) => flowWrite(n, { flow_id: idOf(1_000 * n + i) }),
        );
        await store.ingest({ ...nothing(), ...flowsOf(flows) });
      }
      open--;
    });
    const told = new Set<string>();
    let position = "", missed = 0;
    for (let isLast = false; !isLast;) {
      isLast = open === 0;
      const changes = await stores[0].readFlowChanges(position, 100);
      for (const { flow_id } of changes.flows) told.add(flow_id);
      missed += changes.missed;
      if (changes.position !== position) isLast = false;
      position = changes.position;
    }
    await Promise.all(written);
    const { flows } = await stores[0].readTotals();
    assertEquals([told.size, missed], [flows, 0]);
    assertEquals(flows, writers * rounds + 60 * Math.ceil(writers * rounds / 3));
    for (const store of stores) await store.stop();
  },
});
