/** Threats of one attacker become one story; those of others, or of another day, stay apart. @module */

import { assertEquals } from "@std/assert";
import { incidentsOf, leadOf } from "../../../aggregator/detect/incidents.ts";
import type { Threat } from "../../../aggregator/model/threat.ts";
import { sampleThreat } from "../triage/sample_threat.ts";

const startS = 1_700_000_000;
let number = 0;

/** A threat of `src` against `dst`, `atS` seconds after the beginning, that lasts a minute. */
function threat(
  detector: string,
  atS: number,
  src: string[],
  dst: string[],
  change: Partial<Threat> = {},
): Threat {
  return sampleThreat({
    id: String(++number).padStart(16, "0"),
    detector,
    src_ips: src,
    dst_ips: dst,
    first_seen: startS + atS,
    last_seen: startS + atS + 60,
    severity: "medium",
    explanation: `${src[0]} did ${detector}. And more.`,
    ...change,
  });
}

Deno.test("scan, guess, spread and the next machine are one incident, its severity raised by the chain", () => {
  const [incident, ...others] = incidentsOf([
    threat("lateral_movement", 900, ["10.0.0.8"], ["10.0.0.20", "10.0.0.21"]),
    threat("port_scan_vertical", 0, ["203.0.113.7"], ["10.0.0.8"]),
    threat("password_guessing", 300, ["203.0.113.7"], ["10.0.0.8"]),
    threat("exfiltration", 4_000, ["10.0.0.21"], ["198.51.100.9"]),
  ]);
  assertEquals(others, []);
  assertEquals(incident.timeline.map(({ stage, detector }) => `${stage}: ${detector}`), [
    "reconnaissance: port_scan_vertical",
    "access: password_guessing",
    "spread: lateral_movement",
    "theft: exfiltration",
  ]);
  assertEquals(incident.stages, ["reconnaissance", "access", "spread", "theft"]);
  assertEquals(incident.severity, "critical");
  assertEquals(incident.actors, ["203.0.113.7", "10.0.0.8", "10.0.0.21"]);
  assertEquals(incident.targets, ["10.0.0.20", "198.51.100.9"]);
  assertEquals(incident.timeline[0].summary, "203.0.113.7 did port_scan_vertical.");
});

Deno.test("a machine that was only looked at does not become an accomplice", () => {
  const incidents = incidentsOf([
    threat("port_scan_vertical", 0, ["203.0.113.7"], ["10.0.0.8"]),
    threat("beacon", 300, ["10.0.0.8"], ["198.51.100.9"]),
  ]);
  assertEquals(incidents.map(({ threats }) => threats), [1, 1]);
});

Deno.test("a machine that acted before it was reached into acts for itself", () => {
  const incidents = incidentsOf([
    threat("beacon", 0, ["10.0.0.8"], ["198.51.100.9"]),
    threat("password_guessing", 300, ["203.0.113.7"], ["10.0.0.8"]),
  ]);
  assertEquals(incidents.length, 2);
});

Deno.test("one stage twice raises nothing, two stages raise one step, and low threats raise none", () => {
  const severityOf = (...threats: Threat[]) => incidentsOf(threats).map(({ severity }) => severity);
  const scan = () => threat("port_scan_vertical", 0, ["10.0.0.5"], ["10.0.0.8"]);
  assertEquals(severityOf(scan(), threat("host_sweep", 60, ["10.0.0.5"], ["10.0.0.9"])), ["medium"]);
  assertEquals(severityOf(scan(), threat("password_guessing", 60, ["10.0.0.5"], ["10.0.0.9"])), ["high"]);
  assertEquals(
    severityOf(scan(), threat("password_guessing", 60, ["10.0.0.5"], ["10.0.0.9"], { severity: "low" })),
    ["medium"],
  );
  assertEquals(severityOf(scan(), threat("obsolete_tls", 60, ["10.0.0.5"], ["10.0.0.9"])), ["medium"]);
});

Deno.test("a day and a night apart are two stories, a second less is one", () => {
  const apart = (atS: number) =>
    incidentsOf([
      threat("port_scan_vertical", 0, ["10.0.0.5"], ["10.0.0.8"]),
      threat("password_guessing", atS, ["10.0.0.5"], ["10.0.0.8"]),
    ]).length;
  assertEquals([apart(86_460), apart(86_461)], [1, 2]);
});

Deno.test("networks stay apart, and a crowd of sources is told by its target", () => {
  const crowd = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"];
  const incidents = incidentsOf([
    threat("syn_flood", 0, crowd, ["10.0.0.8"]),
    threat("flood", 60, crowd.slice(0, 2), ["10.0.0.8"], { network: "elsewhere" }),
    threat("flood", 90, [...crowd, "203.0.113.5"], ["10.0.0.8"]),
  ]);
  assertEquals(incidents.map(({ actors, threats }) => [actors, threats]), [
    [["10.0.0.8"], 2],
    [["203.0.113.1", "203.0.113.2"], 1],
  ]);
});

Deno.test("an incident is closed when all its threats are, and keeps its name while its first threat is the same", () => {
  const first = threat("port_scan_vertical", 0, ["10.0.0.5"], ["10.0.0.8"], { status: "closed" });
  const second = threat("password_guessing", 60, ["10.0.0.5"], ["10.0.0.8"]);
  const [one] = incidentsOf([first]), [both] = incidentsOf([second, first]);
  assertEquals([one.status, both.status, one.id, both.id], ["closed", "open", first.id, first.id]);
  const seen = { ...second, status: "acknowledged" as const };
  assertEquals(incidentsOf([seen, first])[0].status, "acknowledged");
  assertEquals(incidentsOf([seen, first, threat("beacon", 90, ["10.0.0.5"], [])])[0].status, "open");
});

Deno.test("a story grows with its threats, not with all that they name, and follows the first 10,000 machines", () => {
  const hosts = (n: number) => Array.from({ length: 100 }, (_, i) => `10.${n >> 8}.${n & 255}.${i}`);
  const spray = (count: number) =>
    Array.from({ length: count }, (_, n) => threat("password_spray", n, ["203.0.113.7"], hosts(n)));
  const after = (count: number, actor: string) =>
    incidentsOf([...spray(count), threat("beacon", 9_000, [actor], [])]).map(({ threats }) => threats);
  assertEquals(after(100, "10.0.99.99"), [101]);
  assertEquals(after(101, "10.0.100.0").sort(), [1, 101], "the 10,001st is not followed");
  const [one] = incidentsOf(spray(5_000));
  assertEquals([one.threats, one.targets.length, one.targets.at(-1)], [5_000, 100, "10.0.0.99"]);
});

Deno.test("the threat that leads an incident is the gravest open one by the rules, the first of several", () => {
  const scan = (change: Partial<Threat>) =>
    threat("port_scan_vertical", number, ["10.0.0.5"], ["10.0.0.8"], change);
  const threats = [
    scan({ rules_severity: "low", severity: "high" }),
    scan({ rules_severity: "medium" }),
    scan({ rules_severity: "medium" }),
    scan({ rules_severity: "critical", status: "acknowledged" }),
  ];
  assertEquals(leadOf({ threats })?.id, threats[1].id);
  const answered = scan({ rules_severity: "medium", engine: "fake:model" });
  assertEquals(leadOf({ threats: [...threats, answered] })?.id, answered.id);
  assertEquals(
    leadOf({ threats: [...threats, answered, scan({ rules_severity: "high" })] })?.engine,
    "rules",
  );
  assertEquals(leadOf({ threats: threats.slice(3) }), null);
});
