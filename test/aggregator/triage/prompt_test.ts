/** What a model reads, pinned: whoever changes it sees what changes. @module */

import { assertEquals } from "@std/assert";
import { sha256Hex } from "../../../shared/batch.ts";
import { Labels, shapeOf } from "../../../aggregator/triage/labels.ts";
import { buildContent, instruction } from "../../../aggregator/triage/prompt.ts";
import { sampleThreat } from "./sample_threat.ts";

Deno.test("prompt content is exactly this for the sample threat", () => {
  const threat = sampleThreat();
  const built = buildContent(threat, new Labels(threat));
  assertEquals(built.ok && JSON.parse(built.content), {
    technique: "T1071.004",
    severity: "medium",
    score: 62,
    source_count: 1,
    target_count: 1,
    target_port: 53,
    duration_s: 300,
    count: 120,
    sensors: 1,
    detector: "dns_tunnel",
    title: "DNS tunnel",
    sources: ["HOST_1"],
    targets: ["HOST_2"],
    reasons: [
      {
        name: "different_names",
        points: 42,
        text: "120 different names below NAME_1; ordinary clients ask for fewer than 20",
      },
      { name: "odd_types", points: 20, text: "100 % of the questions are for odd record types" },
    ],
    evidence: [
      { id: "e1", name: "domain", value: "NAME_1", shape: shapeOf("exfil.example.org") },
      { id: "e2", name: "different names", value: 120 },
      {
        id: "e3",
        name: "longest name seen",
        value: "NAME_2",
        shape: shapeOf("deadbeefdeadbeef.exfil.example.org"),
      },
      { id: "e4", name: "hosts that accepted", value: "HOST_4, HOST_3" },
    ],
  });
});

Deno.test("a title with an address in it is sent with a label", () => {
  const threat = sampleThreat({ title: "Beacon to 192.0.2.77" });
  const built = buildContent(threat, new Labels(threat));
  assertEquals([built.ok, built.ok && built.content.includes("192.0.2.77")], [true, false]);
});

Deno.test("nothing is sent when an address is left over, wherever it stands", () => {
  const reasons = [{ name: "calls", points: 1, text: "calls 192.0.2.77" }];
  for (const change of [{ title: "Beacon to 192.0.2.77" }, { reasons }, { detector: "a.example" }]) {
    const threat = sampleThreat(change);
    const labels = new Labels(threat);
    labels.hide = (text) => text;
    assertEquals(buildContent(threat, labels), { ok: false, fault: "leak" });
  }
});

Deno.test("prompt instruction is the one that was reviewed", () => {
  assertEquals(sha256Hex(instruction).slice(0, 16), "b5333454bc86d2e9");
});

Deno.test("labels hide addresses and names of every form and find those left over", () => {
  const labels = new Labels({ src_ips: [], dst_ips: [], network: "global", sensors: [], evidence: [] });
  const text =
    "10.0.0.1 2001:db8::5 ::1 fe80::1:2 00:11:22:aa:bb:cc host.corp.example a.b.c.example.co.uk 203.0.113.9";
  assertEquals(labels.leaks(text).length, 8);
  assertEquals(labels.leaks(labels.hide(text)), []);
});

Deno.test("labels leave numbers, times and sentences alone", () => {
  const labels = new Labels({ src_ips: [], dst_ips: [], network: "global", sensors: [], evidence: [] });
  const text = "1.5 ports a second at 12:30:45 on port 443; 0.75 is the threshold. Next sentence.";
  assertEquals(labels.hide(text), text);
  assertEquals(labels.leaks(text), []);
});
