/** Signs of messages that are read on the spot wherever in a flow they stand: DCE/RPC calls, LDAP requests, industrial
 * protocols, NetBIOS names, log-ins, exploits.
 *
 * In: a packet with payload. Out: what it is to be read as. Invariant: what is named here the readers can read, so that
 * the dissector is never given the packets of a long session.
 * Hot path: two look-ups of a table and one comparison for most packets, no allocation.
 * @module */

import type { Packet } from "../../decode/packet.ts";
import { asksForT120, readOddSmb } from "./exploit_message.ts";
import { icsPort, isIcs } from "./ics_message.ts";
import { isLdap } from "./ldap_message.ts";
import { loginPorts, readLogin } from "./login_message.ts";
import { isNbns } from "./nbns_message.ts";
import { plainKind } from "./plain_kind.ts";
import { findPipeCall, isRpc, isRpcCall } from "./rpc_message.ts";
import { readRedis, redisPort } from "./redis_message.ts";
import { isSnmp } from "./snmp_message.ts";

export { isRpcLogin } from "./rpc_message.ts";

/** By port: of an industrial protocol, of a service with log-ins, of Redis. One table, as it is looked up for every
 * packet. */
const isIcsPort = 1, isLoginPort = 2, isRedisPort = 4;
const signs = new Uint8Array(65_536);
for (const port of Object.values(icsPort)) signs[port] = isIcsPort;
for (const port of loginPorts) signs[port] = isLoginPort;
signs[redisPort] = isRedisPort;
/** Payload packets each way in which a log-in is looked for, or a command to Redis. */
const loginPacketsMax = 64;
const pipeBytesMin = 20;
const tcp = 6, udp = 17;
const rdpPort = 3389, nbnsPort = 137, snmpPort = 161, ldapPort = 389, catalogPort = 3268;

/** The port that decides what a call is: one with a sign, the receiver's first, else the lower one. */
export function callPort({ srcPort, dstPort }: Packet): number {
  if (signs[dstPort] !== 0) return dstPort;
  return signs[srcPort] !== 0 ? srcPort : Math.min(srcPort, dstPort);
}

/** Of `plainKind`: what it is to be read as, or `none`. */
export function callKind(packet: Packet, buffer: Uint8Array, payloadIndex: number): number {
  const at = packet.payloadOffset;
  const length = packet.payloadCaptured;
  if (length < 4) return plainKind.none;
  if ((signs[packet.dstPort] | signs[packet.srcPort]) !== 0) {
    const port = callPort(packet);
    if (signs[port] === isIcsPort) return isIcs(buffer, at, length, port) ? plainKind.ics : plainKind.none;
    if (packet.protocol === tcp && payloadIndex < loginPacketsMax) {
      const isFromServer = packet.srcPort === port && packet.dstPort !== port;
      if (port === redisPort && !isFromServer && readRedis(buffer, at, length) !== "") {
        return plainKind.exploit;
      }
      const login = readLogin(buffer, at, at + length, port, isFromServer);
      if (login !== null) return plainKind.login;
      return port === rdpPort && asksForT120(buffer, at, length) ? plainKind.exploit : plainKind.none;
    }
  }
  if (packet.protocol === udp && Math.min(packet.srcPort, packet.dstPort) === nbnsPort) {
    return isNbns(buffer, at, length) ? plainKind.nbns : plainKind.none;
  }
  const first = buffer[at];
  if (first === 0x30) {
    const port = Math.min(packet.srcPort, packet.dstPort);
    if (port === snmpPort && packet.protocol === udp) {
      return isSnmp(buffer, at, length) ? plainKind.snmp : plainKind.none;
    }
    if ((port !== ldapPort && port !== catalogPort) || !isLdap(buffer, at, length)) return plainKind.none;
    return packet.protocol === udp ? plainKind.cldap : plainKind.ldap;
  }
  if (packet.protocol === udp) return plainKind.none;
  if (first === 5) {
    const matters = payloadIndex === 0 ? isRpc(buffer, at, length) : isRpcCall(buffer, at, length);
    return matters ? plainKind.rpc : plainKind.none;
  }
  if (first !== 0 || length < pipeBytesMin) return plainKind.none;
  if (findPipeCall(buffer, at, length) >= 0) return plainKind.pipe;
  return readOddSmb(buffer, at, length) === null ? plainKind.none : plainKind.exploit;
}
