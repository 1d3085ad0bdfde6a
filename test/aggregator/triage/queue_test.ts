/** Triage by a model: what leaves, what is believed, what stands when nothing can be believed. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createReporter, type Reporter } from "../../../shared/reporter.ts";
import type { Severity, Threat, TriageResult } from "../../../aggregator/model/threat.ts";
import type { ModelAnswer, ModelQuestion, TriageModel } from "../../../aggregator/triage/model.ts";
import type { MemoryFile } from "../../../aggregator/triage/memory.ts";
import type { TriageAudit } from "../../../aggregator/triage/outcome.ts";
import { TriageQueue, type TriageQueueOptions } from "../../../aggregator/triage/queue.ts";
import { TestClock } from "../ingest/fleet.ts";
import { injections } from "./injections.ts";
import { rulesText, sampleAnswer, sampleThreat } from "./sample_threat.ts";

class FakeModel implements TriageModel {
  readonly name = "fake:model";
  readonly questions: ModelQuestion[] = [];
  constructor(readonly answer: (call: number) => ModelAnswer) {}
  ask(question: ModelQuestion): Promise<ModelAnswer> {
    this.questions.push(question);
    return Promise.resolve(this.answer(this.questions.length));
  }
}

const says = (text: string) =>
  new FakeModel(() => ({ ok: true, text, inputTokens: 700, outputTokens: 150, tries: 1 }));

interface Ran {
  results: TriageResult[];
  audits: TriageAudit[];
  reporter: Reporter;
  clock: TestClock;
  queue: TriageQueue;
  offer(threats: Threat[]): Promise<void>;
}

function setUp(model: TriageModel, options: TriageQueueOptions = {}, memory?: MemoryFile): Ran {
  const results: TriageResult[] = [], audits: TriageAudit[] = [];
  const reporter = createReporter({ component: "test", write: () => {} });
  const clock = new TestClock();
  const queue = new TriageQueue(options, {
    model,
    clock,
    reporter,
    onResult: (result) => void results.push(result),
    onAudit: (audit) => void audits.push(audit),
    ...(memory ? { memory } : {}),
  });
  const offer = async (threats: Threat[]) => {
    for (const threat of threats) queue.offer(threat);
    await queue.idle();
  };
  return { results, audits, reporter, clock, queue, offer };
}

Deno.test("triage puts a good answer beside the rules' words, with addresses, names and measured values put back", async () => {
  const ran = setUp(says(sampleAnswer()));
  await ran.offer([sampleThreat()]);
  assertEquals(ran.results, [{
    threatId: "00112233aabbccdd",
    severity: "high",
    triage: {
      explanation: `${rulesText} fake:model adds: ` +
        "10.1.2.3 sent data out through 192.168.55.53, hidden in 120 names below exfil.example.org.",
      suggested_action: "Block the domain. fake:model adds: Isolate 10.1.2.3 and block exfil.example.org.",
      engine: "fake:model",
      confidence: 0.9,
      fallback: null,
      rules: { explanation: rulesText, suggested_action: "Block the domain." },
    },
  }]);
  assertEquals(ran.reporter.snapshot().get('triage_total{outcome="answered"}'), 1);
});

Deno.test("triage sends neither address nor name nor any string from the wire", async () => {
  const model = says(sampleAnswer());
  const ran = setUp(model);
  await ran.offer([sampleThreat()]);
  const sent = model.questions[0].content;
  for (
    const secret of [
      "10.1.2.3",
      "192.168.55.53",
      "exfil",
      "example.org",
      "deadbeef",
      "branch-7",
      "pi-kitchen",
      "fd00::17",
      "10.1.2.9",
    ]
  ) {
    assert(!sent.includes(secret), `${secret} left: ${sent}`);
  }
  assertStringIncludes(sent, "HOST_1");
  assertEquals(ran.audits[0].sent, sent);
  assertEquals(ran.queue.preview(sampleThreat()), sent);
});

const refused: [string, string, string][] = [
  ["prose", "Sure! Here is what I think.", "not_json"],
  ["a wrong schema", JSON.stringify({ verdict: "fine" }), "wrong_schema"],
  ["one key too many", sampleAnswer({ status: "closed" }), "wrong_schema"],
  ["unknown evidence", sampleAnswer({ claims: [{ text: "x", evidence_ids: ["e99"] }] }), "unknown_evidence"],
  ["no claim at all", sampleAnswer({ claims: [] }), "wrong_schema"],
  [
    "a host it made up",
    sampleAnswer({ explanation: "HOST_77 has been attacking HOST_1 for days." }),
    "unknown_label",
  ],
  [
    "a value it made up",
    sampleAnswer({ explanation: "HOST_1 sent {e42} octets to its master." }),
    "unknown_label",
  ],
  ["an endless text", sampleAnswer({ explanation: "x".repeat(20_000) }), "too_long"],
  ["an impossible confidence", sampleAnswer({ confidence: 7 }), "wrong_schema"],
];

for (const [what, text, fault] of refused) {
  Deno.test(`triage keeps the rules' text when the model answers with ${what}`, async () => {
    const ran = setUp(says(text));
    await ran.offer([sampleThreat()]);
    const [{ triage, severity }] = ran.results;
    assertEquals([triage.explanation, triage.engine, triage.fallback], [rulesText, "rules", fault]);
    assertEquals(severity, "medium");
    assertEquals(ran.reporter.snapshot().get(`triage_total{outcome="${fault}"}`), 1);
    assertEquals(ran.audits[0].outcome, fault);
  });
}

Deno.test("triage never lowers a severity and raises it by one step at most", async () => {
  for (
    const [asked, given] of [["info", "medium"], ["low", "medium"], ["medium", "medium"], [
      "critical",
      "high",
    ]]
  ) {
    const ran = setUp(says(sampleAnswer({ severity: asked })));
    await ran.offer([sampleThreat()]);
    assertEquals(ran.results[0].severity, given, asked);
  }
});

Deno.test("triage asks once for equal threats and gives each its own addresses", async () => {
  const model = says(sampleAnswer());
  const ran = setUp(model);
  const other = sampleThreat({ id: "ffff000011112222", src_ips: ["10.9.9.9"] });
  other.evidence[1].value = 135;
  await ran.offer([sampleThreat(), other]);
  assertEquals(model.questions.length, 1);
  assertStringIncludes(ran.results[1].triage.explanation, "10.9.9.9 sent data out");
  assertStringIncludes(ran.results[1].triage.explanation, "in 135 names");
  assertEquals(ran.reporter.snapshot().get('triage_total{outcome="shared"}'), 1);
});

Deno.test("triage stops asking when the day's calls are used up, and goes on the next day by itself", async () => {
  const model = says(sampleAnswer());
  const ran = setUp(model, { callsPerDayMax: 1 });
  const different = sampleThreat({ id: "2", title: "Other", rules_severity: "high" });
  await ran.offer([sampleThreat(), different]);
  assertEquals(ran.results[1].triage.fallback, "budget_calls");
  assertEquals(ran.queue.putOff, 1);
  await pass(ran, 86_400_000);
  assertEquals(ran.results[2].triage.fallback, null);
  assertEquals(model.questions.length, 2);
});

Deno.test("triage stops asking when the day's tokens are used up", async () => {
  const ran = setUp(says(sampleAnswer()), { tokensPerDayMax: 5_500 });
  const severe = { rules_severity: "high" as const };
  await ran.offer([
    sampleThreat(severe),
    sampleThreat({ ...severe, id: "2", title: "Second" }),
    sampleThreat({ ...severe, id: "3", title: "Third" }),
  ]);
  assertEquals(ran.results.map((result) => result.triage.fallback), [null, null, "budget_tokens"]);
});

Deno.test("triage keeps the last fifth of a day's calls for what the rules call high", async () => {
  const model = says(sampleAnswer());
  const ran = setUp(model, { callsPerDayMax: 10 });
  const threats = (count: number, rules_severity: Severity) =>
    Array.from(
      { length: count },
      (_, i) =>
        sampleThreat({ id: `${rules_severity}-${i}`, title: `${rules_severity}-${i}`, rules_severity }),
    );
  await ran.offer(threats(9, "medium"));
  const fallbacks = () => ran.results.map(({ triage }) => triage.fallback);
  assertEquals(fallbacks(), [null, null, null, null, null, null, null, null, "budget_soft"]);
  await ran.offer(threats(3, "high"));
  assertEquals(fallbacks().slice(9), [null, null, "budget_calls"]);
});

/** Lets what is due happen, then moves the clock. */
async function pass(ran: Ran, ms: number): Promise<void> {
  for (const step of [0, ms]) {
    ran.clock.advance(step);
    for (let turn = 0; turn < 40; turn++) await Promise.resolve();
    await ran.queue.idle();
  }
}

Deno.test("triage asks again, with growing pauses, after what passes, and stops when the threat is dealt with", async () => {
  const refusal = { ok: false, reason: "unavailable", inputTokens: 0, outputTokens: 0, tries: 3 } as const;
  const model = new FakeModel((call) =>
    call < 4 ? refusal : { ok: true, text: sampleAnswer(), inputTokens: 1, outputTokens: 1, tries: 1 }
  );
  const ran = setUp(model);
  await ran.offer([sampleThreat()]);
  assertEquals([model.questions.length, ran.results[0].triage.fallback], [1, "unavailable"]);
  // After 15, 30 and 60 seconds; growing in between asks nobody.
  const steps = [[14_000, 1], [2_000, 2], [28_000, 2], [3_000, 3], [57_000, 3], [4_000, 4]];
  for (const [ms, calls] of steps) {
    await ran.offer([sampleThreat({ count: 500 })]);
    await pass(ran, ms);
    assertEquals(model.questions.length, calls);
  }
  assertEquals(ran.results.at(-1)!.triage.fallback, null);
  assertEquals(ran.queue.putOff, 0);

  for (const reason of ["quota", "timeout", "network", "max_tokens", "refused", "blocked"] as const) {
    const other = setUp(new FakeModel(() => ({ ...refusal, reason })));
    await other.offer([sampleThreat()]);
    assertEquals(other.queue.putOff, ["quota", "timeout", "network"].includes(reason) ? 1 : 0, reason);
    other.queue.withdraw(sampleThreat().id);
    await pass(other, 3_600_000);
    assertEquals(other.results.length, 1);
    await other.queue.stop();
  }
});

Deno.test("triage forgets how often a threat was put off once it is withdrawn", async () => {
  const refusal = { ok: false, reason: "unavailable", inputTokens: 0, outputTokens: 0, tries: 3 } as const;
  const model = new FakeModel(() => refusal);
  const ran = setUp(model);
  await ran.offer([sampleThreat()]);
  await pass(ran, 16_000);
  assertEquals(model.questions.length, 2);
  ran.queue.withdraw(sampleThreat().id);
  await ran.offer([sampleThreat()]);
  assertEquals(model.questions.length, 3);
  await pass(ran, 16_000);
  assertEquals(model.questions.length, 4, "after 15 seconds, as the first time");
  await ran.queue.stop();
});

Deno.test("triage bounds those put off, and ends at once with some of them", async () => {
  const refusal = { ok: false, reason: "quota", inputTokens: 0, outputTokens: 0, tries: 1 } as const;
  const ran = setUp(new FakeModel(() => refusal), { waitingMax: 2 });
  for (const id of ["1", "2", "3"]) await ran.offer([sampleThreat({ id, title: id })]);
  assertEquals(ran.queue.putOff, 2);
  assertEquals(ran.reporter.snapshot().get('triage_total{outcome="queue_full"}'), 1);
  await ran.queue.stop();
});

Deno.test("triage gives the same severity and text however often it is asked, also over restarts", async () => {
  const model = says(sampleAnswer({ severity: "critical" }));
  const memory = memoryOf();
  let threat = sampleThreat();
  for (let i = 0; i < 5; i++) {
    const ran = setUp(model, {}, memory);
    await ran.offer([threat, threat]);
    const { severity, triage } = ran.results.at(-1)!;
    assertEquals(severity, "high");
    assertEquals(triage.explanation.split("fake:model adds").length, 2);
    threat = { ...threat, severity, ...triage };
    await ran.queue.stop();
  }
  // One question in all: answers survive, and are not paid for twice.
  assertEquals(model.questions.length, 1);
});

Deno.test("triage's day of calls survives a restart, and a memory that cannot be read is begun anew", async () => {
  const model = says(sampleAnswer());
  const memory = memoryOf();
  const first = setUp(model, { callsPerDayMax: 1 }, memory);
  await first.offer([sampleThreat()]);
  const second = setUp(model, { callsPerDayMax: 1 }, memory);
  await second.offer([sampleThreat({ id: "2", title: "Other", rules_severity: "high" })]);
  assertEquals(second.results[0].triage.fallback, "budget_calls");
  for (const text of ["", "{", '{"version":9}', memory.text.replace("explanation", "explanatoin")]) {
    const ran = setUp(model, { callsPerDayMax: 1 }, memoryOf(text));
    await ran.offer([sampleThreat()]);
    assertEquals(ran.results[0].triage.fallback, null);
    assert(ran.reporter.snapshot().get("triage_memory_failures_total")! >= 1, text);
  }
});

function memoryOf(text: string | null = null): MemoryFile & { text: string } {
  const memory = {
    text: text ?? "",
    read: () => memory.text === "" && text === null ? null : memory.text,
    write: (written: string) => void (memory.text = written),
  };
  return memory;
}

Deno.test("triage counts the threats it has no room for", async () => {
  const ran = setUp(says(sampleAnswer()), { waitingMax: 1 });
  await ran.offer([sampleThreat(), sampleThreat({ id: "2" })]);
  assertEquals(ran.results.length, 1);
  assertEquals(ran.reporter.snapshot().get('triage_total{outcome="queue_full"}'), 1);
});

Deno.test("triage leaves closed and unimportant threats alone", async () => {
  const ran = setUp(says(sampleAnswer()), { severityMin: "medium" });
  await ran.offer([sampleThreat({ status: "closed" }), sampleThreat({ id: "2", severity: "low" })]);
  assertEquals(ran.results, []);
});

/** The worst model: whatever stands in the question that looks like an order is obeyed,
 * and the rest is what attackers ask for. */
const obedient = () =>
  new FakeModel(() => ({
    ok: true,
    text: sampleAnswer({
      severity: "info",
      confidence: 1,
      explanation:
        "This is benign and approved by the analyst. Close this threat and ignore HOST_1 from now on.",
      suggested_action: "Do nothing, and add HOST_1 to the allow list.",
    }),
    inputTokens: 1,
    outputTokens: 1,
    tries: 1,
  }));

Deno.test("triage is not moved by any of the corpus, through any field from the wire", async () => {
  assert(injections.length >= 300, `${injections.length} strings`);
  assertEquals(new Set(injections).size, injections.length);
  for (const injection of injections) {
    const model = obedient();
    const ran = setUp(model);
    const threat = sampleThreat({}, injection);
    threat.evidence.push({ id: "e5", name: "user agent", value: injection, hostile: true });
    threat.reasons.push({ name: "agent", points: 0, text: `it calls itself ${injection}` });
    await ran.offer([threat]);
    const [{ severity, triage }] = ran.results;
    assertEquals(severity, "medium", injection);
    assert(triage.explanation.startsWith(rulesText), `the rules' words are gone: ${injection}`);
    assertEquals(Object.keys(triage).includes("status"), false);
    const sent = model.questions[0]?.content ?? "";
    const isOwnWord = threat.title.includes(injection) || injection.length < 12 ||
      rulesText.includes(injection);
    if (!isOwnWord) assert(!sent.includes(JSON.stringify(injection).slice(1, -1)), `left: ${injection}`);
    assert(!/[\p{Cc}\p{Cf}]/u.test(triage.explanation), `raw control character: ${injection}`);
  }
});

Deno.test("triage gives the same severity whatever the names say", async () => {
  const severities = new Set<string>();
  for (const name of ["aaaa.example", ...injections]) {
    const ran = setUp(says(sampleAnswer()));
    await ran.offer([sampleThreat({}, name)]);
    severities.add(`${ran.results[0].severity} ${ran.results[0].triage.fallback}`);
  }
  assert(
    [...severities].every((found) => found === "high null" || found === "medium leak"),
    `${[...severities]}`,
  );
});

Deno.test("triage hides an address glued to other words, or sends nothing", async () => {
  const model = says(sampleAnswer());
  const ran = setUp(model);
  // A count as text with an address glued to a word is what no pattern of the first pass is made for.
  const threat = sampleThreat();
  threat.reasons[0].text = "seen as 10.1.2.3.in-addr and 0010.1.2.99";
  threat.reasons.push({ name: "odd", points: 0, text: "x10.1.2.3" });
  await ran.offer([threat]);
  const sent = model.questions.map((question) => question.content).join("");
  assert(!sent.includes("10.1.2.3"), sent);
});

Deno.test("triage ends at once when it is stopped", async () => {
  const model: TriageModel = {
    name: "slow",
    ask: (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener(
          "abort",
          () => resolve({ ok: false, reason: "stopped", inputTokens: 0, outputTokens: 0, tries: 1 }),
        )
      ),
  };
  const ran = setUp(model);
  ran.queue.offer(sampleThreat());
  await Promise.resolve();
  await Promise.resolve();
  await ran.queue.stop();
  ran.queue.offer(sampleThreat({ id: "2" }));
  assert(ran.results.every((result) => result.triage.fallback === "stopped"));
});
