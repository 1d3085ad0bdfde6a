/** Browser script, part 6: login, refresh every 10 s while the page is seen, and what each form does. @module */

export const clientMain = String.raw`
let role = "viewer";
const refreshMs = 10000;

/** Runs an action; a lost session leads to the login, anything else is said in words. */
async function attempt(act) {
  try {
    await act();
    byId("problem").hidden = true;
  } catch (problem) {
    if (problem.status === 401) return showInside(false);
    byId("problem").textContent = inert(problem.message);
    byId("problem").hidden = false;
  }
}

function showInside(isInside) {
  for (const element of document.querySelectorAll(".inside")) element.hidden = !isInside;
  byId("login").hidden = isInside;
  if (!isInside) byId("key").focus();
}

async function refresh() {
  const [fleet, totals, page, open] = await Promise.all([
    get("/fleet"),
    get("/stats/totals"),
    loadThreats(false),
    get("/threats", { status: "open", limit: 1000 }),
  ]);
  showFleet(fleet);
  const worst = Math.max(-1, ...open.rows.map((threat) => severities.indexOf(threat.severity)));
  showTiles(fleet, totals, { count: open.rows.length, more: open.next_cursor !== undefined, worst: severities[worst] });
  await loadTraffic(totals, page.rows);
}

/** A reader who paged on, searches or has text selected is not disturbed. */
async function keepFresh() {
  const isBusy = document.hidden || byId("inside").hidden || !getSelection().isCollapsed
    || document.querySelectorAll("#threat-list > article").length > 20;
  if (!isBusy) await attempt(refresh);
  wait();
}

function wait() {
  setTimeout(keepFresh, refreshMs);
}

async function enter() {
  const me = await get("/session");
  role = me.role;
  byId("who").textContent = inert(me.name) + " (" + me.role + ")";
  showInside(true);
  await refresh();
  await loadFlows(false);
}

byId("login-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  byId("login-problem").textContent = "";
  try {
    await call("POST", "login", { key: byId("key").value });
    byId("key").value = "";
    await attempt(enter);
  } catch (problem) {
    byId("login-problem").textContent = inert(problem.message);
  }
});
byId("logout").addEventListener("click", () => attempt(async () => {
  await call("POST", "logout");
  location.reload();
}));
byId("threat-filter").addEventListener("change", () => attempt(() => loadThreats(false)));
byId("traffic-filter").addEventListener("change", () => attempt(refresh));
byId("threats-more").addEventListener("click", () => attempt(() => loadThreats(true)));
byId("flows-more").addEventListener("click", () => attempt(() => loadFlows(true)));
byId("flow-filter").addEventListener("submit", (submit) => {
  submit.preventDefault();
  hiddenFilter = {};
  attempt(() => loadFlows(false));
});
byId("flow-clear").addEventListener("click", () => {
  byId("flow-filter").reset();
  hiddenFilter = {};
  attempt(() => loadFlows(false));
});

await attempt(enter);
wait();
`;
