/** Wire strings on their way into the page: inert and visible. Numbers and spans as people read them. @module */

import { assertEquals } from "@std/assert";
import {
  allOf,
  axisRate,
  bytes,
  count,
  inert,
  inertAll,
  rate,
  roundTimes,
  someOf,
  span,
} from "../../../aggregator/dashboard/browser/text.ts";

Deno.test("inert makes control, zero-width and direction characters visible, and leaves text and lines alone", () => {
  assertEquals(inert("a\u202eb\u200b\u001b[31m\u2028"), "a\\u{202e}b\\u{200b}\\u{1b}[31m\\u{2028}");
  assertEquals(inert("<b>\n& für"), "<b>\n& für");
});

Deno.test("an answer is inert in every string, in lists, below objects, and in the names of fields", () => {
  const answer = { rows: [{ "k\u202e": ["\u200b", 7, null, true] }], text: "a\u0007" };
  assertEquals(inertAll(answer), {
    rows: [{ "k\\u{202e}": ["\\u{200b}", 7, null, true] }],
    text: "a\\u{7}",
  });
  let deep: unknown = "\u202e";
  for (let i = 0; i < 40; i++) deep = [deep];
  assertEquals(JSON.stringify(inertAll(deep)).includes("\u202e"), false, "nothing is left as it was");
});

Deno.test("numbers keep three digits and spans two", () => {
  assertEquals([count(9_999), count(10_000), count(1_234_567)], ["9999", "10.0 k", "1.23 M"]);
  assertEquals([bytes(9_999), bytes(10_000)], ["9999 B", "10.0 kB"]);
  assertEquals(rate(1_250, 1), "10.0 kbit/s");
  assertEquals([span(0), span(0.012), span(119), span(120), span(7_199), span(7_200), span(172_800)], [
    "0 s",
    "12 ms",
    "119 s",
    "2 min",
    "120 min",
    "2 h",
    "2 d",
  ]);
  assertEquals([1, 125, 1_250, 1_300, 31_250, 312_500].map((octets) => axisRate(octets, 1)), [
    "8 bit/s",
    "1000 bit/s",
    "10 kbit/s",
    "10.4 kbit/s",
    "250 kbit/s",
    "2.5 Mbit/s",
  ]);
  assertEquals([someOf([]), someOf(["a"]), someOf(["a", "b", "c"])], ["unknown", "a", "a and 2 more"]);
});

Deno.test("a list that is cut is whole in its title, thirty at most and how many more", () => {
  const many = Array.from({ length: 31 }, (_, i) => `10.0.0.${i}`);
  assertEquals([allOf([]), allOf(["a"]), allOf(["a", "b"])], ["", "", "a\nb"]);
  assertEquals(allOf(many).split("\n").slice(29), ["10.0.0.29", "and 1 more"]);
  assertEquals(allOf(many.slice(1)).split("\n").length, 30);
});

Deno.test("an axis has round times, never more than fit, and none where its words would be cut", () => {
  const day = 1_800_000_000 - 1_800_000_000 % 86_400;
  for (const [length, most] of [[60, 7], [3_600, 4], [86_400, 7], [86_400 * 40, 7], [86_400 * 3_650, 2]]) {
    const times = roundTimes(day + 7, day + 7 + length, most);
    const step = (times[1] ?? times[0]) - times[0];
    if (times.length > most || times.length < 1) {
      throw new Error(`${times.length} of ${most} for ${length} s`);
    }
    if (step > 0) assertEquals(times.map((time) => time - times[0]), times.map((_, i) => i * step));
  }
  assertEquals(roundTimes(day + 7, day + 67, 7).map((time) => time - day), [10, 20, 30, 40, 50, 60]);
  assertEquals(roundTimes(5, 5, 7), []);
  assertEquals(roundTimes(day, day + 86_400, 3).map((time) => time - day), [43_200], "a day on a phone");
});
