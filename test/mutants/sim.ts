/** Guards of delivery, each taken away: some seed of the simulated fleet fails without it. Those that show
 * only within the seeds of a night name the small test that was made of such a seed. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const spool = "sensor/ship/spool.ts";
const gaps = "aggregator/ingest/gaps.ts";
const group = "aggregator/ingest/group.ts";
const partitions = "aggregator/ingest/partitions.ts";
const write = "aggregator/store/write.ts";

export const simMutants: Mutant[] = mutantsOf(["test/sim/sim_test.ts"], [
  [
    "sim: no fsync of spooled files",
    spool,
    "await Promise.all(paths.map((path) => this.#disk.sync(`${path}.part`)));",
    "",
  ],
  ["sim: no fsync of the spool's folder", spool, "await this.#disk.syncFolder(folder); // Last", "// Last"],
  [
    "sim: acknowledged before it is sent",
    "sensor/ship/shipper.ts",
    "const { taken, refused, problem } = await transport.send([...byBatch.keys()]);",
    "for (const entry of byBatch.values()) await spool.acknowledge(entry);\n    const { taken, refused, problem } = await transport.send([...byBatch.keys()]);",
  ],
  [
    "sim: a spool that was not listed at the start stays so",
    spool,
    "if (!this.#isListed) await this.#findAll();",
    "",
    ["test/sensor/ship/spool_test.ts"],
  ],
  [
    "sim: an epoch does not rise",
    "sensor/control/identity.ts",
    "Math.max(last + 1, floor + 1,",
    "Math.max(last, floor,",
  ],
  [
    "sim: a replay is taken for a clone",
    group,
    'if (known === header.sha256) return { outcome: "replay" }',
    'if (known === header.sha256) return { outcome: "refused", reason: "equivocation" }',
  ],
  [
    "sim: forgotten rows of the ledger are stored again",
    group,
    'if (this.#gaps.isTaken(header, header.seq)) return { outcome: "replay" }',
    "",
  ],
  [
    "sim: another log is read on from the old offset",
    partitions,
    "if (place.isChecking && offset === marked && markOf(first) !== place.mark) {",
    'if (place.isChecking && offset === marked && markOf(first) === "") {',
  ],
  [
    "sim: a gap is opened without a question",
    gaps,
    "if (isFresh && !waited.has(name) && this.#areNext(some)) continue;",
    "if (isFresh) continue;",
    ["test/aggregator/ingest/parts_test.ts"],
  ],
  [
    "sim: nobody looks whether somebody else wrote meanwhile",
    write,
    "await checkSequences(database, session, write);",
    "",
    ["test/aggregator/store/sqlite_test.ts"],
  ],
  [
    "sim: what cannot be verified stops its partition",
    group,
    'if (typeof verified === "string") return { outcome: "refused", reason: verified };',
    'if (typeof verified === "string") throw new Error(verified);',
  ],
  [
    "sim: buckets that another instance had are remembered",
    "aggregator/ingest/buckets_held.ts",
    "if (!this.#due.has(bucket)) this.#stale.add(bucket);\n      this.#due.add(bucket);",
    "void bucket;",
  ],
  [
    "sim: what is refused leaves no dead letter",
    group,
    'if (outcome.outcome === "refused") this.#bury(waiting, outcome.reason, group.nowMs, write);',
    "",
  ],
  [
    "sim: a ledger key may be written twice",
    write,
    'throw new LedgerConflict("Cannot write batches as one of them',
    'void new LedgerConflict("Cannot write batches as one of them',
  ],
  [
    "sim: gaps opened meanwhile stay",
    write,
    "...await narrowGaps(session, write)",
    "",
    ["test/aggregator/store/sqlite_test.ts"],
  ],
  [
    "sim: a deadlock is a commit",
    "aggregator/store/sqlite.ts",
    "writer.rollback();",
    "writer.commit();",
  ],
]);
