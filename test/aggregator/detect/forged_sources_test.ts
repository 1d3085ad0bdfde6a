/** Scans under forged sources: the link tells who sent them, as with decoys and idle scans; routers, second addresses
 * and machines that moved are believed. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { portScanHorizontal } from "../../../aggregator/detect/detectors/port_scan_horizontal.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { evidenceValue, refused, run, times, unansweredDatagram, update } from "./updates.ts";

const evil = "02:00:00:00:00:66";
const tells = (atS: number, src_ip: string, src_mac = evil) =>
  update(atS, {
    protocol: "arp",
    src_ip,
    src_mac,
    dst_ip: "10.0.0.1",
    src_port: 1,
    dst_port: 0,
    bwd_packets: 0,
  });
const scan = (src_ip: string, src_mac = evil) =>
  times(
    20,
    (i) => update(100 + i * 0.1, { ...refused, src_ip, src_mac, dst_ip: "10.0.0.9", dst_port: 100 + i }),
  );
const sweep = (src_ip: string) =>
  times(
    30,
    (i) =>
      update(100 + i * 0.1, { ...unansweredDatagram, src_ip, src_mac: evil, dst_ip: `10.0.0.${i + 20}` }),
  );
const named = (...updates: FlowUpdate[]) => run(portScanVertical, updates).map(({ src_ips }) => src_ips);

Deno.test("decoys and idle scans are those of the machine whose hardware address they carry", () => {
  const [decoy] = run(portScanVertical, [...scan("10.0.0.201"), tells(99, "10.0.0.66")]);
  assertEquals(decoy.src_ips, ["10.0.0.66"]);
  assertEquals(evidenceValue(decoy, "forged source"), "10.0.0.201");
  assertStringIncludes(
    decoy.words.summary,
    "10.0.0.66 tried 20 different TCP ports of 10.0.0.9 under the forged",
  );
  assertStringIncludes(decoy.words.action, "uses 10.0.0.66");
  const [idle] = run(portScanHorizontal, [
    tells(0, "10.0.0.30", "02:00:00:00:00:30"),
    tells(99, "10.0.0.66"),
    ...sweep("10.0.0.30"),
  ]);
  assertEquals(idle.src_ips, ["10.0.0.66"]);
  assertStringIncludes(idle.words.summary, "on 30 different hosts under the forged address 10.0.0.30");
});

Deno.test("a source that the machine has, another network's, and one that nobody told about are as they say", () => {
  assertEquals(named(tells(99, "10.0.0.66"), ...scan("10.0.0.66")), [["10.0.0.66"]]);
  assertEquals(named(tells(98, "10.0.0.66"), tells(99, "10.0.0.67"), ...scan("10.0.0.67")), [["10.0.0.67"]]);
  assertEquals(named(tells(99, "10.0.0.1"), ...scan("203.0.113.9")), [["203.0.113.9"]], "through a router");
  assertEquals(named(tells(99, "10.0.0.66"), ...scan("10.0.0.5", "02:00:00:00:00:05")), [["10.0.0.5"]]);
  assertEquals(named(tells(99, "10.0.0.66"), ...scan("10.0.0.5", "")), [["10.0.0.5"]]);
});

Deno.test("what a machine told more than an hour before is no longer believed", () => {
  // The scan's last flow ends at 102.4 s.
  assertEquals(named(tells(-3_498, "10.0.0.66"), ...scan("10.0.0.5")), [["10.0.0.66"]]);
  assertEquals(named(tells(-3_499, "10.0.0.66"), ...scan("10.0.0.5")), [["10.0.0.5"]]);
});
