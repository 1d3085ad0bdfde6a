/** A threat for the tests of triage: a DNS tunnel, since its evidence holds hostile strings. @module */

import type { Threat } from "../../../aggregator/model/threat.ts";

export const rulesText = "10.1.2.3 asked for 120 different names below exfil.example.org.";

/** The sample, with some fields of the test's own. `domain` is what an attacker would choose. */
export function sampleThreat(change: Partial<Threat> = {}, domain = "exfil.example.org"): Threat {
  return {
    id: "00112233aabbccdd",
    detector: "dns_tunnel",
    identity: `dns_tunnel|branch-7|10.1.2.3|${domain}`,
    technique: "T1071.004",
    title: "DNS tunnel",
    network: "branch-7",
    src_ips: ["10.1.2.3"],
    dst_ips: ["192.168.55.53"],
    dst_port: 53,
    first_seen: 1_700_000_000,
    last_seen: 1_700_000_300,
    count: 120,
    reasons: [
      {
        name: "different_names",
        points: 42,
        text: `120 different names below ${domain}; ordinary clients ask for fewer than 20`,
      },
      { name: "odd_types", points: 20, text: "100 % of the questions are for odd record types" },
    ],
    evidence: [
      { id: "e1", name: "domain", value: domain, hostile: true },
      { id: "e2", name: "different names", value: 120, hostile: false },
      { id: "e3", name: "longest name seen", value: `deadbeefdeadbeef.${domain}`, hostile: true },
      { id: "e4", name: "hosts that accepted", value: "10.1.2.9, fd00::17", hostile: false },
    ],
    words: {
      summary: rulesText,
      meaning: "Names carry hidden data.",
      action: "Block the domain.",
      false_alarm: "Virus scanners ask for hashes.",
    },
    flow_ids: ["f1"],
    flows: 1,
    sensors: ["pi-kitchen"],
    score: 62,
    rules_severity: "medium",
    severity: "medium",
    episodes: 1,
    status: "open",
    stored_ms: 0,
    updated_ms: 0,
    explanation: rulesText,
    suggested_action: "Block the domain.",
    engine: "rules",
    confidence: 1,
    fallback: null,
    ...change,
  };
}

/** A good answer in labels, with some fields of the test's own. */
export function sampleAnswer(change: Record<string, unknown> = {}): string {
  return JSON.stringify({
    explanation: "HOST_1 sent data out through HOST_2, hidden in {e2} names below NAME_1.",
    severity: "high",
    suggested_action: "Isolate HOST_1 and block NAME_1.",
    confidence: 0.9,
    technique: "T1071.004",
    claims: [{ text: "Many different names", evidence_ids: ["e2"] }],
    ...change,
  });
}
