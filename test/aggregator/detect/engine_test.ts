/** The engine: one threat for each identity, whatever comes in whatever order. @module */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { createReporter } from "../../../shared/reporter.ts";
import { startDetectors } from "../../../aggregator/detect/detectors/catalogue.ts";
import { type Detector, startDetector } from "../../../aggregator/detect/detector.ts";
import { field, hostile, numberEvidence } from "../../../aggregator/detect/finding.ts";
import { prepare, PrepareBooks } from "../../../aggregator/detect/prepared.ts";
import { Engine, updateOfFlow } from "../../../aggregator/detect/engine.ts";
import { Episodes } from "../../../aggregator/detect/episodes.ts";
import { loadCustomDetectors } from "../../../aggregator/detect/custom.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import type { Flow, FlowUpdate } from "../../../aggregator/model/flow.ts";
import { explainByRules } from "../../../aggregator/triage/rules.ts";
import { lookUp, refused, run, silent, times, unansweredDatagram, update } from "./updates.ts";

function setUp(detectors: Detector[] = startDetectors(), threatsMax = 100) {
  const reporter = createReporter({ component: "test", write: () => {} });
  const engine = new Engine({ threatsMax }, { detectors, reporter, explain: explainByRules });
  return { engine, reporter };
}

const scan = (from: number, ports: number, atS = 0) =>
  times(ports, (i) => update(atS + i * 0.1, { ...refused, dst_ip: "10.0.0.9", dst_port: from + i }));

Deno.test("engine raises a threat once and counts it on", () => {
  const { engine, reporter } = setUp();
  const [raised] = engine.step(scan(1_000, 20), 5);
  assertEquals([raised.count, raised.status, raised.stored_ms], [20, "open", 5]);
  assertEquals(engine.step(scan(2_000, 5, 3), 6), [], "a little growth is not worth a write");
  const [grown] = engine.step(scan(3_000, 100, 5), 7);
  assertEquals([grown.id, grown.count, grown.stored_ms, grown.updated_ms], [raised.id, 125, 5, 7]);
  assertEquals(engine.threats.length, 1);
  const counted = [...reporter.snapshot()].filter(([name]) => name.startsWith("threats_total"));
  assertEquals(counted.map(([, count]) => count), [1]);
});

Deno.test("engine hands on at a flush what grew too little before", () => {
  const { engine } = setUp();
  engine.step(scan(1_000, 20), 5);
  engine.step(scan(2_000, 5, 3), 6);
  assertEquals(engine.flush(9).map((threat) => threat.count), [25]);
  assertEquals(engine.flush(9), []);
});

Deno.test("engine adds the same scan after a pause to the same threat, and after days makes a new one", () => {
  const { engine } = setUp();
  const [raised] = engine.step(scan(1_000, 20), 1);
  const [again] = engine.step(scan(1_000, 30, 7_200), 2);
  assertEquals([again.id, again.count, again.first_seen], [raised.id, 50, raised.first_seen]);
  const [fresh] = engine.step(scan(1_000, 20, 3 * 86_400), 3);
  assert(fresh.id !== raised.id);
  assertEquals(fresh.count, 20);
});

Deno.test("engine finds two episodes of one batch", () => {
  const { engine } = setUp();
  engine.step([...scan(1_000, 20), ...scan(1_000, 5, 7_200)], 1);
  assertEquals(engine.threats.map((threat) => threat.count), [20]);
});

Deno.test("engine gives the same threats for updates in one batch and one by one", () => {
  const updates = scan(1_000, 60);
  const whole = setUp().engine, single = setUp().engine;
  whole.step(updates, 1);
  for (const one of updates) single.step([one], 1);
  whole.flush(1);
  single.flush(1);
  const [a] = whole.threats, [b] = single.threats;
  assertEquals([a.id, a.count, a.score, a.explanation], [b.id, b.count, b.score, b.explanation]);
});

Deno.test("engine after a restart raises nothing again", () => {
  const before = setUp().engine;
  const updates = scan(1_000, 40);
  before.step(updates, 1);
  const threats = before.threats.map((threat) => ({ ...threat, status: "acknowledged" as const }));
  const after = setUp().engine;
  after.warm(threats, updates.map(flowOf));
  const known = after.step(scan(2_000, 40, 6), 2);
  assertEquals(known.map(({ id, count, status }) => [id, count, status]), [[
    threats[0].id,
    80,
    "acknowledged",
  ]]);
});

Deno.test("engine never lets a score fall", () => {
  const { engine } = setUp();
  const [strong] = engine.step(scan(1_000, 500), 1);
  const slow = times(
    600,
    (i) => update(100 + i * 5, { ...refused, dst_ip: "10.0.0.9", dst_port: 1_000 + i }),
  );
  engine.step(slow, 2);
  assert(engine.threats[0].score >= strong.score);
});

const modelText = {
  explanation: "Model says so.",
  suggested_action: "Act.",
  engine: "gemini:x",
  confidence: 0.5,
  fallback: null,
};

Deno.test("engine keeps a model's text while the threat is the same", () => {
  const { engine } = setUp();
  const [raised] = engine.step(scan(1_000, 200), 1);
  engine.amend(raised.id, { ...modelText, severity: "critical" });
  engine.step([update(21, { ...refused, dst_ip: "10.0.0.9", dst_port: 1_000 })], 2);
  assertEquals([engine.threats[0].explanation, engine.threats[0].severity], ["Model says so.", "critical"]);
});

Deno.test("engine keeps a model's severity while the threat grows", () => {
  const { engine } = setUp();
  const [raised] = engine.step(scan(1_000, 20), 1);
  engine.amend(raised.id, { ...modelText, severity: "critical" });
  engine.step(scan(1_020, 200), 2);
  const [threat] = engine.threats;
  assertEquals([threat.count > raised.count, threat.severity], [true, "critical"]);
});

Deno.test("engine keeps the rules' severity apart from the one in force, which is never below", () => {
  const { engine } = setUp();
  const [raised] = engine.step(scan(1_000, 20), 1);
  assertEquals([raised.rules_severity, raised.severity], ["medium", "medium"]);
  for (let asked = 0; asked < 3; asked++) engine.amend(raised.id, { ...modelText, severity: "high" });
  const [threat] = engine.threats;
  assertEquals([threat.rules_severity, threat.severity], ["medium", "high"]);
  engine.amend(raised.id, { ...modelText, severity: "info" });
  assertEquals(engine.threats[0].severity, "medium");
});

Deno.test("engine makes another threat of what comes after a closed one, with its own count", () => {
  const { engine } = setUp();
  const [first] = engine.step(scan(1_000, 30), 1);
  engine.setStatus(first.id, "closed");
  assertEquals(engine.step(scan(2_000, 14, 10), 2), [], "14 ports are below the threshold again");
  const [second] = engine.step(scan(3_000, 1, 20), 3);
  assert(second.id !== first.id);
  assertEquals([second.status, second.count], ["open", 15]);
  engine.setStatus(second.id, "closed");
  const [third] = engine.step(scan(4_000, 20, 30), 4);
  assertEquals(new Set([first.id, second.id, third.id]).size, 3);
});

Deno.test("engine goes on with a closed threat that a person opened again", () => {
  const { engine } = setUp();
  const [first] = engine.step(scan(1_000, 30), 1);
  engine.setStatus(first.id, "closed");
  engine.setStatus(first.id, "open");
  const [again] = engine.step(scan(2_000, 30, 10), 2);
  assertEquals([again.id, again.status, again.count], [first.id, "open", 60]);
});

Deno.test("engine after a restart leaves a closed threat closed, and raises what is new", () => {
  const before = setUp().engine;
  const updates = scan(1_000, 40);
  before.step(updates, 1);
  const closed = before.threats.map((threat) => ({ ...threat, status: "closed" as const }));
  const { engine } = setUp();
  engine.warm(closed, []);
  assertEquals(engine.step(updates.map(flowOf).map(updateOfFlow), 2), []);
  const [fresh] = engine.step(scan(2_000, 20, 60), 3);
  assertEquals([fresh.status, fresh.count], ["open", 20]);
});

Deno.test("engine names open threats that were silent for more than three days, and no others", () => {
  const { engine } = setUp();
  const day = 86_400_000;
  const [old] = engine.step(scan(1_000, 20), 0);
  assertEquals(engine.silent(3 * day), []);
  assertEquals(engine.silent(3 * day + 1).map(({ id }) => id), [old.id]);
  engine.setStatus(old.id, "acknowledged");
  assertEquals(engine.silent(9 * day), []);
});

Deno.test("engine shows words, reasons and evidence of one episode, the strongest", () => {
  const { engine } = setUp();
  engine.step(scan(1_000, 500), 1);
  engine.step(scan(1_000, 20, 7_200), 2);
  const [threat] = engine.threats;
  assertEquals([threat.count, threat.flows, threat.episodes], [520, 520, 2]);
  assertEquals(threat.evidence[0].value, 500);
  assertStringIncludes(threat.reasons[0].text, "500 different ports");
  assertStringIncludes(threat.explanation, "tried 500 different TCP ports");
  assertStringIncludes(threat.explanation, "It came 2 times, with pauses");
});

Deno.test("engine hands on every flow of a threat once, those before it was one included", () => {
  const { engine } = setUp();
  const updates = scan(1_000, 200);
  const [threat] = engine.step(updates.slice(0, 150), 1);
  const links = engine.takeLinks();
  engine.step(updates.slice(150), 2);
  links.push(...engine.takeLinks());
  assertEquals(new Set(links.map(({ threat_id }) => threat_id)), new Set([threat.id]));
  assertEquals(links.flatMap(({ flow_ids }) => flow_ids), updates.map(({ flow_id }) => flow_id));
  assertEquals([engine.threats[0].flows, engine.threats[0].flow_ids.length], [200, 50]);
});

Deno.test("engine forgets the stalest threat when there are too many, and counts it", () => {
  const { engine, reporter } = setUp(startDetectors(), 3);
  for (let host = 1; host <= 5; host++) {
    engine.step(
      scan(1_000, 20).map((one) => ({ ...one, segment: { ...one.segment, src_ip: `10.0.1.${host}` } })),
      1,
    );
  }
  assertEquals(engine.threats.length, 3);
  assertEquals(reporter.snapshot().get("threats_forgotten_total"), 2);
});

Deno.test("engine goes on when a detector throws", () => {
  const broken: Detector = {
    ...startDetector(portScanVertical),
    name: "broken",
    step: () => {
      throw new Error("no");
    },
  };
  const { engine, reporter } = setUp([broken, ...startDetectors()]);
  assertEquals(engine.step(scan(1_000, 20), 1).length, 1);
  assertEquals(reporter.snapshot().get('detector_errors_total{detector="broken"}'), 20);
});

Deno.test("engine refuses a bound that is none", () => {
  assertThrows(() => setUp([], 0), RangeError, "threatsMax");
});

Deno.test("engine explains every threat: who, whom, when, why, what next", () => {
  const { engine } = setUp();
  const [threat] = engine.step(scan(1_000, 20), 1);
  for (
    const part of ["10.0.0.5", "10.0.0.9", "2023-11-14 22:13:20 UTC", "sensor s1", "rule out", "20 different"]
  ) {
    assertStringIncludes(threat.explanation, part);
  }
  assert(threat.suggested_action.length > 40);
  assertEquals([threat.engine, threat.confidence, threat.fallback], ["rules", 1, null]);
});

Deno.test("rules make hostile strings visible in the explanation and the action", () => {
  const [finding] = run(portScanVertical, times(20, (i) => update(i, { ...silent, dst_port: i + 1 })));
  const words = { ...finding.words, summary: "name \u001b[2J\u202e", action: "block \u001b" };
  const triage = explainByRules({ ...finding, words }, "low");
  assertStringIncludes(triage.explanation, "name \\u{1b}[2J\\u{202e}");
  assertStringIncludes(triage.suggested_action, "block \\u{1b}");
});

Deno.test("episodes hold no more keys than their bound and count those forgotten", () => {
  const episodes = new Episodes({
    keysMax: 10,
    quietS: 60,
    ageMaxS: 600,
    open: () => ({ seen: 0 }),
    isThreat: (state: { seen: number }) => state.seen > 1,
  });
  const prepared = prepare(times(25, (i) => update(i)), new PrepareBooks());
  prepared.forEach((one, i) => episodes.touch(`k${i}`, one)!.state.seen++);
  assertEquals([episodes.tracked, episodes.evicted], [10, 15]);
});

Deno.test("an episode that was dropped among too many changed ones is judged when more comes of it", () => {
  const episodes = new Episodes({
    keysMax: 1_000_000,
    quietS: 60,
    ageMaxS: 600,
    open: () => ({ seen: 0 }),
    isThreat: (state: { seen: number }) => state.seen > 1,
  });
  const [one] = prepare([update(0)], new PrepareBooks());
  const see = (key: string) => episodes.touch(key, one)!.state.seen++;
  see("threat");
  see("threat");
  for (let i = 0; i < 200_000; i++) see(`k${i}`);
  see("k7");
  const keys = () => episodes.takeChanged().map(({ key }) => key);
  assertEquals([keys(), episodes.evicted], [["site|threat", "site|k7"], 0]);
  see("k8");
  assertEquals(keys(), ["site|k8"]);
});

Deno.test("times and flows of an episode stand beside its state when it is a finding, and that it is over at once", () => {
  const episodes = new Episodes<{ seen: number; lastS?: number; isOver?: boolean }>({
    keysMax: 10,
    quietS: 60,
    ageMaxS: 600,
    open: () => ({ seen: 0 }),
    isThreat: (_state, { flows, firstS, lastS }) => flows === 3 && lastS - firstS === 20.5,
  });
  const prepared = prepare([0, 10, 20, 200].map((atS) => update(atS)), new PrepareBooks());
  const first = episodes.touch("k", prepared[0])!;
  episodes.touch("k", prepared[1]);
  assertEquals(episodes.takeChanged(), []);
  episodes.touch("k", prepared[2]);
  const [taken] = episodes.takeChanged();
  assertEquals(taken, first);
  assertEquals([taken.state.lastS, taken.shown.lastS - taken.shown.firstS, taken.shown.flows], [
    undefined,
    20.5,
    3,
  ]);
  assertEquals([taken.flowIds.length, taken.key], [3, "site|k"]);
  episodes.touch("k", prepared[3]);
  assertEquals([first.state.isOver, first.isOver], [true, true]);
});

const module = `export const detector = { name: "mine", technique: "T1046", title: "Mine", about: "Nothing.",
  limits: { seenMin: { value: 2, unit: "flows", why: "an example" } },
  window: { quietS: { value: 60, unit: "s", why: "w" }, ageS: { value: 600, unit: "s", why: "w" } },
  key: (update) => update.src.ip,
  open: () => ({ seen: 0 }),
  step(state) { state.seen++; },
  isThreat: (state, limits) => state.seen >= limits.seenMin,
  finding: (state) => ({ src_ips: ["10.0.0.5"], dst_ips: [], dst_port: null, count: state.seen,
    summary: "Seen.", reasons: [], evidence: {} }),
  meaning: "m", action: "a", falseAlarm: "f" };`;

Deno.test("custom detectors come from a folder, and a bad file costs only itself", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/a_good.js`, module);
  await Deno.writeTextFile(`${folder}/b_same_name.js`, module);
  await Deno.writeTextFile(`${folder}/c_empty.js`, "export const nothing = 1;");
  await Deno.writeTextFile(`${folder}/d_broken.js`, "export const detector = ;");
  await Deno.writeTextFile(
    `${folder}/e_half.js`,
    module.replace("meaning:", "sense:").replace('unit: "flows",', ""),
  );
  await Deno.writeTextFile(`${folder}/readme.txt`, "no module");
  const { declarations, problems } = await loadCustomDetectors(folder, ["port_scan_vertical"]);
  await Deno.remove(folder, { recursive: true });
  assertEquals(declarations.map(({ name }) => name), ["mine"]);
  assertEquals(problems.length, 4);
  assertStringIncludes(problems[3], "missing or wrong: limits, meaning");
  assertEquals(run(declarations[0], times(2, (i) => update(i))).map(({ count }) => count), [2]);
  assertEquals(run(declarations[0], times(2, (i) => update(i)), { seenMin: 3 }), []);
});

Deno.test("evidence is numbered in its order, and a field reads as its value", () => {
  const fields = { a: field("first", 1), b: hostile("second", "x") };
  assertEquals(numberEvidence(fields), [
    { id: "e1", name: "first", value: 1, hostile: false },
    { id: "e2", name: "second", value: "x", hostile: true },
  ]);
  assertEquals(`${fields.a} ${fields.b}`, "1 x");
});

Deno.test("engine says which detectors the data cannot feed", () => {
  const { engine } = setUp();
  engine.step(scan(1_000, 20), 1);
  const ofDns = () => engine.notEvaluable().filter(({ detector }) => /^dns_tunnel$|^nxdomain/.test(detector));
  assertEquals(ofDns(), [
    { detector: "dns_tunnel", missing: ["dns"] },
    { detector: "nxdomain_burst", missing: ["dns"] },
  ]);
  engine.step([lookUp(0, "www.example.com", "A")], 2);
  assertEquals(ofDns(), []);
});

Deno.test("a detector that cannot say what it lacks is counted, and costs no other its word", () => {
  const lacks = () => {
    throw new Error("broken");
  };
  const broken = startDetector({ ...portScanVertical, name: "broken", lacks });
  const lacking = startDetector({ ...portScanVertical, name: "lacking", lacks: () => "lists" });
  const { engine, reporter } = setUp([broken, lacking]);
  assertEquals(engine.notEvaluable(), [{ detector: "lacking", missing: ["lists"] }]);
  assertEquals(reporter.snapshot().get('detector_errors_total{detector="broken"}'), 1);
});

function flowOf(one: FlowUpdate): Flow {
  const { segment: _, flow_start: __, ...rest } = one.segment;
  return {
    ...rest,
    flow_id: one.flow_id,
    network: one.network,
    total_packets: 1,
    total_bytes: 1,
    fwd_sensor: "s1",
    bwd_sensor: "",
    time_suspect: false,
    stored_ms: 0,
    updated_ms: 0,
    seen_by: [],
  };
}

Deno.test("canaries of a fleet, every hour for a month, are no threat", () => {
  const { engine } = setUp();
  const group = { ...unansweredDatagram, dst_port: 8_601, fwd_packets: 1, conn_state: "S0" } as const;
  for (let hour = 0; hour < 720; hour++) {
    const batch = times(30, (sensor) => {
      const isNew = sensor % 2 === 0;
      return update(hour * 3_600 + sensor * 7, {
        ...group,
        src_ip: isNew ? `10.0.0.${10 + sensor}` : `fe80::${sensor}`,
        dst_ip: isNew ? "239.255.86.1" : "ff12::8601",
        src_port: 32_768 + (hour * 31 + sensor * 977) % 28_000,
        dst_mac: isNew ? "01:00:5e:7f:56:01" : "33:33:00:00:86:01",
      });
    });
    engine.step(batch, hour);
  }
  engine.flush(720);
  assertEquals(engine.threats.map(({ detector, severity }) => [detector, severity]), []);
});
