/** Facts that came before: the same columns and refusals as without memory of them, and nobody changes what is shared.
 * @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { readColumns } from "../../../aggregator/ingest/columns.ts";
import { KnownFacts } from "../../../aggregator/ingest/known_facts.ts";
import { turnFacts } from "../../../aggregator/ingest/turn.ts";
import { mergeFacts } from "../../../aggregator/model/facts.ts";
import { notesOf, shareFacts } from "../../../aggregator/model/shared_facts.ts";
import { readFacts, writeFacts } from "../../../aggregator/store/fact_text.ts";
import type { Facts } from "../../../shared/facts.ts";
import { segment, TestSensor } from "./fleet.ts";
import { counted, withIngest } from "./with_ingest.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** What comes of a value: its facts, or why it is refused. */
function read(value: Uint8Array, rows: number, known: KnownFacts | null) {
  const columns = readColumns(value, rows, known);
  return typeof columns === "string"
    ? columns
    : [columns.facts, Array.from(columns.numbers.src_port), columns.protocol];
}

function assertSame(text: string | Uint8Array, rows: number, known = new KnownFacts()): void {
  const value = typeof text === "string" ? encode(text) : text;
  const plain = read(value, rows, null);
  // The second time its facts are known.
  for (let time = 0; time < 2; time++) assertEquals(read(value, rows, known), plain, String(text));
}

const a = '{"dns":[{"name":"a.example","type":"A"}]}', b = '{"tls":{"sni":"b.example"}}';

for (
  const [what, text, rows] of [
    ["as a sensor writes them", `{"src_port":[1,2,3],"facts":[${a},null,${a}]}`, 3],
    ["alone", `{"facts":[${a}]}`, 1],
    ["none", `{"facts":[]}`, 0],
    ["too few", `{"facts":[${a}]}`, 2],
    ["too many", `{"facts":[${a},${b}]}`, 1],
    ["with a blank", `{"facts": [${a}]}`, 1],
    ["with a blank between", `{"facts":[${a}, ${b}]}`, 2],
    ["not last", `{"facts":[${a}],"src_port":[1]}`, 1],
    ["twice", `{"facts":[${a}],"facts":[${b}]}`, 1],
    ["twice, the first with a blank", `{"facts": [${a}],"facts":[${b}]}`, 1],
    ["twice, the last is nothing", `{"facts":[${a}],"facts":null}`, 1],
    ["in another column", `{"src_port":[{"facts":[${a}]}]}`, 1],
    ["below another object", `{"x":{"facts":[${a}]}}`, 1],
    ["in a text", `{"protocol":["\\"facts\\":["],"facts":[${a}]}`, 1],
    ["of another shape", '{"facts":[{"dns":1}]}', 1],
    ["one of another shape", `{"facts":[${a},{"dns":1},${b}]}`, 3],
    ["text", '{"facts":["{}"]}', 1],
    ["a list", '{"facts":[[{}]]}', 1],
    ["another word", '{"facts":[nulL]}', 1],
    ["a comma at the end", `{"facts":[${a},]}`, 1],
    ["more after them", `{"facts":[${a}]} `, 1],
    ["a bracket too many", `{"facts":[${a}]]}`, 1],
    ["no end", `{"facts":[${a}`, 1],
    ["no end of a text", '{"facts":[{"tls":{"sni":"a}]}', 1],
    ["brackets in a text", '{"facts":[{"tls":{"sni":"}]{\\\\\\"}"}}]}', 1],
    ["a prototype", '{"facts":[{"__proto__":{"dns":[]}}]}', 1],
    ["a key twice", `{"facts":[{"tls":{"sni":"a"},"tls":{"sni":"b"}}]}`, 1],
    ["an unknown column before", `{"evil":[1],"facts":[${a}]}`, 1],
    ["a broken column before", `{"src_port":[1,"facts":[${a}]}`, 1],
  ] as const
) {
  Deno.test(`facts in a batch, ${what}: the same with memory of former ones and without`, () => {
    assertSame(text, rows);
    const known = new KnownFacts();
    read(encode(`{"facts":[${a},${b}]}`), 2, known);
    assertSame(text, rows, known);
  });
}

Deno.test("facts of any octets are the same with memory of former ones and without", () => {
  const known = new KnownFacts();
  const fact = fc.constantFrom(a, b, "null", '{"tls":{"sni":"\\u00e9\\""}}', '{"dns":[]}', "{}");
  const change = fc.record({ at: fc.nat(300), octet: fc.integer({ min: 0, max: 255 }), cut: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(fact, { maxLength: 6 }), fc.array(change, { maxLength: 2 }), (facts, changes) => {
      const octets = [...encode(`{"src_port":[${facts.map((_, i) => i)}],"facts":[${facts}]}`)];
      for (const { at, octet, cut } of changes) octets.splice(at % octets.length, cut, octet);
      assertSame(new Uint8Array(octets), facts.length, known);
    }),
    { numRuns: 300 },
  );
});

Deno.test("facts of equal octets are one frozen object, up to 1,024 octets and some thousand facts", () => {
  const known = new KnownFacts();
  const one = (text: string) =>
    (readColumns(encode(`{"facts":[${text}]}`), 1, known) as { facts: Facts[] }).facts[0];
  assert(one(a) === one(a));
  assertThrows(() => one(a).dns!.push({ name: "x", type: "A" }), TypeError);
  assertThrows(() => Object.assign(one(a).dns![0], { name: "x" }), TypeError);
  const ofOctets = (octets: number) => {
    const name = (n: number) => `{"name":"${"x".repeat(n)}","type":"A"}`;
    const parts = Array.from({ length: 4 }, () => name(200));
    const rest = octets - `{"dns":[${[...parts, name(0)]}]}`.length;
    return `{"dns":[${[...parts, name(rest)]}]}`;
  };
  const [fits, doesNot] = [ofOctets(1_024), ofOctets(1_025)];
  assertEquals([fits.length, doesNot.length], [1_024, 1_025]);
  assert(one(fits) === one(fits) && one(doesNot) !== one(doesNot));
  const first = one(b);
  for (let n = 0; n < 30_000; n++) one(`{"tls":{"sni":"${n}.example"}}`);
  assert(one(b) !== first, "forgotten");
});

Deno.test("shared facts are stored, merged and turned as others are, and stay as they are", () => {
  const make = (): Facts => ({
    dns: [{ name: "a.example", type: "A", rcode: "NOERROR", answers: ["10.0.0.1"] }],
    tls: { sni: "b.example" },
    first: { fwd: "00", bwd: "ff" },
  } as Facts);
  const other = (): Facts => ({ dns: [{ name: "c.example", type: "A" }], tls: { version: "TLS 1.3" } });
  const shared = shareFacts(make());
  for (let time = 0; time < 2; time++) {
    assertEquals(writeFacts(shared), writeFacts(make()));
    assertEquals(readFacts(writeFacts(shared)), make());
  }
  assertEquals(notesOf(shared)?.stored, writeFacts(make()));
  assertEquals(notesOf(make()), undefined);
  assertEquals(mergeFacts(shared, other()), mergeFacts(make(), other()));
  assertEquals(mergeFacts(other(), shared), mergeFacts(other(), make()));
  assertEquals(turnFacts(shared), turnFacts(make()));
  assertEquals(shared, make());
});

Deno.test("a question asked again in one batch and the next is counted each time, and once for two sensors", async () => {
  const sensors = [new TestSensor("one"), new TestSensor("two", 2)];
  const asked = (n: number) =>
    segment({
      src_port: 2_000 + n % 2,
      tcp_isn: n % 2,
      facts: { dns: [{ name: "a.example", type: "A" }] },
      segment: n,
    });
  await withIngest(sensors, async ({ store, submit, updates }) => {
    for (const sensor of sensors) {
      for (const rows of [[asked(0), asked(1), asked(2)], [asked(4)]]) {
        await Promise.all(sensor.seal(rows).map(submit));
      }
    }
    const { rows } = await counted(store);
    assertEquals(rows.map(({ facts }) => facts?.dns?.length).sort(), [1, 3]);
    assertEquals(updates.filter(({ segment }) => segment.facts !== null).length, 4);
  });
});
