/** What answers and remembers in the aggregator: API, sessions, triage, detection's memory, retention,
 * the store's queries. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const authenticate = "aggregator/api/authenticate.ts";
const api = "aggregator/api/api.ts";
const rateLimit = "aggregator/api/rate_limit.ts";
const sessions = "aggregator/api/sessions.ts";
const checkIn = "aggregator/api/sensors/check_in.ts";
const batches = "aggregator/api/sensors/batches.ts";
const clientAddress = "aggregator/model/client_address.ts";
const labels = "aggregator/triage/labels.ts";
const prompt = "aggregator/triage/prompt.ts";
const memory = "aggregator/triage/memory.ts";
const answer = "aggregator/triage/answer.ts";
const flowQuery = "aggregator/store/flow_query.ts";
const plan = "aggregator/retention/plan.ts";
const retention = "aggregator/store/retention_store.ts";
const detection = "aggregator/detect/detection.ts";
const threatTable = "aggregator/detect/threat_table.ts";
const ingest = "aggregator/ingest/ingest.ts";
const verify = "aggregator/ingest/verify.ts";

const access = ["test/aggregator/api/access_test.ts"];
const session = ["test/aggregator/api/session_test.ts"];
const edge = ["test/aggregator/api/edge_test.ts"];
const doors = ["test/aggregator/api/sensor_doors_test.ts"];

const apiMutants = mutantsOf(access, [
  [
    "API: every role may do everything",
    "aggregator/api/routes.ts",
    "return role !== null && roles.indexOf(role) <= roles.indexOf(access)",
    "return role !== null",
  ],
  [
    "API: nobody is asked for a key",
    "aggregator/api/routes.ts",
    "return role !== null && roles",
    "return role === null || roles",
  ],
  [
    "API: wrong keys never wait",
    authenticate,
    "throw refuseGuess(guessRate.take(source, nowMs), ",
    "throw refuseGuess(null, ",
  ],
  [
    "API: a right key takes a try",
    authenticate,
    "const row = key ? await keys.find(key, nowMs) : null;",
    "guessRate.take(source, nowMs);\n    const row = key && guessRate.waitS(source, nowMs) === null ? await keys.find(key, nowMs) : null;",
  ],
  [
    "API: an expired key works",
    "aggregator/api/api_keys.ts",
    "row.expires_ms === null || nowMs < row.expires_ms ? row : null",
    "row",
    ["test/aggregator/api/resources_test.ts"],
  ],
  [
    "API: a revoked key works",
    "aggregator/api/api_keys.ts",
    "if (!row || row.revoked_ms !== null) return null",
    "if (!row) return null",
    ["test/aggregator/api/resources_test.ts"],
  ],
  [
    "Origin: any site may change",
    authenticate,
    "if (!own.includes(origin.toLowerCase())) {",
    'if (origin === "") {',
    session,
  ],
  [
    "Origin: a session needs none",
    authenticate,
    'if (caller?.by !== "session") return;',
    "if (caller !== undefined) return;",
    session,
  ],
  [
    "Origin: only POST is looked at",
    api,
    'if (route.method !== "GET") {',
    'if (route.method === "POST" && caller === null) {',
    session,
  ],
  ["cookie: scripts read it", api, "httpOnly: true,", "httpOnly: false,", session],
  ["cookie: other sites send it", api, 'sameSite: "Strict"', 'sameSite: "None"', session],
  [
    "cookie: sent without TLS",
    api,
    'const isSecure = context.env.isSecure || origin.startsWith("https:")',
    "const isSecure = false",
    session,
  ],
  ["session: never idle", sessions, "nowMs - usedMs <= this.#idleMs && ", "", session],
  ["session: lives for ever", sessions, " && nowMs - startMs <= this.#lifeMs", "", session],
  [
    "live: a stream outlives its session",
    "aggregator/api/live/live.ts",
    'caller!.by === "session" && !sessions',
    'caller!.by === "key" && !sessions',
    ["test/aggregator/api/live_test.ts"],
  ],
  [
    "session: no bound",
    sessions,
    "if (this.#sessions.size > this.#sessionsMax) this",
    "if (this.#sessions.size > 1e9) this",
    session,
  ],
  [
    "rate limit: refills ten times as fast",
    rateLimit,
    "passedMs / this.#refillMs",
    "10 * passedMs / this.#refillMs",
    ["test/aggregator/api/rate_limit_test.ts"],
  ],
  [
    "rate limit: sources without a bound",
    rateLimit,
    "if (this.#buckets.size > this.#sourcesMax) {",
    "if (this.#buckets.size > 1e9) {",
    ["test/aggregator/api/rate_limit_test.ts"],
  ],
  ["rate limit: each IPv6 address for itself", clientAddress, "i < 8 ? bytes[i] : 0", "bytes[i]", [
    "test/aggregator/model/client_address_test.ts",
  ]],
  ["proxies: anybody may name the caller", clientAddress, "if (!this.isTrusted(direct)) return direct;", "", [
    "test/aggregator/model/client_address_test.ts",
  ]],
  ["host: any name", api, "hostnames.includes(name) ? null", "name ? null", edge],
  [
    "body: no bound without a length",
    "aggregator/api/body.ts",
    "if (length > bytesMax) throw tooLarge();",
    "",
    edge,
  ],
  [
    "parameters: unknown ones pass",
    "aggregator/api/parameters.ts",
    "if (kind === undefined) {",
    'if (kind?.type === "never") {',
    edge,
  ],
  [
    "concurrency: one more runs",
    "aggregator/api/concurrency_limit.ts",
    "return this.#active < activeMax &&",
    "return this.#active <= activeMax &&",
    edge,
  ],
  [
    "batches: any signature of a header",
    batches,
    'if (checked === null) throw refuse("signature");',
    "",
    doors,
  ],
  [
    "batches: a quarantined sensor",
    batches,
    'if (sensor.quarantined_ms !== null) throw refuse("quarantined");',
    "",
    doors,
  ],
  [
    "check-in: any signature",
    checkIn,
    'if (!verifyText(message, (call.header("picket-signature") ?? "").slice(0, 128), publicKey)) {',
    'if (message === "" && publicKey) {',
    doors,
  ],
  [
    "check-in: a recorded one is today's",
    checkIn,
    "if (now.epoch < last.epoch) return false;",
    "if (now.epoch < last.epoch) return true;",
    doors,
  ],
  [
    "enrolment: wrong tokens never wait",
    "aggregator/api/sensors/enrol.ts",
    ": enrolRate.take(source, nowMs);",
    ": null;",
    doors,
  ],
  [
    "dashboard: direction overrides reach the page",
    "aggregator/dashboard/browser/text.ts",
    "const hostile = /[\\p{Cc}\\p{Cf}",
    "const hostile = /[\\p{Cc}",
    ["test/aggregator/dashboard/text_test.ts"],
  ],
]);

const triageMutants = mutantsOf(["test/aggregator/triage/queue_test.ts"], [
  [
    "triage: no look for leaks",
    prompt,
    'if (labels.leaks(valuesOf(words).join("\\n")).length > 0) return { ok: false, fault: "leak" };',
    "",
    ["test/aggregator/triage/prompt_test.ts"],
  ],
  ["triage: the title is sent as it is", prompt, "title: labels.hide(threat.title)", "title: threat.title", [
    "test/aggregator/triage/prompt_test.ts",
  ]],
  ["triage: hostile evidence is sent", labels, 'value: this.label("NAME", value), shape', "value, shape"],
  [
    "triage: MAC addresses are sent",
    labels,
    'hidden = hidden.replace(macPattern, (mac) => this.label("MAC", mac));',
    "",
    ["test/aggregator/triage/prompt_test.ts"],
  ],
  [
    "triage: leaks without IPv6",
    labels,
    "...(text.match(ipv6Pattern) ?? []).filter((ip) => parseIp(ip) !== null),",
    "",
    ["test/aggregator/triage/prompt_test.ts"],
  ],
  ["triage: calls without a budget", memory, 'if (calls >= callsPerDayMax) return "budget_calls";', ""],
  [
    "triage: tokens without a budget",
    memory,
    'if (spent + tokens > tokensPerDayMax) return "budget_tokens";',
    "",
  ],
  [
    "triage: nothing is kept for what is severe",
    memory,
    'if (isSoft && !isSevere) return "budget_soft";',
    "",
  ],
  ["triage: a model lowers a severity", answer, "Math.max(asked, floor)", "asked"],
  [
    "triage: a model raises it by two steps",
    answer,
    "Math.min(floor + 1, severities.length - 1)",
    "Math.min(floor + 2, severities.length - 1)",
  ],
  [
    "triage: evidence that is not there",
    answer,
    'if (!cited.every((id) => known.has(id))) return { ok: false, fault: "unknown_evidence" };',
    "",
  ],
]);

const detectionMutants = mutantsOf(["test/aggregator/detect/detection_test.ts"], [
  ["detection: a person's status stays outside", detection, "this.#deps.engine.setStatus(id, status);", ""],
  [
    "detection: a person's status does not outlast growth",
    threatTable,
    "status: before.status,",
    'status: "open",',
    ["test/aggregator/detect/engine_test.ts", "test/aggregator/detect/detection_test.ts"],
  ],
  [
    "detection: a model's severity is lost",
    threatTable,
    "severity: higher(rules_severity, before.severity)",
    "severity: rules_severity",
    ["test/aggregator/detect/engine_test.ts", "test/aggregator/detect/detection_test.ts"],
  ],
  [
    "detection: what the store did not take is forgotten",
    detection,
    "this.#rememberLinks(links);\n      if (!(error",
    "this.#unsaved.clear();\n      if (!(error",
  ],
  [
    "detection: flows of a threat that the store did not take",
    detection,
    "this.#rememberLinks(links);\n      if (!(error",
    "if (!(error",
  ],
  [
    "detection: a threat that grew during a save",
    detection,
    "if (this.#unsaved.get(threat.id) === threat) this",
    "this",
  ],
]);

const storeMutants = mutantsOf(["test/aggregator/store/sqlite_test.ts"], [
  [
    "store: any cursor",
    flowQuery,
    "if (key !== null) return key;",
    "return key ?? { us: 0, slot: 0 };",
  ],
  [
    "store: a page of 1,001 rows",
    flowQuery,
    "limit <= rowsPerPageMax) return limit",
    "limit <= rowsPerPageMax + 1) return limit",
  ],
  [
    "store: the last row of a page comes again",
    flowQuery,
    "rows[isUp ? limit : limit - 1].flow_id",
    "rows[isUp ? limit : Math.max(0, limit - 2)].flow_id",
  ],
  [
    "store: a name is a pattern",
    flowQuery,
    "(part === undefined || (flow.facts !== null && namesOf(flow.facts).includes(part))) &&",
    "",
  ],
  [
    "store: a batch twice in the ledger",
    "aggregator/store/write.ts",
    "`INSERT INTO ledger (",
    "`INSERT OR REPLACE INTO ledger (",
  ],
  [
    "store: open gaps are forgotten",
    retention,
    '"gaps.closed_ms IS NULL AND ledger.seq',
    '"gaps.closed_ms IS NOT NULL AND ledger.seq',
  ],
  [
    "store: a dropped day takes the next one",
    "aggregator/store/drop_day.ts",
    "to = dialect.keyValues((day + dayS) * 1e6, 0);",
    "to = dialect.keyValues((day + 2 * dayS) * 1e6, 0);",
  ],
  [
    "store: a search ends with its first slice",
    flowQuery,
    "left = isUp ? { ...left, low: cut }",
    "return { rows }; left = isUp ? { ...left, low: cut }",
    [
      "test/aggregator/store/paging_test.ts",
    ],
  ],
  [
    "store: a search that is cut has no cursor",
    flowQuery,
    "return { rows, next_cursor: flowIdText(us, slot) };",
    "return { rows };",
    ["test/aggregator/store/paging_test.ts"],
  ],
  [
    "store: a filter that is not exact loses rows under a not",
    "aggregator/store/filter_sql.ts",
    "return clause.isExact || !isLess",
    "return clause.isExact || isLess || !isLess",
    ["test/aggregator/store/sqlite_test.ts"],
  ],
  [
    "store: a search is never cut",
    flowQuery,
    "if (page.signal?.aborted || monotonicMs() >= deadlineMs)",
    "if (page.signal?.aborted || monotonicMs() < 0)",
    ["test/aggregator/store/paging_test.ts"],
  ],
  [
    "store: a search goes on for who has gone",
    flowQuery,
    "if (page.signal?.aborted || ",
    "if (",
    ["test/aggregator/store/paging_test.ts"],
  ],
]);

const retentionMutants = mutantsOf(["test/aggregator/retention/plan_test.ts"], [
  ["retention: a day longer", plan, "idleMs >= lifetimeMs) drops", "idleMs >= lifetimeMs + dayMs) drops"],
  ["retention: a second too early", plan, "idleMs >= lifetimeMs) drops", "idleMs >= lifetimeMs - 1) drops"],
  [
    "retention: an old capture goes at once",
    plan,
    "Math.max((day + dayS) * 1e3, stored_ms)",
    "(day + dayS) * 1e3",
  ],
  ["retention: the newest day goes too", plan, "of held.slice(0, -1)", "of held"],
  ["retention: until the disk is just below its limit", plan, "lowWatermark = 0.9", "lowWatermark = 1"],
]);

const commitMutants = mutantsOf(["test/aggregator/ingest/ingest_test.ts"], [
  [
    "ingest: an outcome before the commit",
    ingest,
    "const written = await this.#retry(() => this.#write(write));",
    "for (const { waiting, outcome } of result.outcomes) waiting.resolve(outcome);\n        const written = await this.#retry(() => this.#write(write));",
  ],
  [
    "ingest: a lost reply is a conflict",
    ingest,
    "if (error instanceof LedgerConflict && await this.#isStored(write.ledger)) return;",
    "",
  ],
  [
    "ingest: another instance's rows are ours",
    ingest,
    "other.sha256 === row.sha256 && other.received_ms === row.received_ms",
    "other.sha256 === row.sha256",
  ],
  [
    "ingest: a queue without a bound",
    ingest,
    "if (isFull && position === null) {",
    "if (isFull && this.#queuedBytes < 0) {",
  ],
  ["ingest: keys of 60 s with the store away", verify, "keyAgeMsMax = 5_000", "keyAgeMsMax = 60_000", [
    "test/aggregator/ingest/verify_test.ts",
  ]],
  ["ingest: keys are never refused for their age", verify, "if (ageMs > keyAgeMsMax) throw error;", "", [
    "test/aggregator/ingest/verify_test.ts",
  ]],
]);

export const serviceMutants: Mutant[] = [
  ...apiMutants,
  ...triageMutants,
  ...detectionMutants,
  ...storeMutants,
  ...retentionMutants,
  ...commitMutants,
];
