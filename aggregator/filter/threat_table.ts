/** What threats can be filtered by. @module */

import { lowerAscii } from "../model/filter.ts";
import { severities, type Threat, threatStatuses } from "../model/threat.ts";
import { countryOf, subnetOf, type Table } from "./columns.ts";

const addresses = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"] as const;
const us = (seconds: number) => Math.round(seconds * 1e6);

export const threatTable: Table<Threat> = {
  columns: {
    severity: {
      type: "choice",
      words: severities,
      isOrdered: true,
      about: "From info to critical",
      examples: ["high", "critical"],
      read: ({ severity }) => [severities.indexOf(severity)],
    },
    kind: {
      type: "word",
      letters: "lower",
      about: "Detector that found it",
      examples: ["port_scan_vertical"],
      read: ({ detector }) => [detector],
    },
    status: {
      type: "choice",
      words: threatStatuses,
      about: "What a person decided",
      examples: ["open", "closed"],
      read: ({ status }) => [threatStatuses.indexOf(status)],
    },
    ip: {
      type: "address",
      about: "Attacker or victim",
      examples: addresses,
      read: ({ src_ips, dst_ips }) => [...src_ips, ...dst_ips],
    },
    src_ip: { type: "address", about: "Attacker", examples: addresses, read: ({ src_ips }) => src_ips },
    dst_ip: { type: "address", about: "Victim", examples: addresses, read: ({ dst_ips }) => dst_ips },
    port: {
      type: "number",
      max: 65_535,
      about: "The one port concerned, where there is one",
      examples: ["22"],
      read: ({ dst_port }) => dst_port === null ? [] : [dst_port],
    },
    score: {
      type: "number",
      max: 100,
      about: "Sum of the reasons' points",
      examples: ["70"],
      read: ({ score }) => [score],
    },
    flows: { type: "number", about: "Flows concerned", examples: ["1000"], read: ({ flows }) => [flows] },
    technique: {
      type: "word",
      about: "ATT&CK technique",
      examples: ["T1046"],
      read: ({ technique }) => [technique],
    },
    title: {
      type: "text",
      about: "A few words",
      examples: ['"scan"'],
      read: ({ title }) => [lowerAscii(title)],
    },
    network: {
      type: "word",
      about: "Site, or global",
      examples: ["global"],
      read: ({ network }) => [network],
    },
    country: countryOf("Country of an address outside", ({ src_ips, dst_ips }) => [...src_ips, ...dst_ips]),
    src_country: countryOf("Country of an attacker outside", ({ src_ips }) => src_ips),
    dst_country: countryOf("Country of a victim outside", ({ dst_ips }) => dst_ips),
    subnet: subnetOf("Named network of either side", ({ src_ips, dst_ips }) => [...src_ips, ...dst_ips]),
    src_subnet: subnetOf("Named network of an attacker", ({ src_ips }) => src_ips),
    dst_subnet: subnetOf("Named network of a victim", ({ dst_ips }) => dst_ips),
    sensor: {
      type: "word",
      about: "Seen by this sensor, by name or id",
      examples: ["roof"],
      read: ({ sensors }) => sensors,
    },
    first_seen: {
      type: "time",
      about: "First packet of it",
      examples: ["now-1h", "2026-01-31T12:00:00Z"],
      read: ({ first_seen }) => [us(first_seen)],
    },
    last_seen: {
      type: "time",
      about: "Last packet of it",
      examples: ["now-1h", "2026-01-31T12:00:00Z"],
      read: ({ last_seen }) => [us(last_seen)],
    },
  },
  aliases: { detector: "kind", dst_port: "port", site: "network", sensor_id: "sensor" },
};
