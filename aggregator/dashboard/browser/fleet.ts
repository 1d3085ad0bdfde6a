/** The tiles and the fleet; an administrator takes waiting sensors in from here. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { FleetHealth, SensorHealth, SensorStatus } from "../../fleet/fleet.ts";
import type { Severity } from "../../model/threat.ts";
import type { Totals } from "../../model/traffic.ts";
import { ago, badge, byId, bytes, cell, count, fill, h, inert, table, wire } from "./dom.ts";
import { call } from "./call.ts";
import { button, session } from "./session.ts";

const statusTones: Record<SensorStatus, string> = {
  healthy: "good",
  stopped: "info",
  lossy: "medium",
  unwalled: "medium",
  blind: "high",
  late: "medium",
  never_seen: "info",
  pending: "medium",
  quarantined: "critical",
  revoked: "info",
};

export interface OpenThreats {
  count: number;
  more: boolean;
  worst: Severity | undefined;
}

export function showTiles(fleet: FleetHealth, totals: Totals, openThreats: OpenThreats): void {
  const all = fleet.sensors.length;
  const good = fleet.summary.healthy;
  const { unaccounted, dropped: kernelDropped, card_dropped: cardDropped } = fleet.conservation;
  const dropped = kernelDropped + cardDropped;
  const { worst } = openThreats;
  fill(
    "tiles",
    tile(
      count(openThreats.count) + (openThreats.more ? "+" : ""),
      openThreats.count === 1 ? "open threat" : "open threats",
      worst ? badge("worst: " + worst, worst) : badge("nothing found", "good"),
    ),
    tile(
      good + " of " + all,
      "sensors healthy",
      all === 0
        ? badge("none enrolled", "info")
        : good === all
        ? badge("all well", "good")
        : badge("see fleet", "medium"),
    ),
    tile(
      count(totals.flows),
      totals.flows === 1 ? "flow stored" : "flows stored",
      h("span", bytes(totals.bytes) + " in " + count(totals.packets) + " packets"),
    ),
    tile(
      count(Math.abs(unaccounted)),
      "packets unaccounted for",
      unaccounted !== 0
        ? badge("see fleet", "high")
        : dropped > 0
        ? badge(count(dropped) + " dropped", "medium")
        : badge("every packet counted", "good"),
    ),
  );
}

function tile(value: string, label: string, note: HTMLElement): HTMLElement {
  return h("div.tile", h("strong", value), h("span", label), note);
}

export function showFleet(fleet: FleetHealth & { problem: string | null }): void {
  byId("trouble").textContent = fleet.problem === null ? "" : inert("The aggregator: " + fleet.problem);
  byId("trouble").hidden = fleet.problem === null;
  if (fleet.sensors.length === 0) {
    fill("fleet-sum");
    fill(
      "fleet-list",
      h(
        "p.panel.empty",
        "No sensor yet. Make a join token with ",
        wire("picket-aggregator token create"),
        " and type on the sensor what it prints.",
      ),
    );
    return;
  }
  const parts = Object.entries(fleet.summary).filter(([, n]) => n > 0)
    .map(([status, n]) => n + " " + status.replace("_", " "));
  fill("fleet-sum", document.createTextNode(parts.join(", ")));
  const columns = [["Sensor"], ["Status"], ["Why"], ["Source"], ["Packets", "right"], ["Left out", "right"], [
    "Lost",
    "right",
  ], ["Last check-in", "right"]] as const;
  const rows = fleet.sensors.map((sensor) => sensorRow(sensor, fleet.now_ms));
  fill("fleet-list", table(columns, rows, "Sensors and their health"));
}

function sensorRow(sensor: SensorHealth, nowMs: number): HTMLElement {
  const { conservation: kept, check_in: checkIn } = sensor;
  const reasons = sensor.reasons.length > 0
    ? h("ul", ...sensor.reasons.map((reason) => h("li", reason)))
    : h("span.soft", "Sees packets, loses none");
  const leftOut = kept ? Object.values(kept.left_out).reduce((sum, n) => sum + n, 0) : 0;
  const leftOutCell = cell("Left out", h("span.number", kept ? count(leftOut) : "-"), "right");
  if (kept) {
    leftOutCell.title = Object.entries(kept.left_out).map(([cause, n]) => cause + ": " + n).join(", ") ||
      "nothing";
  }
  const label = [sensor.site, ...sensor.tags].join(" · ");
  const source = checkIn
    ? h(
      "div",
      h("span.mono.wire", checkIn.capture.source || "-"),
      h("div.soft.small", checkIn.capture.state),
    )
    : h("span", "-");
  const seen = sensor.last_check_in_ms === null ? "never" : ago(nowMs - sensor.last_check_in_ms);
  return h(
    "tr",
    cell("Sensor", h("div", h("strong", sensor.name), h("div.soft.small", label))),
    cell(
      "Status",
      h("div", badge(sensor.status.replace("_", " "), statusTones[sensor.status] ?? "info"), acts(sensor)),
    ),
    cell("Why", reasons),
    cell("Source", source),
    cell("Packets", h("span.number", kept ? count(kept.packets) : "-"), "right"),
    leftOutCell,
    lostCell(kept),
    cell("Last check-in", h("span.number", seen), "right"),
  );
}

function lostCell(kept: SensorHealth["conservation"]): HTMLElement {
  const lost: [number, string][] = kept
    ? [[kept.dropped, "by the kernel"], [kept.card_dropped, "by the card"], [
      Math.abs(kept.unaccounted),
      "unaccounted for",
    ]]
    : [];
  const parts = lost.filter(([n]) => n > 0).map(([n, where]) => h("div.soft.small", count(n) + " " + where));
  const sum = kept ? count(lost.reduce((all, [n]) => all + n, 0)) : "-";
  return cell("Lost", h("div", h("span.number", sum), ...parts), "right");
}

/** What an administrator can decide about a sensor that is held back. */
function acts({ sensor_id, status }: SensorHealth): HTMLElement | null {
  const word = status === "pending" ? "Approve" : status === "quarantined" ? "Release" : null;
  if (word === null || session.role !== "admin") return null;
  return button(word, async () => {
    await call("POST", "api/v1/sensors/" + sensor_id + "/" + word.toLowerCase());
    await session.refresh();
  });
}
