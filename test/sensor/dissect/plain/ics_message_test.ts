/** Industrial protocols: what is no message of theirs is left to others,
 * and damaged ones are read no further than they are here. @module */

import { assert, assertEquals } from "@std/assert";
import type { Facts } from "../../../../shared/facts.ts";
import { icsPort, isIcs, readIcs } from "../../../../sensor/dissect/plain/ics_message.ts";
import { callKind } from "../../../../sensor/dissect/plain/call_signs.ts";
import { plainKind } from "../../../../sensor/dissect/plain/plain_kind.ts";
import { packetOf } from "../fixture.ts";

const octets = (hex: string) => Uint8Array.fromHex(hex.replaceAll(" ", ""));
const messages: Record<keyof typeof icsPort, Uint8Array> = {
  modbus: octets("000100000006 01 0f 0000 0003"),
  dnp3: octets("0564 0ac4 0a00 0100 fc42 c0c1 05 0c01 8bd8"),
  s7: octets("03000019 02f080 32 01 00000001 0008 0000 1a 0000000001 0000"),
  iec104: octets("680e00000000 2e0106000a00 000000 14"),
  enip: octets("6f00 1000 00000000 00000000 0000000000000000 00000000 000000000000 0100 b200 0400 05022001"),
  bacnet: octets("810a 000a 0104 0005 01 14"),
};
const operations = {
  modbus: "write_multiple_coils",
  dnp3: "direct_operate",
  s7: "request_download",
  iec104: "C_DC_NA_1",
  enip: "reset",
  bacnet: "reinitialize_device",
};

function read(payload: Uint8Array, port: number): { app: string | null; facts: Facts } {
  const facts: Facts = {};
  // Behind it stands something else.
  const buffer = new Uint8Array(payload.length + 64).fill(0x41);
  buffer.set(payload);
  return { app: readIcs(buffer, 0, payload.length, port, false, facts), facts };
}

Deno.test("a command of each protocol is named; cut anywhere it is the same one or none, whatever stands behind it", () => {
  for (const [name, message] of Object.entries(messages) as [keyof typeof icsPort, Uint8Array][]) {
    const port = icsPort[name];
    assertEquals(read(message, port).facts.ics?.map(({ operation }) => operation), [operations[name]], name);
    for (let length = 4; length < message.length; length++) {
      const { app, facts } = read(message.slice(0, length), port);
      const said = facts.ics?.map(({ operation }) => operation) ?? [];
      assert(said.length === 0 || said[0] === operations[name], `${name}, ${length} octets: ${said}`);
      if (isIcs(message, 0, length, port)) assert(app !== null, `${name}, ${length} octets`);
    }
  }
});

Deno.test("other protocols on these ports are not taken for them", () => {
  const others = [
    "474554202f20485454502f312e310d0a0d0a0d0a0d0a0d0a0d0a",
    "1603010200010001fc0303aabbccddeeff0011223344556677",
  ];
  for (const port of Object.values(icsPort)) {
    for (const hex of others) {
      const payload = octets(hex);
      assertEquals([isIcs(payload, 0, payload.length, port), read(payload, port).facts], [false, {}]);
    }
  }
});

Deno.test("every message of a long session is read, and nothing of a client that has such a port by chance", () => {
  const { packet, buffer } = packetOf(messages.modbus, { dstPort: 502 });
  assertEquals(callKind(packet, buffer, 100_000), plainKind.ics);
  const bulk = packetOf(new Uint8Array(1_400).fill(0x17), { srcPort: 443, dstPort: 44_818 });
  assertEquals(callKind(bulk.packet, bulk.buffer, 5), plainKind.none);
});
