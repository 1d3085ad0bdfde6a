/** Detection between store and triage: what is found is stored, also later, and known again after a restart. @module */

import { assert, assertEquals } from "@std/assert";
import { Detection } from "../../../aggregator/detect/detection.ts";
import { Suppressor } from "../../../aggregator/detect/suppressor.ts";
import { Engine } from "../../../aggregator/detect/engine.ts";
import { startDetector } from "../../../aggregator/detect/detector.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import { updateOfFlow } from "../../../aggregator/detect/engine.ts";
import type { Threat, ThreatLinks, ThreatStatus } from "../../../aggregator/model/threat.ts";
import type { Flow } from "../../../aggregator/model/flow.ts";
import type { SuppressionRow } from "../../../aggregator/model/suppression.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { explainByRules } from "../../../aggregator/triage/rules.ts";
import type { Clock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { sampleFlow } from "../api/samples.ts";
import { sampleThreat } from "../triage/sample_threat.ts";

/** Sleeps until told to stop: the flush timer never fires by itself. */
const clock: Clock = {
  nowMs: () => 1_800_000_000_000,
  monotonicMs: () => 0,
  sleep: (_ms, signal) =>
    new Promise((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true })),
};

function scan(): Flow[] {
  return Array.from({ length: 60 }, (_, i) =>
    sampleFlow(0, {
      src_ip: "10.0.0.66",
      dst_ip: "10.0.0.9",
      dst_port: 1_000 + i,
      src_port: 40_000 + i,
      start: 1_799_998_000 + i * 0.1,
      end: 1_799_998_000 + i * 0.1,
      conn_state: "REJ",
      fwd_packets: 1,
      bwd_packets: 1,
      fwd_payload_bytes: 0,
      fwd_tcp_flags: 2,
      bwd_tcp_flags: 20,
      bwd_syn_count: 0,
      bwd_payload_bytes: 0,
      app_protocol: "",
      facts: null,
      flow_id: (i + 1).toString(16).padStart(32, "0"),
    }));
}

function world(
  stored: {
    threats: Map<string, Threat>;
    flows: Flow[];
    isAway: boolean;
    gate?: Promise<void>;
    suppressions?: SuppressionRow[];
    areStatusesAway?: boolean;
  },
  time: Clock = clock,
) {
  const reporter = createReporter({ component: "test", write: () => undefined, clock: time });
  const engine = new Engine({}, {
    detectors: [startDetector(portScanVertical)],
    reporter,
    explain: explainByRules,
  });
  const linked: string[] = [];
  const store = {
    async saveThreats(threats: Threat[], links: readonly ThreatLinks[] = []) {
      if (stored.isAway) throw new StoreUnavailable("away");
      await stored.gate;
      for (const { flow_ids } of links) linked.push(...flow_ids);
      for (const threat of threats) {
        const { status } = stored.threats.get(threat.id) ?? threat;
        stored.threats.set(threat.id, { ...threat, status });
      }
    },
    setThreatStatus(id: string, status: ThreatStatus) {
      stored.threats.set(id, { ...stored.threats.get(id)!, status });
      return Promise.resolve(true);
    },
    readThreatStatuses: () =>
      stored.areStatusesAway
        ? Promise.reject(new StoreUnavailable("away"))
        : Promise.resolve(new Map([...stored.threats.values()].map(({ id, status }) => [id, status]))),
    readThreats: () => Promise.resolve({ rows: [...stored.threats.values()] }),
    readRecentFlows: () => Promise.resolve(stored.flows),
    readSuppressions: () => Promise.resolve(stored.suppressions ?? []),
    endExpired: () => Promise.resolve(0),
  };
  const told: string[] = [], kept: string[] = [], saved: string[] = [];
  const learned = { read: () => null, write: (text: string) => void kept.push(text) };
  const onThreats = (threats: readonly Threat[]) =>
    void told.push(...threats.map(({ detector }) => detector));
  const suppressor = new Suppressor({ store, clock: time, reporter });
  const detection = new Detection({}, {
    engine,
    store,
    suppressor,
    learned,
    clock: time,
    reporter,
    onThreats,
    onSaved: (threats) => void saved.push(...threats.map(({ id }) => id)),
  });
  return {
    detection,
    engine,
    linked,
    told,
    kept,
    saved,
    counter: (name: string) => reporter.snapshot().get(name) ?? 0,
  };
}

Deno.test("2,060 updates at once are taken in turns, and a threat that grew in two of them is saved once", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: [], isAway: false };
  const { detection } = world(stored);
  const saves: number[] = [];
  const set = stored.threats.set.bind(stored.threats);
  stored.threats.set = (id, threat) => {
    saves.push(threat.updated_ms);
    return set(id, threat);
  };
  const flows = Array.from({ length: 2_060 }, (_, i) => ({
    ...scan()[i % 60],
    flow_id: (i + 1).toString(16).padStart(32, "0"),
    dst_port: 1_000 + i,
  }));
  let turns = 0, isDone = false;
  const count = async () => {
    for (; !isDone; turns++) await new Promise((resolve) => setTimeout(resolve, 0));
  };
  const counted = count();
  await detection.take(flows.map(updateOfFlow), clock.nowMs());
  isDone = true;
  await counted;
  assert(turns >= 2, `${turns} turns`);
  assertEquals([stored.threats.size, saves.length], [1, 1]);
});

Deno.test("detection stores what the detectors find and offers it to triage", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: [], isAway: false };
  const { detection, told } = world(stored);
  const offered: string[] = [];
  detection.explainWith({ offer: (threat) => void offered.push(threat.detector), withdraw: () => {} });
  await detection.start();
  await detection.take(scan().map(updateOfFlow), clock.nowMs());
  await detection.stop();
  const [threat] = stored.threats.values();
  assertEquals([threat.detector, threat.src_ips, threat.count], ["port_scan_vertical", ["10.0.0.66"], 60]);
  assertEquals(offered.includes("port_scan_vertical"), true);
  assertEquals(told, offered);
});

Deno.test("detection ends a threat that a person closed at another instance", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: [], isAway: false };
  const { detection, engine } = world(stored);
  const withdrawn: string[] = [];
  detection.explainWith({ offer: () => {}, withdraw: (id) => void withdrawn.push(id) });
  await detection.start();
  await detection.take(scan().map(updateOfFlow), clock.nowMs());
  const [threat] = stored.threats.values();
  const statuses = () => engine.threats.map(({ status }) => status);
  assertEquals(statuses(), ["open"]);
  stored.threats.set(threat.id, { ...threat, status: "closed" });
  const { explanation, suggested_action, engine: by, confidence, fallback, severity } = threat;
  const triage = { explanation, suggested_action, engine: by, confidence, fallback };
  await detection.keep({ threatId: threat.id, severity, triage });
  assertEquals([statuses(), withdrawn], [["closed"], [threat.id]]);
  assertEquals(stored.threats.get(threat.id)?.status, "closed");
  await detection.stop();
});

Deno.test("detection keeps a threat that could not be stored and stores it with the next", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: [], isAway: true };
  const { detection, counter, linked } = world(stored);
  await detection.start();
  await detection.take(scan().map(updateOfFlow), clock.nowMs());
  assertEquals([stored.threats.size, counter("threat_saves_failed_total")], [0, 1]);
  stored.isAway = false;
  await detection.stop();
  assertEquals([stored.threats.size, linked.length], [1, 60]);
});

Deno.test("detection tells of what it stored though the store is gone right after", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: [], isAway: false, areStatusesAway: true };
  const { detection, saved } = world(stored);
  await detection.start();
  await detection.take(scan().map(updateOfFlow), clock.nowMs());
  assertEquals(saved, [...stored.threats.keys()]);
  assertEquals(saved.length, 1);
  await detection.stop();
});

Deno.test("a suppression that was read holds while the store is away, and each try is counted", async () => {
  const suppression = {
    id: "00000000000000a1",
    reason: "our scanner",
    made_by: "ann",
    made_ms: 0,
    expires_ms: 1_900_000_000_000,
    ended_ms: null,
    hidden: 0,
    src_ip: "10.0.0.66",
  };
  let isAway = false;
  const reporter = createReporter({ component: "test", write: () => undefined, clock });
  const readSuppressions = () =>
    isAway ? Promise.reject(new StoreUnavailable("away")) : Promise.resolve([suppression]);
  const suppressor = new Suppressor({
    store: { readSuppressions, endExpired: () => Promise.resolve(0) },
    clock,
    reporter,
  });
  const tried = async () => [
    await suppressor.refresh(true),
    suppressor.hides(sampleThreat({ src_ips: ["10.0.0.66"] })),
    reporter.snapshot().get("suppression_reads_failed_total") ?? 0,
  ];
  assertEquals(await tried(), [true, true, 0]);
  isAway = true;
  assertEquals(await tried(), [false, true, 1]);
  assertEquals(await tried(), [false, true, 2]);
});

Deno.test("detection finds after a restart what was stored but not yet looked at, and raises nothing twice", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: scan(), isAway: false };
  const first = world(stored);
  await first.detection.start();
  await first.detection.stop();
  assertEquals(stored.threats.size, 1, "killed between commit and detection");
  const [id] = stored.threats.keys();
  stored.threats.set(id, { ...stored.threats.get(id)!, status: "closed" });
  const second = world(stored);
  await second.detection.start();
  await second.detection.stop();
  assertEquals([...stored.threats.values()].map((threat) => [threat.id, threat.status]), [[id, "closed"]]);
  assertEquals(second.counter("threats_total"), 0);
});

Deno.test("detection stores what changed while it was being stored", async () => {
  const learnt = { threats: new Map<string, Threat>(), flows: scan(), isAway: false };
  const before = world(learnt).detection;
  await before.start();
  await before.stop();
  const [{ id, suggested_action }] = learnt.threats.values();
  const gate = Promise.withResolvers<void>();
  const stored = { threats: new Map<string, Threat>(), flows: [], isAway: false, gate: gate.promise };
  const { detection } = world(stored);
  await detection.start();
  const taken = detection.take(scan().map(updateOfFlow), clock.nowMs());
  const triage = {
    explanation: "words",
    suggested_action,
    engine: "gemini:x",
    confidence: 0.8,
    fallback: null,
  };
  await Promise.resolve();
  const kept = detection.keep({ threatId: id, severity: "critical", triage });
  gate.resolve();
  await Promise.all([taken, kept]);
  assertEquals(stored.threats.get(id)?.explanation, "words");
  await detection.stop();
});

Deno.test("detection keeps a model's words and a person's status on a threat", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: scan(), isAway: false };
  const { detection } = world(stored);
  await detection.start();
  const [id] = stored.threats.keys();
  const triage = {
    explanation: "words",
    suggested_action: "act",
    engine: "gemini:x",
    confidence: 0.8,
    fallback: null,
  };
  await detection.keep({ threatId: id, severity: "critical", triage });
  assertEquals([stored.threats.get(id)?.engine, stored.threats.get(id)?.severity], ["gemini:x", "critical"]);
  stored.threats.set(id, { ...stored.threats.get(id)!, status: "acknowledged" });
  detection.setStatus(id, "acknowledged");
  await detection.keep({ threatId: id, severity: "critical", triage });
  assertEquals(stored.threats.get(id)?.status, "acknowledged");
  await detection.stop();
});

/** Each sleep takes an hour, until `hours` are over; then nobody wakes. */
function hoursPass(hours: number): { time: Clock; over: Promise<void> } {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  let passed = 0;
  const time: Clock = {
    ...clock,
    nowMs: () => clock.nowMs() + passed * 3_600_000,
    sleep(ms, signal) {
      if (passed < hours) passed++;
      else {
        resolve();
        return clock.sleep(ms, signal);
      }
      return Promise.resolve();
    },
  };
  return { time, over };
}

for (const [hours, status] of [[71, "open"], [74, "closed"]] as const) {
  Deno.test(`detection has a threat ${status} after ${hours} hours without news, here and in the store`, async () => {
    const stored = { threats: new Map<string, Threat>(), flows: scan(), isAway: false };
    const { time, over } = hoursPass(hours);
    const { detection, counter } = world(stored, time);
    await detection.start();
    await over;
    const [threat] = stored.threats.values();
    assertEquals([threat.status, counter("threats_ended_total")], [status, status === "closed" ? 1 : 0]);
    await detection.stop();
  });
}

Deno.test("detection asks and tells nobody of a threat that a suppression hides, and stores it all the same", async () => {
  const suppression: SuppressionRow = {
    id: "00000000000000a1",
    reason: "our scanner",
    made_by: "ann",
    made_ms: 0,
    expires_ms: 1_900_000_000_000,
    ended_ms: null,
    hidden: 0,
    src_ip: "10.0.0.66",
  };
  const found = async (suppressions: SuppressionRow[]) => {
    const stored = { threats: new Map<string, Threat>(), flows: [], isAway: false, suppressions };
    const { detection, told, counter } = world(stored);
    const offered: string[] = [], withdrawn: string[] = [];
    detection.explainWith({
      offer: (threat) => void offered.push(threat.id),
      withdraw: (id) => void withdrawn.push(id),
    });
    await detection.start();
    await detection.take(scan().map(updateOfFlow), clock.nowMs());
    const before = [stored.threats.size, told.length > 0, offered.length > 0, withdrawn.length];
    suppressions.push(suppression);
    await detection.suppress();
    await detection.stop();
    return { before, withdrawn, hidden: counter("threats_suppressed_total") > 0 };
  };
  const hidden = await found([suppression]);
  assertEquals([...hidden.before.slice(0, 3), hidden.hidden], [1, false, false, true]);
  const late = await found([]);
  assertEquals(
    [...late.before, late.withdrawn.length],
    [1, true, true, 0, 1],
    "one made later takes it back",
  );
  const elsewhere = {
    threats: new Map<string, Threat>(),
    flows: [],
    isAway: false,
    suppressions: [] as SuppressionRow[],
  };
  let ms = 0;
  const { detection } = world(elsewhere, { ...clock, monotonicMs: () => ms });
  const withdrawn: string[] = [];
  detection.explainWith({ offer: () => {}, withdraw: (id) => void withdrawn.push(id) });
  await detection.start();
  await detection.take(scan().map(updateOfFlow), clock.nowMs());
  elsewhere.suppressions.push(suppression);
  const after = async (at: number) => {
    ms = at;
    await detection.take([], clock.nowMs());
    return withdrawn.length;
  };
  assertEquals(
    [await after(4_999), await after(5_000), await after(10_000)],
    [0, 1, 1],
    "another aggregator made it",
  );
  await detection.stop();
  const over = await found([{ ...suppression, expires_ms: 1_800_000_000_000 }]);
  assertEquals(over.before, [1, true, true, 0], "an expired one hides nothing");
});

Deno.test("detection keeps what it learned when it stops", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: [], isAway: false };
  const { detection, kept } = world(stored);
  await detection.start();
  await detection.take(scan().map(updateOfFlow), clock.nowMs());
  assertEquals(kept, []);
  await detection.stop();
  const { parts: { services } } = JSON.parse(kept[0]);
  assertEquals([kept.length, services.services.length, services.networks[0][0][0]], [1, 60, "lab"]);
});

Deno.test("detection asks once for an incident, about its gravest open threat", async () => {
  const stored = { threats: new Map<string, Threat>(), flows: [], isAway: false };
  const { detection } = world(stored);
  let asked: string[] = [];
  const withdrawn = new Set<string>();
  detection.explainWith({
    offer: ({ src_ips: [src], dst_ips: [dst] }) => void asked.push(`${src} ${dst}`),
    withdraw: (id) => void withdrawn.add(id),
  });
  let laterS = 0;
  const take = async (src_ip: string, dst_ip: string, ports: number) => {
    asked = [];
    laterS += 10;
    const flows = scan().slice(0, ports).map((flow, i) => ({
      ...flow,
      src_ip,
      dst_ip,
      start: flow.start + laterS,
      end: flow.end + laterS,
      flow_id: `${dst_ip.length}${src_ip}${dst_ip}${i}`,
    }));
    await detection.take(flows.map(updateOfFlow), clock.nowMs());
    return asked;
  };
  await detection.start();
  assertEquals(await take("10.0.0.66", "10.0.0.9", 30), ["10.0.0.66 10.0.0.9"]);
  assertEquals(await take("10.0.0.66", "10.0.0.10", 30), [], "the same attacker, no graver");
  assertEquals(await take("10.0.0.77", "10.0.0.9", 30), ["10.0.0.77 10.0.0.9"], "another one");
  assertEquals(withdrawn.size, 1);
  const [first] = stored.threats.values();
  detection.setStatus(first.id, "closed");
  assertEquals(
    await take("10.0.0.66", "10.0.0.10", 60),
    ["10.0.0.66 10.0.0.10"],
    "the first one is dealt with",
  );
  await detection.stop();
});
