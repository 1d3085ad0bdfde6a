/** The latest flows, and search. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Flow } from "../../model/flow.ts";
import type { Page } from "../../model/page.ts";
import { byId, bytes, cell, count, fill, h, plural, table, timeOf, wire } from "./dom.ts";
import { get } from "./call.ts";

let flowCursor: string | undefined;
/** Filters that have no field of their own: the flows of one threat. */
let hiddenFilter: { threat_id?: string } = {};

export const flowForm = (): HTMLFormElement => byId<HTMLFormElement>("flow-filter");

export async function loadFlows(more: boolean): Promise<void> {
  const form = Object.fromEntries(
    [...new FormData(flowForm())].map(([name, value]) => [name, String(value).trim()]),
  );
  const cursor = more ? flowCursor : undefined;
  const page = await get<Page<Flow>>("/flows/search", { ...form, ...hiddenFilter, limit: 25, cursor });
  flowCursor = page.next_cursor;
  const rows = page.rows.map(flowRow);
  const isFiltered = Object.values({ ...form, ...hiddenFilter }).some((value) => value !== "");
  const body = document.querySelector("#flow-list tbody");
  if (more && body) body.append(...rows);
  else if (rows.length === 0) {
    const words = !isFiltered
      ? "No flow stored yet."
      : flowCursor
      ? "No flow so far: the search is not through yet."
      : "No flow fits this search.";
    fill("flow-list", h("p.panel.empty", words));
  } else {
    const columns = [["Start"], ["From"], ["To"], ["Protocol"], ["Name"], ["Packets", "right"], [
      "Bytes",
      "right",
    ], [
      "State",
    ], ["Seen by", "right"]] as const;
    fill("flow-list", table(columns, rows, "Flows, newest first"));
  }
  byId("flows-more").hidden = flowCursor === undefined;
  const note = hiddenFilter.threat_id ? "of one threat" : isFiltered ? "that fit the search" : "newest first";
  fill("flows-note", document.createTextNode(note));
}

/** The form as a person left it. */
export function searchByForm(): Promise<void> {
  hiddenFilter = {};
  return loadFlows(false);
}

/** Fills the search form, runs it and goes there. */
export async function searchFlows(filter: Record<string, string>): Promise<void> {
  for (const field of flowForm().elements) {
    if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) {
      field.value = filter[field.name] ?? "";
    }
  }
  hiddenFilter = filter.threat_id ? { threat_id: filter.threat_id } : {};
  await loadFlows(false);
  byId("flows").scrollIntoView();
}

function flowRow(flow: Flow): HTMLElement {
  const sensors = new Set(flow.seen_by.map((sighting) => sighting.sensor_id));
  const protocol = flow.app_protocol ? flow.app_protocol + " / " + flow.protocol : flow.protocol;
  return h(
    "tr",
    cell("Start", timeOf(flow.start), "when"),
    cell("From", ...endpoint(flow.src_ip, flow.src_port, flow.protocol)),
    cell("To", ...endpoint(flow.dst_ip, flow.dst_port, flow.protocol)),
    cell("Protocol", h("span", protocol), "when"),
    cell("Name", wire(nameOf(flow))),
    cell("Packets", h("span.number", count(flow.total_packets)), "right"),
    cell("Bytes", h("span.number", bytes(flow.total_bytes)), "right"),
    cell("State", h("span.number", flow.conn_state), "extra"),
    cell("Seen by", h("span.number", plural(sensors.size, "sensor")), "right.extra"),
  );
}

/** Address and port, and the class that keeps a short one on one line. */
function endpoint(ip: string, port: number, protocol: string): [content: Node, classes?: string] {
  const hasPort = protocol === "tcp" || protocol === "udp" || protocol === "sctp";
  const text = !hasPort ? ip : ip.includes(":") ? "[" + ip + "]:" + port : ip + ":" + port;
  return text.length <= 24 ? [wire(text), "short"] : [wire(text)];
}

/** The first name that was read in the flow. */
function nameOf({ facts, app_protocol }: Flow): string {
  const question = facts?.dns?.find((entry) => entry.name);
  const found = facts?.tls?.sni ?? facts?.quic?.sni ?? facts?.http?.find((entry) => entry.host)?.host ??
    (question
      ? dnsText(question, app_protocol)
      : facts?.ssh?.server ?? facts?.dhcp?.find(({ hostname }) => hostname)?.hostname ?? "-");
  return found.length > 60 ? found.slice(0, 60) + "…" : found;
}

type Question = NonNullable<NonNullable<Flow["facts"]>["dns"]>[number];

/** "A example.com → 192.0.2.1", "A example.com NXDOMAIN", "A example.com no answer". Multicast questions are answered in other flows. */
function dnsText({ name, type, rcode, answers }: Question, app: string): string {
  const asked = type + " " + name;
  if (rcode === undefined) return app === "dns" ? asked + " no answer" : asked;
  return rcode === "NOERROR" && answers ? asked + " → " + answers.join(", ") : asked + " " + rcode;
}
