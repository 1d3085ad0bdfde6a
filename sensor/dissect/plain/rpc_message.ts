/** Reads the headers of DCE/RPC requests where they arrive, over TCP or in an SMB pipe, without the dissector.
 *
 * In: a payload that begins with a request's header (C706, 12.6), or an SMB message that writes one to a pipe. Out: one
 * entry of `facts.rpc` for each interface bound and each operation called.
 * Invariant: UUIDs and numbers are those tshark prints.
 * The header is in the clear even where what is called with is sealed.
 * Bounds: {@link messagesMax} requests a packet, {@link contextsMax} interfaces a bind, {@link bindingsMax} binds
 * remembered; a call whose bind was forgotten, or never seen, has the interface "".
 * Why here and not by tshark: it would need a dissector for each interface, most of them rarely used and large,
 * on what anybody sends. @module */

import type { Facts } from "../../../shared/facts.ts";
import { boundText, countEntry } from "../facts/bounds.ts";
import { rpcInterface, rpcOperation } from "../facts/rpc_names.ts";
import { littleShort as short } from "./read_octets.ts";

const headerBytes = 24;
const messagesMax = 8;
const contextsMax = 16;
const bindingsMax = 4_096;
const kind = { request: 0, bind: 11, alterContext: 14, auth3: 16, last: 20 } as const;
const littleEndian = 0x10;
const firstFragment = 1;
/** A context of a bind: number, count of syntaxes, UUID and version, one transfer syntax. */
const contextBytes = 44;
const syntaxBytes = 20;

/** Commands of SMB 1 and 2 that write to a pipe. */
const smb1 = { transaction: 0x25, write: 0x2f } as const;
const smb2 = { write: 9, ioctl: 11 } as const;
const pipeTransceive = 0x0011c017;

/** What the flows' clients bound, by flow, pipe and context. The one bound longest ago goes first. */
export class RpcBindings {
  readonly #uuids = new Map<string, string>();

  keep(flowId: number, pipe: number, context: number, uuid: string): void {
    if (this.#uuids.size >= bindingsMax) {
      for (const oldest of this.#uuids.keys()) {
        this.#uuids.delete(oldest);
        break;
      }
    }
    this.#uuids.set(`${flowId} ${pipe} ${context}`, uuid);
  }

  /** The UUID, "" = not known. */
  find(flowId: number, pipe: number, context: number): string {
    return this.#uuids.get(`${flowId} ${pipe} ${context}`) ?? "";
  }
}

/** Whether a DCE/RPC message begins here, of whatever kind. */
export function isRpc(buffer: Uint8Array, at: number, length: number): boolean {
  return length >= headerBytes && buffer[at] === 5 && buffer[at + 1] <= 1 && buffer[at + 2] < kind.last &&
    buffer[at + 4] === littleEndian && buffer[at + 5] === 0 && buffer[at + 6] === 0 && buffer[at + 7] === 0 &&
    short(buffer, at + 8) >= 16;
}

/** Whether it is a request, or binds an interface. */
export function isRpcCall(buffer: Uint8Array, at: number, length: number): boolean {
  const type = buffer[at + 2];
  return (type === kind.request || type === kind.bind || type === kind.alterContext) &&
    isRpc(buffer, at, length);
}

/** Whether it ends a log-in, and names the user. */
export function isRpcLogin(buffer: Uint8Array, at: number, length: number): boolean {
  return buffer[at + 2] === kind.auth3 && isRpc(buffer, at, length);
}

/** Where in an SMB message, which begins with its NetBIOS header, a request to a pipe begins; -1 = it is no such
 * message. At least twenty octets. */
export function findPipeCall(buffer: Uint8Array, at: number, length: number): number {
  const smb = at + 4;
  if (buffer[smb + 1] !== 0x53 || buffer[smb + 2] !== 0x4d || buffer[smb + 3] !== 0x42) return -1;
  const found = buffer[smb] === 0xfe
    ? findSmb2(buffer, smb)
    : buffer[smb] === 0xff
    ? findSmb1(buffer, smb)
    : -1;
  return found >= smb && isRpcCall(buffer, found, at + length - found) ? found : -1;
}

function findSmb2(buffer: Uint8Array, smb: number): number {
  const command = short(buffer, smb + 12);
  const body = smb + 64;
  // An answer has the same command.
  if ((buffer[smb + 16] & 1) !== 0) return -1;
  if (command === smb2.write) return smb + short(buffer, body + 2);
  if (command !== smb2.ioctl || long(buffer, body + 4) !== pipeTransceive) return -1;
  return smb + long(buffer, body + 24);
}

function findSmb1(buffer: Uint8Array, smb: number): number {
  const command = buffer[smb + 4];
  const words = smb + 33;
  if ((buffer[smb + 9] & 0x80) !== 0) return -1;
  if (command === smb1.write) return smb + short(buffer, words + 22);
  return command === smb1.transaction ? smb + short(buffer, words + 24) : -1;
}

/** A number for the pipe that an SMB message writes to. */
function pipeOf(buffer: Uint8Array, at: number): number {
  const smb = at + 4;
  if (buffer[smb] === 0xfe) {
    const id = smb + 64 + (short(buffer, smb + 12) === smb2.write ? 16 : 8);
    return long(buffer, id) ^ long(buffer, id + 8);
  }
  return short(buffer, smb + 33 + (buffer[smb + 4] === smb1.write ? 4 : 30));
}

/** Reads a request in a pipe. */
export function readPipeCall(
  buffer: Uint8Array,
  at: number,
  length: number,
  flow: { id: number; bindings: RpcBindings },
  facts: Facts,
): void {
  const start = findPipeCall(buffer, at, length);
  if (start >= 0) {
    readRpcCalls(buffer, start, at + length - start, { ...flow, pipe: pipeOf(buffer, at) }, facts);
  }
}

/** Reads the requests that follow one another from `at` on. */
export function readRpcCalls(
  buffer: Uint8Array,
  at: number,
  length: number,
  flow: { id: number; bindings: RpcBindings; pipe: number },
  facts: Facts,
): void {
  const limit = at + length;
  let start = at;
  for (let messages = 0; messages < messagesMax && isRpc(buffer, start, limit - start); messages++) {
    const end = start + short(buffer, start + 8);
    const type = buffer[start + 2];
    const isFirst = (buffer[start + 3] & firstFragment) !== 0;
    if (type === kind.request && isFirst) {
      const uuid = flow.bindings.find(flow.id, flow.pipe, short(buffer, start + 20));
      keepCall(facts, uuid, short(buffer, start + 22));
    } else if (type === kind.bind || type === kind.alterContext) {
      readContexts(buffer, start, Math.min(end, limit), flow, facts);
    }
    start = end;
  }
}

function keepCall(facts: Facts, uuid: string, opnum: number): void {
  const operation = rpcOperation(uuid, opnum);
  const entry = { interface: rpcInterface(uuid), opnum, ...operation !== "" && { operation } };
  countEntry(facts, facts.rpc ??= [], entry);
}

function readContexts(
  buffer: Uint8Array,
  at: number,
  limit: number,
  flow: { id: number; bindings: RpcBindings; pipe: number },
  facts: Facts,
): void {
  const count = Math.min(buffer[at + headerBytes], contextsMax);
  let context = at + headerBytes + 4;
  let last = "";
  for (let i = 0; i < count && context + contextBytes - syntaxBytes <= limit; i++) {
    const uuid = uuidAt(buffer, context + 4);
    flow.bindings.keep(flow.id, flow.pipe, short(buffer, context), uuid);
    // The same interface is offered once for each way to encode what it is called with.
    if (uuid !== last) {
      countEntry(facts, facts.rpc ??= [], { interface: boundText(facts, rpcInterface(uuid)) });
    }
    last = uuid;
    context += contextBytes - syntaxBytes + syntaxBytes * buffer[context + 2];
  }
}

function uuidAt(buffer: Uint8Array, at: number): string {
  const hex = (from: number, to: number) => buffer.subarray(at + from, at + to).toHex();
  const turned = (from: number, to: number) => buffer.slice(at + from, at + to).reverse().toHex();
  return `${turned(0, 4)}-${turned(4, 6)}-${turned(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
}

function long(buffer: Uint8Array, at: number): number {
  return (short(buffer, at) | short(buffer, at + 2) << 16) >>> 0;
}
