/** From a batch on its way in to its rows: signature, bounds, ledger, gaps, merge. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const batch = "shared/batch.ts";
const knownFacts = "aggregator/ingest/known_facts.ts";
const columns = "aggregator/ingest/columns.ts";
const verify = "aggregator/ingest/verify.ts";
const group = "aggregator/ingest/group.ts";
const gaps = "aggregator/ingest/gaps.ts";
const merge = "aggregator/ingest/merge.ts";
const ownership = "aggregator/ingest/ownership.ts";
const delivery = "aggregator/fleet/delivery_watch.ts";
const epochs = "aggregator/ingest/epochs.ts";

const batchMutants = mutantsOf(["test/shared/batch_test.ts"], [
  [
    "batch: any signature is good",
    batch,
    "return isGood ? new CheckedHeader(header, publicKey) : null",
    "return new CheckedHeader(header, publicKey)",
  ],
  [
    "batch: any hash is good",
    batch,
    "sha256Hex(value) !== header.sha256",
    "header.sha256 === value.toString()",
  ],
  [
    "batch: the sequence number is not signed",
    batch,
    "\\n${headerNames.slice(0, 8)",
    "\\n${headerNames.slice(0, 4)",
  ],
  ["batch: a checked header is good by any key", batch, "return this.#key === spkiOf(key)", "return true"],
  ["batch: no flows", batch, "if (flows < 1 || flows", "if (flows"],
]);

const knownFactMutants = mutantsOf(["test/aggregator/ingest/known_facts_test.ts"], [
  ["known facts: any facts", knownFacts, "areFacts(facts) ? facts : undefined", "facts as Facts"],
  ["known facts: a comma at the end", knownFacts, " || facts.length === rows) break", ") break"],
]);

const columnMutants = mutantsOf(["test/aggregator/ingest/columns_test.ts"], [
  ["columns: any length", columns, "|| cells.length !== rows", ""],
  [
    "columns: unknown names pass",
    columns,
    'if (!Object.hasOwn(segmentColumns, name)) return "column_unknown"',
    'if (name === "") return "column_unknown"',
  ],
  [
    "columns: a flow older than time",
    columns,
    "n.flow_age_us[row] > n.start_us[row]",
    "n.flow_age_us[row] < 0",
  ],
  ["columns: a port of 65,536", columns, "port: 65_535,", "port: 65_536,"],
  ["columns: a VLAN of 4,096", columns, "vlan: 4_095,", "vlan: 4_096,"],
  ["columns: a sampling factor of 0", columns, 'const min = kind === "factor" ? 1 : 0', "const min = 0"],
  [
    "columns: parts of packets",
    columns,
    'kind !== "number" && !Number.isInteger(cell)',
    'kind === "port" && !Number.isInteger(cell)',
  ],
  [
    "columns: sums without a bound",
    columns,
    "return packets <= batchSumMax && bytes <= batchSumMax",
    "return packets >= 0 && bytes >= 0",
  ],
  ["columns: any name", columns, "|| !namePattern.test(cell)", ""],
  ["columns: any facts", columns, "!areFactsChecked && !areFacts(facts)", "false"],
  [
    "columns: an end after all time",
    columns,
    "n.start_us[row] + n.duration_us[row] > timeUsMax",
    "n.start_us[row] > timeUsMax",
  ],
]);

const storedMutants = mutantsOf(["test/aggregator/ingest/ingest_test.ts"], [
  ["verify: any ratio of compression", verify, "body.length * batchLimits.ratioMax", "body.length * 1e6"],
  ["verify: a revoked sensor", verify, "sensor.row.revoked_ms !== null", "false"],
  [
    "ledger: a replay is stored again",
    group,
    'if (known === header.sha256) return { outcome: "replay" }',
    "if (known === header.sha256) inGroup.clear()",
  ],
  [
    "ledger: one number, two contents",
    group,
    'if (known !== undefined) return { outcome: "refused", reason: "equivocation" }',
    "",
  ],
  [
    "ledger: forgotten rows are stored again",
    group,
    'if (this.#gaps.isTaken(header, header.seq)) return { outcome: "replay" }',
    "",
    ["test/aggregator/ingest/known_flows_test.ts"],
  ],
  [
    "quarantine: a clone goes on",
    group,
    "await this.#store.quarantineSensor(sensor, reason, group.nowMs)",
    "await Promise.resolve(reason)",
  ],
  [
    "gaps: none is listed",
    gaps,
    "if (seq > before.highest + 1) holes.push(",
    "if (seq > before.highest + 9) holes.push(",
  ],
  [
    "gaps: none is closed",
    gaps,
    "if (isFilled) gaps.push(gap(hole, nowMs))",
    "if (isFilled) gaps.push(gap(hole, null))",
  ],
  [
    "gaps: a hole counts as taken",
    gaps,
    "!sequence.holes.some(({ from, to }) => from <= seq && seq <= to)",
    "seq > 0",
  ],
  [
    "epochs: an old epoch seals on",
    epochs,
    "newer.epoch > batch.epoch && batch.sealed",
    "newer.epoch < 0 && batch.sealed",
  ],
]);

const mergeMutants = mutantsOf(["test/aggregator/ingest/merge_test.ts"], [
  ["merge: no slack for clocks", merge, "const slackUs = this.#options.slackMs * 1e3", "const slackUs = 0"],
  [
    "merge: ten times the slack for clocks",
    merge,
    "const slackUs = this.#options.slackMs * 1e3",
    "const slackUs = this.#options.slackMs * 1e4",
  ],
  [
    "merge: sequence numbers do not tell flows apart",
    merge,
    "if (columns.isn[flow] === isn) return flow;",
    "return flow;",
  ],
  [
    "merge: sites are one network",
    merge,
    'return isLocal ? site : "global"',
    'return isLocal ? "global" : "global"',
  ],
  ["merge: a rollback keeps the flows", merge, "this.#state.rollback();", "this.#state.commit();"],
  ["merge: a rollback keeps the facts", merge, "this.#facts.rollback();", "this.#facts.commit();"],
  [
    "merge: a flow is never turned",
    merge,
    "if (isTurned && isReversible(columns, row)) arrival.orient(true)",
    "",
  ],
  ["merge: never takes over", ownership, "return true;\n  if (cutOff", "return false;\n  if (cutOff"],
  [
    "merge: octets on a takeover",
    ownership,
    "arrival.fwdBytes = fwdBytes[owner] - fwdBytes[fwd]",
    "arrival.fwdBytes = 0",
  ],
  [
    "merge: counts are not scaled",
    merge,
    "const scale = factor[flow]",
    "const scale = factor[flow] > 0 ? 1 : 0",
  ],
]);

const deliveryMutants = mutantsOf(["test/aggregator/fleet/delivery_watch_test.ts"], [
  [
    "delivery: what is on its way is missed at once",
    delivery,
    "nowMs - wait.sinceMs >= this.#options.graceMs",
    "nowMs >= wait.sinceMs",
  ],
  ["delivery: what waits in a spool is missed", delivery, "check_in.spool.batches > 0", "false"],
  [
    "delivery: an ended epoch is forgotten with the program",
    "aggregator/store/check_in_store.ts",
    "await insertEnded(database, session, sensorId, ended);",
    "",
  ],
  ["delivery: a hole never closes", delivery, "missing <= 0 ||", "missing < -1 ||"],
  [
    "delivery: a later check-in hides what ended before it",
    "aggregator/fleet/check_in_writer.ts",
    "[...before.ended, ...write.ended]",
    "[...write.ended]",
    ["test/aggregator/fleet/check_in_writer_test.ts"],
  ],
]);

/** What keeps a large fleet from holding up itself. */
const loadMutants = mutantsOf(["test/aggregator/fleet/check_in_writer_test.ts"], [
  [
    "load: each urgent check-in is a transaction",
    "aggregator/fleet/check_in_writer.ts",
    "if (waitMs <= 0) return",
    "if (waitMs <= 1e9) return",
  ],
  [
    "load: a thousand check-ins are written at once",
    "aggregator/fleet/check_in_writer.ts",
    "this.#waiting.size >= this.#options.fullAt",
    "this.#waiting.size >= 1e9",
  ],
  [
    "load: each batch is a transaction",
    "aggregator/ingest/ingest.ts",
    "if (waitMs > 0 && !isMuch)",
    "if (waitMs > 1e9 && !isMuch)",
    ["test/aggregator/ingest/gather_test.ts"],
  ],
  [
    "load: a full group waits",
    "aggregator/ingest/ingest.ts",
    "this.#queue.length >= groupBatchesMax ||",
    "this.#queue.length >= 1e9 ||",
    ["test/aggregator/ingest/gather_test.ts"],
  ],
  [
    "load: without descriptors the program ends",
    "aggregator/serve/inner_server.ts",
    "server.finished.catch((error) => this.#replace(server, certificate, error));",
    "",
    ["test/aggregator/serve/descriptors_test.ts"],
  ],
  [
    "load: after a check-in nothing waits for the disk",
    "aggregator/store/sqlite_connection.ts",
    "if (isDurable !== this.#isDurable) {",
    "if (!isDurable) {",
    ["test/aggregator/store/sqlite_test.ts"],
  ],
  [
    "load: uploads of any size are as many",
    "aggregator/api/concurrency_limit.ts",
    "this.#activeCost + cost <= activeCostMax",
    "cost <= activeCostMax",
    ["test/aggregator/api/edge_test.ts"],
  ],
]);

export const ingestMutants: Mutant[] = [
  ...loadMutants,
  ...deliveryMutants,
  ...batchMutants,
  ...columnMutants,
  ...knownFactMutants,
  ...storedMutants,
  ...mergeMutants,
];
