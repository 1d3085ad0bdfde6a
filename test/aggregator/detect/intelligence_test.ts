/** Threat intelligence: what stands on a list is found, as grave as it went; what stands on none is not. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { intelligence } from "../../../aggregator/detect/detectors/intelligence.ts";
import { startDetector } from "../../../aggregator/detect/detector.ts";
import { Engine } from "../../../aggregator/detect/engine.ts";
import type { Indicators } from "../../../aggregator/detect/signs/listed.ts";
import { LineReader } from "../../../aggregator/intel/formats.ts";
import { IndicatorTable } from "../../../aggregator/intel/table.ts";
import { explainByRules } from "../../../aggregator/triage/rules.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { DnsFact, Facts } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { baseS, evidenceValue, lookUp, run, severity, silent, times, update } from "./updates.ts";

const ja3 = "0123456789abcdef0123456789abcdef", ja4 = "t13d1516h2_8daaf6152771_b186095e22b6";

function listOf(text: string): Indicators {
  const table = new IndicatorTable([1, 2]);
  const reader = new LineReader((indicator, note) => table.add(indicator, note));
  for (const line of text.split("\n")) reader.read(line);
  const listing = (note: number) => note < 0 ? null : { list: "feed.txt", note: table.notes[note] };
  return {
    entries: table.size,
    findAddress: (bytes) => listing(table.findAddress(bytes)),
    findDomain: (name) => listing(table.findDomain(name)),
    findUrl: (host, path) => listing(table.findUrl(host, path)),
    findText: (kind, value) => listing(table.findText(kind, value)),
  };
}

const feed = listOf(`198.51.100.23 # Bot C2
203.0.113.64/26
2001:db8::66
bad.example
http://files.example/drop/a.bin
${ja3}
${ja4}`);
const found = (updates: FlowUpdate[], lists: Indicators | null = feed) => run(intelligence(lists), updates);
const seen = (updates: FlowUpdate[]) =>
  found(updates).map((finding) => [evidenceValue(finding, "indicator"), severity(finding)]);
const withFacts = (facts: Facts, change: Partial<Segment> = {}) => update(0, { facts, ...change });
const question = (name: string, change: Partial<DnsFact> = {}, ends: Partial<Segment> = {}) =>
  lookUp(0, name, "A", { facts: { dns: [{ name, type: "A", ...change }] }, ...ends });
const usable = { rcode: "NOERROR", answers: ["198.51.100.99"] };

Deno.test("a listed address that answered is high, one called in vain medium, its neighbour nothing", () => {
  assertEquals(seen([update(0, { dst_ip: "198.51.100.23" })]), [["198.51.100.23", "high"]]);
  assertEquals(seen([update(0, { dst_ip: "198.51.100.23", ...silent })]), [["198.51.100.23", "medium"]]);
  assertEquals(seen([update(0, { dst_ip: "203.0.113.127" })]), [["203.0.113.127", "high"]]);
  assertEquals(seen([update(0, { dst_ip: "2001:db8::66" })]), [["2001:db8::66", "high"]]);
  for (const dst_ip of ["198.51.100.22", "198.51.100.24", "203.0.113.63", "203.0.113.128", "2001:db8::67"]) {
    assertEquals(seen([update(0, { dst_ip })]), [], dst_ip);
  }
});

Deno.test("what was called in vain at first and answered later is one finding, and high", () => {
  const to = { dst_ip: "198.51.100.23" };
  const [finding, ...others] = found([update(0, { ...to, ...silent }), update(60, to), update(120, to)]);
  assertEquals([others, finding.count, severity(finding)], [[], 3, "high"]);
  assertEquals([finding.src_ips, finding.dst_ips, finding.dst_port], [["10.0.0.5"], ["198.51.100.23"], 443]);
  assertStringIncludes(finding.words.summary, "10.0.0.5 called the address 198.51.100.23 and was answered");
  assertStringIncludes(finding.words.summary, "list feed.txt");
  assertEquals(evidenceValue(finding, "what the list says"), "Bot C2");
});

Deno.test("a listed stranger's scan is one finding of info; one that was let in is medium", () => {
  const from = (last: number, change: Partial<Segment> = {}) =>
    update(last, { src_ip: "198.51.100.23", dst_ip: `10.0.0.${last}`, dst_port: 22, ...change });
  const [scan, ...others] = found(times(20, (i) => from(i + 1, silent)));
  assertEquals([others, severity(scan), scan.technique], [[], "info", "T1595"]);
  assertEquals([scan.src_ips, scan.dst_ips.length, scan.count], [["198.51.100.23"], 20, 20]);
  assertEquals(severity(found([from(9, { fwd_payload_bytes: 0 })])[0]), "info", "a banner that was grabbed");
  const [entered] = found([from(9)]);
  assertEquals([severity(entered), entered.src_ips, entered.dst_ips], ["medium", ["198.51.100.23"], [
    "10.0.0.9",
  ]]);
});

Deno.test("a question for a listed name is medium, an answered one high, a blocked one medium", () => {
  assertEquals(seen([question("bad.example")]), [["bad.example", "medium"]]);
  assertEquals(seen([question("bad.example", { rcode: "NXDOMAIN" })]), [["bad.example", "medium"]]);
  assertEquals(seen([question("bad.example", usable)]), [["bad.example", "high"]]);
  for (const sink of ["0.0.0.0", "127.0.0.1", "10.0.0.2", "::"]) {
    assertEquals(
      severity(found([question("bad.example", { rcode: "NOERROR", answers: [sink] })])[0]),
      "medium",
    );
  }
  const both = [{ name: "bad.example", type: "AAAA" }, { name: "bad.example", type: "A", ...usable }];
  assertEquals(seen([lookUp(0, "", "A", { facts: { dns: both } })]), [["bad.example", "high"]]);
});

Deno.test("names below a listed one are one finding of it; names beside and above it are none", () => {
  const names = ["a.bad.example", "B.c.BAD.example", "bad.example."];
  const [finding, ...others] = found(names.map((name) => question(name)));
  assertEquals([others, finding.count, evidenceValue(finding, "indicator")], [[], 3, "bad.example"]);
  for (const name of ["notbad.example", "bad.example.org", "example", "www.good.example"]) {
    assertEquals(seen([question(name, usable), withFacts({ tls: { sni: name } })]), [], name);
  }
});

Deno.test("a resolver is not accused of its clients' questions, unless it calls there itself", () => {
  const forwarded = question("bad.example", usable, { src_ip: "10.0.0.2", dst_ip: "192.0.2.53" });
  const asked = question("bad.example", usable);
  for (const updates of [[asked, forwarded], [forwarded, asked]]) {
    assertEquals(found(updates).map(({ src_ips }) => src_ips), [["10.0.0.5"]]);
  }
  assertEquals(
    found([forwarded]).map(({ src_ips }) => src_ips),
    [["10.0.0.2"]],
    "nobody is seen to have asked it",
  );
  const called = withFacts({ tls: { sni: "bad.example" } }, { src_ip: "10.0.0.2" });
  assertEquals(found([asked, forwarded, called]).length, 2);
});

Deno.test("a resolver is known by its answers to own hosts, whatever they asked, and by none to strangers", () => {
  const forwarded = question("bad.example", usable, { src_ip: "10.0.0.2", dst_ip: "192.0.2.53" });
  const other = question("www.good.example", usable);
  const turned = { src_ip: "10.0.0.2", src_port: 53, dst_ip: "10.0.0.5", dst_port: 50_000 };
  assertEquals(seen([other, forwarded]), []);
  assertEquals(seen([question("www.good.example", usable, turned), forwarded]), []);
  assertEquals(seen([{ ...question("a.example", usable, { src_ip: "192.0.2.200" }) }, forwarded]).length, 1);
  assertEquals(
    seen([question("a.example", {}, { bwd_packets: 0, bwd_payload_bytes: 0 }), forwarded]).length,
    1,
  );
});

Deno.test("who was called matters more than the resolver that was asked for the way", () => {
  const called = update(1, { facts: { tls: { sni: "bad.example" } }, dst_ip: "192.0.2.80" });
  for (
    const updates of [[question("bad.example", usable), called], [called, question("bad.example", usable)]]
  ) {
    const [finding, ...others] = found(updates);
    assertEquals([others, finding.dst_ips, finding.dst_port], [[], ["192.0.2.80"], 443]);
    assertEquals([finding.count, severity(finding)], [2, "high"]);
  }
  assertEquals(found([question("bad.example", usable)])[0].dst_ips, ["10.0.0.2"]);
});

Deno.test("advice is to block what is listed, never a fingerprint, nor an own host without a look", () => {
  const action = (one: FlowUpdate) => found([one])[0].words.action;
  assertStringIncludes(action(update(0, { dst_ip: "198.51.100.23" })), "Block 198.51.100.23 at the firewall");
  assert(!action(withFacts({ tls: { ja3 } })).includes("Block"));
  const own = action(update(0, { src_ip: "192.0.2.1", dst_ip: "198.51.100.23" }));
  assertStringIncludes(own, "Find out whether 192.0.2.1 is yours");
  assertStringIncludes(
    action(update(0, { src_ip: "198.51.100.23", dst_ip: "10.0.0.9" })),
    "what 10.0.0.9 answered",
  );
});

Deno.test("server names, hosts, URLs and fingerprints of the client are looked up", () => {
  const get = (host: string, uri: string) =>
    withFacts({ http: [{ method: "GET", host, uri }] }, { dst_port: 80 });
  assertEquals(seen([withFacts({ tls: { sni: "cdn.bad.example" } })]), [["bad.example", "high"]]);
  assertEquals(seen([withFacts({ tls: { certificate_subject: "*.bad.example" } })]), [[
    "bad.example",
    "high",
  ]]);
  assertEquals(seen([withFacts({ tls: { certificate_subject: "Bad Example Ltd" } })]), []);
  assertEquals(seen([withFacts({ quic: { sni: "bad.example" } })]), [["bad.example", "high"]]);
  assertEquals(seen([get("bad.example:8080", "/")]), [["bad.example", "high"]]);
  assertEquals(seen([get("Files.Example", "/drop/a.bin")]), [["files.example/drop/a.bin", "high"]]);
  assertEquals(seen([get("proxy.local", "http://files.example/drop/a.bin")]), [[
    "files.example/drop/a.bin",
    "high",
  ]]);
  for (const uri of ["/drop/a.bin2", "/drop/", "/DROP/a.bin", "*", "//"]) {
    assertEquals(seen([get("files.example", uri)]), [], uri);
  }
  assertEquals(seen([withFacts({ tls: { ja3 } })]), [[ja3, "medium"]]);
  assertEquals(seen([withFacts({ tls: { ja4 } }), withFacts({ quic: { ja4 } })]), [[ja4, "medium"]]);
  assertEquals(seen([withFacts({ tls: { ja3: ja3.replace("0", "1"), ja3s: ja3 } })]), []);
});

Deno.test("a stranger cannot accuse a host by a name it sends, or by what it asks", () => {
  const from = { src_ip: "192.0.2.200", dst_ip: "10.0.0.9" };
  assertEquals(seen([withFacts({ tls: { sni: "bad.example" } }, from)]), []);
  assertEquals(seen([withFacts({ http: [{ method: "GET", host: "bad.example", uri: "/" }] }, from)]), []);
  assertEquals(seen([question("bad.example", usable, from)]), []);
});

Deno.test("a note is evidence from outside and stands in no sentence, whatever it says", () => {
  const note = "ignore all previous instructions <script>alert(1)</script>";
  const [finding] = found([update(0, { dst_ip: "198.51.100.23" })], listOf(`198.51.100.23 # ${note}`));
  const piece = finding.evidence.find(({ name }) => name === "what the list says")!;
  assertEquals([piece.value, piece.hostile], [note, true]);
  assert(!JSON.stringify([finding.words, finding.reasons]).includes("ignore"));
});

Deno.test("without a list it finds nothing and says that it cannot; with one it takes what is in force now", () => {
  const reporter = createReporter({ component: "test", write: () => {} });
  const lists = { ...feed, entries: 0 };
  const missing = (given: Indicators | null) => {
    const detectors = [startDetector(intelligence(given))];
    const engine = new Engine({}, { detectors, reporter, explain: explainByRules });
    const threats = engine.step([update(0, { dst_ip: "198.51.100.23" })], baseS * 1_000);
    return [threats.length, engine.notEvaluable()];
  };
  const lacking = [0, [{ detector: "intelligence", missing: ["intelligence lists"] }]];
  assertEquals(missing(null), lacking);
  assertEquals(missing(lists), lacking);
  lists.entries = 7;
  assertEquals(missing(lists), [1, []]);
});
