/** Packets as evidence: the ring, the sensor's answers, what the aggregator asks for and takes. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const ring = "sensor/ring/packet_ring.ts";
const search = "sensor/ring/search.ts";
const answers = "sensor/control/packet_answers.ts";
const evidence = "aggregator/evidence/evidence.ts";
const pcapng = "aggregator/evidence/pcapng.ts";
const plan = "aggregator/evidence/plan.ts";
const automatic = "aggregator/evidence/automatic.ts";
const uploads = "aggregator/api/sensors/packets.ts";
const uploadTests = ["test/aggregator/api/packets_test.ts"];
const evidenceTests = ["test/aggregator/evidence/evidence_test.ts"];

const sensorMutants = mutantsOf(["test/sensor/ring/packet_ring_test.ts"], [
  [
    "ring: a page is written over its end",
    ring,
    "this.#at + size > this.#pageEnd",
    "this.#at > this.#pageEnd",
  ],
  ["ring: a walk goes on in a page that was taken", ring, "if (serial < this.#oldestSerial) break;", ""],
  ["ring: payload is kept whole", ring, "kept < length && payloadAt > offset", "false"],
  [
    "ring: packets of any time belong to a flow",
    search,
    "timeUs >= fromUs && timeUs <= toUs &&",
    "",
    ["test/sensor/ring/search_test.ts"],
  ],
]);

const answerMutants = mutantsOf(["test/sensor/control/packet_answers_test.ts"], [
  [
    "packets: a failed upload is tried for ever",
    answers,
    "if (tries >= this.#options.triesMax) {",
    "if (false) {",
  ],
  [
    "packets: an hour has no bound",
    answers,
    "if (this.#hour.bytes + bytes_max > this.#options.hourBytesMax)",
    "if (false)",
  ],
  [
    "packets: a ring that was overwritten never held them",
    answers,
    '? "too_late" : "absent"',
    '? "absent" : "absent"',
  ],
]);

const uploadMutants = mutantsOf(uploadTests, [
  ["uploads: any signature fits", uploads, "if (!verifyText(", "if (false && !verifyText("],
  ["uploads: the body need not be the signed one", uploads, "sha256Hex(body) === header.sha256 ?", "true ?"],
  [
    "uploads: what nobody asked for is read",
    uploads,
    'if (!await evidence.expects(header, nowMs)) throw refuse("not_asked");',
    "",
  ],
  [
    "uploads: another sensor's request will do",
    evidence,
    "if (row === null || row.sensor_id !== sensor) return false;",
    "if (row === null) return false;",
  ],
  ["uploads: packets of any time are taken", evidence, '? null : "out_of_span"', "? null : null"],
  ["uploads: a captured length may exceed the wire's", pcapng, "captured <= wireLength && ", "", [
    "test/aggregator/evidence/pcapng_test.ts",
  ]],
  [
    "packets: viewers may fetch them",
    "aggregator/api/routes.ts",
    '"/api/v1/threats/:id/packets", "analyst", threatPackets',
    '"/api/v1/threats/:id/packets", "viewer", threatPackets',
  ],
]);

const boundMutants = mutantsOf(evidenceTests, [
  [
    "evidence: files never leave for room",
    evidence,
    "if (bytes <= bytesMax && stored.length - index <= filesMax) break;",
    "break;",
  ],
  [
    "evidence: any number of requests waits for a sensor",
    evidence,
    "waiting >= this.#options.sensorMax || ",
    "",
  ],
  [
    "evidence: threats of medium severity ask too",
    evidence,
    'severities.indexOf("high")',
    'severities.indexOf("medium")',
  ],
  ["evidence: a flow is asked for to its end and no longer", plan, "afterUs = 60e6", "afterUs = 0", [
    "test/aggregator/evidence/plan_test.ts",
  ]],
  ["evidence: threats ask without a rate", automatic, "if (this.#tokens < 1)", "if (false)", [
    "test/aggregator/evidence/automatic_test.ts",
  ]],
]);

export const evidenceMutants: readonly Mutant[] = [
  ...sensorMutants,
  ...answerMutants,
  ...uploadMutants,
  ...boundMutants,
];
