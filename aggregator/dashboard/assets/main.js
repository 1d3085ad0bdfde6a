/** The dashboard: login, refresh every 10 s while the page is seen, and what each form does. @module */

import { byId, inert } from "./dom.js";
import { call, get } from "./call.js";
import { attempt, session, showInside } from "./session.js";
import { showFleet, showTiles } from "./fleet.js";
import { loadIncidents } from "./incidents.js";
import { loadThreats, summary } from "./threats.js";
import { loadTraffic } from "./traffic.js";
import { flowForm, loadFlows, searchByForm } from "./flows.js";

const refreshMs = 10000;

async function refresh()                {
  const [fleet, totals, page, open] = await Promise.all([
    get                                          ("/fleet"),
    get        ("/stats/totals"),
    loadThreats(false),
    get              ("/threats", { status: "open", limit: 1000 }),
    loadIncidents(),
  ]);
  showFleet(fleet);
  showTiles(fleet, totals, summary(open));
  await loadTraffic(totals, page.rows);
}

/** A reader who paged on, searches or has text selected is not disturbed. */
async function keepFresh()                {
  const isBusy = document.hidden || byId("inside").hidden || getSelection()?.isCollapsed === false ||
    document.querySelectorAll("#threat-list > article").length > 20;
  if (!isBusy) await attempt(refresh);
  wait();
}

function wait()       {
  setTimeout(keepFresh, refreshMs);
}

async function enter()                {
  const me = await get                                ("/session");
  session.role = me.role;
  byId("who").textContent = inert(me.name) + " (" + me.role + ")";
  showInside(true);
  await refresh();
  await loadFlows(false);
}

async function logIn()                {
  const key = byId                  ("key");
  byId("login-problem").textContent = "";
  try {
    await call("POST", "login", { key: key.value });
    key.value = "";
    await attempt(enter);
  } catch (problem) {
    byId("login-problem").textContent = inert((problem         ).message);
  }
}

function onSubmit(form                 , act               )       {
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    act();
  });
}

session.refresh = refresh;
onSubmit(byId                 ("login-form"), logIn);
byId("logout").addEventListener("click", () =>
  attempt(async () => {
    await call("POST", "logout");
    location.reload();
  }));
byId("threat-filter").addEventListener("change", () => attempt(() => loadThreats(false)));
byId("traffic-filter").addEventListener("change", () => attempt(refresh));
byId("threats-more").addEventListener("click", () => attempt(() => loadThreats(true)));
byId("flows-more").addEventListener("click", () => attempt(() => loadFlows(true)));
onSubmit(flowForm(), () => attempt(searchByForm, flowForm()));
byId("flow-clear").addEventListener("click", () => {
  flowForm().reset();
  attempt(searchByForm, flowForm());
});

await attempt(enter);
wait();
