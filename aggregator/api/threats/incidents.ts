/** Incidents: what people look at first. They follow from the threats, so they are made from those in the range at hand.
 *
 * Bound: 5,000 threats are read, the newest (see incident_memory.ts); the answer says when there are more. @module */

import { z } from "../../../shared/schema.ts";
import { stages } from "../../model/incident.ts";
import { severities } from "../../model/threat.ts";
import type { ThreatStore } from "../../store/store.ts";
import { checkRange } from "../flows/flows.ts";
import { resource } from "../route.ts";
import { IncidentMemory } from "./incident_memory.ts";
import { incidentAnswer, rangeQuery } from "../schemas.ts";

const pageRows = 500;

export const incidentPage = z.object({
  rows: z.array(incidentAnswer),
  incidents: z.int().describe("All of the range that match, also beyond limit"),
  is_cut: z.boolean().describe("There are more threats in the range than were read"),
});

export const incidents = resource({
  summary: "Threats of one attacker as one story, the most severe first",
  isPolled: true,
  query: z.strictObject({
    ...rangeQuery,
    severity_min: z.enum(severities).optional().describe("Of the incident, which its chain may raise"),
    stage: z.enum(stages).optional().describe("Only incidents that reached this stage"),
    limit: z.int().min(1).max(pageRows).default(50),
  }),
  isQuery: true,
  answer: incidentPage,
  needs: ["threatStore"],
  async handle({ query, signal }, { threatStore }) {
    checkRange(query);
    const { from, to, severity_min, stage, limit } = query;
    const range = { ...from !== undefined && { from }, ...to !== undefined && { to } };
    const { incidents, isCut } = await memoryOf(threatStore).read(range, signal);
    const least = severities.indexOf(severity_min ?? severities[0]);
    const found = incidents.filter((one) =>
      severities.indexOf(one.severity) >= least && (stage === undefined || one.stages.includes(stage))
    );
    return { json: { rows: found.slice(0, limit), incidents: found.length, is_cut: isCut } };
  },
});

/** By store, as each has its own threats. */
const memories = new WeakMap<object, IncidentMemory>();

function memoryOf(store: Pick<ThreatStore, "readThreatMarks" | "readThreatsById">): IncidentMemory {
  const memory = memories.get(store) ?? new IncidentMemory(store);
  memories.set(store, memory);
  return memory;
}
