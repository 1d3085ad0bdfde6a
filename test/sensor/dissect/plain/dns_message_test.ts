/** The reader of plain DNS messages: what it reads, and what it leaves to the dissector. @module */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Facts } from "../../../../shared/facts.ts";
import { readDnsMessage } from "../../../../sensor/dissect/plain/dns_message.ts";
import { dnsMessage } from "../fixture.ts";
import { newFacts, written } from "../readings.ts";

function read(message: Uint8Array, isCut = false): Facts | null {
  const facts = newFacts();
  const shifted = new Uint8Array(message.length + 7);
  shifted.set(message, 3);
  return readDnsMessage(shifted, 3, message.length, isCut, facts) ? written(facts) : null;
}

const question = ["www", "example", "org", 0, 0, 1, 0, 1];
/** Name by pointer to the question, type, class IN, a TTL, and the data with its length. */
const record = (
  type: number,
  data: number[],
) => [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 9, 0, data.length, ...data];

Deno.test("a plain query and its response are read", () => {
  assertEquals(read(dnsMessage([7, 0x0100, 1, 0, 0, 0], question))?.dns, [
    { name: "www.example.org", type: "A" },
  ]);
  const response = dnsMessage([7, 0x8183, 1, 3, 1, 0], [
    ...question,
    ...record(5, [1, 120, 0xc0, 16]),
    ...record(1, [192, 0, 2, 1]),
    ...record(28, [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
  ]);
  assertEquals(read(response)?.dns, [{
    name: "www.example.org",
    type: "A",
    rcode: "NXDOMAIN",
    answers: ["x.example.org", "192.0.2.1", "2001:db8::1"],
    unasked: true,
  }]);
});

Deno.test("of a message that the capture cut, what is whole is read", () => {
  const response = dnsMessage([7, 0x8180, 1, 3, 0, 0], [
    ...question,
    ...record(5, [1, 120, 0xc0, 16]),
    ...record(1, [192, 0, 2, 1]),
    ...record(1, [192, 0, 2, 2]),
  ]);
  const ends = [12 + 17 + 4, 12 + 21 + 16, 12 + 21 + 32, response.length];
  const answers = ["x.example.org", "192.0.2.1", "192.0.2.2"];
  for (let size = 12; size < response.length; size++) {
    const octets = response.subarray(0, size);
    const whole = ends.filter((end) => end <= size).length;
    const named = whole > 0 ? { name: "www.example.org", type: "A" } : { name: "", type: "" };
    const given = whole > 1 ? { answers: answers.slice(0, whole - 1) } : {};
    assertEquals(
      read(octets, true)?.dns,
      [{ ...named, rcode: "NOERROR", ...given, unasked: true }],
      `${size}`,
    );
    assertEquals(read(octets), null, "when the sender cut it, the dissector is asked");
  }
  const query = dnsMessage([7, 0x0100, 1, 0, 0, 0], question);
  assertEquals(read(query.subarray(0, 20), true), {}, "DNS, and no more is known");
  assertEquals(read(response.subarray(0, 11), true), null);
});

Deno.test("the root has the name tshark gives it", () => {
  assertEquals(read(dnsMessage([1, 0x0100, 1, 0, 0, 0], [0, 0, 2, 0, 1]))?.dns?.[0].name, "<Root>");
});

Deno.test("what is not plain is left to the dissector, with nothing added", () => {
  const header = (flags: number, questions: number, answers: number) => [7, flags, questions, answers, 0, 0];
  const odd: Record<string, Uint8Array> = {
    "too short": new Uint8Array(11),
    "an update": dnsMessage(header(0x2800, 1, 0), question),
    "a control character": dnsMessage(header(0x0100, 1, 0), ["a\tb", 0, 0, 1, 0, 1]),
    "an octet above ASCII": dnsMessage(header(0x0100, 1, 0), ["a\xffb", 0, 0, 1, 0, 1]),
    "a cut question": dnsMessage(header(0x0100, 1, 0), ["a", 0, 0]),
    "an extended label": dnsMessage(header(0x0100, 1, 0), [0x41, 0, 0, 1, 0, 1]),
    "a pointer to itself": dnsMessage(header(0x0100, 1, 0), [0xc0, 12, 0, 1, 0, 1]),
    "a pointer forward": dnsMessage(header(0x0100, 1, 0), [0xc0, 14, 0, 0, 1, 0, 1]),
    "a short address": dnsMessage(header(0x8180, 1, 1), [...question, ...record(1, [1, 2, 3])]),
    "data past the end": dnsMessage(header(0x8180, 1, 1), [...question, ...record(1, [1, 2, 3, 4])]).slice(
      0,
      -1,
    ),
    "a NULL record": dnsMessage(header(0x8180, 1, 1), [...question, ...record(10, [1])]),
    "a text of two strings": dnsMessage(header(0x8180, 1, 1), [...question, ...record(16, [1, 97, 1, 98])]),
    "an alias with a tail": dnsMessage(header(0x8180, 1, 1), [...question, ...record(5, [1, 97, 0, 0])]),
  };
  for (const [what, message] of Object.entries(odd)) assertEquals(read(message), null, what);
});

Deno.test("no octets make the reader throw, hang or read outside the message", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 120 }), fc.boolean(), (octets, tame) => {
      if (tame && octets.length > 12) octets.set([0, 7, 0x81, 0x80, 0, 1, 0, octets[7] & 3], 0);
      const facts = read(octets);
      assert(facts === null || (facts.dns ?? []).every((fact) => (fact.answers ?? []).length <= 16));
    }),
    { numRuns: 3_000 },
  );
});
