/** Incidents: what people look at first.
 * They follow from the threats, so they are computed from those around the range in question.
 *
 * In: a range, or the id of any of its threats. Out: incidents, each whole. Invariant: an incident has the id of its
 * first threat, the same in every answer, as threats of the {@link marginS} before a range are read too; its status is
 * that of its threats, so setting it sets theirs, in one transaction. Threats that a suppression hides are in none.
 * Bound: 5,000 threats are read, for the list the newest (see incident_memory.ts); the answer says when there are more.
 * @module */

import { z } from "../../../shared/schema.ts";
import { storiesOf, type Story } from "../../detect/incidents.ts";
import { stages } from "../../model/incident.ts";
import { severities, type Threat, threatStatuses } from "../../model/threat.ts";
import type { ThreatStore } from "../../store/store.ts";
import { ApiError } from "../errors.ts";
import { checkRange } from "../flows/flows.ts";
import { actorOf, resource } from "../route.ts";
import { IncidentMemory } from "./incident_memory.ts";
import { incidentAnswer, rangeQuery } from "../schemas.ts";
import { isId } from "./threats.ts";

const threatsMax = 5_000;
const pageRows = 500;
/** Seven times the pause that ends a story. */
const marginS = 7 * 86_400;

const isCutAnswer = z.boolean().describe("There are more threats in the range than were read");

export const incidentPage = z.object({
  rows: z.array(incidentAnswer),
  incidents: z.int().describe("All of the range that match, also beyond limit"),
  is_cut: isCutAnswer,
});

export const incidents = resource({
  summary: "Threats of one attacker as one story, the most severe first",
  isPolled: true,
  query: z.strictObject({
    ...rangeQuery,
    severity_min: z.enum(severities).optional().describe("Of the incident, which its chain may raise"),
    stage: z.enum(stages).optional().describe("Only incidents that reached this stage"),
    status: z.enum(threatStatuses).optional(),
    limit: z.int().min(1).max(pageRows).default(50),
  }),
  isQuery: true,
  answer: incidentPage,
  needs: ["threatStore"],
  async handle({ query, signal }, { threatStore }) {
    checkRange(query);
    const { from, to, severity_min, stage, status, limit } = query;
    const range = {
      ...from !== undefined && { from: Math.max(0, from - marginS) },
      ...to !== undefined && { to },
    };
    const { incidents, isCut } = await memoryOf(threatStore).read(range, signal);
    const least = severities.indexOf(severity_min ?? severities[0]);
    const found = incidents.filter((one) =>
      one.last_seen >= (from ?? 0) && severities.indexOf(one.severity) >= least &&
      (stage === undefined || one.stages.includes(stage)) && (status === undefined || one.status === status)
    );
    return { json: { rows: found.slice(0, limit), incidents: found.length, is_cut: isCut } };
  },
});

export const incident = resource({
  summary: "One incident, by its id or that of any of its threats",
  isPolled: true,
  isQuery: true,
  answer: incidentAnswer.extend({ is_cut: isCutAnswer }),
  needs: ["threatStore"],
  async handle({ params: { id }, signal }, { threatStore }) {
    const { story, isCut } = await theStory(threatStore, id, signal);
    return { json: { ...story.incident, is_cut: isCut } };
  },
});

export const setIncidentStatus = resource({
  summary:
    "Sets the status of an incident and of all its threats; a new threat of the same attacker within a day " +
    "opens it again, a later one begins another",
  body: z.strictObject({ status: z.enum(threatStatuses) }),
  answer: z.object({
    id: z.string(),
    status: z.enum(threatStatuses),
    threats: z.int().describe("How many were set"),
    is_cut: isCutAnswer,
  }),
  isQuery: true,
  needs: ["threatStore", "reporter", "onThreatStatus"],
  async handle(
    { params, body: { status }, nowMs, caller, signal },
    { threatStore, reporter, onThreatStatus },
  ) {
    const { story: { incident: { id }, threats }, isCut } = await theStory(threatStore, params.id, signal);
    const by = actorOf(caller);
    const changed = threats.filter((threat) => threat.status !== status).map((threat) => threat.id);
    const set = await threatStore.setIncidentStatus({ id, threatIds: changed }, status, nowMs, by);
    for (const threatId of set) onThreatStatus(threatId, status);
    reporter.count("incident_status_changes_total", { status });
    reporter.info("incident status set", { incident: id, status, threats: set.length, by: by.name });
    return { json: { id, status, threats: set.length, is_cut: isCut } };
  },
});

/** @throws {ApiError} when no threat has this id, or a suppression hides it. */
async function theStory(
  store: Pick<ThreatStore, "readThreat" | "readThreats">,
  id: string,
  signal: AbortSignal,
): Promise<{ story: Story; isCut: boolean }> {
  const known = isId(id) ? await store.readThreat(id) : null;
  if (known === null) throw new ApiError("not_found", "There is no incident with this id");
  if (known.suppressed_by) {
    throw new ApiError(
      "not_found",
      `The threat with this id is hidden by suppression ${known.suppressed_by}`,
    );
  }
  // The oldest first: what came after the bound is missing, not the beginning that names it.
  const range = { from: Math.max(0, known.first_seen - marginS) };
  const { threats, isCut } = await readThreats(store, range, signal, true);
  const story = storiesOf(threats).find((one) => one.threats.some((threat) => threat.id === id));
  if (story === undefined) {
    throw new ApiError("not_found", "Too many threats lie before the one with this id");
  }
  return { story, isCut };
}

async function readThreats(
  store: Pick<ThreatStore, "readThreats">,
  range: { from?: number; to?: number },
  signal: AbortSignal,
  isOldestFirst = false,
): Promise<{ threats: Threat[]; isCut: boolean }> {
  const threats: Threat[] = [];
  let cursor: string | undefined;
  while (threats.length < threatsMax) {
    if (signal.aborted) break;
    const page = await store.readThreats(
      { isShown: true, ...range },
      { limit: pageRows, isOldestFirst, signal, ...cursor !== undefined && { cursor } },
    );
    threats.push(...page.rows);
    if (page.next_cursor === undefined) return { threats, isCut: false };
    cursor = page.next_cursor;
  }
  return { threats, isCut: true };
}

/** Reads the newest threats before anybody asks: the first page after a start waited a second for them. Returns what
 * ends it, and waits for its end. */
export function warmIncidents(
  store: Pick<ThreatStore, "readThreatMarks" | "readThreatsById">,
): () => Promise<void> {
  const stopping = new AbortController();
  // A store that is away now is read by the first who asks.
  const read = memoryOf(store).read({}, stopping.signal).then(() => undefined, () => undefined);
  return () => {
    stopping.abort();
    return read;
  };
}

/** By store, as each has its own threats. */
const memories = new WeakMap<object, IncidentMemory>();

function memoryOf(store: Pick<ThreatStore, "readThreatMarks" | "readThreatsById">): IncidentMemory {
  const memory = memories.get(store) ?? new IncidentMemory(store);
  memories.set(store, memory);
  return memory;
}
