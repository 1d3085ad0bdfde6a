/** Suppressions: threats that people do not want to see, with a reason and an end.
 *
 * In: conditions of which all must hold. Out: suppressions with what each hides, or what one would have hidden.
 * Invariant: one that would hide everything is refused; none changes severity or status. Bound: a preview looks through
 * {@link previewThreatsMax} threats and says when there are more. @module */

import { z } from "../../../shared/schema.ts";
import {
  faultOf,
  filterOf,
  isInForce,
  matcherOf,
  type SuppressionConditions,
  suppressionLimits,
  type SuppressionRow,
} from "../../model/suppression.ts";
import type { Threat } from "../../model/threat.ts";
import type { ThreatStore } from "../../store/store.ts";
import { ApiError } from "../errors.ts";
import { actorOf, resource } from "../route.ts";
import { address, name, port } from "../schemas.ts";
import { detectorName, placedThreatAnswer, presentInList } from "./threats.ts";

const previewDays = 30;
const previewThreatsMax = 20_000;
const previewRows = 20;
const pageRows = 500;

const line = (charactersMax: number) =>
  z.string().trim().min(1).max(charactersMax).refine(
    (text) => !/\p{Cc}/u.test(text),
    "must have no control characters",
  );

const conditions = {
  network: name.optional().describe("Site, or global"),
  src_ip: address.optional().describe("Every source lies in this address or CIDR"),
  dst_ip: address.optional().describe("Every destination lies in this address or CIDR"),
  dst_port: port.optional().describe("The one port concerned"),
  detector: detectorName.optional(),
  name: line(suppressionLimits.nameCharactersMax).optional().describe(
    "A name in the evidence: this one, or a domain below it",
  ),
};

const { least, most } = suppressionLimits.lifeS;

export const suppressionAnswer = z.object({
  id: z.string(),
  reason: z.string(),
  made_by: z.string(),
  made_ms: z.number(),
  expires_ms: z.number(),
  ended_ms: z.number().nullable(),
  is_in_force: z.boolean(),
  hidden: z.int().min(0).describe("Threats that met it while it was in force"),
  ...z.object(conditions).shape,
});

export const listSuppressions = resource({
  summary: "Suppressions, newest first: those in force, or with all=true also those that ended",
  isPolled: true,
  query: z.strictObject({ all: z.boolean().default(false) }),
  isQuery: true,
  answer: z.object({ rows: z.array(suppressionAnswer) }),
  needs: ["suppressionStore"],
  async handle({ query: { all }, nowMs }, { suppressionStore }) {
    const rows = await suppressionStore.readSuppressions(all ? undefined : nowMs);
    return { json: { rows: rows.map((row) => presentSuppression(row, nowMs)) } };
  },
});

export const addSuppression = resource({
  summary: "Hides threats that meet every condition, stored and new ones, until it expires or ends",
  body: z.strictObject({
    ...conditions,
    reason: line(suppressionLimits.reasonCharactersMax),
    ttl_s: z.int().min(least).max(most).describe("Until it expires: 1 hour to 365 days"),
  }),
  status: 201,
  answer: suppressionAnswer,
  errors: ["too_many_suppressions"],
  needs: ["suppressionStore", "onSuppressions", "randomBytes", "reporter"],
  async handle({ body, nowMs, caller }, { suppressionStore, onSuppressions, randomBytes, reporter }) {
    const { ttl_s, reason, ...rest } = body;
    const given = check(rest);
    const by = actorOf(caller);
    const row = {
      ...given,
      id: randomBytes(8).toHex(),
      reason,
      made_by: by.name,
      made_ms: nowMs,
      expires_ms: nowMs + ttl_s * 1_000,
      ended_ms: null,
    };
    if (!await suppressionStore.addSuppression(row, by)) {
      throw new ApiError(
        "too_many_suppressions",
        `${suppressionLimits.activeMax} are in force: end one first`,
      );
    }
    await onSuppressions();
    reporter.count("suppression_changes_total", { change: "made" });
    reporter.info("suppression made", { suppression: row.id, ...given, reason, by: by.name });
    const made = (await suppressionStore.readSuppressions()).find(({ id }) => id === row.id);
    return { json: presentSuppression(made ?? { ...row, hidden: 0 }, nowMs) };
  },
});

export const endSuppression = resource({
  summary: "Ends a suppression: what nothing else hides is shown again",
  answer: z.object({ id: z.string(), ended: z.literal(true) }),
  needs: ["suppressionStore", "onSuppressions", "reporter"],
  async handle({ params: { id }, nowMs, caller }, { suppressionStore, onSuppressions, reporter }) {
    const by = actorOf(caller);
    const isEnded = /^[0-9a-f]{16}$/.test(id) && await suppressionStore.endSuppression(id, nowMs, by);
    if (!isEnded) throw new ApiError("not_found", "There is no suppression with this id that is in force");
    await onSuppressions();
    reporter.count("suppression_changes_total", { change: "ended" });
    reporter.info("suppression ended", { suppression: id, by: by.name });
    return { json: { id, ended: true } };
  },
});

export const previewSuppression = resource({
  summary: `What a suppression would have hidden of the threats of the last ${previewDays} days`,
  body: z.strictObject(conditions),
  isQuery: true,
  answer: z.object({
    from_ms: z.number(),
    threats: z.int().min(0).describe("All it would have hidden"),
    rows: z.array(placedThreatAnswer.omit({ flow_ids: true })).describe(`The first ${previewRows} of them`),
    is_cut: z.boolean().describe("There are more threats than were looked at"),
  }),
  needs: ["threatStore", "places"],
  async handle({ body, nowMs, signal }, { threatStore, places }) {
    const fromMs = nowMs - previewDays * 86_400_000;
    const { met, isCut } = await findMet(threatStore, check(body), fromMs / 1_000, signal);
    const rows = met.slice(0, previewRows).map((row) => presentInList(row, places));
    return { json: { from_ms: fromMs, threats: met.length, rows, is_cut: isCut } };
  },
});

async function findMet(
  store: Pick<ThreatStore, "readThreats">,
  given: SuppressionConditions,
  from: number,
  signal: AbortSignal,
): Promise<{ met: Threat[]; isCut: boolean }> {
  const filter = filterOf(given), meets = matcherOf(given);
  const met: Threat[] = [];
  let cursor: string | undefined, looked = 0;
  while (looked < previewThreatsMax && !signal.aborted) {
    const { rows, next_cursor } = await store.readThreats(
      { from, ...filter !== undefined && { filter } },
      { limit: pageRows, signal, ...cursor !== undefined && { cursor } },
    );
    looked += pageRows;
    met.push(...rows.filter(meets));
    if (next_cursor === undefined) return { met, isCut: false };
    cursor = next_cursor;
  }
  return { met, isCut: true };
}

/** @throws {ApiError} when it would hide everything. */
function check(given: Record<string, unknown>): SuppressionConditions {
  const found = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as SuppressionConditions;
  const fault = faultOf(found);
  if (fault !== null) {
    throw new ApiError("bad_body", fault.rule, fault.field === "" ? {} : { field: fault.field });
  }
  return found;
}

function presentSuppression(row: SuppressionRow, nowMs: number): Record<string, unknown> {
  return { ...row, is_in_force: isInForce(row, nowMs) };
}
