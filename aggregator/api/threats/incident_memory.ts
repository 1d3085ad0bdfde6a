/** Incidents of a range, recomputed only from what changed.
 *
 * In: the store, a range. Out: all incidents of its newest {@link threatsMax} threats. Invariant: every call compares
 * what the store now says of each threat, its mark, with what is held, so an answer never shows an outdated threat.
 * Bound: twice {@link threatsMax} threats are held, without their evidence, and {@link answersMax} answers.
 * Why: pages ask every few seconds, and reading 5,000 threats each time took a tenth of a second of a core. @module */

import { incidentsOf } from "../../detect/incidents.ts";
import type { Incident } from "../../model/incident.ts";
import type { ThreatQuery } from "../../model/page.ts";
import type { Threat } from "../../model/threat.ts";
import type { ThreatStore } from "../../store/store.ts";

const threatsMax = 5_000;
const answersMax = 4;
const idsPerRead = 500;

type Reads = Pick<ThreatStore, "readThreatMarks" | "readThreatsById">;

export interface RangeIncidents {
  incidents: readonly Incident[];
  /** There are more threats in the range than were read. */
  isCut: boolean;
}

export class IncidentMemory {
  readonly #store: Reads;
  /** By id. */
  #held = new Map<string, { mark: string; threat: Threat }>();
  #answers: { marks: string; incidents: readonly Incident[] }[] = [];

  constructor(store: Reads) {
    this.#store = store;
  }

  async read(range: Pick<ThreatQuery, "from" | "to">, signal: AbortSignal): Promise<RangeIncidents> {
    const found = await this.#store.readThreatMarks(range, threatsMax + 1);
    const isCut = found.length > threatsMax;
    if (isCut) found.length = threatsMax;
    const marks = found.map(({ mark }) => mark).join("\n");
    const known = this.#answers.find((answer) => answer.marks === marks);
    if (known !== undefined) return { incidents: known.incidents, isCut };
    // Held until this answer is made: another call may meanwhile forget what it does not need.
    const held = this.#held;
    const changed = found.filter(({ id, mark }) => held.get(id)?.mark !== mark);
    const marksById = new Map(changed.map(({ id, mark }) => [id, mark]));
    for (let from = 0; from < changed.length; from += idsPerRead) {
      if (signal.aborted) return { incidents: [], isCut };
      const threats = await this.#store.readThreatsById(
        changed.slice(from, from + idsPerRead).map(({ id }) => id),
      );
      for (const threat of threats) {
        held.set(threat.id, {
          mark: marksById.get(threat.id)!,
          threat: { ...threat, flow_ids: [], evidence: [], reasons: [] },
        });
      }
    }
    const threats = found.flatMap(({ id }) => held.get(id)?.threat ?? []);
    const incidents = incidentsOf(threats);
    this.#answers = [{ marks, incidents }, ...this.#answers].slice(0, answersMax);
    if (held.size > 2 * threatsMax) {
      this.#held = new Map(found.flatMap(({ id }) => held.has(id) ? [[id, held.get(id)!]] : []));
    }
    return { incidents, isCut };
  }
}
