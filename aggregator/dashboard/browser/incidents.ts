/** Incidents that are open: the threats of one attacker, in the order in which they began. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Incident } from "../../model/incident.ts";
import { badge, byId, fill, h, plural, timeOf } from "./dom.ts";
import { get } from "./call.ts";
import { addresses } from "./threats.ts";

/** More than this is no overview; the API has all. */
const shownMax = 5;
const stepsMax = 12;

/** An incident of a single threat says no more than the threat, which stands below. */
export async function loadIncidents(): Promise<void> {
  const { rows } = await get<{ rows: Incident[] }>("/incidents", { limit: 100 });
  const chains = rows.filter(({ threats, status }) => threats > 1 && status === "open");
  fill("incident-list", ...chains.slice(0, shownMax).map(incidentCard));
  byId("incidents").hidden = chains.length === 0;
}

function incidentCard(incident: Incident): HTMLElement {
  const left = incident.threats - Math.min(stepsMax, incident.timeline.length);
  return h(
    `article.panel.threat.tone-${incident.severity}`,
    h(
      "div.top",
      badge(incident.severity, incident.severity),
      h("h3", addresses(incident.actors), " → ", addresses(incident.targets)),
      timeOf(incident.last_seen),
    ),
    h("p.ends", [plural(incident.threats, "threat"), ...incident.stages].join(" · ")),
    h(
      "ul",
      ...incident.timeline.slice(0, stepsMax).map((step) =>
        h("li", h("span", `${step.stage}: ${step.title}`), timeOf(step.first_seen))
      ),
      left > 0 ? h("li", `and ${left} more`) : null,
    ),
  );
}
