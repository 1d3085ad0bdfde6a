/** Shapes, each with what it lets through and what it does not. @module */

import { assert, assertEquals } from "@std/assert";
import { exactly, flag, integer, listOf, number, object, orNull, text } from "../../shared/shape.ts";

const strange = [undefined, null, NaN, Infinity, 1.5, -1, "", "x", true, [], {}, () => 0, Symbol("s"), 1n];

/** Those of `strange` that have the shape. */
const kept = (check: (value: unknown) => boolean) => strange.filter((value) => check(value));

Deno.test("a shape lets through what it is for, of anything", () => {
  assertEquals(kept(text()), ["", "x"]);
  assertEquals(kept(text(/^.$/)), ["x"]);
  assertEquals(kept(number), [1.5, -1]);
  assertEquals(kept(integer(-1)), [-1]);
  assertEquals(kept(flag), [true]);
  assertEquals(kept(listOf(text())), [[]]);
  assertEquals(kept(orNull(text(/x/))), [null, "x"]);
  assertEquals(kept(object({})).filter((value) => typeof value !== "object"), []);
  assertEquals(kept(object({ length: integer(0) })), []);
});

Deno.test("an integer keeps to its bounds", () => {
  const check = integer(1, 3);
  assertEquals([0, 1, 3, 4, 2.5, 2 ** 53].map(check), [false, true, true, false, false, false]);
  assert(!integer(0)(2 ** 53));
});

Deno.test("a list is checked item by item, up to its length", () => {
  const check = listOf(integer(0), 2);
  assertEquals([[1, 2], [1, 2, 3], [1, "2"], "12"].map(check), [true, false, false, false]);
});

Deno.test("an object needs its keys; others are nobody's business, unless it is to be exact", () => {
  const checks = { name: text(), list: orNull(listOf(text())) };
  const values = [
    { name: "a", list: null },
    { name: "a", list: ["b"], more: 1 },
    { name: "a" },
    { name: 1, list: null },
    [["name", "a"]],
    JSON.parse('{"name":"a","list":null,"__proto__":{}}'),
  ];
  assertEquals(values.map(object(checks)), [true, true, false, false, false, true]);
  assertEquals(values.map(exactly(checks)), [true, false, false, false, false, false]);
});
