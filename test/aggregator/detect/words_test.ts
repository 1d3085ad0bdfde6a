/** What is said follows the facts: rates of the busiest second, advice by who is inside, sessions that are not guesses.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dnsTunnel } from "../../../aggregator/detect/detectors/dns_tunnel.ts";
import { nxdomainBurst } from "../../../aggregator/detect/detectors/nxdomain_burst.ts";
import { passwordGuessing } from "../../../aggregator/detect/detectors/password_guessing.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import { synFlood } from "../../../aggregator/detect/detectors/syn_flood.ts";
import { capScore, percentOf, reason } from "../../../aggregator/detect/finding.ts";
import { PeakRate } from "../../../aggregator/detect/signs/peak_rate.ts";
import type { Segment } from "../../../shared/segment.ts";
import { evidenceValue, lookUp, refused, run, silent, times, update } from "./updates.ts";

Deno.test("the busiest second is counted as measured, in any order, and what lasts is spread", () => {
  const rate = new PeakRate();
  for (const atS of [100.1, 107.2, 100.9, 107.3, 107.9, 100.5, 100.7]) rate.add(atS);
  assertEquals(rate.peak, 4);
  rate.add(200, 209.9, 100);
  assertEquals(rate.peak, 10);
  rate.add(300.2, 300.8, 33);
  assertEquals(rate.peak, 33);
  // Segments of one stream share a second.
  const stream = new PeakRate();
  stream.add(0.5, 60.5, 6_000);
  stream.add(60.5, 120.5, 6_000);
  assertEquals(stream.peak, 100);
});

Deno.test("a flood is told by its busiest second, not by a tenth of ten", () => {
  const syns = times(3_000, (i) => {
    const inBurst = i < 2_000;
    return update(inBurst ? 5 + i / 2_500 : 10 + i * 0.01, {
      ...silent,
      src_ip: `203.0.113.${i % 250}`,
      dst_ip: "10.0.0.80",
      dst_port: 80,
    });
  });
  const [finding] = run(synFlood, syns);
  assertEquals(evidenceValue(finding, "attempts in the busiest second"), 2_000);
  assertStringIncludes(finding.words.summary, "2000 of them in the busiest second");
});

const scan = (change: Partial<Segment>) =>
  run(portScanVertical, times(20, (i) => update(i, { ...refused, dst_port: 1_000 + i, ...change })))[0].words
    .action;

Deno.test("a scanner inside is to be found, one outside to be blocked, and plant equipment never to be cut off", () => {
  assertStringIncludes(scan({ dst_ip: "10.0.0.9" }), "Find out who uses 10.0.0.5");
  assertStringIncludes(scan({ dst_ip: "10.0.0.9" }), "isolate 10.0.0.5");
  const outside = scan({ src_ip: "203.0.113.9", dst_ip: "10.0.0.9" });
  assertStringIncludes(outside, "Block 203.0.113.9 at the firewall");
  assert(!outside.includes("isolate"));
  const plc = update(-9, { src_ip: "10.0.0.77", dst_ip: "10.0.0.5", dst_port: 502 });
  const ports = times(20, (i) => update(i, { ...refused, dst_ip: "10.0.0.9", dst_port: 1_000 + i }));
  const plant = run(portScanVertical, [plc, ...ports])[0].words.action;
  assertStringIncludes(plant, "do not cut 10.0.0.5 off");
  assert(!plant.includes("isolate"));
});

Deno.test("a scan's advice names the ports that accepted, and says when none did", () => {
  assertStringIncludes(scan({ dst_ip: "10.0.0.9" }), "No port of 10.0.0.9 accepted");
  const open = { bwd_tcp_flags: 18, fwd_tcp_flags: 6 };
  const ports = times(
    20,
    (i) => update(i, { ...refused, dst_ip: "10.0.0.9", dst_port: 20 + i, ...i % 10 === 2 ? open : {} }),
  );
  assertStringIncludes(run(portScanVertical, ports)[0].words.action, "(22, 32) of 10.0.0.9");
});

Deno.test("a DNS tunnel's advice differs by whose resolver is asked", () => {
  const names = (change: Partial<Segment>) =>
    run(
      dnsTunnel,
      times(60, (i) =>
        lookUp(i, `${i}${"abcdefghijklmnopqrstuvwxyz0123456789".repeat(2)}.example.org`, "TXT", change)),
    )[0].words.action;
  assertStringIncludes(names({}), "Block example.org at your resolver 10.0.0.2");
  assertStringIncludes(names({ dst_ip: "203.0.113.53" }), "asks the foreign server 203.0.113.53 directly");
});

Deno.test("a burst of missing domains names those that did exist", () => {
  const missing = times(60, (i) =>
    lookUp(i, "", "A", {
      facts: { dns: [{ name: `xk${i}q9zvw${i * 7}.com`, type: "A", rcode: "NXDOMAIN" }] },
    }));
  const [none] = run(nxdomainBurst, missing);
  assertStringIncludes(none.words.action, "None of the domains it asked for existed");
  const [some] = run(nxdomainBurst, [...missing, lookUp(61, "www.master.example", "A")]);
  assertStringIncludes(some.words.action, "master.example");
});

Deno.test("SSH sessions are not guesses, and nothing is said of what was not read", () => {
  const session = {
    dst_ip: "10.0.0.22",
    dst_port: 22,
    app_protocol: "ssh",
    fwd_payload_bytes: 1_900,
    bwd_payload_bytes: 2_300,
  };
  const [finding] = run(passwordGuessing, times(37, (i) => update(i, session)));
  assertStringIncludes(finding.words.summary, "at least 37 sessions, up to 222 guesses");
  assertStringIncludes(finding.words.summary, "no session looks as if it got in");
  assert(!/without getting in|attempts without success/.test(JSON.stringify(finding)));
});

Deno.test("a reason against a threat leaves it at most so many points", () => {
  const reasons = [reason("a", 80, "for it")];
  capScore(reasons, 35, "b", "against it");
  assertEquals(reasons.map(({ points }) => points), [80, -45]);
  capScore(reasons, 35, "c", "against it too");
  assertEquals(reasons.map(({ points }) => points), [80, -45, -5]);
});

Deno.test("shares are rounded so that 0 % means none and 100 % all", () => {
  const shown = [percentOf(0, 9), percentOf(1, 1_000), percentOf(999, 1_000), percentOf(9, 9)];
  assertEquals(shown, ["0 %", "1 %", "99 %", "100 %"]);
});
