/** Hosts as lines for a terminal. Invariant: whatever came over the wire is escaped. @module */

import { escapeLine } from "../../shared/escape.ts";
import type { Host, HostDetails, Service } from "../model/host.ts";
import { span } from "../fleet/span.ts";
import type { Threat } from "../model/threat.ts";
import { type Place, placeText } from "../model/place.ts";
import { amount } from "./words.ts";

const listMax = 10;
const namesMax = 3;

export type HostRow = Host & { inside: boolean; place?: Place };
export type HostPage = Omit<HostRow, "threats"> & HostDetails & { threats: Threat[] };

/** One line: address, names, how much, when. */
export function hostLine(host: HostRow, nowMs: number): string {
  const names = host.names.slice(0, namesMax).join(", ");
  const place = placeText(host.place);
  const threats = host.threats === 0 ? "" : `, ${counted(host.threats, "threat")}`;
  return escapeLine(
    `${host.ip}${names === "" ? "" : ` (${names})`}, ${host.inside ? "inside" : "outside"}${
      place === "" ? "" : ` (${place})`
    }, network ${host.network}: ` +
      `${counted(host.flows, "flow")}, ${amount(host.bytes)} octets, seen ${
        ago(host.last_seen_ms, nowMs)
      }${threats}`,
  );
}

/** One host: who it is, what it offers and uses, with whom it speaks, what was found. */
export function hostLines(host: HostPage, nowMs: number): string[] {
  const lines = [
    hostLine({ ...host, threats: host.threats.length }, nowMs),
    `  first seen ${ago(host.first_seen_ms, nowMs)}, by ${
      host.sensors.length === 0 ? "no sensor any more" : host.sensors.join(", ")
    }`,
    ...list("names", host.names, (name) => name),
    ...list("MACs", host.macs, (mac) => mac),
    ...list(
      "offers",
      host.services,
      (one) => `${serviceText(one)}: ${counted(one.flows, "flow")}, ${counted(one.clients, "client")}`,
    ),
    ...list("uses", host.uses, (one) => `${serviceText(one)} at ${one.ip}: ${counted(one.flows, "flow")}`),
    ...list(
      "speaks with",
      host.peers,
      (peer) => `${peer.ip}: ${counted(peer.flows, "flow")}, ${amount(peer.bytes)} octets`,
    ),
    ...list("threats", host.threats, (threat) => `${threat.severity}: ${threat.title}, ${threat.id}`),
  ];
  return lines.map((line) => escapeLine(line));
}

function list<Item>(title: string, items: readonly Item[], text: (item: Item) => string): string[] {
  if (items.length === 0) return [];
  const left = items.length - listMax;
  return [
    `  ${title}`,
    ...items.slice(0, listMax).map((item) => `    ${text(item)}`),
    ...(left > 0 ? [`    and ${amount(left)} more`] : []),
  ];
}

function serviceText({ protocol, port, app }: Service): string {
  return `${protocol} ${port}${app === "" ? "" : ` (${app})`}`;
}

function counted(count: number, word: string): string {
  return `${amount(count)} ${word}${count === 1 ? "" : "s"}`;
}

function ago(ms: number, nowMs: number): string {
  return ms > nowMs ? "just now" : `${span(nowMs - ms)} ago`;
}
