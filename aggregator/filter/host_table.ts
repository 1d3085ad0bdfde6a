/** What hosts can be filtered by. @module */

import { isPrivateIp } from "../../shared/ip.ts";
import { lowerAscii } from "../model/filter.ts";
import type { Host } from "../model/host.ts";
import { asnOf, countryOf, subnetOf, type Table } from "./columns.ts";

const times = ["now-1h", "2026-01-31T12:00:00Z"] as const;

export const hostTable: Table<Host> = {
  columns: {
    ip: {
      type: "address",
      about: "Its address",
      examples: ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"],
      read: ({ ip }) => [ip],
    },
    inside: {
      type: "choice",
      words: ["no", "yes"],
      about: "Its address is private",
      examples: ["yes", "no"],
      read: ({ ip }) => [isPrivateIp(ip) ? 1 : 0],
    },
    name: {
      type: "text",
      about: "Name by DNS, mDNS, DHCP or a client, in any case",
      examples: ['"printer"', '"files.example.com"'],
      read: ({ names }) => names.map(lowerAscii),
    },
    mac: {
      type: "word",
      letters: "lower",
      about: "MAC, or with ~ a part of it",
      examples: ["02:00:00:00:00:05", '"02:00:00"'],
      read: ({ macs }) => macs,
    },
    port: {
      type: "number",
      max: 65_535,
      about: "Port of a service that it offers",
      examples: ["22", "3389"],
      read: ({ ports }) => ports,
    },
    flows: { type: "number", about: "Flows at either end", examples: ["100"], read: ({ flows }) => [flows] },
    packets: {
      type: "number",
      about: "Packets both ways",
      examples: ["1000"],
      read: ({ packets }) => [packets],
    },
    bytes: {
      type: "size",
      about: "Octets both ways",
      examples: ["1MB", "2GiB"],
      read: ({ bytes }) => [bytes],
    },
    threats: {
      type: "number",
      about: "Threats in which it is attacker or victim",
      examples: ["0"],
      read: ({ threats }) => [threats],
    },
    first_seen: {
      type: "time",
      about: "First packet, to the millisecond",
      examples: times,
      read: ({ first_seen_ms }) => [first_seen_ms * 1e3],
    },
    last_seen: {
      type: "time",
      about: "Last packet, to the millisecond",
      examples: times,
      read: ({ last_seen_ms }) => [last_seen_ms * 1e3],
    },
    network: {
      type: "word",
      about: "Site, or global",
      examples: ["global"],
      read: ({ network }) => [network],
    },
    country: countryOf("Country of a host outside", ({ ip }) => [ip]),
    subnet: subnetOf("Named network of the host", ({ ip }) => [ip]),
    asn: asnOf("Autonomous system of a host outside", ({ ip }) => [ip]),
  },
  aliases: { site: "network", names: "name", macs: "mac", ports: "port" },
};
