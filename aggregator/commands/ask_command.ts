/** `picket-aggregator flows` and `threats`: what is stored, by a filter.
 *
 * In: a filter as the API takes it. Out: one line per flow, or a threat in words; or the API's answer as JSON.
 * Invariant: whatever came over the wire is escaped; at most one page is read. @module */

import { escapeLine } from "../../shared/escape.ts";
import { type Command, command, exitCodes, noOperands } from "../../shared/command.ts";
import type { Table } from "../filter/columns.ts";
import { flowTable } from "../filter/flow_table.ts";
import { threatTable } from "../filter/threat_table.ts";
import { namesOf } from "../model/fact_names.ts";
import type { Flow } from "../model/flow.ts";
import type { Page } from "../model/page.ts";
import type { Threat } from "../model/threat.ts";
import { writeTime } from "../model/time_text.ts";
import { type AdminApi, withAdminApi } from "../cli/admin_api.ts";
import { threatLines } from "../cli/words.ts";
import { generalOptions, remoteOptions, storeOptions } from "../options/store_options.ts";

const options = {
  ...generalOptions,
  ...storeOptions,
  ...remoteOptions,
  filter: {
    kind: "text",
    default: "",
    value: "FILTER",
    help: 'Only what fits: src_ip in 10.0.0.0/8 and dst_port in (22, 3389) and name ~ "example"',
  },
  rows: { kind: "number", default: 50, min: 1, max: 1_000, help: "At most this many rows" },
} as const;

/** Each line short enough for a terminal. */
export function columnsOf<Row>({ columns }: Table<Row>): string {
  const names = Object.keys(columns).join(", ").replace(/(.{1,110})(?:, |$)/g, "$1,\n").replace(/,\n$/, ".");
  return `Columns of the filter: ${names}
Operators: = != < <= > >= in ~ (contains), with and, or, not and parentheses.\n`;
}

type Asked = Page<Flow> & { assumed?: { reason: string } };

export const flowsCommand: Command = command({
  name: "flows",
  summary: "list flows, newest first, by a filter",
  operands: "",
  about: `${
    columnsOf(flowTable)
  }Sizes like 1MB, spans like 5m, times like now-1h. Reads the database, or asks --url.`,
  examples: [
    "flows --filter 'ip = 10.0.0.5 and bytes > 1MB'",
    "flows --filter 'start > now-1h and app = dns' --json",
  ],
  options,
  async run(given, operands, edges) {
    noOperands(operands);
    const answer = await withAdminApi(given, edges, (api) => ask<Asked>(api, "/flows", given));
    if (given.json) edges.print(JSON.stringify(answer));
    else for (const flow of answer.rows) edges.print(flowLine(flow));
    if (answer.assumed) edges.reporter.info(answer.assumed.reason);
    sayMore(answer.next_cursor, given.rows, edges);
    return exitCodes.ok;
  },
});

export const threatsCommand: Command = command({
  name: "threats",
  summary: "list threats in words, newest first, by a filter",
  operands: "",
  about: `${columnsOf(threatTable)}Reads the database, or asks --url.`,
  examples: [
    "threats --filter 'severity >= high and status = open'",
    "threats --filter 'ip in 10.0.0.0/8' --json",
  ],
  options: {
    ...options,
    suppressed: { kind: "flag", default: false, help: "Also threats that a suppression hides" },
  },
  async run(given, operands, edges) {
    noOperands(operands);
    const more = { suppressed: String(given.suppressed) };
    const answer = await withAdminApi(given, edges, (api) => ask<Page<Threat>>(api, "/threats", given, more));
    if (given.json) edges.print(JSON.stringify(answer));
    else {
      for (const threat of answer.rows) {
        for (const line of threatLines(threat, edges.isColourful)) edges.print(line);
        edges.print("");
      }
    }
    sayMore(answer.next_cursor, given.rows, edges);
    return exitCodes.ok;
  },
});

function ask<Answer>(
  api: AdminApi,
  path: string,
  given: { filter: string; rows: number },
  more: Record<string, string> = {},
): Promise<Answer> {
  const query = new URLSearchParams({ limit: String(given.rows), ...more });
  if (given.filter !== "") query.set("filter", given.filter);
  return api.get<Answer>(`${path}?${query}`);
}

function sayMore(
  cursor: string | undefined,
  rows: number,
  { reporter }: { reporter: { info(text: string): void } },
): void {
  if (cursor !== undefined) {
    reporter.info(`there are more than these ${rows}: raise --rows, or narrow the filter`);
  }
}

function flowLine(flow: Flow): string {
  const name = flow.facts === null ? "" : namesOf(flow.facts);
  const end = (ip: string, port: number) => `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
  const parts = [
    writeTime(flow.start),
    flow.protocol,
    `${end(flow.src_ip, flow.src_port)} -> ${end(flow.dst_ip, flow.dst_port)}`,
    flow.app_protocol,
    `${flow.total_packets} packets, ${flow.total_bytes} octets`,
    flow.conn_state,
    name,
  ];
  return escapeLine(parts.filter(Boolean).join("  "));
}
