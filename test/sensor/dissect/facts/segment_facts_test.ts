/** Facts of one segment: which queries and responses are put together, what is kept, what is cut. @module */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { areFacts, type DnsFact, dnsMessages, factLimits, type Facts } from "../../../../shared/facts.ts";
import { DnsText } from "../../../../sensor/dissect/facts/dns_text.ts";
import { FactPool } from "../../../../sensor/dissect/facts/fact_pool.ts";
import { FactText } from "../../../../sensor/dissect/facts/fact_text.ts";
import type { SegmentFacts } from "../../../../sensor/dissect/facts/segment_facts.ts";
import { bytesOf } from "../fixture.ts";
import { newFacts, written } from "../readings.ts";

interface Message {
  id?: number;
  name?: string;
  type?: string;
  /** Absent: a query. */
  rcode?: string;
  answers?: string[];
}

const text = new DnsText();

/** Adds messages; every other one as octets of a packet, as far as those can be. */
function add(facts: SegmentFacts, messages: readonly Message[]): void {
  messages.forEach(({ id = 1, name = "a.example", type = "A", rcode, answers = [] }, index) => {
    text.begin();
    if (name !== "" || type !== "") {
      if (index % 2 === 0 || name === "") text.question(name, type);
      else text.questionOctets(bytesOf(name), name.length, type);
    }
    for (const answer of answers) {
      if (index % 2 === 0) text.answer(answer);
      else text.answerOctets(bytesOf(`.${answer}`), 1, answer.length + 1);
    }
    text.addTo(facts, id, rcode ?? null);
  });
}

function read(messages: readonly Message[]): Facts {
  const facts = newFacts();
  add(facts, messages);
  return written(facts);
}

const query: Message = {};
const response: Message = { rcode: "NOERROR", answers: ["192.0.2.1"] };
const asked = { name: "a.example", type: "A" };
const answered = { ...asked, rcode: "NOERROR", answers: ["192.0.2.1"] };

Deno.test("a query and its response are one entry, whichever is read first", () => {
  assertEquals(read([query, response]), { dns: [answered] });
  assertEquals(read([response, query]), { dns: [answered] });
  assertEquals(read([query, { rcode: "NXDOMAIN" }]).dns, [{ ...asked, rcode: "NXDOMAIN" }]);
});

Deno.test("a query without a response has no rcode, a response without a query is unasked", () => {
  assertEquals(read([query]).dns, [asked]);
  assertEquals(read([response]).dns, [{ ...answered, unasked: true }]);
  assertEquals(read([query, response, response]).dns, [answered, { ...answered, unasked: true }]);
  assertEquals(read([query, query, response]).dns, [asked, answered]);
});

Deno.test("a response answers the question of its own id, name and type only", () => {
  for (const other of [{ id: 2 }, { name: "A.example" }, { type: "AAAA" }]) {
    const { dns } = read([{ ...query, ...other }, response]);
    assertEquals(dns?.map(({ rcode, unasked }) => [rcode, unasked]), [[undefined, undefined], [
      "NOERROR",
      true,
    ]]);
  }
  const { dns } = read([query, { id: 2, name: "b.example" }, {
    ...response,
    rcode: "SERVFAIL",
    answers: [],
  }]);
  assertEquals(dns, [{ ...asked, rcode: "SERVFAIL" }, { name: "b.example", type: "A" }]);
});

Deno.test("a query that knows answers keeps them, and messages without a question stay apart", () => {
  const known = { answers: ["known.example"] };
  assertEquals(read([known, response]).dns, [{ ...asked, ...known }, { ...answered, unasked: true }]);
  assertEquals(read([response, known]).dns, [{ ...answered, unasked: true }, { ...asked, ...known }]);
  const announced = { ...response, name: "", type: "" };
  assertEquals(read([announced, announced]).dns?.length, 2);
});

Deno.test("a name that is cut finds its question, and is counted once", () => {
  const name = "x".repeat(factLimits.charactersMax + 3);
  const { dns, cut } = read([{ name }, { ...response, name }]);
  assertEquals([dns?.length, dns?.[0].name.length, dns?.[0].rcode, cut], [
    1,
    factLimits.charactersMax,
    "NOERROR",
    3,
  ]);
});

Deno.test("entries are bounded by transactions, and a message beyond is counted", () => {
  const ids = Array.from({ length: factLimits.entriesMax + 2 }, (_, id) => id);
  const { dns, cut } = read(ids.flatMap((id) => [{ id }, { ...response, id }]));
  assertEquals([dns?.length, cut], [factLimits.entriesMax, 4]);
  assert(dns?.every(({ rcode, unasked }) => rcode === "NOERROR" && !unasked));
});

Deno.test("a response finds its question among hundreds that wait, in whatever order they are answered", () => {
  const ids = Array.from({ length: 500 }, (_, i) => i * 131);
  const late = ids.map((id) => ({ ...response, id }));
  for (const responses of [late, [...late].reverse(), late.map((_, i) => late[i * 7 % 500])]) {
    const { dns } = read([...ids.map((id) => ({ id })), ...responses]);
    assertEquals(dns, ids.map(() => answered));
  }
});

Deno.test("answers beyond their number or length are cut and counted", () => {
  const answers = Array.from(
    { length: factLimits.answersMax + 2 },
    () => "y".repeat(factLimits.charactersMax + 1),
  );
  const message = { ...response, answers };
  for (const messages of [[message], [{ ...query, id: 9 }, message]]) {
    const { dns, cut } = read(messages);
    const kept = dns!.at(-1)!.answers!;
    assertEquals([kept.length, kept[0].length], [factLimits.answersMax, factLimits.charactersMax]);
    assertEquals(cut, 2 + factLimits.answersMax);
  }
});

Deno.test("from the entries of any messages the messages can be rebuilt", () => {
  const message = fc.record({
    id: fc.nat(2),
    name: fc.constantFrom("", "a.example", "b.example"),
    type: fc.constantFrom("A", "AAAA"),
    rcode: fc.option(fc.constantFrom("NOERROR", "NXDOMAIN"), { nil: undefined }),
    answers: fc.subarray(["192.0.2.1", "192.0.2.2"]),
  }, { requiredKeys: ["id", "name", "type", "answers"] });
  const words = (messages: DnsFact[]) =>
    messages.map(({ name, type, rcode, answers = [] }) =>
      JSON.stringify([name, type, rcode ?? null, answers])
    ).sort();
  fc.assert(fc.property(fc.array(message, { maxLength: 60 }), (messages) => {
    const facts = read(messages as Message[]);
    assert(areFacts(facts), "the aggregator takes them");
    const { dns = [] } = facts;
    assertEquals(words(dnsMessages(dns)), words(messages as DnsFact[]));
    // Nothing that belongs together stands apart, as each is looked for among all of the few.
    const isOpen = (entry: DnsFact) => entry.rcode === undefined && !entry.answers && entry.name !== "";
    const ids = new Set(messages.map(({ id }) => id));
    if (ids.size === 1) {
      for (const { name, type } of dns.filter(isOpen)) {
        assert(!dns.some((entry) => entry.unasked && entry.name === name && entry.type === type));
      }
    }
  }));
});

Deno.test("a name is the same question as octets and as text, quotes and all", () => {
  const name = 'a"b\\c.example';
  assertEquals(read([{ name }, { ...response, name }]).dns, [{ ...answered, name }]);
  assertEquals(read([query, { name }, { ...response, name }]).dns, [asked, { ...answered, name }]);
});

Deno.test("an entry that has no room in the pool is counted, and what is there stays whole", () => {
  const pool = new FactPool(64 * 20);
  const facts = newFacts(pool);
  const ids = Array.from({ length: 40 }, (_, id) => id);
  add(facts, ids.map((id) => ({ id })));
  add(facts, ids.map((id) => ({ ...response, id })));
  const { dns = [], cut = 0 } = written(facts);
  assert(dns.length > 5 && dns.length < 20, `${dns.length} entries`);
  const answers = dns.filter(({ rcode }) => rcode !== undefined).length;
  assertEquals(cut, 80 - dns.length - answers);
  assertEquals(pool.used, 0);
});

Deno.test("what is written or freed leaves its memory to others", () => {
  const pool = new FactPool(64 * 100);
  const http = new FactText();
  for (let turn = 0; turn < 1_000; turn++) {
    const facts = newFacts(pool);
    http.begin();
    http.words(`{"method":"GET","uri":`);
    http.quoted(`/${"x".repeat(turn % 300)}`);
    facts.addHttp(http, 0, http.length);
    add(facts, [query, response]);
    if (turn % 3 === 0) facts.free();
    else assertEquals([written(facts).http?.[0].uri?.length, pool.used], [Math.min(turn % 300 + 1, 255), 0]);
    assert(facts.isEmpty);
  }
});

Deno.test("lists and objects are one object of facts", () => {
  const facts = newFacts();
  assertEquals(written(facts), {});
  facts.addOthers(() => {});
  assert(facts.isEmpty);
  add(facts, [query]);
  facts.addOthers((others) => others.tls = { sni: "a.example" });
  facts.cut(3);
  assertEquals(written(facts), { dns: [asked], tls: { sni: "a.example" }, cut: 3 });
});
