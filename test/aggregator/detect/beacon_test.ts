/** Beacons: regularity alone is low, a second sign makes it medium, and honest pollers stay low. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { beacon } from "../../../aggregator/detect/detectors/beacon.ts";
import { isRandom, oddSignsOf } from "../../../aggregator/detect/signs/odd_service.ts";
import { regularityOf } from "../../../aggregator/detect/signs/regularity.ts";
import { Capture } from "../../../deploy/demo/packets.ts";
import type { Segment } from "../../../shared/segment.ts";
import { refused, run, severity, silent, times, update } from "./updates.ts";

/** Calls every `periodS`, each late by up to `jitter` of it; the same numbers in each run. */
function callsOf(count: number, periodS: number, jitter: number, change: Partial<Segment> = {}, fromS = 0) {
  const random = new Capture(7);
  return times(count, (i) => update(fromS + periodS * (i + jitter * random.random()), change));
}
const named: Partial<Segment> = { app_protocol: "tls", facts: { tls: { sni: "www.example.com" } } };
const bare: Partial<Segment> = { app_protocol: "tls", facts: { tls: { version: "TLS 1.2" } } };
const found = (updates: ReturnType<typeof callsOf>) =>
  run(beacon, updates).map((finding) => [finding.dst_ips.join(), severity(finding)]);

Deno.test("regular calls alone are low, however many and however regular", () => {
  for (const count of [10, 500]) {
    assertEquals(found(callsOf(count, 60, 0, named)), [["198.51.100.7", "low"]]);
  }
});

Deno.test("a beacon is found with up to half of the interval as jitter either way", () => {
  for (const jitter of [0, 0.1, 0.3, 0.5]) {
    assertEquals(found(callsOf(60, 60, jitter, bare)), [["198.51.100.7", "medium"]]);
  }
});

const secondSigns: Record<string, [Partial<Segment>, Partial<Segment>]> = {
  "a bare address": [bare, named],
  "an address in place of the name": [
    { facts: { http: [{ method: "GET", host: "198.51.100.7:80" }] } },
    { facts: { http: [{ method: "GET", host: "www.example.com:80" }] } },
  ],
  "an odd port": [{ ...named, dst_port: 4_444 }, { ...named, dst_port: 8_443 }],
  "a computed name": [
    { facts: { tls: { sni: "www.xk3v9qj2t7wz.com" } } },
    { facts: { tls: { sni: "www.xk3v9qj2t7wz.cloudfront.net" } } },
  ],
  "a name that is none of the Internet's": [
    { facts: { tls: { sni: "localhost" } } },
    { facts: { tls: { sni: "example.org" } } },
  ],
  "a certificate that signed itself": [
    { facts: { tls: { ...named.facts!.tls, certificate_subject: "a", certificate_issuer: "a" } } },
    { facts: { tls: { ...named.facts!.tls, certificate_subject: "a", certificate_issuer: "b" } } },
  ],
  // The base time is 14 November 2023.
  "a certificate valid for more than five years": [
    {
      facts: { tls: { ...named.facts!.tls, certificate_subject: "a", certificate_not_after: "2028-11-15" } },
    },
    {
      facts: { tls: { ...named.facts!.tls, certificate_subject: "a", certificate_not_after: "2028-11-01" } },
    },
  ],
};
for (const [what, [odd, ordinary]] of Object.entries(secondSigns)) {
  Deno.test(`regular calls become medium by ${what}`, () => {
    assertEquals(found(callsOf(30, 60, 0.1, odd)), [["198.51.100.7", "medium"]]);
    assertEquals(found(callsOf(30, 60, 0.1, ordinary)), [["198.51.100.7", "low"]]);
  });
}

Deno.test("regular calls become medium when only one host makes them, to what was never called the day before", () => {
  const day = 86_400;
  const habits = (hosts: number) =>
    times(hosts, (i) => update(0, { ...bare, src_ip: `10.0.0.${20 + i}`, dst_ip: "203.0.113.80" }));
  const late = (fromS: number) => callsOf(30, 60, 0.1, named, fromS);
  const severities = (updates: ReturnType<typeof callsOf>) => found(updates).map(([, grade]) => grade);
  assertEquals(severities([...habits(3), ...late(day)]), ["medium"]);
  assertEquals(severities([...habits(3), ...late(day - 61)]), ["low"], "first called within the first day");
  assertEquals(severities([...habits(1), ...late(day)]), ["low"], "too few hosts to compare with");
  const other = update(day, { ...named, src_ip: "10.0.0.20" });
  assertEquals(severities([...habits(3), ...late(day), other]), ["low"], "another host calls it too");
});

Deno.test("calls that each open a new encrypted connection every few seconds are medium", () => {
  assertEquals(found(callsOf(200, 9, 0, named)), [["198.51.100.7", "medium"]]);
  assertEquals(found(callsOf(200, 10.1, 0, named)), [["198.51.100.7", "low"]]);
  assertEquals(found(callsOf(99, 9, 0, named)), [["198.51.100.7", "low"]]);
  assertEquals(found(callsOf(200, 9, 0, { app_protocol: "", dst_port: 443 })), [["198.51.100.7", "medium"]]);
  assertEquals(found(callsOf(200, 9, 0, { app_protocol: "", dst_port: 80 })), [["198.51.100.7", "low"]]);
  assertEquals(found(callsOf(200, 9, 0, { ...named, app_protocol: "http" })), [["198.51.100.7", "low"]]);
});

Deno.test("a service inside stays low, and so does a caller from outside", () => {
  const inside = run(beacon, callsOf(200, 60, 0.1, { ...bare, dst_ip: "10.0.0.40", dst_port: 4_444 }));
  assertEquals(inside.map(severity), ["low"]);
  assert(inside[0].reasons.some(({ name, points }) => name === "inside" && points < 0));
  const inbound = run(beacon, callsOf(200, 60, 0, { ...bare, src_ip: "198.51.100.9", dst_ip: "10.0.0.40" }));
  assertEquals(inbound.map(severity), ["low"]);
  assert(inbound[0].reasons.some(({ name }) => name === "inbound"));
});

Deno.test("a service that three own hosts call stays low, one that two call does not", () => {
  const by = (hosts: number) => [
    ...callsOf(60, 60, 0.1, bare),
    ...times(hosts - 1, (i) => update(5, { ...bare, src_ip: `10.0.0.${50 + i}` })),
  ];
  assertEquals(found(by(2)), [["198.51.100.7", "medium"]]);
  assertEquals(found(by(3)), [["198.51.100.7", "low"]]);
});

Deno.test("a source that polls three targets alike is one poller and low; one that polls two is two beacons", () => {
  const targets = (count: number) =>
    times(40, (round) =>
      times(
        count,
        (i) => update(round * 30 + i * 0.1, { ...bare, dst_ip: `198.51.100.${10 + i}`, dst_port: 9_100 }),
      )).flat();
  assertEquals(found(targets(2)).map(([, grade]) => grade), ["medium", "medium"]);
  const findings = run(beacon, targets(3));
  assertEquals(new Set(findings.map(({ identity }) => identity)).size, 1);
  assertEquals(findings.map(severity), ["low", "low", "low"]);
  assertEquals([findings[0].count, findings[0].dst_ips.length], [120, 3]);
  assertStringIncludes(findings[0].words.summary, "polls port 9100 of 3 targets alike");
});

Deno.test("a source that calls three targets each at its own pace is no poller", () => {
  const paces = [20, 60, 180].flatMap((pace, i) =>
    callsOf(40, pace, 0, { ...bare, dst_ip: `198.51.100.${10 + i}` })
  );
  assertEquals(found(paces).map(([, grade]) => grade), ["medium", "medium", "medium"]);
});

Deno.test("each further sign adds: three make a beacon high", () => {
  const tls = { certificate_subject: "a", certificate_issuer: "a" };
  assertEquals(found(callsOf(60, 60, 0, { ...bare, dst_port: 4_444 })), [["198.51.100.7", "medium"]]);
  assertEquals(found(callsOf(60, 60, 0, { facts: { tls }, dst_port: 4_444 })), [["198.51.100.7", "high"]]);
});

Deno.test("calls that are refused or not answered are low", () => {
  for (const change of [silent, refused]) {
    assertEquals(found(callsOf(60, 60, 0.2, { ...change, dst_port: 4_444 })).map(([, grade]) => grade), [
      "low",
    ]);
  }
  const half = callsOf(60, 60, 0, { dst_port: 4_444 })
    .map((one, i) => i % 2 ? one : update(i * 60, { ...refused, dst_port: 4_444, fwd_payload_bytes: 700 }));
  assertEquals(found(half).map(([, grade]) => grade), ["medium"], "half of them are answered");
});

Deno.test("a beacon needs calls and time before it is one", () => {
  assertEquals(found(callsOf(9, 60, 0, bare)), []);
  assertEquals(found(callsOf(10, 60, 0, bare)).length, 1);
  assertEquals(found(callsOf(30, 10, 0, bare)), [], "290 s");
  assertEquals(found(callsOf(32, 10, 0, bare)).length, 1, "310 s");
});

Deno.test("a beacon is not a person who browses", () => {
  const gaps = [
    3,
    40,
    200,
    7,
    1,
    600,
    12,
    90,
    2,
    300,
    33,
    5,
    1_000,
    61,
    18,
    4,
    250,
    9,
    77,
    480,
    15,
    6,
    130,
    800,
  ];
  let atS = 0;
  const visits = gaps.map((gap, i) => update(atS += gap, { fwd_payload_bytes: 300 + i * 911 % 5_000 }));
  assertEquals(found(visits), []);
});

Deno.test("a beacon is not time, name or discovery service", () => {
  for (const dst_port of [53, 123, 1_900, 5_353]) {
    assertEquals(found(callsOf(100, 64, 0, { protocol: "udp", dst_port })), []);
  }
});

/** A later segment of a connection in which something is asked every `gapS`. */
function contact(atS: number, gapS: number, change: Partial<Segment> = {}) {
  return update(atS, {
    fwd_syn_count: 0,
    bwd_syn_count: 0,
    segment: 5,
    fwd_payload_bytes: 120,
    bwd_payload_bytes: 90,
    interarrival_us_max: gapS * 1e6,
    dst_port: 4_444,
    ...change,
  }, false);
}

Deno.test("calls inside one connection count with a second sign, and alone are nothing", () => {
  const session = (change: Partial<Segment> = {}) => times(40, (i) => contact(i * 60, 20, change));
  assertEquals(found(session()), [["198.51.100.7", "low"]]);
  assertEquals(found(session(bare)), [["198.51.100.7", "medium"]], "an odd port and a bare address");
  assertEquals(found(session({ dst_port: 443 })), []);
  assertEquals(found(times(40, (i) => contact(i * 60, 20, { fwd_payload_bytes: 90_000 }))), [], "a download");
  assertEquals(found(times(29, (i) => contact(i * 60, 20))), [], "29 minutes");
});

Deno.test("regularity is 0..1 in each of its four parts, and never NaN", () => {
  for (const startsS of [[], [1], [1, 1], [1, 1, 1, 1], [1, 2, 4]]) {
    const score = regularityOf(startsS, startsS);
    assert(Object.values(score).every(Number.isFinite), JSON.stringify(score));
  }
  const even = regularityOf(times(40, (i) => i * 60), times(40, () => 100));
  assertEquals([even.interval, even.size, even.coverage, even.evenness].map((part) => part > 0.95), [
    true,
    true,
    true,
    true,
  ]);
  // Calls at the start and at the end only: regular at each, uneven over the whole.
  const lumps = regularityOf(times(40, (i) => (i < 20 ? 0 : 9_000) + i * 10), times(40, () => 100));
  assert(lumps.evenness < 0.3 && lumps.coverage < 0.1);
});

Deno.test("computed names are told from chosen ones", () => {
  for (const label of ["xk3v9qj2t7wz", "qxvwzrtplkjh", "a8f3b2c9d1e7"]) assert(isRandom(label), label);
  for (
    const label of ["googleapis", "stackoverflow", "wordpress", "microsoftonline", "x1y2", "windowsupdate"]
  ) {
    assert(!isRandom(label), label);
  }
  assertEquals([...oddSignsOf(update(0).segment, "").keys()], [], "nothing was read, so nothing is missing");
});

Deno.test("regular datagrams to an odd port stay low, as games and calls send them; to one that names no server they do not", () => {
  const voice: Partial<Segment> = { protocol: "udp", dst_port: 50_004, facts: null, app_protocol: "" };
  assertEquals(found(callsOf(100, 60, 0, voice)), [["198.51.100.7", "low"]]);
  assertEquals(found(callsOf(100, 60, 0, { ...voice, protocol: "tcp" })), [["198.51.100.7", "medium"]]);
  const bareQuic = { ...voice, dst_port: 443, facts: { quic: { version: "1" } } };
  assertEquals(found(callsOf(100, 60, 0, bareQuic)), [["198.51.100.7", "medium"]]);
});
