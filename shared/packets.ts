/** Packets as evidence: how a sensor answers when the aggregator asked for the packets of some flows.
 *
 * In, out: the header fields of `POST /api/v1/packets`, whose body is a pcapng file, empty where there are no packets.
 * Invariant: the signature covers every field, the hash of the body among them;
 * what is longer or of another form is not read.
 * Requests travel in the answer to a check-in (control.ts), so that a sensor behind NAT can be asked. @module */

import type { KeyObject } from "node:crypto";
import { sha256Hex, signText } from "./batch.ts";

/** Bounds that both sides keep. */
export const packetLimits = {
  /** Octets of one answer. */
  fileBytesMax: 4 * 1024 * 1024,
  /** Requests in one answer to a check-in. */
  requestsMax: 8,
  /** Flows of one request. */
  flowsMax: 32,
} as const;

/** A flow as the ring of one sensor knows it; times are that sensor's own, microseconds since the epoch. */
export interface WantedFlow {
  community_id: string;
  from_us: number;
  to_us: number;
}

/** `found`: the body holds packets. `too_late`: the ring begins after the flows did, and holds none of them. `absent`:
 * the ring reaches far enough back and holds none. `off`: the sensor keeps no packets. */
export const packetOutcomes = ["found", "too_late", "absent", "off"] as const;
export type PacketOutcome = typeof packetOutcomes[number];

export interface PacketsHeader {
  sensor: string;
  /** Id of the request. */
  request: string;
  outcome: PacketOutcome;
  packets: number;
  /** Packets of the flows that did not fit into the file. */
  left_out: number;
  /** Stamp of the oldest packet in the ring, ms since the epoch; 0 = the ring is empty. */
  oldest: number;
  /** Of the body, hex. */
  sha256: string;
  /** Ed25519 over {@link packetsText}, base64. */
  signature: string;
}

const forms: Readonly<Record<keyof PacketsHeader, RegExp>> = {
  sensor: /^[A-Za-z0-9_-]{1,64}$/,
  request: /^[0-9a-f]{16}$/,
  outcome: new RegExp(`^(?:${packetOutcomes.join("|")})$`),
  packets: /^[0-9]{1,9}$/,
  left_out: /^[0-9]{1,9}$/,
  oldest: /^[0-9]{1,15}$/,
  sha256: /^[0-9a-f]{64}$/,
  signature: /^[A-Za-z0-9+/]{86}==$/,
};
const names = Object.keys(forms) as (keyof PacketsHeader)[];

const nameOf = (field: string) => `picket-${field.replace("_", "-")}`;

/** What each HTTP header holds, by its name. */
export const packetsHeaderWords: Readonly<Record<string, string>> = {
  "picket-sensor": "Id of the sensor",
  "picket-request": "Id of the request, as the answer to a check-in gave it",
  "picket-outcome": packetOutcomes.join(", "),
  "picket-packets": "Packets in the body",
  "picket-left-out": "Packets that did not fit",
  "picket-oldest": "Stamp of the oldest packet in the ring, ms; 0 = the ring is empty",
  "picket-sha256": "SHA-256 of the body, hex",
  "picket-signature":
    'base64(Ed25519("picket.packets.v1" and the fields above in this order, one a line, joined by "\\n"))',
};

/** Text that is signed. */
export function packetsText(header: Omit<PacketsHeader, "signature">): string {
  const { sensor, request, outcome, packets, left_out, oldest, sha256 } = header;
  return ["picket.packets.v1", sensor, request, outcome, packets, left_out, oldest, sha256].join("\n");
}

export function signPackets(
  fields: Omit<PacketsHeader, "signature" | "sha256">,
  body: Uint8Array,
  privateKey: KeyObject,
): PacketsHeader {
  const unsigned = { ...fields, sha256: sha256Hex(body) };
  return { ...unsigned, signature: signText(packetsText(unsigned), privateKey) };
}

export function writePacketsHeader(header: PacketsHeader): Record<string, string> {
  return Object.fromEntries(names.map((name) => [nameOf(name), String(header[name])]));
}

/** Null = a field is missing or malformed. */
export function readPacketsHeader(get: (name: string) => string | undefined): PacketsHeader | null {
  const texts = names.map((name) => [name, get(nameOf(name)) ?? ""] as const);
  if (texts.some(([name, text]) => text.length > 128 || !forms[name].test(text))) return null;
  const fields = Object.fromEntries(texts) as Record<keyof PacketsHeader, string>;
  return {
    ...fields,
    outcome: fields.outcome as PacketOutcome,
    packets: Number(fields.packets),
    left_out: Number(fields.left_out),
    oldest: Number(fields.oldest),
  };
}
