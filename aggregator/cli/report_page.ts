/** The report as one page: for people who never log in, on paper or as a file.
 *
 * In: what the API answered. Out: HTML. Invariant: self-contained: no script, no link, no request, as its policy says
 * too; every string goes through {@link escapeHtml}. Bound: lists are cut, and say how much was left out. @module */

import { escapeHtml } from "../../shared/escape.ts";
import type { WholeFleet } from "./fleet_pages.ts";
import { amount } from "./words.ts";
import type { Host } from "../model/host.ts";
import type { Incident } from "../model/incident.ts";
import type { SeriesPoint, TopTalker, Totals } from "../model/traffic.ts";

export interface ReportData {
  fromS: number;
  toS: number;
  fleet: WholeFleet;
  totals: Totals;
  /** The most severe first. */
  incidents: Incident[];
  /** All of the range, also beyond the list. */
  incidentsInAll: number;
  /** Steps without traffic may be left out. */
  series: { step: number; rows: SeriesPoint[] };
  talkers: TopTalker[];
  /** Seen for the first time in the range. */
  newHosts: Host[];
  /** There may be more new hosts than were read. */
  isHostsCut: boolean;
}

const incidentsMax = 50;
const stepsMax = 12;
const hostsMax = 50;
const style = `
body { font: 10pt/1.4 system-ui, "DejaVu Sans", sans-serif; color: #1a1d21; margin: 2em auto; max-width: 60em; padding: 0 1em; }
h1 { font-size: 18pt; margin: 0; } h2 { font-size: 13pt; margin: 1.6em 0 .4em; border-bottom: 1px solid #c5cad1; }
h3 { font-size: 10.5pt; margin: 0; } p { margin: .3em 0; } .quiet { color: #59616b; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .25em .8em .25em 0; border-bottom: 1px solid #e4e7eb; overflow-wrap: break-word; }
th { white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; }
.story { border-left: 4px solid #9aa3ad; padding: .2em 0 .2em .8em; margin: .8em 0; break-inside: avoid; }
.critical { border-color: #a30d2d; } .high { border-color: #d3481c; } .medium { border-color: #c98a00; } .low { border-color: #3b7dd8; }
svg { width: 100%; height: auto; } ol { margin: .3em 0; padding-left: 2em; }
@page { size: A4; margin: 16mm 14mm 18mm; @bottom-right { content: counter(page) " of " counter(pages); font: 8pt system-ui, "DejaVu Sans", sans-serif; color: #59616b; } } @media print { body { margin: 0; max-width: none; padding: 0; } h2 { break-after: avoid; } }
`;

/** The whole page. */
export function reportPage(data: ReportData): string {
  const { fromS, toS } = data;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Network report</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><style>${style}</style></head><body>
<h1>Network report</h1>
<p class="quiet">${timeOf(fromS)} to ${timeOf(toS)} (UTC), made by Picket</p>
<p><b>${sentenceOf(data)}</b></p>
${incidentsPart(data)}${fleetPart(data.fleet)}${trafficPart(data)}${talkersPart(data.talkers)}${
    hostsPart(data)
  }
</body></html>
`;
}

function sentenceOf({ incidents, incidentsInAll, fleet }: ReportData): string {
  const count = incidentsInAll === 0 ? "No incident" : counted(incidentsInAll, "incident");
  const worst = incidents.length === 0 ? "" : `, the worst of severity ${incidents[0].severity}`;
  const open = incidents.filter(({ status }) => status === "open").length;
  const unwell = fleet.sensors.filter(({ status }) => status !== "healthy").length;
  const all = fleet.sensors.length;
  const sensors = all === 0
    ? "No sensor is enrolled."
    : unwell === 0
    ? (all === 1 ? "The sensor sees what it should." : `All ${all} sensors see what they should.`)
    : all === 1
    ? "The sensor does not see all it should."
    : `${unwell} of ${all} sensors ${unwell === 1 ? "does not see all it" : "do not see all they"} should.`;
  return `${count}${worst}${
    incidents.length === 0 ? "" : `; of those told below, open: ${open}`
  }. ${sensors}`;
}

function incidentsPart({ incidents, incidentsInAll }: ReportData): string {
  const shown = incidents.slice(0, incidentsMax);
  const more = incidentsInAll - shown.length;
  return `<h2>Incidents</h2>${shown.map(story).join("")}${
    shown.length === 0 ? "<p>Nothing was found in this time.</p>" : ""
  }${more > 0 ? `<p class="quiet">${counted(more, "more incident")} of less severity.</p>` : ""}`;
}

function story(incident: Incident): string {
  const { severity, status, network, actors, targets, timeline, threats, first_seen, last_seen } = incident;
  const steps = timeline.slice(0, stepsMax).map(({ first_seen, title, summary }) =>
    `<li><span class="quiet">${timeOf(first_seen)}</span> ${escapeHtml(title)}: ${escapeHtml(summary)}</li>`
  );
  const more = threats - steps.length;
  const whom = targets.length === 0 ? "" : ` against ${listed(targets)}`;
  return `<div class="story ${severity}"><h3>${capital(severity)}: ${escapeHtml(timeline[0].title)}${
    threats > 1 ? ` and ${threats - 1} more` : ""
  }</h3><p>${listed(actors)}${whom}, site ${escapeHtml(network)}, ${timeOf(first_seen)} to ${
    timeOf(last_seen)
  }, ${status}</p><ol>${steps.join("")}</ol>${
    more > 0 ? `<p class="quiet">${counted(more, "more threat")}.</p>` : ""
  }</div>`;
}

function fleetPart({ sensors }: WholeFleet): string {
  const rows = sensors.map(({ name, site, status, reasons, conservation, missing_batches }) =>
    `<tr><td>${escapeHtml(name)}</td><td>${escapeHtml(site)}</td><td>${
      status.replace("_", " ")
    }</td><td class="n">${conservation === null ? "" : amount(conservation.packets)}</td><td class="n">${
      conservation === null ? "" : amount(conservation.dropped + conservation.card_dropped)
    }</td><td class="n">${amount(missing_batches)}</td><td>${reasons.map(escapeHtml).join("<br>")}</td></tr>`
  );
  return `<h2>Sensors</h2><table><tr><th>Sensor</th><th>Site</th><th>State</th><th class="n">Packets</th><th class="n">Lost</th><th class="n">Missing batches</th><th>Why</th></tr>${
    rows.join("")
  }</table><p class="quiet">Packets and losses since each sensor started.</p>`;
}

function trafficPart({ series, fromS, toS, totals }: ReportData): string {
  const bytes = series.rows.reduce((sum, row) => sum + row.bytes, 0);
  const flows = series.rows.reduce((sum, row) => sum + row.flows, 0);
  return `<h2>Traffic</h2><p>${octets(bytes)} in ${counted(flows, "flow")} in this time; ${
    counted(totals.flows, "flow")
  } and ${counted(totals.threats, "threat")} are stored in all.</p>${
    chart(series.rows, series.step, fromS, toS)
  }`;
}

/** Octets over time as bars. */
function chart(rows: readonly SeriesPoint[], step: number, fromS: number, toS: number): string {
  const width = 720, height = 140, top = Math.max(1, ...rows.map(({ bytes }) => bytes));
  const scale = width / Math.max(1, toS - fromS);
  const bars = rows.map(({ time, bytes }) => {
    const x = Math.max(0, (time - fromS) * scale), tall = bytes / top * height;
    return `<rect x="${x.toFixed(1)}" y="${(20 + height - tall).toFixed(1)}" width="${
      Math.max(0.5, step * scale - 0.5).toFixed(1)
    }" height="${tall.toFixed(1)}" fill="#3b6ea5"/>`;
  });
  const text = (x: number, y: number, anchor: string, words: string) =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="11" fill="#59616b">${words}</text>`;
  return `<svg viewBox="0 0 ${width} ${height + 40}" role="img" aria-label="Octets over time">${
    text(0, 12, "start", `${octets(top)} in ${step} s`)
  }<line x1="0" x2="${width}" y1="${height + 20}" y2="${height + 20}" stroke="#9aa3ad"/>${bars.join("")}${
    text(0, height + 36, "start", timeOf(fromS))
  }${text(width, height + 36, "end", timeOf(toS))}</svg>`;
}

function talkersPart(talkers: readonly TopTalker[]): string {
  const rows = talkers.map(({ ip, flows, sent_bytes, received_bytes }) =>
    `<tr><td>${escapeHtml(ip)}</td><td class="n">${octets(sent_bytes)}</td><td class="n">${
      octets(received_bytes)
    }</td><td class="n">${amount(flows)}</td></tr>`
  );
  return `<h2>Top talkers</h2><table><tr><th>Address</th><th class="n">Sent</th><th class="n">Received</th><th class="n">Flows</th></tr>${
    rows.join("")
  }</table>`;
}

function hostsPart({ newHosts, isHostsCut }: ReportData): string {
  const shown = newHosts.slice(0, hostsMax);
  const rows = shown.map(({ ip, network, first_seen_ms, names }) =>
    `<tr><td>${escapeHtml(ip)}</td><td>${escapeHtml(network)}</td><td>${
      timeOf(first_seen_ms / 1_000)
    }</td><td>${names.slice(0, 3).map(escapeHtml).join(", ")}</td></tr>`
  );
  const more = newHosts.length - shown.length;
  const left = more > 0 || isHostsCut
    ? `<p class="quiet">${isHostsCut ? "At least " : ""}${counted(more, "more")}.</p>`
    : "";
  return `<h2>New hosts</h2>${
    shown.length === 0
      ? "<p>None.</p>"
      : `<table><tr><th>Address</th><th>Site</th><th>First seen</th><th>Names</th></tr>${
        rows.join("")
      }</table>`
  }${left}`;
}

function listed(words: readonly string[]): string {
  const shown = words.slice(0, 5).map(escapeHtml).join(", ");
  return words.length > 5 ? `${shown} and ${words.length - 5} more` : shown;
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().slice(0, 16).replace("T", " ");
}

function counted(count: number, noun: string): string {
  return `${amount(count)} ${noun}${count === 1 || noun === "more" ? "" : "s"}`;
}

function octets(count: number): string {
  const units = ["octets", "kB", "MB", "GB", "TB", "PB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  const value = count / 1_000 ** power;
  return `${power === 0 ? value : value.toPrecision(3)} ${units[power]}`;
}

function capital(word: string): string {
  return word[0].toUpperCase() + word.slice(1);
}
