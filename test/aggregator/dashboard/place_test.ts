/** The address of the dashboard, the time range in it, and problems that the API answers. @module */

import { assertEquals } from "@std/assert";
import { problemOf } from "../../../aggregator/dashboard/browser/call.ts";
import { addressOfPlace, readPlace } from "../../../aggregator/dashboard/browser/place.ts";
import { boundsOf, rangeBetween, readRange } from "../../../aggregator/dashboard/browser/range.ts";

Deno.test("a place and its address are the same thing, whatever stands in it", () => {
  const query = { severity_min: "high", name: "a&b=#?/ü\u202e" };
  assertEquals(readPlace(addressOfPlace("hosts", "fe80::1%eth0/64", query)), {
    page: "hosts",
    item: "fe80::1%eth0/64",
    query,
  });
  assertEquals(readPlace(""), { page: "overview", item: "", query: {} });
  assertEquals(readPlace("#/flows?ip=&"), { page: "flows", item: "", query: { ip: "" } });
  assertEquals(addressOfPlace("flows", "", { ip: "", port: null, cols: undefined }), "#/flows");
});

Deno.test("an address that somebody made up is a place all the same, and keeps no odd names", () => {
  assertEquals(readPlace("#/%zz/%"), { page: "%zz", item: "%", query: {} });
  assertEquals(readPlace("#/flows?__proto__=1&A=2&ok=3").query, { ok: "3" });
  assertEquals(readPlace(`#/flows?name=${"x".repeat(3_000)}`).query.name.length, 2_000);
});

Deno.test("a range ends at the newest packet, now, or where it says; nonsense is the last day", () => {
  const newest = 1_000_000;
  const now = 2_000_000;
  const bounds = (text: string | undefined, at: number | null = newest) => boundsOf(readRange(text), at, now);
  assertEquals(bounds("1h"), { from: 996_400, to: 1_000_000 });
  assertEquals(bounds("1h-now"), { from: 1_996_400, to: 2_000_000 });
  assertEquals(bounds("1h", null), { from: 1_996_400, to: 2_000_000 });
  assertEquals(bounds("all"), {});
  assertEquals(bounds("100..200.5"), { from: 100, to: 200.5 });
  assertEquals(rangeBetween(100, 200.5), "100..200.5");
  for (const text of [undefined, "", "24h", "200..100", "5..5", "x", "1e9m", "0..99999999999"]) {
    assertEquals(bounds(text), { from: 913_600, to: 1_000_000 }, text);
  }
  assertEquals(bounds("30d"), { from: 0, to: 1_000_000 }, "no time is before 1970");
});

Deno.test("a problem is read as problem details, and what is none has its status", () => {
  const parts = (answer: unknown) => {
    const { message, field, status } = problemOf(400, answer);
    return [message, field, status];
  };
  assertEquals(parts({ title: "A parameter is wrong", detail: "must be < 5", field: "port" }), [
    "A parameter is wrong: must be < 5",
    "port",
    400,
  ]);
  assertEquals(parts({ message: "Bad gateway" }), ["Error 400", null, 400]);
  for (const odd of [null, [], "x", { error: "x" }, { title: 7 }]) {
    assertEquals(typeof parts(odd)[0], "string");
    assertEquals(parts(odd)[1], null);
  }
});
