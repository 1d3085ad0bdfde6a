/** Words about flows, and the telling facts in many of them.
 *
 * In: flows. Out: what a person would look for in them:
 * ports that answered, names that were given an address, log-ins that succeeded.
 * Bound: {@link shownMax} values of a kind; the rest is a number. @module */

import type { Flow } from "../../../model/flow.ts";

/** States in which the one asked has answered with data or an accepted connection. */
const answered: readonly string[] = ["SF", "S1", "S2", "S3", "RSTO", "RSTR"];
const shownMax = 24;

export interface Telling {
  name: string;
  values: string[];
  /** Values beyond those shown. */
  more: number;
}

export function hasPorts(protocol: string): boolean {
  return protocol === "tcp" || protocol === "udp" || protocol === "sctp";
}

/** "10.0.0.5:443", or the address alone where there are no ports. */
export function endText(ip: string, port: number, protocol: string): string {
  if (!hasPorts(protocol)) return ip;
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

export function protocolText({ app_protocol, protocol }: Pick<Flow, "app_protocol" | "protocol">): string {
  return app_protocol ? `${app_protocol} / ${protocol}` : protocol;
}

export const stateWords: Readonly<Record<string, string>> = {
  S0: "asked, no answer",
  S1: "open, not ended",
  SF: "opened and closed",
  REJ: "refused",
  S2: "closed by the asker only",
  S3: "closed by the answerer only",
  RSTO: "cut off by the asker",
  RSTR: "cut off by the answerer",
  RSTOS0: "asked, then cut off by the asker",
  RSTRH: "answered, then cut off",
  SH: "asked and ended, no answer",
  SHR: "answer and end, no question",
  OTH: "seen from its middle",
};

/** The first name that was read in a flow, whole, or "". */
export function nameOf({ facts, app_protocol }: Pick<Flow, "facts" | "app_protocol">): string {
  const question = facts?.dns?.find((entry) => entry.name);
  return facts?.tls?.sni ?? facts?.quic?.sni ?? facts?.http?.find((entry) => entry.host)?.host ??
    (question
      ? dnsText(question, app_protocol)
      : facts?.ssh?.server ?? facts?.dhcp?.find(({ hostname }) => hostname)?.hostname ?? "");
}

type Question = NonNullable<NonNullable<Flow["facts"]>["dns"]>[number];

/** "A example.com → 192.0.2.1", "A example.com NXDOMAIN", "A example.com no answer".
 * Multicast questions are answered in other flows. */
function dnsText({ name, type, rcode, answers }: Question, app: string): string {
  const asked = `${type} ${name}`;
  if (rcode === undefined) return app === "dns" ? `${asked} no answer` : asked;
  return rcode === "NOERROR" && answers ? `${asked} → ${answers.join(", ")}` : `${asked} ${rcode}`;
}

/** What these flows say that a person would act on. Empty kinds are left out. */
export function tellingOf(flows: readonly Flow[]): Telling[] {
  const ports = new Set<string>();
  const silent = new Set<string>();
  const resolved = new Set<string>();
  const unresolved = new Set<string>();
  const servers = new Set<string>();
  const accepted = new Set<string>();
  const refused = new Set<string>();
  for (const flow of flows) {
    const { facts, protocol, dst_ip, dst_port, conn_state, bwd_packets } = flow;
    if (protocol === "tcp") {
      (answered.includes(conn_state) ? ports : silent).add(endText(dst_ip, dst_port, protocol));
    } else if (hasPorts(protocol)) {
      (bwd_packets > 0 ? ports : silent).add(endText(dst_ip, dst_port, protocol) + `/${protocol}`);
    }
    for (const { name, rcode, answers } of facts?.dns ?? []) {
      if (rcode === "NOERROR" && answers?.length) resolved.add(`${name} → ${answers.join(", ")}`);
      else if (rcode !== undefined) unresolved.add(`${name} ${rcode}`);
    }
    const server = facts?.tls?.sni ?? facts?.quic?.sni ?? facts?.http?.find(({ host }) => host)?.host;
    if (server) servers.add(server);
    for (const { service, user, outcome } of facts?.logins ?? []) {
      if (outcome === "accepted") accepted.add(user ? `${user} (${service})` : service);
      if (outcome === "refused") refused.add(user ? `${user} (${service})` : service);
    }
    for (const { status, account } of facts?.smb ?? []) {
      if (status === "STATUS_SUCCESS" && account) accepted.add(`${account} (smb)`);
      if (status === "STATUS_LOGON_FAILURE") refused.add(`${account ?? "?"} (smb)`);
    }
  }
  for (const open of ports) silent.delete(open);
  const kinds: [name: string, values: Set<string>][] = [
    ["Ports that answered", ports],
    ["Ports that did not", silent],
    ["Names that resolved", resolved],
    ["Names that did not", unresolved],
    ["Servers named", servers],
    ["Log-ins that succeeded", accepted],
    ["Log-ins refused", refused],
  ];
  return kinds.flatMap(([name, values]) =>
    values.size === 0
      ? []
      : [{ name, values: [...values].slice(0, shownMax), more: Math.max(0, values.size - shownMax) }]
  );
}
