/** Threats, with what a person needs to believe them and to act. @module */

import { append, badge, byId,               fill, h, plural, timeOf, wire } from "./dom.js";
import { call, get } from "./call.js";
import { button, session } from "./session.js";
import { searchFlows } from "./flows.js";

/** From the least to the worst. */
const severities                      = ["info", "low", "medium", "high", "critical"];
const opened = new Set        ();
let threatCursor                    ;

/** Reads the first page again, or with "more" the next one. */
export async function loadThreats(more         )                        {
  const filter = Object.fromEntries(new FormData(byId                 ("threat-filter")))

   ;
  const cursor = more ? threatCursor : undefined;
  const page = await get              ("/threats", { ...filter, limit: 20, cursor });
  threatCursor = page.next_cursor;
  const cards = page.rows.map(threatCard);
  if (more) byId("threat-list").append(...cards);
  else if (cards.length > 0) fill("threat-list", ...cards);
  else {
    const isFiltered = filter.severity_min || filter.status;
    fill("threat-list", h("p.panel.empty", "No threat found" + (isFiltered ? " with this filter." : ".")));
  }
  byId("threats-more").hidden = threatCursor === undefined;
  return page;
}

/** How many are open, and the worst of them. */
export function summary(page              ) {
  const worst = Math.max(-1, ...page.rows.map((threat) => severities.indexOf(threat.severity)));
  return { count: page.rows.length, more: page.next_cursor !== undefined, worst: severities[worst] };
}

function threatCard(threat        )              {
  const heading = h("h3", threat.title);
  heading.id = "threat-" + threat.id;
  const card = h(
    `article.panel.threat.tone-${threat.severity}${threat.status === "closed" ? ".done" : ""}`,
    h("div.top", badge(threat.severity, threat.severity), heading, timeOf(threat.last_seen)),
    h("p.ends", ends(threat)),
    h("p.explanation", threat.explanation),
    h("div.action", h("h4", "What to do"), h("p", threat.suggested_action)),
    groundsOf(threat),
    acts(threat),
  );
  card.setAttribute("aria-labelledby", heading.id);
  return card;
}

function groundsOf(threat        )              {
  const reasons = threat.reasons.map((reason) =>
    h("li", h("span", reason.text), h("span.number.soft", "+" + reason.points))
  );
  const measured = threat.evidence.map((piece) =>
    h("li", h("span.soft", piece.name), h(`span.wire${piece.hostile ? ".mono" : ""}`, piece.value))
  );
  const grounds = h(
    "details",
    h("summary", "Reasons and evidence"),
    h(
      "div.grounds",
      h("div", h("h4", "Score " + threat.score + " of 100"), h("ul", ...reasons)),
      h("div", h("h4", "Measured"), h("ul", ...measured)),
    ),
  );
  grounds.open = opened.has(threat.id);
  grounds.addEventListener("toggle", () => {
    if (grounds.open) opened.add(threat.id);
    else opened.delete(threat.id);
  });
  return grounds;
}

function ends(threat        )              {
  const line = h("span", addresses(threat.src_ips), " → ", addresses(threat.dst_ips));
  const port            = threat.dst_port === null ? [] : [" port ", wire(threat.dst_port)];
  append(line, [
    ...port,
    " · " + plural(threat.count, "time") + " · " + threat.technique + " · " + threat.network,
  ]);
  return line;
}

/** "10.0.0.5 and 3 more", "many". */
export function addresses(list                   )              {
  if (list.length === 0) return h("span", "many");
  const [first, ...rest] = list;
  return h("span", wire(first), rest.length > 0 ? " and " + rest.length + " more" : null);
}

function acts(threat        )              {
  const row = h("div.acts");
  const next = threat.status === "open"
    ? [["Acknowledge", "acknowledged"], ["Close", "closed"]]
    : [["Reopen", "open"]];
  if (session.role !== "viewer") {
    for (const [word, status] of next) {
      row.append(button(word, async () => {
        await call("POST", "api/v1/threats/" + threat.id + "/status", { status });
        await session.refresh();
      }));
    }
  }
  row.append(button("Its flows", () => searchFlows({ threat_id: threat.id })));
  const engine = threat.engine === "rules" ? "explained by rules" : "explained by " + threat.engine;
  append(row, [
    h("span", threat.status + " · " + engine + (threat.fallback ? " (" + threat.fallback + ")" : "")),
  ]);
  return row;
}
