/** `picket-aggregator report`: fleet, totals and every threat in words, from a running aggregator;
 * or a page of them, as HTML or PDF. @module */

import type { Incident } from "../model/incident.ts";
import type { Threat } from "../model/threat.ts";
import type { Page } from "../model/page.ts";
import type { Totals } from "../model/traffic.ts";
import { readSpan } from "../cli/admin_api.ts";
import { readReport } from "../cli/report_data.ts";
import { PdfProblem, printPdf } from "../cli/pdf.ts";
import { reportPage } from "../cli/report_page.ts";
import { type ApiClient, openClient } from "../cli/api_client.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  noOperands,
} from "../../shared/command.ts";
import { generalOptions, runningOptions } from "../options/store_options.ts";
import { readWholeFleet, type WholeFleet } from "../cli/fleet_pages.ts";
import { incidentLines, sensorLines, threatLines, totalsLine } from "../cli/words.ts";

/** More than a person reads; what is left out is said. */
const threatsMax = 5_000;
/** A busy aggregator never settles. */
const readingsMax = 20;

export const reportCommand: Command = command({
  name: "report",
  summary: "print fleet, totals and every threat in words",
  operands: "",
  about:
    `Asks a running aggregator and prints the health of each sensor, what is stored, and each threat with its explanation,
severity, reasons and suggested action. With --html it writes one self-contained page for people instead: incidents with their story,
sensors and losses, traffic over time, top talkers, new hosts. With --pdf it prints that page through an installed Chromium. Exit code 0 only when flows and threats are there; else 1, and it says what is missing.`,
  examples: [
    "report",
    "report --url http://127.0.0.1:8600 --key-file admin.key --json",
    "report --html week.html --since 7d",
    "report --pdf week.pdf --since 7d",
  ],
  options: {
    ...generalOptions,
    ...runningOptions,
    html: { kind: "text", default: "", value: "FILE", help: "Write the report as a page into this file" },
    pdf: {
      kind: "text",
      default: "",
      value: "FILE",
      help: "Write it as a PDF into this file; needs chromium",
    },
    since: {
      kind: "text",
      default: "7d",
      value: "SPAN",
      help: "With --html or --pdf: how far back, 1h to 90d, from now",
    },
    settleMs: {
      kind: "number",
      default: 0,
      min: 0,
      max: 60_000,
      help: "Read again after this long until nothing changes any more; 0 reads once",
    },
  },
  async run(options, operands, edges) {
    noOperands(operands);
    const spanS = readSpan("since", options.since, { least: "1h", most: "90d" });
    const client = await openClient(options.url, options, edges);
    if (options.html !== "" || options.pdf !== "") return await writeFiles(client, options, spanS, edges);
    const { fleet, totals, threats, incidents } = await readSettled(client, options.settleMs, edges);
    if (options.json) edges.print(JSON.stringify({ fleet, totals, threats, incidents }));
    else {
      const say = (lines: string[]) => lines.forEach((line) => edges.print(line));
      say([`Fleet: ${fleet.sensors.length} sensor${fleet.sensors.length === 1 ? "" : "s"}`]);
      for (const sensor of fleet.sensors) {
        say(sensorLines(sensor, fleet.now_ms, edges.isColourful).map(indent));
      }
      say(["", "Traffic", `  ${totalsLine(totals)}`]);
      const chains = incidents.filter((incident) => incident.threats > 1);
      if (chains.length > 0) say(["", `Incidents of several threats: ${chains.length}`]);
      for (const incident of chains) say(["", ...incidentLines(incident, edges.isColourful)]);
      say(["", `Threats: ${threats.length} of ${totals.threats}`]);
      for (const threat of threats) say(["", ...threatLines(threat, edges.isColourful)]);
    }
    if (totals.flows === 0) {
      edges.reporter.warn("no flow is stored yet: is a sensor enrolled, and does it ship?");
    } else if (threats.length === 0) edges.reporter.warn("no threat was found in what is stored");
    return totals.flows > 0 && threats.length > 0 ? exitCodes.ok : exitCodes.failed;
  },
});

async function writeFiles(
  client: ApiClient,
  { html, pdf }: { html: string; pdf: string },
  spanS: number,
  edges: Edges,
): Promise<number> {
  const page = reportPage(await readReport(client, Math.floor(edges.clock.nowMs() / 1_000), spanS));
  if (html !== "") await write("html", html, new TextEncoder().encode(page), edges);
  if (pdf !== "") {
    const octets = await printPdf(page, edges).catch((cause) => {
      if (!(cause instanceof PdfProblem)) throw cause;
      throw new CommandError(exitCodes.environment, `Cannot write the report as a PDF as ${cause.message}`, {
        cause,
      });
    });
    await write("pdf", pdf, octets, edges);
  }
  return exitCodes.ok;
}

async function write(option: string, path: string, octets: Uint8Array, edges: Edges): Promise<void> {
  try {
    // What is in it is for those who may ask the aggregator.
    await Deno.writeFile(path, octets, { mode: 0o600 });
  } catch (cause) {
    throw new CommandError(
      exitCodes.environment,
      `Cannot write the report as "${option}" must be a file that can be written: ${
        (cause as Error).message
      }`,
      { cause },
    );
  }
  edges.print(path);
}

interface Reading {
  fleet: WholeFleet;
  totals: Totals;
  threats: Threat[];
  incidents: Incident[];
}

/** What the aggregator knows, once two readings `settleMs` apart agree:
 * detection runs behind the sensors' acknowledgements. */
async function readSettled(
  client: ApiClient,
  settleMs: number,
  { clock, signal }: Pick<Edges, "clock" | "signal">,
): Promise<Reading> {
  let before = "";
  for (let readings = 1;; readings++) {
    const fleet = await readWholeFleet(client);
    const totals = await client.get<Totals>("/stats/totals");
    const threats = await readThreats(client);
    const now = JSON.stringify([totals, threats.map(({ id, count, score }) => [id, count, score])]);
    if (settleMs === 0 || now === before || readings >= readingsMax || signal.aborted) {
      const { rows: incidents } = await client.get<{ rows: Incident[] }>("/incidents?limit=500");
      return { fleet, totals, threats, incidents };
    }
    before = now;
    await clock.sleep(settleMs, signal);
  }
}

async function readThreats(client: ApiClient): Promise<Threat[]> {
  const threats: Threat[] = [];
  let cursor: string | undefined;
  do {
    const next = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page<Threat> = await client.get(`/threats?limit=500${next}`);
    threats.push(...page.rows);
    cursor = page.next_cursor;
  } while (cursor !== undefined && threats.length < threatsMax);
  return threats.sort((a, b) => b.score - a.score || a.first_seen - b.first_seen);
}

function indent(line: string): string {
  return `  ${line}`;
}
