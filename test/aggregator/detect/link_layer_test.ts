/** ARP and DHCP: forged claims, storms, starvation and second servers are found; replaced cards, standbys, repeaters,
 * mornings and pairs of servers are not, or stay low. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { arpSpoofing } from "../../../aggregator/detect/detectors/arp_spoofing.ts";
import { arpStorm } from "../../../aggregator/detect/detectors/arp_storm.ts";
import { dhcpStarvation } from "../../../aggregator/detect/detectors/dhcp_starvation.ts";
import { rogueDhcp } from "../../../aggregator/detect/detectors/rogue_dhcp.ts";
import type { DhcpFact } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { baseS, evidenceValue, run, severity, times, update } from "./updates.ts";

const arp = { protocol: "arp", bwd_packets: 0, fwd_payload_bytes: 0, fwd_packets: 1, dst_port: 0 };
const says = (atS: number, src_mac: string, src_ip: string, dst_ip: string, change: Partial<Segment> = {}) =>
  update(atS, { ...arp, src_port: 2, src_mac, src_ip, dst_ip, ...change });
const asks = (atS: number, src_mac: string, src_ip: string, dst_ip: string) =>
  says(atS, src_mac, src_ip, dst_ip, { src_port: 1 });
const evil = "02:00:00:00:00:66", gatewayMac = "02:00:00:00:00:01", hostMac = "02:00:00:00:00:09";

Deno.test("ARP spoofing of gateway and host is critical: two claim it in turns, and one of them asks for it", () => {
  const poison = times(12, (i) => [
    says(10 * i, evil, "10.0.0.1", "10.0.0.9"),
    says(10 * i, evil, "10.0.0.9", "10.0.0.1"),
    asks(10 * i + 3, gatewayMac, "10.0.0.1", "10.0.0.9"),
    asks(10 * i + 4, hostMac, "10.0.0.9", "10.0.0.20"),
  ]).flat();
  const findings = run(arpSpoofing, [asks(0, evil, "10.0.0.66", "10.0.0.1"), ...poison]);
  assertEquals(findings.map(({ src_ips }) => src_ips), [["10.0.0.66"]], "neither the gateway nor the host");
  assertEquals(severity(findings[0]), "critical");
  assert(["10.0.0.1", "10.0.0.9"].every((ip) => findings[0].dst_ips.includes(ip)));
  assertStringIncludes(findings[0].words.action, evil);
});

Deno.test("who asks for what it claims within 60 s is found; that alone is low, of a gateway medium", () => {
  const pair = (ip: string, laterS: number) =>
    run(arpSpoofing, [says(0, evil, ip, "10.0.0.9"), asks(laterS, evil, "10.0.0.66", ip)]).map(severity);
  assertEquals([pair("10.0.0.1", 60), pair("10.0.0.1", 61.5)], [["medium"], []]);
  assertEquals(pair("10.0.0.30", 10), ["low"]);
});

Deno.test("a controller and its panel are spoofed as well, by answers nobody asked for", () => {
  const poison = (count: number) =>
    times(count, (i) => [
      says(2 * i, evil, "10.0.0.40", "10.0.0.41"),
      asks(2 * i + 1, hostMac, "10.0.0.40", "10.0.0.50"),
    ]).flat();
  const own = says(0, evil, "10.0.0.66", "10.0.0.40");
  assertEquals(run(arpSpoofing, [own, ...poison(10)]).map(severity), ["medium"]);
  assertEquals(run(arpSpoofing, [own, ...poison(9)]).map(severity), ["low"]);
});

Deno.test("whoever tells two hosts that it is the other is found from ten unasked answers on", () => {
  const between = (count: number) =>
    run(
      arpSpoofing,
      times(count, (i) => [
        says(2 * i, evil, "10.0.0.40", "10.0.0.41"),
        says(2 * i, evil, "10.0.0.41", "10.0.0.40"),
      ]).flat(),
    ).map((finding) => [severity(finding), [...finding.dst_ips].sort()]);
  assertEquals(between(10), [["medium", ["10.0.0.40", "10.0.0.41"]]]);
  assertEquals(between(9), []);
});

Deno.test("a machine that answers for its virtual ones is low, for a gateway it is not", () => {
  const guest = "08:00:27:2a:ba:35";
  const bridge = (ip: string, host = evil) =>
    run(
      arpSpoofing,
      times(5, (i) => [
        says(2 * i, host, ip, "10.0.0.9"),
        says(2 * i, host, "10.0.0.66", "10.0.0.9"),
        says(2 * i + 1, guest, ip, "10.0.0.9"),
        asks(2 * i, host, "10.0.0.66", ip),
      ]).flat(),
    ).filter((finding) => finding.words.summary.includes(host)).map(severity);
  assertEquals(bridge("10.0.0.30"), ["low"]);
  assertEquals(bridge("10.0.0.30", "08:00:27:00:00:01"), ["medium"], "one virtual machine for another");
  assertEquals(bridge("10.0.0.1"), ["high"]);
});

Deno.test("a replaced card, a standby, two cards of one host, VRRP and announcements are no spoofing", () => {
  const old = times(5, (i) => says(i, gatewayMac, "10.0.0.1", "10.0.0.9"));
  const replaced = times(5, (i) => [
    says(100 + i, evil, "10.0.0.1", "10.0.0.9"),
    says(100 + i, evil, "10.0.0.2", "10.0.0.9"),
  ]).flat();
  assertEquals(run(arpSpoofing, [...old, ...replaced]), []);
  const twoCards = times(
    9,
    (i) =>
      [evil, hostMac].flatMap((mac) => ["10.0.0.9", "10.0.0.10"].map((ip) => says(i, mac, ip, "10.0.0.20"))),
  ).flat();
  assertEquals(run(arpSpoofing, twoCards), []);
  const vrrp = times(9, (i) => [
    says(i, "00:00:5e:00:01:0a", "10.0.0.1", "10.0.0.9"),
    says(i, "00:00:5e:00:01:0a", "10.0.0.2", "10.0.0.9"),
    says(i, gatewayMac, "10.0.0.1", "10.0.0.9"),
  ]).flat();
  assertEquals(run(arpSpoofing, vrrp), []);
  const alias = times(9, (i) => [
    says(i, evil, "10.0.0.9", "10.0.0.9", { src_port: 1, dst_port: 1 }),
    says(i, evil, "10.0.0.10", "10.0.0.10", { src_port: 1, dst_port: 1 }),
  ]).flat();
  assertEquals(run(arpSpoofing, alias), []);
});

/** One flow of `count` answers, one every two seconds. */
const repeats = (count: number, mac: string, ip: string, told: string, atS = 0) => {
  const one = says(atS, mac, ip, told, { fwd_packets: count });
  return { ...one, segment: { ...one.segment, end: one.segment.start + 2 * (count - 1) } };
};
const gatewaySpeaks = (atS: number) => asks(atS, gatewayMac, "10.0.0.1", "10.0.0.20");

Deno.test("who claims an address unasked, five times, while its owner is heard, is found; the owner is not", () => {
  const found = (...updates: FlowUpdate[]) =>
    run(arpSpoofing, updates).map((
      one,
    ) => [severity(one), evidenceValue(one, "hardware address of the claimant")]);
  const poison = (count: number, ip = "10.0.0.1") => repeats(count, evil, ip, "10.0.0.9");
  assertEquals(found(poison(5), gatewaySpeaks(3)), [["medium", evil]]);
  assertEquals(found(gatewaySpeaks(3), poison(5)), [["medium", evil]]);
  assertEquals(found(poison(4), gatewaySpeaks(3)), []);
  assertEquals(found(poison(5, "10.0.0.40"), says(3, hostMac, "10.0.0.40", "10.0.0.20")), [["medium", evil]]);
  const restored = repeats(5, gatewayMac, "10.0.0.1", "10.0.0.9", 16);
  assertEquals(found(poison(8), gatewaySpeaks(3), restored), [["medium", evil]]);
  assertEquals(found(poison(8), restored, repeats(8, evil, "10.0.0.1", "10.0.0.9", 40)), [["high", evil]]);
});

Deno.test("a taken-over address, a moved host, an asked proxy and a load shared among cards are none, or low", () => {
  const found = (...updates: FlowUpdate[]) => run(arpSpoofing, updates).map(severity);
  assertEquals(found(gatewaySpeaks(-9), repeats(9, evil, "10.0.0.1", "10.0.0.9")), [], "the owner is silent");
  assertEquals(
    found(gatewaySpeaks(17), repeats(9, evil, "10.0.0.1", "10.0.0.9")),
    [],
    "and comes back later",
  );
  const announces = says(0, evil, "10.0.0.1", "10.0.0.1", { dst_port: 1, fwd_packets: 9, end: baseS + 16 });
  assertEquals(found(announces, gatewaySpeaks(3)), [], "gratuitous ARP of a standby that takes over");
  const asked = times(9, (i) => asks(2 * i, hostMac, "10.0.0.9", "10.0.0.40"));
  const owner = says(3, "00:1b:21:00:00:01", "10.0.0.40", "10.0.0.9");
  assertEquals(found(...asked, owner, repeats(9, evil, "10.0.0.40", "10.0.0.9")), [], "a proxy is asked");
  const shared = (mac: string) => found(owner, repeats(9, mac, "10.0.0.40", "10.0.0.9"));
  assertEquals([shared("00:1b:21:00:00:09"), shared("00:1b:21:00:00:0a")], [["low"], ["medium"]]);
  const madeUp = says(3, gatewayMac, "10.0.0.40", "10.0.0.9");
  assertEquals(found(madeUp, repeats(9, "02:00:00:00:00:02", "10.0.0.40", "10.0.0.9")), ["medium"]);
});

Deno.test("a spoofer not heard by ARP is named by what it sends itself, not by what it passes on", () => {
  const poison = [repeats(8, evil, "10.0.0.1", "10.0.0.9"), gatewaySpeaks(3)];
  const sends = (src_ip: string, fwd_ttl: number) => update(1, { src_ip, src_mac: evil, fwd_ttl });
  const named = (...sent: FlowUpdate[]) =>
    run(arpSpoofing, [...poison, ...sent]).map(({ src_ips }) => src_ips);
  assertEquals(named(sends("10.0.0.66", 64)), [["10.0.0.66"]]);
  assertEquals(named(sends("10.0.0.30", 63), sends("10.0.0.9", 64)), [[]], "not the victims");
});

Deno.test("an ARP storm is the same question at 500 packets in a second, not at 490, and not a sweep", () => {
  const storm = (perS: number) =>
    run(
      arpStorm,
      times(5, (i) => asks(i, evil, `10.0.0.${i}`, "10.0.0.1")).map((one) => ({
        ...one,
        segment: { ...one.segment, fwd_packets: perS, end: one.segment.start },
      })),
    );
  assertEquals(storm(500).map(severity), ["medium"]);
  assertEquals(storm(490), []);
  const sweep = times(4_000, (i) => asks(i / 800, evil, "10.0.0.66", `10.0.${i >> 8}.${i & 255}`));
  assertEquals(run(arpStorm, sweep), []);
});

const dhcp = (atS: number, facts: DhcpFact[], change: Partial<Segment> = {}) =>
  update(atS, {
    protocol: "udp",
    src_ip: "0.0.0.0",
    src_port: 68,
    dst_ip: "255.255.255.255",
    dst_port: 67,
    app_protocol: "dhcp",
    bwd_packets: 0,
    facts: { dhcp: facts },
    ...change,
  });
const hex = (number: number) => (number & 255).toString(16).padStart(2, "0");

Deno.test("DHCP starvation shows computed hardware addresses; a morning of 200 real machines is low", () => {
  const discover = (count: number, mac: (i: number) => string, hostname?: (i: number) => string) =>
    run(
      dhcpStarvation,
      times(count, (i) =>
        dhcp(i * 0.2, [{ message_type: "DISCOVER", mac: mac(i), ...hostname && { hostname: hostname(i) } }])),
    ).map(severity);
  const computed = (i: number) => `${hex(i * 7)}:${hex(i * 31)}:${hex(i * 57)}:00:00:01`;
  assertEquals([discover(50, computed), discover(49, computed)], [["medium"], []]);
  const bought = (i: number) => `00:1b:2${i % 8}:00:00:${hex(i)}`;
  assertEquals(discover(200, bought, (i) => `pc${i}`), ["low"]);
});

const offer = (atS: number, server: string, router: string, dns: string, change: Partial<Segment> = {}) =>
  dhcp(
    atS,
    [{ message_type: "OFFER", mac: "02:00:00:00:09:09", server, routers: [router], dns_servers: [dns] }],
    { src_ip: server, src_port: 67, dst_port: 68, src_mac: evil, ...change },
  );

Deno.test("a second DHCP server that names another gateway or name server is found, and named as the later one", () => {
  const known = offer(0, "10.0.0.1", "10.0.0.1", "10.0.0.2");
  const [finding] = run(rogueDhcp, [known, offer(9, "10.0.0.66", "10.0.0.66", "10.0.0.2")]);
  assertEquals([finding.src_ips, severity(finding)], [["10.0.0.66"], "medium"]);
  assertStringIncludes(finding.words.action, evil);
  assertEquals(run(rogueDhcp, [known, offer(9, "10.0.0.66", "10.0.0.1", "10.0.0.66")]).map(severity), [
    "medium",
  ]);
  assertEquals(run(rogueDhcp, [known, offer(9, "10.0.0.3", "10.0.0.1", "10.0.0.2")]).map(severity), ["low"]);
  assertEquals(run(rogueDhcp, [known, { ...known }]), [], "one server");
  const relayed = offer(9, "10.9.0.3", "10.9.0.1", "10.0.0.2", { src_port: 67, dst_port: 67 });
  assertEquals(run(rogueDhcp, [known, relayed]), []);
});

Deno.test("a second DHCP server far away that answers other clients stays low: a sensor may see two networks", () => {
  const known = offer(0, "10.0.2.2", "10.0.2.2", "192.0.2.53");
  const other = (server: string, mac: string) => {
    const later = offer(9, server, server, "192.0.2.53");
    return {
      ...later,
      segment: { ...later.segment, facts: { dhcp: [{ ...later.segment.facts!.dhcp![0], mac }] } },
    };
  };
  const found = (server: string, mac: string) => run(rogueDhcp, [known, other(server, mac)]).map(severity);
  assertEquals(found("10.0.3.2", "02:00:00:00:09:0a"), ["low"]);
  assertEquals(found("10.0.3.2", "02:00:00:00:09:09"), ["medium"], "the same client");
  assertEquals(found("10.0.2.3", "02:00:00:00:09:0a"), ["medium"], "the same network");
});
