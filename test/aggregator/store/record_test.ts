/** Rows as the store packs them: what goes in comes out, and what is damaged is said to be. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { readFacts, writeFacts } from "../../../aggregator/store/fact_text.ts";
import { Reader, Writer } from "../../../aggregator/store/packed.ts";
import { flowIdNumber, flowIdText, readFlowId } from "../../../aggregator/model/flow_id.ts";
import { SumTable } from "../../../aggregator/model/sum_table.ts";
import { AddressTable } from "../../../aggregator/store/address_table.ts";
import { roundTo3 } from "../../../shared/segment.ts";

const count = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 16_383, 16_384, 2 ** 53 - 1),
);

Deno.test("packed numbers come back, whole ones exactly and the rest to three digits", () => {
  fc.assert(
    fc.property(
      count,
      fc.boolean(),
      fc.double({ min: 0, max: 1e15, noNaN: true }),
      (whole, isBelow, real) => {
        const writer = new Writer(64);
        writer.number(whole);
        writer.signed(isBelow ? -whole : whole);
        writer.digits(real);
        writer.word(whole % 2 ** 32);
        const reader = new Reader(writer.bytes.slice(0, writer.at));
        assertEquals(reader.number(), whole);
        assertEquals(reader.signed() + 0, isBelow && whole > 0 ? -whole : whole);
        const digits = reader.digits();
        const expected = real < 1e-8 ? 0 : real;
        assert(Math.abs(digits - expected) <= expected * 0.0051 + 1e-8, `${real} came back as ${digits}`);
        assertEquals(reader.word(), whole % 2 ** 32);
        assertThrows(() => reader.octet(), RangeError, "ends too early");
      },
    ),
  );
  for (const value of [0, 1, 9.99, 10, 99.9, 100, 999, 1_000, 143_000, 0.5, 12.3, 999_000_000]) {
    const writer = new Writer(2);
    writer.digits(value);
    assertEquals(roundTo3(new Reader(writer.bytes).digits()), value);
  }
  assertThrows(() => new Reader(new Uint8Array(12).fill(255)).number(), RangeError, "has no end");
});

Deno.test("facts come back from their text, whatever their strings hold", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.constantFrom('","type":"A"', '"]}]}', "\\", "\u0001"),
  );
  const dns = fc.array(
    fc.record({
      name: text,
      type: fc.oneof(fc.constantFrom("A", "AAAA", "PTR"), text),
      rcode: fc.oneof(fc.constantFrom("NOERROR", "NXDOMAIN", "SERVFAIL"), text),
      answers: fc.array(text, { maxLength: 3 }),
      unasked: fc.constant(true as const),
    }, { requiredKeys: ["name", "type"] }),
    { maxLength: 4 },
  );
  const tls = fc.record({ sni: text, ja3: text, version: fc.constantFrom("TLS 1.2", "TLS 1.3") }, {
    requiredKeys: [],
  });
  const http = fc.array(fc.record({ method: fc.constantFrom("GET", "POST"), host: text, uri: text }), {
    maxLength: 2,
  });
  fc.assert(
    fc.property(fc.record({ dns, tls, http, cut: fc.nat() }, { requiredKeys: [] }), (facts) => {
      const written = writeFacts(facts);
      assert(!/[\0\t\n\r]/.test(written));
      assertEquals(JSON.stringify(readFacts(written)), JSON.stringify(facts));
    }),
    { numRuns: 2_000 },
  );
  assertThrows(() => readFacts("{damaged"), SyntaxError);
  // A character that stands for no part.
  assertThrows(() => readFacts('{"cut":1\u001f}'), SyntaxError);
});

Deno.test("frequent facts take half the octets of their JSON, and names stand in them as they are", () => {
  const answer = {
    name: "www.example.org",
    type: "A",
    rcode: "NOERROR",
    answers: ["192.0.2.1", "192.0.2.2"],
  };
  const written = writeFacts({ dns: [answer] });
  assert(written.includes("www.example.org"));
  assert(written.length * 2 < JSON.stringify({ dns: [answer] }).length, `${written.length} octets`);
});

Deno.test("flow ids sort by time, and come back from text", () => {
  const us = fc.integer({ min: 0, max: 2 ** 52 - 1 }), slot = fc.nat(2_047);
  fc.assert(fc.property(us, slot, us, slot, (us, slot, otherUs, otherSlot) => {
    const text = flowIdText(us, slot);
    assertEquals(readFlowId(text), { us, slot });
    assertEquals(BigInt(`0x${text}`), flowIdNumber(us, slot));
    const isBefore = us < otherUs || (us === otherUs && slot < otherSlot);
    assertEquals(text < flowIdText(otherUs, otherSlot), isBefore);
  }));
  for (const text of ["", "0".repeat(15), "8".repeat(16), "zzzzzzzzzzzzzzzz", "0".repeat(32)]) {
    assertEquals(readFlowId(text), null);
  }
});

Deno.test("sums and addresses are numbered as a map would, through growth", () => {
  const sums = new SumTable(1), addresses = new AddressTable();
  const model = new Map<string, number>();
  const ip = new Uint8Array(20);
  for (let i = 0; i < 20_000; i++) {
    const first = i * 7_919 % 5_003, second = i % 3;
    sums.add(sums.row(first, second), 0, i);
    model.set(`${first}|${second}`, (model.get(`${first}|${second}`) ?? 0) + i);
    ip[2] = first >> 8;
    ip[3] = first;
    const number = addresses.number(ip, 1, second === 0 ? 16 : 4);
    assertEquals([...addresses.address(number)], [...ip.subarray(1, second === 0 ? 17 : 5)]);
    assertEquals(addresses.number(ip, 1, second === 0 ? 16 : 4), number);
  }
  assertEquals(sums.size, model.size);
  assertEquals(addresses.size, 2 * 5_003);
  for (let row = 0; row < sums.size; row++) {
    assertEquals(sums.get(row, 0), model.get(`${sums.first[row]}|${sums.second[row]}`));
  }
  sums.add(0, 0, Number.MAX_SAFE_INTEGER);
  assertEquals(sums.get(0, 0), 9_007_199_254_740_991);
});
