/** What people decide: suppressions, incidents, the audit, and what was learned. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const suppression = "aggregator/model/suppression.ts";
const suppressed = "aggregator/store/suppressed.ts";
const learned = ["test/aggregator/detect/learned_test.ts"];
const incidents = ["test/aggregator/detect/incidents_test.ts"];
const detection = ["test/aggregator/detect/detection_test.ts"];
const api = ["test/aggregator/api/decisions_test.ts"];

export const decisionMutants: readonly Mutant[] = mutantsOf(["test/aggregator/model/suppression_test.ts"], [
  ["suppression: one address inside is enough", suppression, "ips.every(isIn)", "ips.some(isIn)"],
  [
    "suppression: a full list of addresses is known whole",
    suppression,
    "ips.length < threatAddressesMax",
    "true",
  ],
  ["suppression: a name is met by what ends like it", suppression, "endsWith(`.${name}`)", "endsWith(name)"],
  ["suppression: every address may be named", suppression, "network !== null && isEvery(network)", "false"],
  ["suppression: it never expires", suppressed, " AND suppressions.expires_ms > ?", " AND ? > 0", api],
  ["suppression: the end shows nothing", suppressed, "AND suppressions.ended_ms IS NULL AND", "AND", api],
  [
    "suppression: sinks hear of what is hidden",
    "aggregator/publish/sources.ts",
    "!suppressed_by",
    "true",
    api,
  ],
  [
    "suppression: the model is asked about what is hidden",
    "aggregator/detect/suppressor.ts",
    "filter((threat) => !this.hides(threat))",
    "slice()",
    detection,
  ],
  [
    "incident: a model is asked about the first threat",
    "aggregator/detect/incidents.ts",
    " > weightOf(lead)",
    " < 0",
    incidents,
  ],
  [
    "incident: closed threats lead",
    "aggregator/detect/incidents.ts",
    'if (threat.status !== "open") continue;',
    "",
    incidents,
  ],
  [
    "learned: hours count twice",
    "aggregator/detect/learned.ts",
    "if (hour > watched.knownHour) ",
    "",
    learned,
  ],
  [
    "learned: damage costs every part",
    "aggregator/detect/learned.ts",
    "part.load(saved[name]);",
    "return;",
    learned,
  ],
]);
