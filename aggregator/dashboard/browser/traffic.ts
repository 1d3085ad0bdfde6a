/** Traffic over time as a drawing, top talkers, protocols. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Threat } from "../../model/threat.ts";
import type { ProtocolTotal, SeriesPoint, TopTalker, Totals } from "../../model/traffic.ts";
import { byId, bytes, clockTime, count, fill, h, plural, s, wire } from "./dom.ts";
import { get } from "./call.ts";
import { attempt } from "./session.ts";
import { searchFlows } from "./flows.ts";

interface Series {
  from: number;
  to: number;
  step: number;
  rows: SeriesPoint[];
}
type Share = readonly [label: string, value: number, text: string];

const size = { width: 1120, height: 210, left: 64, right: 12, top: 10, bottom: 40 };
const pointsMax = 4000;

export async function loadTraffic(totals: Totals, threats: readonly Threat[]): Promise<void> {
  const span = Number(new FormData(byId<HTMLFormElement>("traffic-filter")).get("span"));
  const to = totals.last ?? 0;
  const from = Math.max(totals.first ?? 0, to - span);
  if (totals.last === null) {
    for (const id of ["chart", "talkers", "protocols"]) fill(id, h("p.empty", "No traffic stored yet."));
    fill("chart-title");
    return;
  }
  const [series, talkers, protocols] = await Promise.all([
    get<Series>("/stats/series", { from, to }),
    get<{ rows: TopTalker[] }>("/stats/top-talkers", { from, to, limit: 8 }),
    get<{ rows: ProtocolTotal[] }>("/stats/protocols", { from, to }),
  ]);
  showChart(series, threats);
  const about = (octets: number, flows: number) => bytes(octets) + " · " + plural(flows, "flow");
  showShares(
    "talkers",
    talkers.rows.map((row) => [row.ip, row.total_bytes, about(row.total_bytes, row.flows)]),
    (ip) => searchFlows({ ip }),
  );
  showShares(
    "protocols",
    protocols.rows.slice(0, 8).map((row) => [
      row.app_protocol ? row.app_protocol + " over " + row.protocol : row.protocol,
      row.bytes,
      about(row.bytes, row.flows),
    ]),
  );
}

function showShares(id: string, rows: readonly Share[], choose?: (label: string) => Promise<void>): void {
  const most = Math.max(1, ...rows.map(([, value]) => value));
  if (rows.length === 0) return fill(id, h("p.empty", "Nothing in this time."));
  fill(
    id,
    ...rows.map(([label, value, text]) => {
      const bar = s(
        "svg",
        { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
        s("rect", { class: "track", width: 100, height: 4, rx: 0.6 }),
        s("rect", { class: "fill", width: Math.max(0.5, 100 * value / most), height: 4, rx: 0.6 }),
      );
      let name = wire(label);
      if (choose) {
        const link = h("a.mono.wire", label);
        link.href = "#flows";
        link.addEventListener("click", () => attempt(() => choose(label)));
        name = link;
      }
      return h("div.share", name, h("span.number.soft", text), bar);
    }),
  );
}

function showChart(series: Series, threats: readonly Threat[]): void {
  const { width, height, left, right, top, bottom } = size;
  const { step } = series;
  const start = Math.floor(series.from / step) * step;
  const points = pointsOf(series, start);
  const end = start + Math.max(1, points.length) * step;
  const peak = roundUp(Math.max(1, ...points.map(([, bits]) => bits)));
  const x = (time: number) => left + (width - left - right) * (time - start) / (end - start);
  const y = (bits: number) => top + (height - top - bottom) * (1 - bits / peak);
  const outline = points.map(([time, bits]) =>
    "L" + x(time).toFixed(1) + " " + y(bits).toFixed(1) + "H" + x(time + step).toFixed(1)
  ).join("");
  const highest = count(Math.round(Math.max(0, ...points.map(([, bits]) => bits))));
  const words = "Traffic from " + clockTime(start, true) + " to " + clockTime(series.to, true) +
    ", highest " +
    highest + "bit/s, a point every " + step + " s";
  const svg = s("svg", { viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": words });
  for (const share of [0, 0.5, 1]) {
    const at = y(peak * share);
    svg.append(
      s("line", { class: "rule", x1: left, x2: width - right, y1: at, y2: at }),
      s(
        "text",
        { x: left - 8, y: at + 4, "text-anchor": "end" },
        share === 0 ? "0" : count(peak * share) + "b/s",
      ),
    );
  }
  const path = "M" + left + " " + y(0) + outline + "V" + y(0);
  svg.append(s("path", { class: "area", d: path + "Z" }), s("path", { class: "stroke", d: path }));
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    const time = start + (end - start) * share;
    svg.append(
      s("text", { x: x(time), y: height - 4, "text-anchor": anchor }, clockTime(time, end - start > 86400)),
    );
  }
  const marks = threats.filter((threat) => threat.first_seen >= start && threat.first_seen <= end);
  for (const threat of marks) {
    const mark = {
      class: "mark tone-" + threat.severity,
      d: "M" + x(threat.first_seen) + " " + (height - bottom + 3) + "l5 9h-10z",
    };
    svg.append(s("path", mark, s("title", {}, threat.severity + ": " + threat.title)));
  }
  fill("chart", svg);
  const legend = marks.length > 0 ? "; a triangle is the start of a threat" : "";
  fill("chart-title", document.createTextNode("Bits per second, a point every " + step + " s" + legend));
}

/** Time and bits per second of every step, those without traffic included. */
function pointsOf({ rows, to, step }: Series, start: number): [time: number, bits: number][] {
  const known = new Map(rows.map((row) => [Math.floor(row.time / step) * step, row.bytes * 8 / step]));
  const points: [number, number][] = [];
  for (let time = start; time <= to && points.length < pointsMax; time += step) {
    points.push([time, known.get(time) ?? 0]);
  }
  return points;
}

/** The next of 1, 2, 5, 10, ... */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5].find((digit) => digit * power >= value) ?? 10) * power;
}
