/** What is new or lasts: devices and services after the network was learned, and sessions of hours;
 * none of it is above low. @module */

import { assertEquals } from "@std/assert";
import { longSession } from "../../../aggregator/detect/detectors/long_session.ts";
import { newDevice } from "../../../aggregator/detect/detectors/new_device.ts";
import { newService } from "../../../aggregator/detect/detectors/new_service.ts";
import type { Segment } from "../../../shared/segment.ts";
import { inBatches, run, severity, silent, times, update } from "./updates.ts";

const hour = 3_600, days3 = 3 * 86_400;
const arp = { protocol: "arp", src_port: 1, dst_port: 0, bwd_packets: 0, fwd_packets: 1, dst_ip: "10.0.0.1" };
const speaks = (atS: number, src_mac: string, src_ip: string, change: Partial<Segment> = {}) =>
  update(atS, { ...arp, src_mac, src_ip, ...change });
const router = (atS: number) => speaks(atS, "00:11:22:00:00:01", "10.0.0.1");
const guest = (atS: number) => speaks(atS, "00:11:22:00:00:99", "10.0.0.99");

Deno.test("a device is new after three days and 24 hours of watching, and low; what spoke before is known", () => {
  const watched = (hours: number) => times(hours, (i) => router(i * hour));
  const [finding] = run(newDevice, [...watched(24), guest(days3)]);
  assertEquals([finding.src_ips, severity(finding)], [["10.0.0.99"], "low"]);
  assertEquals(run(newDevice, [...watched(24), guest(days3 - 1)]), []);
  assertEquals(run(newDevice, [...watched(22), guest(days3)]), [], "22 hours, and the guest's own");
  assertEquals(run(newDevice, [guest(0), ...watched(24), guest(days3)]), []);
  const shared = speaks(days3, "00:00:5e:00:01:0a", "10.0.0.9");
  assertEquals(run(newDevice, [...watched(24), shared]), [], "VRRP");
});

const calls = (atS: number, dst_ip: string, dst_port: number, change: Partial<Segment> = {}) =>
  update(atS, { src_ip: "10.0.0.5", dst_ip, dst_port, ...change });
const learned = (hours: number) => times(hours, (i) => calls(i * hour, "10.0.0.1", 443));

Deno.test("a service is new after three days and 24 hours of calls, and low; the ports of a host are one threat", () => {
  const shell = [calls(days3, "10.0.0.9", 4_444), calls(days3 + 9, "10.0.0.9", 8_081)];
  const [finding] = run(newService, [...learned(24), ...shell]);
  assertEquals([finding.src_ips, finding.count, severity(finding)], [["10.0.0.9"], 2, "low"]);
  assertEquals(run(newService, [...learned(24), calls(days3 - 1, "10.0.0.9", 4_444)]), []);
  assertEquals(run(newService, [...learned(22), ...shell]), []);
  const later = times(9, (i) => calls(days3 + (i + 1) * hour, "10.0.0.1", 443));
  const batch = [...learned(22), ...shell, ...later];
  assertEquals([run(newService, batch), inBatches(newService, batch.map((one) => [one]))], [[], []]);
});

Deno.test("a service is not new that was called before, that does not answer, is outside, or on a client's port", () => {
  for (
    const [what, updates] of Object.entries({
      known: [calls(0, "10.0.0.9", 4_444), ...learned(24), calls(days3, "10.0.0.9", 4_444)],
      silent: [...learned(24), calls(days3, "10.0.0.9", 4_444, silent)],
      outside: [...learned(24), calls(days3, "203.0.113.9", 4_444)],
      client: [...learned(24), calls(days3, "10.0.0.9", 32_768)],
    })
  ) assertEquals(run(newService, updates), [], what);
  assertEquals(run(newService, [...learned(24), calls(days3, "10.0.0.9", 32_767)]).length, 1);
});

Deno.test("a session is long from eight hours on when both still talk, and never above low", () => {
  const part = (ageH: number, change: Partial<Segment> = {}) =>
    update(ageH * hour, {
      flow_start: 1_700_000_000,
      end: 1_700_000_000 + ageH * hour,
      segment: 9,
      fwd_payload_bytes: 20_000,
      bwd_payload_bytes: 20_000,
      ...change,
    }, false);
  const found = (ageH: number, change: Partial<Segment> = {}) =>
    run(longSession, [part(ageH, change)]).map(severity);
  assertEquals([found(8), found(7.99), found(300)], [["low"], [], ["low"]]);
  assertEquals(found(9, { bwd_payload_bytes: 9_999 }), [], "keep-alives");
  assertEquals([found(9, { dst_ip: "10.0.0.9" }), found(9, { protocol: "udp" })], [[], []]);
});
