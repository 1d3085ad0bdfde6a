/** Updates that are no threat by themselves and are kept without a state: nothing that a detector says depends on it.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { catalogue } from "../../../aggregator/detect/detectors/catalogue.ts";
import { flood } from "../../../aggregator/detect/detectors/flood.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import { synFlood } from "../../../aggregator/detect/detectors/syn_flood.ts";
import { type Declaration, startDetector } from "../../../aggregator/detect/detector.ts";
import { prepare, PrepareBooks } from "../../../aggregator/detect/prepared.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { evidenceValue, refused, run, silent, times, unansweredDatagram, update } from "./updates.ts";

const target = "10.0.0.9";
const web = { src_ip: "10.0.0.7", dst_ip: target, dst_port: 80 };

/** For each of the detectors that keep slight updates so, what it finds something in. */
const attacks: Readonly<Record<string, readonly FlowUpdate[]>> = {
  port_scan_vertical: times(40, (i) => update(i, { ...refused, dst_ip: target, dst_port: 1 + i })),
  port_scan_horizontal: times(60, (i) => update(i, { ...silent, dst_ip: `10.0.1.${1 + i}`, dst_port: 445 })),
  port_scan_distributed: times(
    120,
    (i) => update(i, { ...refused, src_ip: `10.0.2.${1 + i % 6}`, dst_ip: target, dst_port: 100 + i }),
  ),
  port_scan_slow: times(60, (i) => update(i * 900, { ...silent, dst_ip: target, dst_port: 100 + i })),
  syn_flood: times(
    2_000,
    (i) => update(i / 200, { ...silent, src_ip: `203.0.113.${i % 200}`, dst_ip: target, dst_port: 80 }),
  ),
  flood: [
    ...times(1_000, (i) => update(i / 200, web)),
    ...times(60, (i) => update(i, { ...web, src_port: i, bwd_payload_bytes: 0, end: 1_700_000_100 + i })),
    ...times(
      400,
      (i) => update(i / 100, { ...unansweredDatagram, dst_ip: target, fwd_packets: 40, dst_port: 9 }),
    ),
  ],
  beacon: times(40, (i) => update(i * 60, { dst_port: 4_444 })),
};

function findingsOf(declaration: Declaration, updates: readonly FlowUpdate[], batch: number) {
  const detector = startDetector(declaration), books = new PrepareBooks(), findings = [];
  for (let i = 0; i < updates.length; i += batch) {
    for (const one of prepare(updates.slice(i, i + batch), books)) detector.step(one);
    findings.push(...detector.collect());
  }
  return findings;
}

for (const declaration of catalogue.filter(({ slight }) => slight !== undefined)) {
  const { slight: _, ...without } = declaration;
  Deno.test(`${declaration.name} finds the same, whether it keeps slight updates without a state or not`, () => {
    const others = Object.entries(attacks).flatMap(([name, updates]) =>
      name === declaration.name ? [] : updates
    );
    assert(findingsOf(declaration, attacks[declaration.name], 7).length > 0);
    const updates = [...attacks[declaration.name], ...others];
    for (const batch of [1, 7, 1_000]) {
      assertEquals(findingsOf(declaration, updates, batch), findingsOf(without, updates, batch));
    }
  });
}

Deno.test("the update that opened an episode counts: its flow, its time, what it tried", () => {
  const [finding] = run(
    portScanVertical,
    times(15, (i) => update(i, { ...refused, dst_ip: target, dst_port: 1 + i })),
  );
  assertEquals([finding.count, finding.flows, finding.flow_ids.length], [15, 15, 15]);
  assertEquals([finding.first_seen, finding.last_seen], [1_700_000_000, 1_700_000_014.5]);
  assertEquals(evidenceValue(finding, "lowest and highest port"), "1-15");
});

Deno.test("one update that is a threat by itself is one at once", () => {
  const syns = (fwd_syn_count: number) =>
    update(0, { ...silent, dst_ip: target, fwd_syn_count, end: 1_700_000_004 });
  const limits = { durationMinS: 1, burstMin: 100 };
  assertEquals([run(synFlood, [syns(128)], limits).length, run(synFlood, [syns(127)], limits).length], [
    1,
    0,
  ]);
  const datagrams = (fwd_packets: number) =>
    update(0, { ...unansweredDatagram, dst_ip: target, fwd_packets, end: 1_700_000_003 });
  assertEquals([run(flood, [datagrams(4_000)]).length, run(flood, [datagrams(3_990)]).length], [1, 0]);
  const one = [update(0, { ...refused, dst_ip: target, dst_port: 1 })];
  const portsMin = (tcpPortsMin: number) =>
    run(portScanVertical, one, { tcpPortsMin, udpPortsMin: 30 }).length;
  assertEquals([portsMin(1), portsMin(2)], [1, 0]);
});

Deno.test("a slight update is followed like any other, until a silence ends it", () => {
  const detector = startDetector(portScanVertical), books = new PrepareBooks();
  const step = (atS: number, dst_port: number) =>
    detector.step(prepare([update(atS, { ...refused, dst_ip: target, dst_port })], books)[0]);
  step(0, 1);
  assertEquals(detector.tracked, 1);
  // A quiet time of 600 s, counted from the end of the flow.
  step(601, 2);
  for (let i = 0; i < 13; i++) step(602 + i, 3 + i);
  assertEquals([detector.tracked, detector.collect().length], [1, 0]);
  step(620, 99);
  assertEquals(detector.collect().map(({ count, first_seen }) => [count, first_seen]), [[15, 1_700_000_601]]);
  detector.end("port_scan_vertical|site|tcp|10.0.0.5|10.0.0.9");
  step(621, 100);
  assertEquals([detector.tracked, detector.collect()], [1, []]);
});
