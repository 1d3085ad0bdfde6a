/** The dashboard: login, refresh every 10 s while the page is seen, and what each form does. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { FleetHealth } from "../../fleet/fleet.ts";
import type { Page } from "../../model/page.ts";
import type { Threat } from "../../model/threat.ts";
import type { Totals } from "../../model/traffic.ts";
import { byId, inert } from "./dom.ts";
import { call, get } from "./call.ts";
import { attempt, session, showInside } from "./session.ts";
import { showFleet, showTiles } from "./fleet.ts";
import { loadIncidents } from "./incidents.ts";
import { loadThreats, summary } from "./threats.ts";
import { loadTraffic } from "./traffic.ts";
import { flowForm, loadFlows, searchByForm } from "./flows.ts";

const refreshMs = 10000;

async function refresh(): Promise<void> {
  const [fleet, totals, page, open] = await Promise.all([
    get<FleetHealth & { problem: string | null }>("/fleet"),
    get<Totals>("/stats/totals"),
    loadThreats(false),
    get<Page<Threat>>("/threats", { status: "open", limit: 1000 }),
    loadIncidents(),
  ]);
  showFleet(fleet);
  showTiles(fleet, totals, summary(open));
  await loadTraffic(totals, page.rows);
}

/** A reader who paged on, searches or has text selected is not disturbed. */
async function keepFresh(): Promise<void> {
  const isBusy = document.hidden || byId("inside").hidden || getSelection()?.isCollapsed === false ||
    document.querySelectorAll("#threat-list > article").length > 20;
  if (!isBusy) await attempt(refresh);
  wait();
}

function wait(): void {
  setTimeout(keepFresh, refreshMs);
}

async function enter(): Promise<void> {
  const me = await get<{ name: string; role: string }>("/session");
  session.role = me.role;
  byId("who").textContent = inert(me.name) + " (" + me.role + ")";
  showInside(true);
  await refresh();
  await loadFlows(false);
}

async function logIn(): Promise<void> {
  const key = byId<HTMLInputElement>("key");
  byId("login-problem").textContent = "";
  try {
    await call("POST", "login", { key: key.value });
    key.value = "";
    await attempt(enter);
  } catch (problem) {
    byId("login-problem").textContent = inert((problem as Error).message);
  }
}

function onSubmit(form: HTMLFormElement, act: () => unknown): void {
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    act();
  });
}

session.refresh = refresh;
onSubmit(byId<HTMLFormElement>("login-form"), logIn);
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
