/** TCP connection state in Zeek's words, from flags alone.
 *
 * In: the state bits of a flow, the direction and flags of a packet. Out: the new bits; at export the `conn_state`.
 * Source: Zeek's TCPSessionAdapter (endpoint states and their transitions) and base/protocols/conn/main.zeek (the
 * words).
 * What it does not mean: sequence numbers are not checked, so a forged RST counts as one. Hot path: integers only.
 * @module */

import type { ConnState } from "../../shared/segment.ts";

export const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

/** Endpoint states; three bits each: initiator, responder, and what either was before its RST. */
const inactive = 0, synSent = 1, synAckSent = 2, partial = 3, established = 4, closed = 5, reset = 6;
const respShift = 3;
const origBeforeShift = 6;
const respBeforeShift = 9;

/** More bits of the state word. */
export const stateBit = {
  isnKnown: 1 << 12,
  synSeen: 1 << 13,
  synAckSeen: 1 << 14,
  handshakeDone: 1 << 15,
  /** Of any protocol: nothing told who began the flow. */
  directionGuessed: 1 << 16,
} as const;

/** New state bits after a packet with `flags`; `isOrig` = sent by the initiator. */
export function nextState(state: number, isOrig: boolean, flags: number, payloadLength: number): number {
  // An acknowledgement on an established connection changes nothing: the common case first.
  if ((flags & 7) === 0 && (state & 0x3f) === (established | established << respShift)) return state;
  const ownShift = isOrig ? 0 : respShift;
  const peerShift = isOrig ? respShift : 0;
  const before = state >> ownShift & 7;
  let own = before;
  let peer = state >> peerShift & 7;
  switch (before) {
    case inactive: {
      const both = fromInactive(peer, isOrig, flags, payloadLength);
      own = both & 7;
      peer = both >> 3;
      break;
    }
    case synSent:
    case synAckSent:
      if ((flags & flag.fin) !== 0) own = closed;
      if ((flags & flag.rst) !== 0) own = reset;
      break;
    case partial:
    case established:
      if ((flags & flag.syn) !== 0 && (flags & flag.ack) === 0 && before === partial && peer === inactive) {
        own = synSent;
      }
      if ((flags & flag.fin) !== 0 && (flags & flag.rst) === 0) {
        own = closed;
        // FIN, then RST, from the other side was a normal end after all.
        if (peer === reset && (state >> (isOrig ? respBeforeShift : origBeforeShift) & 7) === closed) {
          peer = closed;
        }
      }
      if ((flags & flag.rst) !== 0) own = reset;
      break;
    case closed:
      if ((flags & flag.rst) !== 0 && peer !== closed) own = reset;
      break;
  }
  if (own === before && peer === (state >> peerShift & 7)) return state;
  const beforeShift = isOrig ? origBeforeShift : respBeforeShift;
  const kept = state & ~(7 << ownShift | 7 << peerShift | 7 << beforeShift);
  return kept | own << ownShift | peer << peerShift | before << beforeShift;
}

/** First packet of an endpoint. Returns its state, and the peer's in the bits above. */
function fromInactive(peer: number, isOrig: boolean, flags: number, payloadLength: number): number {
  let own = inactive;
  if ((flags & flag.syn) !== 0) {
    if (isOrig) {
      // A SYN captured after the SYN-ACK that answers it.
      if (peer === established && (flags & flag.ack) === 0) own = established;
      else own = (flags & flag.ack) !== 0 ? synAckSent : synSent;
    } else {
      if (peer === synSent) peer = established;
      own = established;
    }
  }
  if ((flags & flag.fin) !== 0) own = closed;
  if ((flags & flag.rst) !== 0) own = reset;
  if (own === inactive) {
    const isEarlyAck = !isOrig && payloadLength === 0 && peer === synSent;
    if (isEarlyAck) own = inactive;
    else if ((flags & flag.ack) !== 0 && peer === established) own = established;
    else own = partial;
  }
  return own | peer << 3;
}

/** The same state with the sides changed. */
export function turnState(state: number): number {
  const orig = state & 0o0707, resp = state & 0o7070;
  return (state & ~0o7777) | orig << respShift | resp >> respShift;
}

/** Both sides sent FIN, or either sent RST. */
export function isClosed(state: number): boolean {
  const orig = state & 7, resp = state >> respShift & 7;
  return orig === reset || resp === reset || (orig === closed && resp === closed);
}

/** Closed by RST rather than by FIN both ways. */
export function isReset(state: number): boolean {
  return (state & 7) === reset || (state >> respShift & 7) === reset;
}

/** Either side has sent FIN or RST. */
export function isClosing(state: number): boolean {
  return (state & 7) >= closed || (state >> respShift & 7) >= closed;
}

/** Neither side's SYN was seen. */
export function isMidstream(state: number): boolean {
  return (state & (stateBit.synSeen | stateBit.synAckSeen)) === 0;
}

/** Only one side has been heard. */
export function isUnanswered(state: number): boolean {
  return (state & 7) === inactive || (state >> respShift & 7) === inactive;
}

/** Zeek's `conn_state` of a TCP connection. `hasPayload` = either side sent payload. */
export function connStateOf(state: number, hasPayload: boolean): ConnState {
  const orig = state & 7, resp = state >> respShift & 7;
  const isOrigInactive = orig === inactive || orig === partial;
  const isRespInactive = resp === inactive || resp === partial;
  if (resp === reset) {
    if (orig === synSent || orig === synAckSent || (orig === reset && !hasPayload)) return "REJ";
    return isOrigInactive ? "RSTRH" : "RSTR";
  }
  if (orig === reset) return isRespInactive ? "RSTOS0" : "RSTO";
  if (orig === closed && resp === closed) return "SF";
  if (orig === closed) return isRespInactive ? "SH" : "S2";
  if (resp === closed) return isOrigInactive ? "SHR" : "S3";
  if (orig === synSent && resp === inactive) return "S0";
  return orig === established && resp === established ? "S1" : "OTH";
}
