/** Sweeps, ICMP tunnels, amplification and bursts of missing domains:
 * found where they are, quiet on their harmless likes. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { amplification } from "../../../aggregator/detect/detectors/amplification.ts";
import { readDomainName } from "../../../aggregator/model/domain_name.ts";
import { dga } from "../../../aggregator/detect/detectors/dga.ts";
import { hostSweep } from "../../../aggregator/detect/detectors/host_sweep.ts";
import { icmpTunnel } from "../../../aggregator/detect/detectors/icmp_tunnel.ts";
import { nxdomainBurst } from "../../../aggregator/detect/detectors/nxdomain_burst.ts";
import { bowleySkew, deviationOf, entropyOf, medianOf } from "../../../aggregator/detect/signs/statistics.ts";
import type { Segment } from "../../../shared/segment.ts";
import { evidenceValue, lookUp, run, severity, times, unansweredDatagram, update } from "./updates.ts";

const question = {
  protocol: "arp",
  fwd_packets: 1,
  bwd_packets: 0,
  fwd_payload_bytes: 0,
  src_port: 0,
  dst_port: 0,
};
const echo = { ...question, protocol: "icmp", src_port: 8 };

Deno.test("host sweep by ARP and by ping is found", () => {
  for (const kind of [question, echo]) {
    const [finding] = run(
      hostSweep,
      times(200, (i) => update(i * 0.05, { ...kind, dst_ip: `10.0.0.${i + 10}` })),
    );
    assertEquals([finding.src_ips, finding.count, severity(finding)], [["10.0.0.5"], 200, "medium"]);
  }
});

Deno.test("host sweep is neither a slow neighbourhood nor hosts that announce themselves", () => {
  const slow = times(200, (i) => update(i * 60, { ...question, src_ip: "10.0.0.6", dst_ip: `10.0.0.${i}` }));
  const own = times(100, (i) => update(i, { ...question, src_ip: `10.0.0.${i}`, dst_ip: `10.0.0.${i}` }));
  assertEquals(run(hostSweep, [...slow, ...own]), []);
});

const router = "10.0.0.1", routerMac = "02:00:00:00:00:01";
const asks = (hosts: number, atS = 0) =>
  times(hosts, (i) => update(atS + i * 0.1, { ...question, src_ip: router, dst_ip: `10.0.0.${i + 10}` }));
const replies = (hosts: number) =>
  times(hosts, (i) =>
    update(i * 0.1 + 0.01, {
      ...question,
      src_ip: `10.0.0.${i + 10}`,
      dst_ip: router,
      dst_mac: routerMac,
    }));

Deno.test("a router that asks 60 clients that are there is no sweep, one that asks 60 that are not is", () => {
  assertEquals(run(hostSweep, [...asks(60), ...replies(60)]), []);
  assertEquals(run(hostSweep, [...replies(60), ...asks(60)]), [], "replies that come first count as well");
  assertEquals(run(hostSweep, [...asks(60), ...replies(31)]), [], "29 of 60 are silent");
  const [finding] = run(hostSweep, [...asks(60), ...replies(30)]);
  assertEquals(evidenceValue(finding, "addresses not heard from"), 30);
  assertStringIncludes(finding.words.summary, "nothing was heard from 30 of them");
});

Deno.test("a host that spoke in any way in the ten minutes before it was asked is there", () => {
  const clients = (atS: number) => times(60, (i) => update(atS, { src_ip: `10.0.0.${i + 10}` }));
  assertEquals(run(hostSweep, [...clients(-590), ...asks(60)]), []);
  assertEquals(run(hostSweep, [...clients(-601), ...asks(60)]).length, 1);
});

Deno.test("a host that replies to 60 others asks nobody", () => {
  const given = times(60, (i) =>
    update(i * 0.1, {
      ...question,
      src_ip: router,
      dst_ip: `10.0.0.${i + 10}`,
      dst_mac: `02:00:00:00:01:${(i + 16).toString(16)}`,
    }));
  assertEquals(run(hostSweep, given), []);
});

Deno.test("a fixed list asked again and again is no sweep, however many of it are off", () => {
  const round = (atS: number) => asks(60, atS);
  const rounds = [...round(0), ...round(60), ...round(120)];
  assertEquals(run(hostSweep, rounds), []);
  const tries = (count: number, gapS: number) => run(hostSweep, times(count, (i) => round(i * gapS)).flat());
  assertEquals([tries(2, 9.5).length, tries(2, 10.5).length], [1, 0], "9.5 s apart is still one round");
  assertEquals([tries(5, 7).length, tries(6, 7).length], [1, 0], "six tries are no scanner's");
});

Deno.test("a sweep with holes that is slow is low; a whole range, fast, is medium", () => {
  const holes = times(30, (i) => update(i * 2, { ...question, dst_ip: `10.0.0.${i * 8}` }));
  assertEquals(run(hostSweep, holes).map(severity), ["low"]);
  assertEquals(run(hostSweep, asks(30)).map(severity), ["medium"]);
});

const pings = { ...echo, fwd_packets: 30, bwd_packets: 30, packet_length_mean: 84 };

Deno.test("ICMP tunnel is found by the changing size of its packets", () => {
  const updates = times(
    4,
    (i) =>
      update(i * 60, {
        ...pings,
        packet_length_min: 60,
        packet_length_max: 1_080,
        packet_length_deviation: 60,
      }, i === 0),
  );
  assertEquals(run(icmpTunnel, updates).map(({ count }) => count), [240]);
});

Deno.test("ICMP tunnel is not a ping that runs for days", () => {
  const updates = times(
    5_000,
    (i) =>
      update(
        i * 60,
        { ...pings, packet_length_min: 84, packet_length_max: 84, packet_length_deviation: 0 },
        i === 0,
      ),
  );
  assertEquals(run(icmpTunnel, updates), []);
});

const answer = {
  protocol: "udp",
  src_port: 53,
  dst_ip: "10.0.0.80",
  dst_port: 4_444,
  fwd_packets: 20,
  fwd_bytes: 24_000,
  bwd_packets: 0,
};

Deno.test("amplification names its victim", () => {
  const updates = times(40, (i) => update(i * 0.1, { ...answer, src_ip: `198.51.100.${i}` }));
  const [finding] = run(amplification, updates);
  assertEquals([finding.dst_ips, finding.src_ips.length, finding.title], [
    ["10.0.0.80"],
    40,
    "DNS amplification",
  ]);
});

Deno.test("amplification names its victim where it is held to be the one who asked", () => {
  const { src_port, fwd_packets, fwd_bytes } = answer;
  const turned = { ...answer, src_ip: "10.0.0.80", src_port: 40_000, dst_port: src_port };
  const updates = times(40, (i) =>
    update(i * 0.1, {
      ...turned,
      dst_ip: `198.51.100.${i}`,
      fwd_packets: 0,
      fwd_bytes: 0,
      bwd_packets: fwd_packets,
      bwd_bytes: fwd_bytes,
    }));
  const [finding] = run(amplification, updates);
  assertEquals([finding.dst_ips, finding.src_ips.length], [["10.0.0.80"], 40]);
});

Deno.test("amplification is not answers that were asked for, small ones, or those of one server", () => {
  const asked = times(40, (i) => update(i, { ...answer, src_ip: `198.51.100.${i}`, bwd_packets: 1 }));
  const small = times(
    90,
    (i) => update(i, { ...answer, src_ip: `203.0.113.${i}`, fwd_bytes: 2_400, dst_ip: "10.0.0.81" }),
  );
  const one = times(90, (i) => update(i, { ...answer, dst_ip: "10.0.0.82" }));
  assertEquals(run(amplification, [...asked, ...small, ...one]), []);
});

function missing(atS: number, name: string) {
  return lookUp(atS, name, "A", {
    facts: { dns: [{ name, type: "A", rcode: "NXDOMAIN" }] },
  });
}

Deno.test("NXDOMAIN burst of computed domains is found", () => {
  const updates = times(200, (i) => missing(i, `${(i * 7_919_777 + 1e9).toString(36)}qxw${i * 31}.xyz`));
  const [finding] = run(nxdomainBurst, updates);
  assertEquals([finding.src_ips, finding.count], [["10.0.0.5"], 200]);
});

Deno.test("NXDOMAIN burst is neither one dead domain nor a browser among many that exist", () => {
  const dead = times(500, (i) => missing(i, `host${i}.gone.example`));
  const few = times(49, (i) => missing(i, `a${i}bcdxyz.example${i}.com`));
  const many = times(200, (i) => lookUp(i, `www.site${i}.com`, "A"));
  assertEquals(run(nxdomainBurst, [...dead, ...few, ...many]), []);
});

Deno.test("names split at what was registered", () => {
  const cases = {
    "a.b.example.com": ["example.com", "a.b"],
    "WWW.Example.CO.UK.": ["example.co.uk", "www"],
    "www.city.kawasaki.jp": ["city.kawasaki.jp", "www"],
    "d111abcdef8.cloudfront.net": ["cloudfront.net", "d111abcdef8"],
    "x.pirate.sea": ["pirate.sea", "x"],
    "example.org": ["example.org", ""],
    "dnscat.0123abcd": ["dnscat", "0123abcd"],
    "com": ["com", ""],
  };
  for (const [name, [domain, subdomain]] of Object.entries(cases)) {
    const read = readDomainName(name);
    assertEquals([read.domain, read.subdomain], [domain, subdomain], name);
  }
});

Deno.test("names by design are told from chosen ones", () => {
  const isStructural = (name: string) => readDomainName(name).isStructural;
  assertEquals(["4.3.2.1.in-addr.arpa", "x._tcp.example.com", "nas.local"].map(isStructural), [
    true,
    true,
    true,
  ]);
  assertEquals(["arpa.example.com", "tcp.example.com"].map(isStructural), [false, false]);
  const isReversed = (name: string) => readDomainName(name).isReversedAddress;
  assertEquals([isReversed("4.3.2.1.zen.spamhaus.org"), isReversed("4.3.2.zen.spamhaus.org")], [true, false]);
});

Deno.test("statistics are those of the textbook, and 0 for nothing", () => {
  assertEquals([medianOf([3, 1, 2]), deviationOf([1, 2, 3, 100]), bowleySkew([1, 2, 3, 4, 5])], [2, 1, 0]);
  assertEquals([medianOf([]), deviationOf([]), bowleySkew([]), entropyOf(""), entropyOf("ab")], [
    0,
    0,
    0,
    0,
    1,
  ]);
});

Deno.test("computed domains are found from ten on though they exist; computed names below one domain are none", () => {
  const letters = "bcdfghjklmnpqrstvwxz";
  const computed = (i: number) => `${times(12, (k) => letters[(i + 7 * k) % 20]).join("")}.com`;
  const asks = (count: number, others = 0) =>
    run(dga, [
      ...times(count, (i) => lookUp(i, computed(i), "A")),
      ...times(others, (i) => lookUp(i, `garden-news-${i}.example`, "A")),
    ]);
  const [finding] = asks(10);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [["10.0.0.5"], ["10.0.0.2"], "medium"]);
  assertEquals(evidenceValue(finding, "of them that exist"), 10);
  assertEquals([asks(9, 10), asks(10, 41)], [[], []]);
  assertEquals(asks(10, 40).length, 1);
  const below = times(20, (i) => lookUp(i, `${computed(i).slice(0, 12)}.cloudfront.net`, "A"));
  assertEquals(run(dga, below), [], "one registered domain");
});

Deno.test("a small network asked at once is a sweep from 12 addresses on, with holes or pauses it is none", () => {
  const ping = (i: number, everyS: number, step = 1) =>
    update(i * everyS, {
      protocol: "icmp",
      src_port: 8,
      dst_port: 0,
      fwd_packets: 1,
      bwd_packets: 0,
      dst_ip: `10.0.0.${100 + i * step}`,
    });
  const found = (count: number, everyS = 0.1, step = 1) =>
    run(hostSweep, times(count, (i) => ping(i, everyS, step))).map((finding) => finding.title);
  assertEquals([found(12), found(11), found(12, 1), found(12, 0.1, 2)], [["Ping sweep"], [], [], []]);
  const withNetwork = [...times(12, (i) => ping(i, 0.1, 2)), ping(-50, 0.01, 2)];
  assertEquals(run(hostSweep, withNetwork).length, 1, "10.0.0.0 itself is asked");
});

Deno.test("three hosts that object to an option tell who looks for all IPv6 hosts; two do not", () => {
  const objects = (hosts: number, change: Partial<Segment> = {}) =>
    run(
      hostSweep,
      times(hosts, (i) =>
        update(i * 0.01, {
          ...unansweredDatagram,
          protocol: "icmp6",
          src_ip: `fe80::${i + 1}`,
          src_port: 4,
          dst_ip: "fe80::66",
          dst_port: 0,
          ...change,
        })),
    );
  const [finding] = objects(3);
  assertEquals([finding.title, finding.src_ips, finding.dst_ips, severity(finding)], [
    "Sweep of all IPv6 hosts",
    ["fe80::66"],
    ["fe80::1", "fe80::2", "fe80::3"],
    "medium",
  ]);
  assertEquals(objects(2), []);
  assertEquals(objects(9, { src_ip: "fe80::1" }), [], "one host again and again");
  assertEquals(objects(9, { src_port: 1 }), [], "destinations that cannot be reached");
  assertEquals(objects(9, { dst_ip: "2001:db8::66" }), [], "errors to somebody outside");
});

Deno.test("an IPv6 network is swept by neighbour solicitations: 25 groups, five in a second", () => {
  const solicit = (count: number, everyS: number, src_ip = "2001:db8::66") =>
    run(
      hostSweep,
      times(count, (i) =>
        update(i * everyS, {
          protocol: "icmp6",
          src_port: 135,
          dst_port: 0,
          fwd_packets: 1,
          bwd_packets: 0,
          src_ip,
          dst_ip: `ff02::1:ff00:${(i + 1).toString(16)}`,
        })),
    ).map((finding) => [finding.title, severity(finding)]);
  assertEquals(solicit(25, 0.1), [["Neighbour sweep (IPv6)", "low"]]);
  assertEquals(solicit(250, 0.1), [["Neighbour sweep (IPv6)", "medium"]]);
  assertEquals([solicit(24, 0.1), solicit(100, 0.5), solicit(100, 0.1, "::")], [[], [], []]);
});

Deno.test("an ICMP tunnel is no ping that is too large for the link: full parts, or answers as long as the questions", () => {
  const sizes = { packet_length_min: 548, packet_length_max: 1_500, packet_length_deviation: 476 };
  const run60 = (fwd_bytes: number, bwd_bytes: number) =>
    run(icmpTunnel, [
      update(0, {
        ...pings,
        ...sizes,
        packet_length_mean: 1_024,
        fwd_packets: 30,
        bwd_packets: 30,
        fwd_bytes,
        bwd_bytes,
      }),
    ]).length;
  assertEquals([run60(30_720, 30_720), run60(36_000, 36_000 + 1), run60(30_720, 30_000)], [0, 0, 1]);
});

Deno.test("a router that asks by ARP for scattered addresses is low, for a whole range and as another host it is not", () => {
  const asks = (src_ip: string, step: number) =>
    run(
      hostSweep,
      times(60, (i) => update(i, { ...question, src_ip, dst_ip: `10.0.${i >> 5}.${2 + (i & 31) * step}` })),
    )
      .map(severity);
  assertEquals([asks("10.0.0.1", 7), asks("10.0.0.66", 7)], [["low"], ["low"]]);
  const many = (src_ip: string) =>
    run(
      hostSweep,
      times(
        400,
        (i) => update(i / 10, { ...question, src_ip, dst_ip: `10.0.${i >> 5}.${2 + (i & 31) * 7}` }),
      ),
    )
      .map(severity);
  assertEquals([many("10.0.0.1"), many("10.0.0.66")], [["low"], ["medium"]]);
});
