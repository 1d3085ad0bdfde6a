/** Detection between store and triage: what is found is stored, also later, and known again after a restart. @module */

import { assertEquals } from "@std/assert";
import { Detection } from "../../../aggregator/detect/detection.ts";
import { Engine } from "../../../aggregator/detect/engine.ts";
import { startDetector } from "../../../aggregator/detect/detector.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import { updateOfFlow } from "../../../aggregator/detect/engine.ts";
import type { Threat, ThreatLinks, ThreatStatus } from "../../../aggregator/model/threat.ts";
import type { Flow } from "../../../aggregator/model/flow.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { explainByRules } from "../../../aggregator/triage/rules.ts";
import type { Clock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { sampleFlow } from "../api/samples.ts";

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
  stored: { threats: Map<string, Threat>; flows: Flow[]; isAway: boolean; gate?: Promise<void> },
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
      Promise.resolve(new Map([...stored.threats.values()].map(({ id, status }) => [id, status]))),
    readThreats: () => Promise.resolve({ rows: [...stored.threats.values()] }),
    readRecentFlows: () => Promise.resolve(stored.flows),
  };
  const told: string[] = [];
  const onThreats = (threats: readonly Threat[]) =>
    void told.push(...threats.map(({ detector }) => detector));
  const detection = new Detection({}, { engine, store, clock: time, reporter, onThreats });
  return { detection, engine, linked, told, counter: (name: string) => reporter.snapshot().get(name) ?? 0 };
}

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
