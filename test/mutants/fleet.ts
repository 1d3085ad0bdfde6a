/** What several aggregators share: leases, topics that they publish, buckets that move; and when a sensor seals.
 * @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const leases = "aggregator/store/lease_store.ts";
const publisher = "aggregator/publish/publisher.ts";
const recent = "aggregator/store/recent.ts";
const held = "aggregator/ingest/buckets_held.ts";
const partitions = "aggregator/ingest/partitions.ts";
const sealing = "sensor/ship/seal.ts";
const openRows = "sensor/ship/open_rows.ts";
const threatStore = "aggregator/store/threat_store.ts";

const store = ["test/aggregator/store/sqlite_test.ts"];
const instances = ["test/aggregator/ingest/instances_test.ts"];

const leaseMutants = mutantsOf(store, [
  ["lease: taken from its holder", leases, "(holder = ? OR expires_ms <=", "(holder <> ? OR expires_ms <="],
  ["lease: never ends", leases, " OR expires_ms <= ${nowMs}", ""],
  ["lease: a wrong clock keeps it", leases, " OR expires_ms > ${nowMs} + 2 * ?)", " OR ? < 0)"],
  ["lease: an earlier word counts", leases, " || held.generation !== generation", ""],
  [
    "lease: released by anybody",
    leases,
    'WHERE name = ? AND holder = ?", [',
    "WHERE name = ? AND ? <> ''\", [",
  ],
]);

const publishMutants = mutantsOf(["test/aggregator/publish/publisher_test.ts"], [
  [
    "publish: done before it is sent",
    publisher,
    "await send(chunk.records);",
    "void send(chunk.records).catch(() => {});",
  ],
  ["publish: the position stays", publisher, "chunk.position !== lease.position &&", "false &&"],
  [
    "publish: changes missed are not counted",
    recent,
    "missed += Math.max(0, before - named)",
    "missed += 0",
    store,
  ],
  ["publish: a change during sending is lost", threatStore, ' AND changes = ?",', ' AND ? > 0",', store],
  [
    "publish: a person's word is no change",
    threatStore,
    "await noteChanges(dialect, session, found.map((id) => ({ id })));",
    "",
    store,
  ],
]);

const movedMutants = mutantsOf(instances, [
  ["buckets: all are read", held, "this.#assigned === null || this.#assigned.has(bucket)", "true"],
  ["buckets: what was lost is kept", held, "!ours.has(placeOf(bucket)) || ", ""],
  ["buckets: another's word is not heard", held, " || others.has(placeOf(bucket))", ""],
  [
    "buckets: read at every join",
    partitions,
    "this.#deps.stored.get(partition) !== `${row.next_offset} ${row.mark}`",
    "true",
  ],
]);

const keeper = "sensor/control/policy_keeper.ts";

const policyMutants = mutantsOf(["test/sensor/control/policy_keeper_test.ts"], [
  ["policy: tried again and again", keeper, " || (policy && isSame(policy, this.#refused))", ""],
  ["policy: kept though nobody is reached", keeper, "if (!trial.isHeard) {", "if (false) {"],
  ["policy: a crash in its trial is forgotten", keeper, "await this.#save(policy, before);", ""],
  [
    "policy: goes back to one on trial",
    keeper,
    "this.#trial ? this.#trial.before : this.#held",
    "this.#held",
  ],
  ["policy: told to end, blamed for it", keeper, "this.#held = this.#trial.before;\n    await", "await"],
  [
    "policy: a number says all",
    keeper,
    "a.version === b.version && a.name === b.name &&\n    policyDifference",
    "a.version === b.version || policyDifference",
  ],
  [
    "policy: a broken capture is borne",
    keeper,
    "trial.brokenMs !== null && nowMs - trial.brokenMs >=",
    "false && nowMs >=",
  ],
  [
    "policy: one for a part is one for all",
    "aggregator/fleet/policies.ts",
    "return tags.includes(value) ? 2 : 0;",
    "return 2;",
    ["test/aggregator/fleet/policies_test.ts"],
  ],
  [
    "policy: what does not compile holds",
    "sensor/capture/live_source.ts",
    "this.#tuning = before;\n    this.#compose();",
    "",
    ["test/sensor/capture/live_source_test.ts"],
  ],
  [
    "fleet: a sensor on two pages",
    "aggregator/fleet/page.ts",
    "compare(keyOf(sensor), after) > 0",
    "compare(keyOf(sensor), after) >= 0",
    ["test/aggregator/fleet/page_test.ts"],
  ],
]);

const sealMutants = mutantsOf(["test/sensor/ship/seal_test.ts"], [
  [
    "seal: the end of a connection waits as others do",
    sealing,
    "(isPrompt && isOver(awaitedMs[bucket], sealAgeMs))",
    "false",
  ],
  [
    "seal: all are waited for",
    openRows,
    "const isAwaited = awaited.includes(",
    "const isAwaited = true || awaited.includes(",
  ],
  ["seal: a sealed bucket is still waited for", openRows, "this.awaitedMs[bucket] = Infinity;", ""],
]);

const canaryMutants = mutantsOf(["test/aggregator/fleet/canary_test.ts"], [
  [
    "canary: missed at once",
    "aggregator/fleet/canary.ts",
    "nowMs - state.announced_ms >= canaryLimits.patienceMs",
    "nowMs > 0",
  ],
  [
    "canary: one that arrived is looked for",
    "aggregator/fleet/canary.ts",
    " && state?.arrived_sent_ms !== sentMs",
    "",
  ],
  [
    "canary: it is life on the wire",
    "sensor/pipeline.ts",
    "stopped !== 0 || !isCanary(decoder.layers[0])",
    "true",
    ["test/sensor/pipeline_test.ts"],
  ],
  [
    "canary: sampling leaves it out",
    "sensor/flow/table.ts",
    "isOutermost && !isKept && ",
    "isOutermost && ",
    ["test/sensor/pipeline_test.ts"],
  ],
  [
    "limits: those of a policy are not heeded",
    "aggregator/fleet/limits.ts",
    "if (!settings) return",
    "if (settings || !settings) return",
    ["test/aggregator/fleet/limits_test.ts"],
  ],
]);

export const fleetMutants: Mutant[] = [
  ...canaryMutants,
  ...leaseMutants,
  ...publishMutants,
  ...movedMutants,
  ...sealMutants,
  ...policyMutants,
];
