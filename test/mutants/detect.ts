/** Detector thresholds: each is pinned by a literal number on both of its sides. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const folder = "aggregator/detect/detectors";

export const detectMutants: Mutant[] = mutantsOf(["test/aggregator/detect/thresholds_test.ts"], [
  ["beacon: 20 calls", `${folder}/beacon.ts`, "callsMin: { value: 10,", "callsMin: { value: 20,"],
  ["beacon: a score of 0.6", `${folder}/beacon.ts`, "scoreMin: { value: 0.75,", "scoreMin: { value: 0.6,"],
  [
    "beacon: no jitter guard",
    `${folder}/beacon.ts`,
    "score.coverage < limits.coverageMin || score.jitter > limits.jitterMax",
    "score.coverage < limits.coverageMin",
  ],
  ["SYN flood: 300 attempts", `${folder}/syn_flood.ts`, "value: 128,", "value: 300,"],
  [
    "SYN flood: completed attempts count",
    `${folder}/syn_flood.ts`,
    "halfOpenShareMin: { value: 0.8,",
    "halfOpenShareMin: { value: 0.5,",
  ],
  [
    "NXDOMAIN burst: no entropy",
    `${folder}/nxdomain_burst.ts`,
    "host.entropy / failed >= entropyMin",
    "failed > 0",
  ],
  [
    "NXDOMAIN burst: no share",
    `${folder}/nxdomain_burst.ts`,
    "failedShareMin: { value: 0.5,",
    "failedShareMin: { value: 0,",
  ],
  [
    "ICMP tunnel: no spread",
    `${folder}/icmp_tunnel.ts`,
    "pair.lengthMax - pair.lengthMin >= lengthSpreadMin",
    "pair.lengthMax > 0",
  ],
  ["ICMP tunnel: half the deviation", `${folder}/icmp_tunnel.ts`, "value: 0.15,", "value: 0.07,"],
  [
    "password guessing: no rate",
    `${folder}/password_guessing.ts`,
    "attemptsPerMinuteMin: {\n    value: 2,",
    "attemptsPerMinuteMin: {\n    value: 0,",
  ],
  [
    "password guessing: half may succeed",
    `${folder}/password_guessing.ts`,
    "failedShareMin: { value: 0.8,",
    "failedShareMin: { value: 0.5,",
  ],
  [
    "host sweep: duplicate-address probes count",
    `${folder}/host_sweep.ts`,
    'return src_ip === "0.0.0.0" ? null : ',
    "return ",
  ],
  [
    "host sweep: any rate",
    `${folder}/host_sweep.ts`,
    "hosts.size < hostsPerMinuteMin * (lastS - firstS) / 60",
    "false",
  ],
  [
    "vertical scan: half as many ports again",
    `${folder}/port_scan_vertical.ts`,
    "value: 15,",
    "value: 22,",
  ],
  ["horizontal scan: 50 hosts", `${folder}/port_scan_horizontal.ts`, "value: 25,", "value: 50,"],
  ["DNS tunnel: 40 names", `${folder}/dns_tunnel.ts`, "value: 20,", "value: 40,"],
  ["amplification: 5 servers", `${folder}/amplification.ts`, "value: 10,", "value: 5,"],
]);
