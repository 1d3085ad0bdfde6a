/** Browser script, part 3: threats, with what a person needs to believe them and to act. @module */

export const clientThreats = String.raw`
const severities = ["info", "low", "medium", "high", "critical"];
const opened = new Set();
let threatCursor;

/** Reads the first page again, or with "more" the next one. */
async function loadThreats(more) {
  const filter = Object.fromEntries(new FormData(byId("threat-filter")));
  const page = await get("/threats", { ...filter, limit: 20, cursor: more ? threatCursor : undefined });
  threatCursor = page.next_cursor;
  const cards = page.rows.map(threatCard);
  if (more) byId("threat-list").append(...cards);
  else if (cards.length > 0) fill("threat-list", ...cards);
  else fill("threat-list", h("p.panel.empty", "No threat found" + (filter.severity_min || filter.status ? " with this filter." : ".")));
  byId("threats-more").hidden = threatCursor === undefined;
  return page;
}

function threatCard(threat) {
  const grounds = h("details", h("summary", "Reasons and evidence"), h("div.grounds",
    h("div", h("h4", "Score " + threat.score + " of 100"), h("ul", ...threat.reasons.map((reason) =>
      h("li", h("span", reason.text), h("span.number.soft", "+" + reason.points))))),
    h("div", h("h4", "Measured"), h("ul", ...threat.evidence.map((piece) =>
      h("li", h("span.soft", piece.name), h("span.wire" + (piece.hostile ? ".mono" : ""), piece.value)))))));
  grounds.open = opened.has(threat.id);
  grounds.addEventListener("toggle", () => grounds.open ? opened.add(threat.id) : opened.delete(threat.id));
  const heading = h("h3", threat.title);
  heading.id = "threat-" + threat.id;
  const card = h("article.panel.threat.tone-" + threat.severity + (threat.status === "closed" ? ".done" : ""),
    h("div.top", badge(threat.severity, threat.severity), heading, timeOf(threat.last_seen)),
    h("p.ends", ends(threat)),
    h("p.explanation", threat.explanation),
    h("div.action", h("h4", "What to do"), h("p", threat.suggested_action)),
    grounds,
    acts(threat));
  card.setAttribute("aria-labelledby", heading.id);
  return card;
}

function ends(threat) {
  const line = h("span", addresses(threat.src_ips), " → ", addresses(threat.dst_ips));
  if (threat.dst_port !== null) append(line, [" port ", wire(threat.dst_port)]);
  append(line, [" · " + plural(threat.count, "time") + " · " + threat.technique + " · " + threat.network]);
  return line;
}

function addresses(list) {
  if (list.length === 0) return h("span", "many");
  const [first, ...rest] = list;
  return h("span", wire(first), rest.length > 0 ? " and " + rest.length + " more" : null);
}

function acts(threat) {
  const row = h("div.acts");
  const next = threat.status === "open" ? [["Acknowledge", "acknowledged"], ["Close", "closed"]] : [["Reopen", "open"]];
  if (role !== "viewer") {
    for (const [word, status] of next) row.append(button(word, async () => {
      await call("POST", "api/v1/threats/" + threat.id + "/status", { status });
      await refresh();
    }));
  }
  row.append(button("Its flows", () => searchFlows({ threat_id: threat.id })));
  const engine = threat.engine === "rules" ? "explained by rules" : "explained by " + threat.engine;
  append(row, [h("span", threat.status + " · " + engine + (threat.fallback ? " (" + threat.fallback + ")" : ""))]);
  return row;
}

function button(word, act) {
  const element = h("button.quiet", word);
  element.type = "button";
  element.addEventListener("click", () => attempt(act));
  return element;
}
`;
