/** Signs of messages that are read on the spot wherever in a flow they stand: DCE/RPC calls, LDAP requests, industrial protocols.
 *
 * In: a packet with payload. Out: what it is to be read as. Invariant: what is named here the readers can read, so that the dissector is
 * never given the packets of a long session. Hot path: two look-ups of a table and one comparison for most packets, no allocation.
 * @module */

import type { Packet } from "../../decode/packet.ts";
import { icsPort, isIcs } from "./ics_message.ts";
import { isLdap } from "./ldap_message.ts";
import { plainKind } from "./plain.ts";
import { findPipeCall, isRpc, isRpcCall } from "./rpc_message.ts";

export { isRpcLogin } from "./rpc_message.ts";

const icsPorts = new Uint8Array(65_536);
for (const port of Object.values(icsPort)) icsPorts[port] = 1;
const pipeBytesMin = 20;
const udp = 17;
const ldapPort = 389, catalogPort = 3268;

/** The port of an industrial protocol, else the lower one. */
export function callPort({ srcPort, dstPort }: Packet): number {
  if (icsPorts[dstPort] === 1) return dstPort;
  return icsPorts[srcPort] === 1 ? srcPort : Math.min(srcPort, dstPort);
}

/** `rpc`, `pipe`, `ldap`, `cldap`, `ics` or `none` of `plainKind`. */
export function callKind(packet: Packet, buffer: Uint8Array, payloadIndex: number): number {
  const at = packet.payloadOffset;
  const length = packet.payloadCaptured;
  if (length < 4) return plainKind.none;
  if (icsPorts[packet.dstPort] === 1 || icsPorts[packet.srcPort] === 1) {
    return isIcs(buffer, at, length, callPort(packet)) ? plainKind.ics : plainKind.none;
  }
  const first = buffer[at];
  if (first === 0x30) {
    const port = Math.min(packet.srcPort, packet.dstPort);
    if ((port !== ldapPort && port !== catalogPort) || !isLdap(buffer, at, length)) return plainKind.none;
    return packet.protocol === udp ? plainKind.cldap : plainKind.ldap;
  }
  if (first === 5) {
    const matters = payloadIndex === 0 ? isRpc(buffer, at, length) : isRpcCall(buffer, at, length);
    return matters ? plainKind.rpc : plainKind.none;
  }
  if (first === 0 && length >= pipeBytesMin && findPipeCall(buffer, at, length) >= 0) return plainKind.pipe;
  return plainKind.none;
}
