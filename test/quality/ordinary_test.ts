/** Honest programs in numbers that look alarming raise nothing above low, each scenario alone.
 *
 * Out, beside the verdict: what they raise at all. @module */

import { assertEquals } from "@std/assert";
import { createReporter } from "../../shared/reporter.ts";
import { startDetectors } from "../../aggregator/detect/detectors/catalogue.ts";
import { Engine } from "../../aggregator/detect/engine.ts";
import { severities } from "../../aggregator/model/threat.ts";
import { explainByRules } from "../../aggregator/triage/rules.ts";
import { scenarios } from "./ordinary.ts";

/** Batches of a second of traffic or two, as they come from sensors. */
const batch = 200;

for (const [name, make] of Object.entries(scenarios)) {
  Deno.test(`ordinary: ${name} raise nothing above low`, () => {
    const updates = make().sort((a, b) => a.segment.end - b.segment.end);
    const reporter = createReporter({ component: "test", write: () => {} });
    const engine = new Engine({}, { detectors: startDetectors(), reporter, explain: explainByRules });
    for (let i = 0; i < updates.length; i += batch) engine.step(updates.slice(i, i + batch), 0);
    engine.flush(0);
    const above = engine.threats.filter(({ severity }) =>
      severities.indexOf(severity) > severities.indexOf("low")
    );
    assertEquals(
      above.map(({ detector, severity, explanation }) => `${detector} ${severity}: ${explanation}`),
      [],
    );
  });
}
