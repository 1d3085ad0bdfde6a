/** The simulated office stays quiet: at most two threats above low in eight office hours, and none by ordinary pollers.
 *
 * Out, beside the verdict: threats by detector and severity, an hour and a thousand flows. @module */

import { assert, assertEquals } from "@std/assert";
import { createReporter } from "../../shared/reporter.ts";
import { startDetectors } from "../../aggregator/detect/detectors/catalogue.ts";
import { Engine } from "../../aggregator/detect/engine.ts";
import { severities, type Threat } from "../../aggregator/model/threat.ts";
import type { FlowUpdate } from "../../aggregator/model/flow.ts";
import { explainByRules } from "../../aggregator/triage/rules.ts";
import { baseS, refused, times, update } from "../aggregator/detect/updates.ts";
import { Office, officeHours } from "./office.ts";

/** Batches of a second of traffic or two, as they come from sensors. */
const batch = 50;

function threatsOf(updates: readonly FlowUpdate[]): Threat[] {
  const reporter = createReporter({ component: "test", write: () => {} });
  const engine = new Engine({}, { detectors: startDetectors(), reporter, explain: explainByRules });
  for (let i = 0; i < updates.length; i += batch) engine.step(updates.slice(i, i + batch), 0);
  engine.flush(0);
  return engine.threats;
}

function print(threats: readonly Threat[], flows: number, hours: number): void {
  const rows = new Map<string, number>();
  for (const { detector, severity } of threats) {
    const key = `${detector.padEnd(22)} ${severity.padEnd(8)}`;
    rows.set(key, (rows.get(key) ?? 0) + 1);
  }
  const lines = [...rows].sort().map(([key, count]) =>
    `${key} ${count}, ${(count / hours).toFixed(2)} an hour, ${
      (1_000 * count / flows).toFixed(3)
    } a thousand flows`
  );
  // deno-lint-ignore no-console -- the table is a result
  console.log([`${flows} flows in ${hours} hours`, ...lines].join("\n"));
}

const isAboveLow = ({ severity }: Threat) => severities.indexOf(severity) > severities.indexOf("low");

Deno.test("two days of a simulated office raise nothing above low", () => {
  const updates = new Office(1, 2).updates();
  const threats = threatsOf(updates);
  print(threats, updates.length, 48);
  assertEquals(threats.filter(isAboveLow).map(({ detector, words }) => `${detector}: ${words.summary}`), []);
  assert(updates.length > 100_000);
});

Deno.test("an attack inside the simulated office is found among its traffic", () => {
  const atS = officeHours.from + 3_600;
  const attack = times(
    200,
    (i) => update(atS + i * 0.05, { ...refused, src_ip: "10.0.0.25", dst_ip: "10.0.0.9", dst_port: 1 + i }),
  );
  const implant = times(120, (i) =>
    update(atS + i * 60, {
      src_ip: "10.0.0.26",
      dst_ip: "198.51.100.200",
      dst_port: 4_444,
      app_protocol: "tls",
      facts: { tls: { version: "TLS 1.2" } },
    }));
  const updates = [...new Office(2, 1).updates(), ...attack, ...implant]
    .sort((a, b) => a.segment.start - b.segment.start);
  assertEquals(updates[0].segment.start >= baseS, true);
  const found = threatsOf(updates).filter(isAboveLow).map(({ detector, src_ips }) =>
    `${detector} ${src_ips}`
  );
  assertEquals(found.sort(), ["beacon 10.0.0.26", "port_scan_vertical 10.0.0.25"]);
});
