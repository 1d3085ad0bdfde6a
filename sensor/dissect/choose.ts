/** Chooses the packets that carry meaning, for the deep lane.
 *
 * In: a decoded packet, how many payload packets its direction had before, and the memory of that direction.
 * Out: yes or no, in the memory.
 * Invariant: what begins a message that matters is chosen whatever the port, and so is what continues it over a segment
 * border, unless the capture cut it or all that is wanted of it was read (`settle`); bulk data is not. A segment seen
 * before (by its sequence number) is never chosen again, so that retransmissions add no facts.
 * Hot path: no allocation; a few bytes of the payload are compared, and five numbers are kept for each direction, in a
 * table whose oldest place is taken over when it is full: a flow needs no goodbye.
 * Why this split of work: tshark dissects 50-90 thousand packets a second, the fast lane a million. @module */

import type { Packet } from "../decode/packet.ts";
import type { Chooser } from "./deep_lane.ts";
import { FragmentMemory } from "./fragment_memory.ts";
import { http2Kind } from "./http2_signs.ts";
import { callKind, callPort, isRpcLogin } from "./plain/call_signs.ts";
import type { ChosenPacket } from "./plain/plain.ts";
import { plainKind } from "./plain/plain_kind.ts";
import {
  bodyExpected,
  hasHeaderEnd,
  isDhcpPort,
  isDnsPort,
  isGnutella,
  isHttpStart,
  isKerberos,
  isPadding,
  isQuicInitial,
  isSipStart,
  isTextPort,
  isTlsPort,
  lowerPort,
  mayBegin,
  quotesDns,
  signOctets,
  smbMatters,
} from "./signs.ts";
import { bounds } from "./choose_limits.ts";
import { mayHaveName } from "./udp_signs.ts";

/** Data this far behind is not a retransmission: the segment before it lied about its place,
 * or the numbers began anew. */
const resyncBytes = 1_048_576;

/** What the next segment of a direction continues. */
const mode = { none: 0, header: 1, records: 2, message: 3, body: 4, early: 5, http2: 6, ssh: 7 } as const;

const icmp = 1, tcp = 6, udp = 17, icmp6 = 58, sctp = 132;

/** Directions whose state is kept; the one made longest ago loses its state when another needs it. */
const statesMaxDefault = 131_072;
const indexBits = 17;
const generationMax = 0x3fff;

export class PacketChooser implements Chooser, ChosenPacket {
  readonly #statesMax: number;
  /** End of the data seen so far (sequence number). */
  readonly #end: Int32Array;
  /** Where the record or message being continued ends. */
  readonly #until: Int32Array;
  /** A hole in a record being continued: what fills it is wanted although it comes late. Equal = no hole. */
  readonly #holeFrom: Int32Array;
  readonly #holeTo: Int32Array;
  readonly #mode: Uint8Array;
  /** Segments the current mode may still choose. */
  readonly #left: Uint8Array;
  /** Packets chosen by kinds that are bounded for each direction. */
  readonly #spent: Uint8Array;
  /** Which use of a place this is: a direction that finds another number has lost its state. */
  readonly #generation: Uint16Array;
  readonly #fragments = new FragmentMemory();
  /** What the packet chosen last may be read as without the dissector, see plain.ts, and where its payload is. */
  plainKind: number = plainKind.none;
  plainOffset = 0;
  plainLength = 0;
  plainIsCut = false;
  plainPort = 0;
  plainSeq = 0;
  isFromServer = false;
  isContinuing = false;
  #next = 0;
  #memory = 0;

  /** `statesMax`: at most 131,072, the places a memory can name. */
  constructor(statesMax = statesMaxDefault) {
    if (!(statesMax >= 1 && statesMax <= 1 << indexBits)) {
      throw new RangeError(
        `Cannot choose packets as "statesMax" must be 1 to ${1 << indexBits}: current value is ${statesMax}`,
      );
    }
    this.#statesMax = statesMax;
    this.#end = new Int32Array(statesMax);
    this.#until = new Int32Array(statesMax);
    this.#holeFrom = new Int32Array(statesMax);
    this.#holeTo = new Int32Array(statesMax);
    this.#mode = new Uint8Array(statesMax);
    this.#left = new Uint8Array(statesMax);
    this.#spent = new Uint8Array(statesMax);
    this.#generation = new Uint16Array(statesMax);
  }

  /** Memory of a direction: bit 0 = chosen, 17 bits place, 14 bits generation; 0 = no state yet. */
  choose(packet: Packet, buffer: Uint8Array, payloadIndex: number, memory: number): number {
    this.#memory = memory & ~1;
    this.plainKind = plainKind.none;
    this.isContinuing = false;
    return this.#chooses(packet, buffer, payloadIndex) ? this.#memory | 1 : this.#memory;
  }

  settle(): void {
    const state = this.#find();
    if (state >= 0 && this.#mode[state] < mode.body) this.#mode[state] = mode.none;
  }

  #chooses(packet: Packet, buffer: Uint8Array, payloadIndex: number): boolean {
    if (packet.isFragment) return this.#choosesFragment(packet, buffer, payloadIndex);
    if (packet.protocol === tcp) {
      return packet.payloadLength > 0 && this.#choosesTcp(packet, buffer, payloadIndex);
    }
    if (packet.protocol === udp) return this.#choosesUdp(packet, buffer, payloadIndex);
    if (packet.protocol === icmp || packet.protocol === icmp6) {
      return quotesDns(packet, buffer) && this.#spend();
    }
    return packet.protocol === sctp && packet.payloadLength > 0 && payloadIndex < bounds.firstTcpPackets;
  }

  /** The place of this direction's state, or -1 when it has none (any more). */
  #find(): number {
    if (this.#memory === 0) return -1;
    const state = this.#memory >>> 1 & ((1 << indexBits) - 1);
    return this.#generation[state] === this.#memory >>> (indexBits + 1) ? state : -1;
  }

  /** Takes a place for this direction. */
  #make(): number {
    const state = this.#next;
    this.#next = state + 1 === this.#statesMax ? 0 : state + 1;
    const generation = this.#generation[state] === generationMax ? 1 : this.#generation[state] + 1;
    this.#generation[state] = generation;
    this.#mode[state] = mode.none;
    this.#left[state] = 0;
    this.#spent[state] = 0;
    this.#holeFrom[state] = this.#holeTo[state] = 0;
    this.#memory = generation << (indexBits + 1) | state << 1;
    return state;
  }

  #spend(): boolean {
    const found = this.#find();
    const state = found < 0 ? this.#make() : found;
    if (this.#spent[state] >= bounds.kindPacketsMax) return false;
    this.#spent[state]++;
    return true;
  }

  #choosesTcp(packet: Packet, buffer: Uint8Array, payloadIndex: number): boolean {
    const seq = packet.tcpSeq;
    const end = (seq + packet.payloadLength) | 0;
    let state = this.#find();
    if (state < 0) {
      state = this.#make();
    } else {
      const ahead = (seq - this.#end[state]) | 0;
      if (ahead < 0 && ahead > -resyncBytes) return this.isContinuing = this.#fillsHole(state, seq, end);
      if (ahead > 0) this.#skips(state, seq);
    }
    this.#end[state] = end;
    // Of a message that lacks octets nobody can read what comes behind them.
    const isCut = packet.payloadCaptured < packet.payloadLength;
    if (isCut && this.#mode[state] < mode.early) this.#mode[state] = mode.none;
    const current = this.#mode[state];
    if (current !== mode.none && this.#continues(current, packet, buffer, state, seq)) {
      return this.isContinuing = true;
    }
    const isStart = this.#starts(packet, buffer, state, seq, payloadIndex);
    if (isCut && this.#mode[state] < mode.http2) this.#mode[state] = mode.none;
    return isStart;
  }

  /** Data is missing before `seq`. A record with a known end goes on behind the hole, a header does not; what counts
   * packets does not mind. */
  #skips(state: number, seq: number): void {
    const current = this.#mode[state];
    if (current === mode.records || current === mode.message) {
      this.#holeFrom[state] = this.#end[state];
      this.#holeTo[state] = seq;
    } else if (current < mode.early) {
      this.#mode[state] = mode.none;
    }
  }

  /** Late data: wanted when it fills the hole in a record, else seen before. */
  #fillsHole(state: number, seq: number, end: number): boolean {
    const from = this.#holeFrom[state];
    if (from === this.#holeTo[state] || seq !== from) return false;
    this.#holeFrom[state] = ((this.#holeTo[state] - end) | 0) > 0 ? end : this.#holeTo[state];
    return true;
  }

  #continues(current: number, packet: Packet, buffer: Uint8Array, state: number, seq: number): boolean {
    if (this.#left[state] === 0) {
      this.#mode[state] = mode.none;
      return false;
    }
    this.#left[state]--;
    if (current === mode.body) {
      this.#mode[state] = mode.none;
      if (packet.payloadCaptured >= 4 && isHttpStart(buffer, packet.payloadOffset)) return false;
      this.#note(this.#until[state], packet);
      return true;
    }
    if (current === mode.ssh) this.#note(plainKind.sshAnswer, packet);
    if (current === mode.http2) this.#note(plainKind.http2More, packet);
    if (current >= mode.early) return true;
    if (current === mode.header) {
      if (hasHeaderEnd(buffer, packet.payloadOffset, packet.payloadCaptured)) this.#mode[state] = mode.none;
      return true;
    }
    const remaining = (this.#until[state] - seq) | 0;
    if (remaining <= 0) {
      this.#mode[state] = mode.none;
      return false;
    }
    if (remaining < packet.payloadLength && current === mode.records) {
      this.#walkRecords(packet, buffer, state, seq, remaining);
    } else if (((this.#until[state] - this.#end[state]) | 0) <= 0) {
      this.#mode[state] = mode.none;
    }
    return true;
  }

  /** Whether this segment begins something that matters. */
  #starts(packet: Packet, buffer: Uint8Array, state: number, seq: number, payloadIndex: number): boolean {
    const { payloadOffset: at, payloadCaptured: length } = packet;
    if (isDnsPort(packet.srcPort) || isDnsPort(packet.dstPort)) {
      // Its lengths are not followed here, so this may be the rest of a message.
      this.isContinuing = payloadIndex > 0;
      return true;
    }
    if (this.#notesCall(packet, buffer, payloadIndex)) return true;
    if (length >= signOctets) {
      const first = buffer[at];
      if (first >= 20 && first <= 23 && buffer[at + 1] === 3 && buffer[at + 2] <= 4) {
        // After a HelloRetryRequest the second ClientHello comes behind a ChangeCipherSpec, six octets long.
        const from = first === 20 && length >= 12 && buffer[at + 6] === 22 ? 6 : 0;
        const handshake = buffer[at + from] === 22 ? buffer[at + from + 5] : 0;
        const isFirst = payloadIndex < bounds.firstTcpPackets;
        if (handshake !== 1 && handshake !== 2 && handshake !== 11) {
          if (isFirst && first === 23 && isTlsPort(lowerPort(packet))) this.#note(plainKind.tls, packet);
          return isFirst;
        }
        // What begins a connection with a whole hello is TLS on any port.
        if (from === 0) this.#note(isFirst ? plainKind.hello : plainKind.laterHello, packet);
        this.#left[state] = bounds.flightSegmentsMax;
        this.#walkRecords(packet, buffer, state, seq, from);
        return true;
      }
      if (length >= 9 && this.#startsHttp2(packet, buffer, state, payloadIndex)) return true;
      if (first >= 65 && isHttpStart(buffer, at)) {
        if (!hasHeaderEnd(buffer, at, length)) {
          this.#mode[state] = mode.header;
          this.#left[state] = bounds.headerSegmentsMax;
        } else {
          this.#note(plainKind.http, packet);
          this.#until[state] = bodyExpected(buffer, at, length);
          this.#mode[state] = this.#until[state] === plainKind.none ? mode.none : mode.body;
          this.#left[state] = 1;
        }
        return true;
      }
      if (first === 0x53 && buffer[at + 1] === 0x53 && buffer[at + 2] === 0x48 && buffer[at + 3] === 0x2d) {
        // tshark knows SSH by its port; on others the banner is all there is to read.
        const isKnown = lowerPort(packet) === 22, isFirst = payloadIndex < bounds.firstTcpPackets;
        if (!isKnown) this.#note(plainKind.ssh, packet);
        const next = packet.srcPort === lowerPort(packet) ? mode.ssh : isKnown ? mode.early : mode.none;
        this.#mode[state] = isFirst ? next : mode.none;
        this.#left[state] = next === mode.ssh ? bounds.sshAnswers : bounds.sshPackets;
        return isKnown || isFirst;
      }
      if (first === 0 && length >= 20 && (smbMatters(buffer, at) || isKerberos(packet, buffer))) {
        this.#until[state] = (seq + 4 + (buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3])) | 0;
        this.#mode[state] = ((this.#until[state] - this.#end[state]) | 0) > 0 ? mode.message : mode.none;
        this.#left[state] = bounds.flightSegmentsMax;
        return this.#spend();
      }
    }
    return this.#startsUntold(packet, buffer, state, payloadIndex);
  }

  /** Whether a segment that no sign names begins something that matters. */
  #startsUntold(packet: Packet, buffer: Uint8Array, state: number, payloadIndex: number): boolean {
    const { payloadOffset: at, payloadCaptured: length } = packet;
    if (length < signOctets && payloadIndex === 0 && mayBegin(buffer, at, length)) {
      this.#mode[state] = mode.early;
      this.#left[state] = bounds.headerSegmentsMax;
      return true;
    }
    // A single octet is a keep-alive probe.
    if (payloadIndex < bounds.firstTcpPackets && packet.payloadLength > 1) {
      // tshark knows Gnutella by its port, where few speak it.
      if (length >= 4 && isGnutella(buffer, at)) this.#note(plainKind.gnutella, packet);
      return length < packet.payloadLength || !isPadding(buffer, at, length);
    }
    const port = lowerPort(packet);
    if (port === 21 || isTextPort(port)) {
      const packetsMax = port === 21 ? bounds.ftpPacketsMax : bounds.textPacketsMax;
      return packet.payloadLength <= bounds.textBytesMax && payloadIndex < packetsMax;
    }
    return length >= 4 && (isSipStart(buffer, at) || isRpcLogin(buffer, at, length)) && this.#spend();
  }

  /** HTTP/2 from its beginning, or joined in its middle, which is tried once. */
  #startsHttp2(packet: Packet, buffer: Uint8Array, state: number, payloadIndex: number): boolean {
    const kind = http2Kind(buffer, packet.payloadOffset, packet.payloadCaptured, payloadIndex);
    const isTried = kind === plainKind.http2Middle && this.#spent[state] === bounds.kindPacketsMax;
    if (kind === plainKind.none || isTried) return false;
    this.#note(kind, packet);
    this.#spent[state] = bounds.kindPacketsMax;
    this.#mode[state] = mode.http2;
    this.#left[state] = bounds.http2Packets - 1;
    return true;
  }

  /** Follows handshake records from `from` on; leaves in the state where the last one ends beyond this segment. */
  #walkRecords(packet: Packet, buffer: Uint8Array, state: number, seq: number, from: number): void {
    const { payloadOffset: at, payloadCaptured: length } = packet;
    let position = from;
    while (position + 5 <= length && buffer[at + position] === 22 && buffer[at + position + 1] === 3) {
      position += 5 + (buffer[at + position + 3] << 8 | buffer[at + position + 4]);
    }
    if (position > packet.payloadLength) {
      this.#mode[state] = mode.records;
      this.#until[state] = (seq + position) | 0;
    } else if (position < length && length - position < 5 && buffer[at + position] === 22) {
      // The header of the next record is cut by the segment border: the next segment is needed to read it.
      this.#mode[state] = mode.message;
      this.#until[state] = (seq + packet.payloadLength + 1) | 0;
    } else {
      this.#mode[state] = mode.none;
    }
  }

  #choosesUdp(packet: Packet, buffer: Uint8Array, payloadIndex: number): boolean {
    const { srcPort, dstPort } = packet;
    if (isDnsPort(srcPort) || isDnsPort(dstPort)) {
      if (isDnsPort(lowerPort(packet))) this.#note(plainKind.dns, packet);
      return packet.payloadLength > 0;
    }
    if (isDhcpPort(srcPort) || isDhcpPort(dstPort)) return true;
    if (packet.payloadCaptured < 4) return payloadIndex < bounds.firstUdpPackets && packet.payloadLength > 0;
    const at = packet.payloadOffset;
    if (isQuicInitial(buffer, at, packet.payloadCaptured)) {
      // Keys come from the first Initial.
      this.isContinuing = payloadIndex > 0;
      return this.#spend();
    }
    if (srcPort === 1900 || dstPort === 1900) {
      this.#note(plainKind.ssdp, packet);
      return isHttpStart(buffer, at);
    }
    if (this.#notesCall(packet, buffer, payloadIndex)) return true;
    if (isKerberos(packet, buffer)) return this.#spend();
    if (payloadIndex < bounds.firstUdpPackets) return mayHaveName(packet, buffer);
    if (srcPort === 443 || dstPort === 443) return payloadIndex < bounds.firstQuicPortPackets;
    return isSipStart(buffer, at) && this.#spend();
  }

  #notesCall(packet: Packet, buffer: Uint8Array, payloadIndex: number): boolean {
    const kind = callKind(packet, buffer, payloadIndex);
    if (kind !== plainKind.none) this.#note(kind, packet, callPort(packet));
    return kind !== plainKind.none;
  }

  /** The packet may be plain, if all of it is here or its kind needs only the beginning. `port` decides what it is. */
  #note(kind: number, packet: Packet, port = lowerPort(packet)): void {
    this.plainIsCut = packet.payloadCaptured !== packet.payloadLength;
    if (packet.isFragment || (this.plainIsCut && kind !== plainKind.dns && kind < plainKind.rpc)) return;
    this.plainKind = kind;
    this.plainOffset = packet.payloadOffset;
    this.plainLength = packet.payloadCaptured;
    this.plainPort = port;
    this.plainSeq = packet.tcpSeq;
    this.isFromServer = packet.srcPort === port && packet.dstPort !== port;
  }

  /** All fragments of a chosen datagram, in whatever order they come. */
  #choosesFragment(packet: Packet, buffer: Uint8Array, payloadIndex: number): boolean {
    if (packet.fragmentOffset === 0) {
      const chosen = packet.protocol === udp && this.#choosesUdp(packet, buffer, payloadIndex);
      this.#fragments.keep(packet, chosen);
      return chosen;
    }
    this.isContinuing = true;
    const known = this.#fragments.find(packet);
    if (known !== null) return known;
    // A fragment that runs ahead of its first: it may belong to a datagram that matters.
    return packet.protocol === udp && this.#spend();
  }
}
