/** Payloads that are read where they arrive, without the dissector.
 *
 * In: where the chooser found a payload, and of what kind it seems to be. Out: facts and the name of the application
 * protocol, or null: "not plain, ask the dissector". Invariant: what is read here is, letter for letter, what tshark
 * says of the same packet, or of the handshake flight it begins, and no packet that tshark gets later needs this one to
 * be understood; `test/golden/plain_test.ts` compares the two on real captures. More is read than tshark says on ports
 * where it guesses or knows nothing (hellos, SSH banners, Gnutella, HTTP/2), and of messages that it is never given
 * (exploits).
 * Why: on ordinary traffic these few kinds are two thirds of all packets that carry meaning,
 * and tshark takes 15-40 us for each. @module */

import type { Facts } from "../../../shared/facts.ts";
import { boundText } from "../facts/bounds.ts";
import { noteLogin, settleLogin } from "../facts/logins.ts";
import { readDnsMessage } from "./dns_message.ts";
import { readExploit } from "./exploit_message.ts";
import { readBody } from "./http_body.ts";
import { Http2Reader } from "./http2_message.ts";
import { readHttpMessage } from "./http_message.ts";
import { readIcs } from "./ics_message.ts";
import { readText } from "./read_octets.ts";
import { readLdap } from "./ldap_message.ts";
import { readLogin } from "./login_message.ts";
import { readNbns } from "./nbns_message.ts";
import { readPipeCall, readRpcCalls, RpcBindings } from "./rpc_message.ts";
import { readSnmp } from "./snmp_message.ts";
import { plainKind } from "./plain_kind.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";
import { SshAnswers } from "./ssh_answers.ts";
import { readTlsHello } from "./tls_hello.ts";

/** What the chooser tells of the packet it chose last. */
export interface ChosenPacket extends PlainPayload {
  /** It goes on with a message that an earlier packet began. */
  readonly isContinuing: boolean;
  /** All that is wanted of the message begun in this packet has been read: the packets that go on with it need not be
   * chosen. */
  settle(): void;
}

/** Where a payload is that may be read on the spot. */
export interface PlainPayload {
  /** Of {@link plainKind}. */
  readonly plainKind: number;
  readonly plainOffset: number;
  /** Octets that are here. */
  readonly plainLength: number;
  /** It was longer on the wire; of DNS messages and of kinds whose header says all. */
  readonly plainIsCut: boolean;
  /** The port that says what it is: mostly the lower one. */
  readonly plainPort: number;
  /** The sender has that port. */
  readonly isFromServer: boolean;
  /** TCP sequence number of its first octet. */
  readonly plainSeq: number;
}

/** What was read of packets before. */
export class PlainMemory {
  readonly bindings = new RpcBindings();
  readonly http2 = new Http2Reader();
  readonly ssh = new SshAnswers();
}

const dnsApps: Readonly<Record<number, string>> = { 53: "dns", 5353: "mdns", 5355: "llmnr" };
const bannerBytesMax = 255;

/** Reads the payload into `facts`. Returns the application protocol, "" = its name is for the
 * dissector to tell, null when nothing was read. */
export function readPlain(
  payload: PlainPayload,
  buffer: Uint8Array,
  facts: SegmentFacts,
  flowId: number,
  memory: PlainMemory,
): string | null {
  const { bindings } = memory;
  const { plainKind: kind, plainOffset: at, plainLength: length, plainPort: port } = payload;
  switch (kind) {
    case plainKind.dns:
      return readDnsMessage(buffer, at, length, payload.plainIsCut, facts) ? dnsApps[port] : null;
    case plainKind.http:
      return readHttpMessage(buffer, at, length, facts) ? "http" : null;
    case plainKind.ssdp:
      return readHttpMessage(buffer, at, length, facts) ? "ssdp" : null;
    case plainKind.hello:
      return facts.addOthers((others) => readTlsHello(buffer, at, length, others)) ? "tls" : null;
    case plainKind.laterHello:
      return facts.addOthers((others) => readTlsHello(buffer, at, length, others)) ? "" : null;
    case plainKind.ssh:
      return facts.addOthers((others) => readBanner(buffer, at, length, payload.isFromServer, others))
        ? "ssh"
        : null;
    case plainKind.sshAnswer:
      facts.addOthers((others) => memory.ssh.read(flowId, length, payload.plainIsCut, others));
      return "ssh";
    case plainKind.tls:
      return "tls";
    case plainKind.nbns:
      readNbns(buffer, at, length, facts);
      return "nbns";
    case plainKind.gnutella:
      return "gnutella";
    case plainKind.rpc:
      facts.addOthers((others) =>
        readRpcCalls(buffer, at, length, { id: flowId, bindings, pipe: 0 }, others)
      );
      return "dcerpc";
    case plainKind.pipe:
      facts.addOthers((others) => readPipeCall(buffer, at, length, { id: flowId, bindings }, others));
      return "smb";
    case plainKind.exploit:
      return facts.addOthers((others) => readExploit(buffer, at, length, others));
    case plainKind.ldap:
    case plainKind.cldap:
      return facts.addOthers((others) => readLdap(buffer, at, length, others))
        ? (kind === plainKind.ldap ? "ldap" : "cldap")
        : null;
    case plainKind.requestBody:
    case plainKind.responseBody:
      readBody(buffer, at, length, kind === plainKind.requestBody, facts);
      return "http";
    case plainKind.snmp:
      facts.addOthers((others) => readSnmp(buffer, at, length, payload.isFromServer, others));
      return "snmp";
    case plainKind.login:
      return facts.addOthers((others) => keepLogin(buffer, payload, others));
    case plainKind.ics:
      return facts.addOthers((others) => readIcs(buffer, at, length, port, payload.isFromServer, others));
    case plainKind.http2:
    case plainKind.http2More:
    case plainKind.http2Middle:
    case plainKind.http2Upgrade:
      memory.http2.read(payload, buffer, facts, flowId);
      return "http2";
    default:
      return null;
  }
}

/** Services that `app_protocol` has another name for. */
const loginApps: Readonly<Record<string, string>> = { postgresql: "pgsql" };
function keepLogin(buffer: Uint8Array, payload: PlainPayload, facts: Facts): string | null {
  const { plainOffset: at, plainLength, plainPort, isFromServer } = payload;
  const login = readLogin(buffer, at, at + plainLength, plainPort, isFromServer);
  if (login === null) return null;
  if (login.user !== undefined) login.user = boundText(facts, login.user);
  // Telnet and VNC ask for the proof themselves; the client's answer is one octet at a time, or tells nothing.
  if (isFromServer && login.outcome !== "asked") {
    // Of VNC the kind of proof may look like a refusal, where it stands alone.
    settleLogin(facts, login, login.outcome === "refused" && login.service !== "vnc");
  } else {
    noteLogin(facts, login);
  }
  return loginApps[login.service] ?? login.service;
}

/** "SSH-2.0-OpenSSH_9.2" and a line end (RFC 4253, 4.2). tshark looks for it on port 22 only. */
function readBanner(
  buffer: Uint8Array,
  at: number,
  length: number,
  isFromServer: boolean,
  facts: Facts,
): boolean {
  let end = buffer.subarray(at, at + Math.min(length, bannerBytesMax)).indexOf(10);
  if (end < 0) return false;
  if (end > 0 && buffer[at + end - 1] === 13) end--;
  const banner = readText(buffer, at, at + end);
  if (banner === null) return false;
  const fact = facts.ssh ??= {};
  if (isFromServer) fact.server ??= boundText(facts, banner);
  else fact.client ??= boundText(facts, banner);
  return true;
}
