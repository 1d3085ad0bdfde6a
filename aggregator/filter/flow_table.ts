/** What flows can be filtered by. @module */

import { connStates } from "../../shared/segment.ts";
import { namesOf } from "../model/fact_names.ts";
import type { Flow } from "../model/flow.ts";
import { readFlowId } from "../model/flow_id.ts";
import { asnOf, countryOf, subnetOf, type Table } from "./columns.ts";

const port = { type: "number", max: 65_535 } as const;
const addresses = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"] as const;

export const flowTable: Table<Flow> = {
  columns: {
    ip: {
      type: "address",
      about: "Either end",
      examples: addresses,
      read: ({ src_ip, dst_ip }) => [src_ip, dst_ip],
    },
    src_ip: { type: "address", about: "Initiator", examples: addresses, read: ({ src_ip }) => [src_ip] },
    dst_ip: { type: "address", about: "Responder", examples: addresses, read: ({ dst_ip }) => [dst_ip] },
    port: {
      ...port,
      about: "Port of either end",
      examples: ["22", "443"],
      read: ({ src_port, dst_port }) => [src_port, dst_port],
    },
    src_port: {
      ...port,
      about: "Of ICMP the type",
      examples: ["1024"],
      read: ({ src_port }) => [src_port],
    },
    dst_port: {
      ...port,
      about: "Of ICMP the code",
      examples: ["22", "3389"],
      read: ({ dst_port }) => [dst_port],
    },
    protocol: {
      type: "word",
      letters: "lower",
      about: "Transport protocol",
      examples: ["tcp", "udp", "icmp"],
      read: ({ protocol }) => [protocol],
    },
    app: {
      type: "word",
      letters: "lower",
      about: 'Application protocol; "" = not recognised',
      examples: ["dns", "tls", "http"],
      read: ({ app_protocol }) => [app_protocol],
    },
    name: {
      type: "text",
      about: "DNS name, server name or host, in any case",
      examples: ['"example.com"'],
      read: ({ facts }) => facts === null ? [] : namesOf(facts).split(" "),
    },
    bytes: {
      type: "size",
      about: "Octets both ways",
      examples: ["1MB", "10KiB"],
      read: ({ fwd_bytes, bwd_bytes }) => [fwd_bytes + bwd_bytes],
    },
    fwd_bytes: {
      type: "size",
      about: "Octets from the initiator",
      examples: ["1MB"],
      read: ({ fwd_bytes }) => [fwd_bytes],
    },
    bwd_bytes: {
      type: "size",
      about: "Octets to the initiator",
      examples: ["1MB"],
      read: ({ bwd_bytes }) => [bwd_bytes],
    },
    packets: {
      type: "number",
      about: "Packets both ways",
      examples: ["100"],
      read: ({ fwd_packets, bwd_packets }) => [fwd_packets + bwd_packets],
    },
    start: {
      type: "time",
      about: "First packet, as first known",
      examples: ["now-1h", "2026-01-31T12:00:00Z"],
      read: ({ flow_id }) => [readFlowId(flow_id)?.us ?? 0],
    },
    duration: {
      type: "span",
      about: "From the first to the last packet",
      examples: ["10s", "5m"],
      read: ({ start, end }) => [Math.max(0, Math.round(end * 1e6) - Math.round(start * 1e6))],
    },
    state: {
      type: "choice",
      words: connStates,
      about: "State of the connection, as Zeek names it",
      examples: ["S0", "SF", "REJ"],
      read: ({ conn_state }) => [(connStates as readonly string[]).indexOf(conn_state)],
    },
    vlan: { type: "number", max: 4_095, about: "0 = untagged", examples: ["10"], read: ({ vlan }) => [vlan] },
    network: {
      type: "word",
      about: "Site, or global",
      examples: ["global"],
      read: ({ network }) => [network],
    },
    sensor: {
      type: "word",
      about: "Seen by this sensor, by name or id",
      examples: ["roof"],
      read: ({ fwd_sensor, bwd_sensor, seen_by }) => [
        fwd_sensor,
        bwd_sensor,
        ...seen_by.map(({ sensor_id }) => sensor_id),
      ],
    },
    country: countryOf("Country of an end outside", ({ src_ip, dst_ip }) => [src_ip, dst_ip]),
    src_country: countryOf("Country of an initiator outside", ({ src_ip }) => [src_ip]),
    dst_country: countryOf("Country of a responder outside", ({ dst_ip }) => [dst_ip]),
    subnet: subnetOf("Named network of either end", ({ src_ip, dst_ip }) => [src_ip, dst_ip]),
    src_subnet: subnetOf("Named network of the initiator", ({ src_ip }) => [src_ip]),
    dst_subnet: subnetOf("Named network of the responder", ({ dst_ip }) => [dst_ip]),
    asn: asnOf("Autonomous system of an end outside", ({ src_ip, dst_ip }) => [src_ip, dst_ip]),
  },
  aliases: {
    app_protocol: "app",
    conn_state: "state",
    sensor_id: "sensor",
    site: "network",
    total_bytes: "bytes",
    total_packets: "packets",
  },
};
