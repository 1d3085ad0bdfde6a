/** `picket-aggregator hosts`: which hosts were seen, and one of them in depth. @module */

import { parseIp } from "../../shared/ip.ts";
import { type Command, command, CommandError, exitCodes } from "../../shared/command.ts";
import { withAdminApi } from "../cli/admin_api.ts";
import { hostLine, hostLines, type HostPage, type HostRow } from "../cli/host_words.ts";
import type { Page } from "../model/page.ts";
import { hostTable } from "../filter/host_table.ts";
import { columnsOf } from "./ask_command.ts";
import { generalOptions, remoteOptions, storeOptions } from "../options/store_options.ts";

export const hostsCommand: Command = command({
  name: "hosts",
  summary: "which hosts were seen, and one of them in depth",
  operands: "[IP]",
  about:
    `Without IP the hosts that were seen last, or the largest. With IP of one host its names, MACs, services offered and used, peers,
threats and the sensors that see it. IP may be a network, like 10.0.0.0/8: then its hosts are listed. Works on the database of the state
folder, or asks --url.

${columnsOf(hostTable).trimEnd()}`,
  examples: [
    "hosts",
    "hosts --sort bytes --limit 10",
    "hosts 10.0.0.0/24",
    "hosts 10.0.0.5 --json",
    "hosts --filter 'inside = yes and port in (22, 3389)'",
  ],
  options: {
    ...generalOptions,
    ...storeOptions,
    ...remoteOptions,
    sort: { kind: "text", default: "last_seen", value: "ORDER", help: "last_seen, first_seen or bytes" },
    filter: {
      kind: "text",
      default: "",
      value: "FILTER",
      help: 'Only hosts that fit: inside = yes and port = 3389 and name ~ "example"',
    },
    network: { kind: "text", default: "", value: "SITE", help: "Hosts of this site alone, or of global" },
    limit: { kind: "number", default: 50, min: 1, max: 1_000, help: "Hosts listed" },
  },
  async run(options, operands, edges) {
    if (operands.length > 1) {
      throw new CommandError(exitCodes.usage, "Cannot show hosts as one address at most may be given");
    }
    const [ip = ""] = operands;
    const nowMs = edges.clock.nowMs();
    const network = options.network === "" ? "" : `network=${encodeURIComponent(options.network)}`;
    await withAdminApi(options, edges, async (api) => {
      if (parseIp(ip) !== null && options.filter === "") {
        const host = await api.get<HostPage>(`/hosts/${encodeURIComponent(ip)}?${network}`);
        if (options.json) edges.print(JSON.stringify(host));
        else hostLines(host, nowMs).forEach((line) => edges.print(line));
        return;
      }
      const query = new URLSearchParams({ sort: options.sort, limit: String(options.limit) });
      if (ip !== "") query.set("ip", ip);
      if (options.filter !== "") query.set("filter", options.filter);
      const page = await api.get<Page<HostRow>>(`/hosts?${query}${network === "" ? "" : `&${network}`}`);
      if (options.json) return edges.print(JSON.stringify(page));
      page.rows.forEach((host) => edges.print(hostLine(host, nowMs)));
      if (page.next_cursor !== undefined) edges.print(`and more: the first ${options.limit} are listed`);
      if (page.rows.length === 0) edges.print(options.filter === "" ? "no host was seen" : "no host fits");
    });
    return exitCodes.ok;
  },
});
