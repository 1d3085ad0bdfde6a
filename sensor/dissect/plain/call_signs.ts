/** Signs of messages that are read on the spot wherever in a flow they stand: DCE/RPC calls, LDAP requests, industrial protocols, log-ins.
 *
 * In: a packet with payload. Out: what it is to be read as. Invariant: what is named here the readers can read, so that the dissector is
 * never given the packets of a long session. Hot path: two look-ups of a table and one comparison for most packets, no allocation.
 * @module */

import type { Packet } from "../../decode/packet.ts";
import { icsPort, isIcs } from "./ics_message.ts";
import { isLdap } from "./ldap_message.ts";
import { loginPorts, readLogin } from "./login_message.ts";
import { plainKind } from "./plain.ts";
import { findPipeCall, isRpc, isRpcCall } from "./rpc_message.ts";

export { isRpcLogin } from "./rpc_message.ts";

const icsPorts = new Uint8Array(65_536);
for (const port of Object.values(icsPort)) icsPorts[port] = 1;
const isLoginPort = new Uint8Array(65_536);
for (const port of loginPorts) isLoginPort[port] = 1;
/** Payload packets each way in which a log-in is looked for. */
const loginPacketsMax = 64;
const pipeBytesMin = 20;
const tcp = 6, udp = 17;
const ldapPort = 389, catalogPort = 3268;

function isLogin(packet: Packet, buffer: Uint8Array): boolean {
  const port = loginPortOf(packet);
  const at = packet.payloadOffset;
  return readLogin(buffer, at, at + packet.payloadCaptured, port, packet.srcPort === port) !== null;
}

/** Of TCP; 0 = neither is one. */
function loginPortOf({ protocol, srcPort, dstPort }: Packet): number {
  if (protocol !== tcp) return 0;
  if (isLoginPort[dstPort] === 1) return dstPort;
  return isLoginPort[srcPort] === 1 ? srcPort : 0;
}

/** The port of an industrial protocol or of a service with log-ins, else the lower one. */
export function callPort(packet: Packet): number {
  const { srcPort, dstPort } = packet;
  if (icsPorts[dstPort] === 1) return dstPort;
  return icsPorts[srcPort] === 1 ? srcPort : loginPortOf(packet) || Math.min(srcPort, dstPort);
}

/** `rpc`, `pipe`, `ldap`, `cldap`, `login`, `ics` or `none` of `plainKind`. */
export function callKind(packet: Packet, buffer: Uint8Array, payloadIndex: number): number {
  const at = packet.payloadOffset;
  const length = packet.payloadCaptured;
  if (length < 4) return plainKind.none;
  if (icsPorts[packet.dstPort] === 1 || icsPorts[packet.srcPort] === 1) {
    return isIcs(buffer, at, length, callPort(packet)) ? plainKind.ics : plainKind.none;
  }
  if (loginPortOf(packet) !== 0 && payloadIndex < loginPacketsMax) {
    return isLogin(packet, buffer) ? plainKind.login : plainKind.none;
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
