/** The mutants that `mutants.ts` applies, by topic. @module */

import { archiveMutants } from "./mutants/archive.ts";
import { decisionMutants } from "./mutants/decisions.ts";
import { detectMutants } from "./mutants/detect.ts";
import { evidenceMutants } from "./mutants/evidence.ts";
import { fleetMutants } from "./mutants/fleet.ts";
import { ingestMutants } from "./mutants/ingest.ts";
import type { Mutant } from "./mutants/mutant.ts";
import { sensorMutants } from "./mutants/sensor.ts";
import { serviceMutants } from "./mutants/service.ts";
import { sharedMutants } from "./mutants/shared.ts";
import { simMutants } from "./mutants/sim.ts";
import { sinkMutants } from "./mutants/sinks.ts";

export type { Mutant } from "./mutants/mutant.ts";

export const mutants: readonly Mutant[] = [
  ...archiveMutants,
  ...decisionMutants,
  ...detectMutants,
  ...evidenceMutants,
  ...fleetMutants,
  ...ingestMutants,
  ...sensorMutants,
  ...serviceMutants,
  ...sharedMutants,
  ...simMutants,
  ...sinkMutants,
];
