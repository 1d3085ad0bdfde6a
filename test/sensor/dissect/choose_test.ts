/** What the chooser picks, packet by packet. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Packet } from "../../../sensor/decode/packet.ts";
import { PacketChooser } from "../../../sensor/dissect/choose.ts";
import { plainKind } from "../../../sensor/dissect/plain/plain_kind.ts";
import { bytesOf, dnsMessage, packetOf } from "./fixture.ts";

/** One direction of one flow: which of its packets are chosen. */
class Direction {
  #memory = 0;
  #index = 0;
  #seq = 1_000;
  constructor(readonly chooser: PacketChooser, readonly fields: Partial<Packet> = {}) {}

  /** Sends `payload` next in sequence, or at `seq`. */
  sends(payload: Uint8Array | string, fields: Partial<Packet> = {}): boolean {
    const octets = typeof payload === "string" ? bytesOf(payload) : payload;
    const { packet, buffer } = packetOf(octets, { tcpSeq: this.#seq | 0, ...this.fields, ...fields });
    this.#memory = this.chooser.choose(packet, buffer, this.#index, this.#memory);
    if (packet.payloadLength > 0) this.#index++;
    if (fields.tcpSeq === undefined) this.#seq += octets.length;
    return (this.#memory & 1) === 1;
  }
  get seq(): number {
    return this.#seq;
  }
}

const bulk = new Uint8Array(1_400).fill(0x99);

/** Handshake records of the sizes given, one after the other. */
function records(...handshakes: { type: number; size: number }[]): Uint8Array {
  const octets: number[] = [];
  for (const { type, size } of handshakes) {
    octets.push(22, 3, 1, size >> 8, size & 255, type, ...new Array<number>(size - 1).fill(7));
  }
  return Uint8Array.from(octets);
}

Deno.test("chooser takes the first payload packet of a flow and leaves bulk data", () => {
  const flow = new Direction(new PacketChooser());
  assert(!flow.sends(""));
  assert(flow.sends(bulk));
  for (let i = 0; i < 50; i++) assert(!flow.sends(bulk));
});

Deno.test("chooser takes HTTP requests on any port and on persistent connections", () => {
  const flow = new Direction(new PacketChooser());
  flow.sends(bulk);
  for (let i = 0; i < 5; i++) {
    assert(flow.sends("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert(!flow.sends(bulk));
  }
});

Deno.test("chooser takes one packet of a body that comes behind its header, and no body that begins with it", () => {
  const answer = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
  for (const head of [answer, "POST /a HTTP/1.1\r\nHost: x\r\n\r\n"]) {
    const flow = new Direction(new PacketChooser());
    assert(flow.sends(head));
    assert(flow.sends(bulk));
    assert(!flow.sends(bulk));
    assert(flow.sends(head + "x"));
    assert(!flow.sends(bulk));
  }
});

Deno.test("chooser takes the first 250 packets each way of HTTP/2 without TLS, on any port, to be read here", () => {
  const settings = Uint8Array.of(0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100);
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const greased = Uint8Array.of(0, 0, 6, 4, 0, 0, 0, 0, 0, 0x1a, 0x2a, 0, 0, 0, 0);
  const updated = Uint8Array.of(...settings, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  for (const start of [preface, settings, greased, updated]) {
    const chooser = new PacketChooser();
    const flow = new Direction(chooser, { dstPort: 50_051 });
    assert(flow.sends(start));
    assertEquals([chooser.plainKind, chooser.plainSeq], [plainKind.http2, 1_000]);
    chooser.settle();
    for (let i = 0; i < 249; i++) {
      const { seq } = flow;
      assert(flow.sends(bulk));
      assertEquals([chooser.plainKind, chooser.plainSeq], [plainKind.http2More, seq]);
      chooser.settle();
    }
    assert(!flow.sends(bulk));
  }
  const others = [
    "PRIVATE data",
    Uint8Array.of(0, 0, 5, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100),
    Uint8Array.of(0, 0, 6, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100),
    Uint8Array.of(0, 0, 6, 4, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 100),
    Uint8Array.of(0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100),
    Uint8Array.of(0, 0, 6, 4, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 100),
    Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0, 1, 2, 3, 99, 5, 6, 7, 8, 9),
  ];
  for (const start of others) {
    const flow = new Direction(new PacketChooser());
    flow.sends(start);
    assert(!flow.sends(bulk));
  }
});

Deno.test("chooser joins HTTP/2 in its middle, once each way, at the first payload that begins with frames", () => {
  const headers = Uint8Array.of(0, 0, 3, 1, 4, 0, 0, 0, 9, 0x83, 0x86, 0xc5);
  const chooser = new PacketChooser();
  const flow = new Direction(chooser);
  flow.sends(bulk);
  assert(!flow.sends(bulk));
  assert(flow.sends(headers));
  assertEquals(chooser.plainKind, plainKind.http2Middle);
  for (let i = 0; i < 249; i++) assert(flow.sends(headers));
  assertEquals(chooser.plainKind, plainKind.http2More);
  assert(!flow.sends(headers));
});

Deno.test("chooser takes the server's side behind an answer that hands the connection over to HTTP/2", () => {
  const chooser = new PacketChooser();
  const flow = new Direction(chooser, { srcPort: 80, dstPort: 40_000 });
  assert(flow.sends("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"));
  assertEquals(chooser.plainKind, plainKind.http2Upgrade);
  for (let i = 0; i < 249; i++) assert(flow.sends(bulk));
  assertEquals(chooser.plainKind, plainKind.http2More);
  assert(!flow.sends(bulk));
});

Deno.test("chooser goes on with HTTP/2 behind a hole and a packet cut by the snaplen, which the reader judges", () => {
  const chooser = new PacketChooser();
  const flow = new Direction(chooser);
  assert(flow.sends("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  assert(flow.sends(bulk, { payloadCaptured: 60 }));
  assertEquals(chooser.plainKind, plainKind.http2More);
  assert(flow.sends(bulk, { tcpSeq: flow.seq + 5_000 }));
  assertEquals([chooser.plainKind, chooser.plainSeq], [plainKind.http2More, flow.seq + 5_000]);
});

Deno.test("chooser follows a header over segment borders until its empty line", () => {
  const flow = new Direction(new PacketChooser());
  assert(flow.sends("GET /a HTTP/1.1\r\nHost: x\r\n"));
  assert(flow.sends("User-Agent: y\r\n"));
  assert(flow.sends("Accept: z\r\n\r\nbody"));
  assert(!flow.sends(bulk));
});

Deno.test("chooser takes a ClientHello in three segments and nothing after it", () => {
  const flow = new Direction(new PacketChooser());
  const hello = records({ type: 1, size: 3_000 });
  assert(flow.sends(hello.subarray(0, 1_400)));
  assert(flow.sends(hello.subarray(1_400, 2_800)));
  assert(flow.sends(hello.subarray(2_800)));
  assert(!flow.sends(bulk));
});

Deno.test("chooser follows a server's flight from record to record", () => {
  const flow = new Direction(new PacketChooser());
  const flight = records({ type: 2, size: 90 }, { type: 11, size: 4_000 }, { type: 14, size: 10 });
  for (let at = 0; at < flight.length; at += 1_000) assert(flow.sends(flight.subarray(at, at + 1_000)));
  assert(!flow.sends(bulk));
});

Deno.test("chooser leaves the rest of a flight that was read in its first segment", () => {
  const chooser = new PacketChooser();
  const flow = new Direction(chooser, { srcPort: 443, dstPort: 40_000 });
  const flight = records({ type: 2, size: 80 }, { type: 11, size: 4_000 }, { type: 12, size: 300 });
  assert(flow.sends(flight.subarray(0, 1_400)));
  assertEquals(chooser.plainKind, plainKind.hello);
  chooser.settle();
  for (let at = 1_400; at < flight.length; at += 1_400) assert(!flow.sends(flight.subarray(at, at + 1_400)));
  assert(flow.sends(records({ type: 1, size: 200 })));
});

Deno.test("chooser follows nothing behind a segment that the capture cut", () => {
  const cut = { payloadCaptured: 60 };
  const header = `GET /a HTTP/1.1\r\nHost: x\r\nAccept: ${"y".repeat(80)}\r\n`;
  const request = new Direction(new PacketChooser());
  assert(request.sends(header, cut));
  assert(!request.sends("User-Agent: y\r\n\r\n"));
  const hello = records({ type: 1, size: 2_000 });
  const flow = new Direction(new PacketChooser());
  assert(flow.sends(hello.subarray(0, 700), cut));
  assert(!flow.sends(hello.subarray(700, 1_400)));
  // What was begun whole, and is cut further on.
  const other = new Direction(new PacketChooser());
  assert(other.sends(hello.subarray(0, 700)));
  assert(!other.sends(hello.subarray(700, 1_400), cut));
  assert(!other.sends(hello.subarray(1_400)));
});

Deno.test("chooser takes the segment that fills a hole in a record, and only once", () => {
  const flow = new Direction(new PacketChooser());
  const flight = records({ type: 2, size: 4_000 });
  assert(flow.sends(flight.subarray(0, 1_000)));
  const late = flow.seq;
  assert(flow.sends(flight.subarray(2_000, 3_000), { tcpSeq: late + 1_000 }));
  assert(flow.sends(flight.subarray(1_000, 2_000), { tcpSeq: late }));
  assert(!flow.sends(flight.subarray(1_000, 2_000), { tcpSeq: late }));
});

Deno.test("chooser leaves out what was sent before", () => {
  const flow = new Direction(new PacketChooser());
  const request = "GET /a HTTP/1.1\r\n\r\n";
  const seq = flow.seq;
  assert(flow.sends(request));
  assert(!flow.sends(request, { tcpSeq: seq }));
});

Deno.test("chooser is not blinded by one segment far ahead", () => {
  const flow = new Direction(new PacketChooser());
  flow.sends(bulk);
  flow.sends(bulk, { tcpSeq: flow.seq + 500_000_000 });
  assert(flow.sends("GET /a HTTP/1.1\r\n\r\n"));
});

Deno.test("chooser takes the second ClientHello behind a ChangeCipherSpec", () => {
  const flow = new Direction(new PacketChooser());
  flow.sends(records({ type: 1, size: 400 }));
  const second = Uint8Array.from([20, 3, 3, 0, 1, 1, ...records({ type: 1, size: 400 })]);
  assert(flow.sends(second));
  assert(!flow.sends(Uint8Array.from([23, 3, 3, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9])));
});

Deno.test("chooser leaves the zeros that fill a frame, and takes anything else that begins a flow", () => {
  const chooses = (payload: number[], captured = payload.length) =>
    new Direction(new PacketChooser()).sends(Uint8Array.from(payload), { payloadCaptured: captured });
  assert(!chooses([0, 0]));
  assert(!chooses([0, 0, 0, 0, 0, 0]));
  assert(chooses([0, 0, 0, 0, 0, 0, 0]));
  assert(chooses([0, 0, 0, 0, 0, 1]));
  assert(chooses([0, 0, 0, 0, 0, 0, 0, 0], 4), "nobody knows what the capture cut");
});

Deno.test("chooser knows a whole hello at the beginning of a flow on any port, and Gnutella", () => {
  const chooser = new PacketChooser();
  const hello = records({ type: 1, size: 200 });
  assert(new Direction(chooser, { dstPort: 8_080 }).sends(hello));
  assertEquals(chooser.plainKind, plainKind.hello);
  const late = new Direction(chooser, { dstPort: 25 });
  late.sends("EHLO a\r\n");
  assert(late.sends(hello));
  assertEquals(chooser.plainKind, plainKind.laterHello, "behind STARTTLS");
  const gnutella = new Direction(chooser);
  assert(gnutella.sends("GNUTELLA CONNECT/0.6\r\n"));
  assertEquals(chooser.plainKind, plainKind.gnutella);
  assert(!gnutella.sends("GNUTELLA/0.6 200 OK\r\n"));
});

Deno.test("chooser goes on with a first segment of up to five octets that TLS or HTTP may begin with", () => {
  const begins = [[22], [22, 3], [22, 3, 1], [22, 3, 1, 2], [22, 3, 4, 2, 0], "G", "HTT", "POST", "CONNE"];
  for (const start of begins) {
    const flow = new Direction(new PacketChooser());
    assert(flow.sends(typeof start === "string" ? start : Uint8Array.from(start)), String(start));
    for (let i = 0; i < 16; i++) assert(flow.sends(bulk), String(start));
    assert(!flow.sends(bulk), String(start));
  }
  for (const start of [[22, 4], [22, 3, 5], [23, 3], "g", "GIT", "HTTQ", [0, 0]]) {
    const flow = new Direction(new PacketChooser());
    flow.sends(typeof start === "string" ? start : Uint8Array.from(start));
    assert(!flow.sends(bulk), String(start));
  }
  const later = new Direction(new PacketChooser());
  later.sends(bulk);
  assert(!later.sends("G"));
  assert(!later.sends(bulk));
});

Deno.test("chooser takes every DNS message, over UDP and TCP", () => {
  const chooser = new PacketChooser();
  const query = dnsMessage([1, 0x100, 1, 0, 0, 0], ["a", 0, 0, 1, 0, 1]);
  const udp = new Direction(chooser, { protocol: 17, dstPort: 53 });
  const tcp = new Direction(chooser, { srcPort: 53 });
  for (let i = 0; i < 300; i++) {
    assert(udp.sends(query));
    assertEquals([chooser.plainKind, chooser.plainLength], [plainKind.dns, query.length]);
    assert(tcp.sends(query));
    assertEquals(chooser.plainKind, plainKind.none);
  }
});

Deno.test("chooser takes all fragments of a DNS datagram and none of a bulk one", () => {
  const chooser = new PacketChooser();
  const fragment = { protocol: 17, isFragment: true };
  const dns = new Direction(chooser, { ...fragment, srcPort: 53 });
  const other = new Direction(chooser, { ...fragment, srcPort: 7_777 });
  other.sends(bulk, { fragmentId: 1 });
  for (let id = 2; id < 600; id++) {
    assert(dns.sends(bulk, { fragmentId: id }));
    assert(!other.sends(bulk, { fragmentId: id + 10_000 }));
  }
  assert(dns.sends(bulk, { fragmentId: 599, fragmentOffset: 1_400, srcPort: 0, dstPort: 0 }));
  assert(dns.sends(bulk, { fragmentId: 598, fragmentOffset: 1_400, srcPort: 0, dstPort: 0 }));
  assert(!other.sends(bulk, { fragmentId: 10_599, fragmentOffset: 1_400, srcPort: 0, dstPort: 0 }));
});

Deno.test("chooser takes QUIC Initials and leaves the rest of QUIC", () => {
  const flow = new Direction(new PacketChooser(), { protocol: 17, dstPort: 4_433 });
  const initial = Uint8Array.from([0xc3, 0, 0, 0, 1, ...new Array<number>(1_195).fill(5)]);
  const handshake = Uint8Array.from([0xe3, ...initial.subarray(1)]);
  const short = new Uint8Array(1_200).fill(0x45);
  assert(flow.sends(initial));
  assert(flow.sends(initial));
  assert(!flow.sends(handshake));
  assert(!flow.sends(short));
});

Deno.test("chooser takes the SSH banner and the key exchange", () => {
  const flow = new Direction(new PacketChooser(), { dstPort: 22 });
  assert(flow.sends("SSH-2.0-OpenSSH_9.2\r\n"));
  assertEquals([1, 2, 3, 4].map(() => flow.sends(bulk)), [true, true, true, false]);
});

Deno.test("chooser says that an SSH banner on another port is plain", () => {
  const chooser = new PacketChooser();
  const server = new Direction(chooser, { srcPort: 902 });
  assert(server.sends("SSH-2.0-OpenSSH_9.2\r\n"));
  assertEquals([chooser.plainKind, chooser.plainPort, chooser.isFromServer], [plainKind.ssh, 902, true]);
  const client = new Direction(chooser, { dstPort: 902 });
  assert(client.sends("SSH-2.0-PuTTY\r\n"));
  assertEquals([chooser.plainKind, chooser.plainPort, chooser.isFromServer], [plainKind.ssh, 902, false]);
  assert(!client.sends(bulk));
  assertEquals(chooser.plainKind, plainKind.none);
});

Deno.test("of an SSH server the 32 answers after its banner are measured, of nobody who says so later", () => {
  for (const srcPort of [22, 2_222]) {
    const chooser = new PacketChooser(), server = new Direction(chooser, { srcPort });
    server.sends("SSH-2.0-OpenSSH_9.2\r\n");
    for (let answer = 0; answer < 32; answer++) {
      assert(server.sends(bulk));
      assertEquals(chooser.plainKind, plainKind.sshAnswer);
    }
    assert(!server.sends(bulk));
    assertEquals(chooser.plainKind, plainKind.none);
    const late = new Direction(chooser, { srcPort });
    late.sends(bulk);
    late.sends("SSH-2.0-OpenSSH_9.2\r\n");
    late.sends(bulk);
    assertEquals(chooser.plainKind, plainKind.none);
  }
});

Deno.test("chooser takes SMB logins and file names, not reads", () => {
  const flow = new Direction(new PacketChooser(), { dstPort: 445 });
  const smb = (command: number) =>
    Uint8Array.from([
      0,
      0,
      0,
      64,
      0xfe,
      0x53,
      0x4d,
      0x42,
      64,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      command,
      0,
      ...bulk.subarray(0, 50),
    ]);
  flow.sends(smb(0));
  assert(flow.sends(smb(1)));
  assert(flow.sends(smb(5)));
  assert(!flow.sends(smb(8)));
});

Deno.test("chooser spends at most 250 packets a direction on kinds without another bound", () => {
  const flow = new Direction(new PacketChooser(), { protocol: 17, dstPort: 5_060 });
  let chosen = 0;
  for (let i = 0; i < 1_000; i++) if (flow.sends("INVITE sip:a SIP/2.0\r\n")) chosen++;
  assertEquals(chosen, 251);
});

Deno.test("chooser with a full table forgets the oldest direction and goes on", () => {
  const chooser = new PacketChooser(2);
  const flows = Array.from({ length: 5 }, () => new Direction(chooser));
  for (const flow of flows) assert(flow.sends(records({ type: 1, size: 3_000 }).subarray(0, 1_400)));
  for (const flow of flows) assert(flow.sends("GET / HTTP/1.1\r\n\r\n"));
  assertThrows(() => new PacketChooser(0), RangeError, '"statesMax" must be 1 to 131072: current value is 0');
});
