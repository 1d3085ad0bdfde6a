/** What tells in the flows of a threat, and where the bands of the map lie. @module */

import { assert, assertEquals } from "@std/assert";
import { tellingOf } from "../../../aggregator/dashboard/browser/pages/flow_parts.ts";
import { chartOf } from "../../../aggregator/dashboard/browser/chart.tsx";
import {
  countriesOf,
  layOut,
  linksOf,
  networkOf,
  networksOf,
} from "../../../aggregator/dashboard/browser/pages/map_layout.ts";
import { sampleFlow, sampleThreat } from "../api/samples.ts";

Deno.test("the open ports of a scan stand apart from those that did not answer", () => {
  const probe = (dst_port: number, conn_state: "S0" | "SF" | "REJ" | "RSTO") =>
    sampleFlow(dst_port, { dst_ip: "10.0.0.9", dst_port, conn_state, facts: null });
  const told = tellingOf([
    probe(22, "SF"),
    probe(23, "REJ"),
    probe(80, "RSTO"),
    probe(81, "S0"),
    probe(80, "S0"),
  ]);
  assertEquals(told, [
    { name: "Ports that answered", values: ["10.0.0.9:22", "10.0.0.9:80"], more: 0 },
    { name: "Ports that did not", values: ["10.0.0.9:23", "10.0.0.9:81"], more: 0 },
  ]);
  const many = tellingOf(Array.from({ length: 100 }, (_, i) => probe(i + 1, "S0")));
  assertEquals([many[0].values.length, many[0].more], [24, 76]);
});

Deno.test("names that resolved and log-ins that succeeded stand apart from those that did not", () => {
  const told = tellingOf([
    sampleFlow(1, {
      protocol: "udp",
      dst_port: 53,
      facts: {
        dns: [
          { name: "a.example", type: "A", rcode: "NOERROR", answers: ["192.0.2.1"] },
          { name: "b.example", type: "A", rcode: "NXDOMAIN" },
          { name: "c.example", type: "A" },
        ],
      },
    }),
    sampleFlow(2, {
      facts: {
        logins: [
          { service: "imap", user: "eve", outcome: "refused" },
          { service: "imap", user: "ann", outcome: "accepted" },
        ],
      },
    }),
  ]);
  const of = (name: string) => told.find((one) => one.name === name)?.values;
  assertEquals(of("Names that resolved"), ["a.example → 192.0.2.1"]);
  assertEquals(of("Names that did not"), ["b.example NXDOMAIN"]);
  assertEquals(of("Log-ins that succeeded"), ["ann (imap)"]);
  assertEquals(of("Log-ins refused"), ["eve (imap)"]);
});

Deno.test("the map is bounded, loses no band of its ends, and shows whoever is in a threat", () => {
  const flows = Array.from({ length: 400 }, (_, i) =>
    sampleFlow(i, {
      src_ip: `10.0.${i % 40}.1`,
      dst_ip: `192.0.2.${i % 50}`,
      total_bytes: i === 7 ? 1 : 1_000 + i,
    }));
  const threat = sampleThreat({ src_ips: ["10.0.7.1"], dst_ips: ["192.0.2.7"] });
  const links = linksOf(flows, [threat], (ip) => ip);
  const { sources, targets, bands } = layOut(links);
  assertEquals([sources.length, targets.length], [14, 14]);
  assertEquals([sources.at(-1)!.name, targets.at(-1)!.name], ["others", "others"]);
  const told = bands.filter((band) => band.threat !== null);
  assertEquals(told.map(({ from, to }) => [from, to]), [["10.0.7.1", "192.0.2.7"]]);
  assertEquals(bands.at(-1), told[0], "a threat lies on top");
  for (const end of sources) {
    const of = bands.filter((band) => band.from === end.name);
    const filled = of.reduce((sum, band) => sum + band.share, 0);
    assert(Math.abs(filled - end.share) < 1e-9);
    assert(end.at >= 0 && end.at + end.share <= 1);
  }
  assertEquals(bands.some(({ from, to }) => from === "others" && to === "others"), false);
});

Deno.test("networks of the map are /24 and /64", () => {
  assertEquals(networkOf("10.1.2.3"), "10.1.2.0/24");
  assertEquals(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assertEquals(networkOf("2001:db8::1"), "2001:db8::/64");
  assertEquals(layOut([]), { sources: [], targets: [], bands: [] });
});

Deno.test("a chart fills steps without traffic in, and stacks the largest parts below the rest", () => {
  const rows = [{ time: 110, bytes: 5 }, { time: 130, bytes: 7 }, { time: 990, bytes: 9 }];
  assertEquals(chartOf({ from: 104, to: 139, step: 10, rows }), {
    start: 100,
    step: 10,
    steps: 4,
    layers: [{ name: "all", values: [0, 5, 0, 7] }],
  });
  const part = (name: string, octets: number) => ({ name, bytes: [octets, 0] });
  const stacks = [
    part("", 3),
    ...["a", "b", "c", "d", "e", "f", "g", "h"].map((name, i) => part(name, 10 + i)),
  ];
  const { layers } = chartOf({ from: 100, to: 119, step: 10, rows: [], first: 100, stacks });
  assertEquals(layers.map(({ name }) => name), ["h", "g", "f", "e", "d", "c", "the rest"]);
  assertEquals(layers.at(-1)!.values, [3 + 10 + 11, 0]);
  assertEquals(chartOf({ from: 5, to: 5, step: 10, rows: [] }).layers, [{ name: "all", values: [0] }]);
});

Deno.test("an end's country is that of any flow that knows it; else it is inside or unknown", () => {
  const place = { country: "DE", country_name: "Germany" };
  const nameOf = countriesOf([
    { src_ip: "10.0.0.5", dst_ip: "192.0.2.80", dst_place: place },
    { src_ip: "198.51.100.7", dst_ip: "10.0.0.5", src_place: { country: "FR" } },
    { src_ip: "192.0.2.80", dst_ip: "203.0.113.9", dst_place: { asn: 64_500 } },
  ]);
  assertEquals(["10.0.0.5", "192.0.2.80", "198.51.100.7", "203.0.113.9"].map(nameOf), [
    "inside",
    "Germany",
    "FR",
    "unknown",
  ]);
});

Deno.test("an address is in the network that the operator has named, else in that of its octets", () => {
  const nameOf = networksOf([
    { src_ip: "10.2.0.5", dst_ip: "192.0.2.80", src_place: { subnet: "printers" } },
    { src_ip: "10.3.0.5", dst_ip: "192.0.2.80", dst_place: { country: "DE" } },
  ]);
  assertEquals(["10.2.0.5", "10.3.0.5", "192.0.2.80"].map(nameOf), [
    "printers",
    "10.3.0.0/24",
    "192.0.2.0/24",
  ]);
});
