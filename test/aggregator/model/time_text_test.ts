/** Times as people write them: each form, and what is no time. @module */

import { assertEquals } from "@std/assert";
import { readSeconds, readTime, writeTime } from "../../../aggregator/model/time_text.ts";

/** 2026-01-31T12:00:00Z */
const noonMs = 1_769_860_800_000;

Deno.test("a time is read in each form", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["1769860800", 1_769_860_800],
    ["1769860800.25", 1_769_860_800.25],
    ["99999999999", 99_999_999_999],
    ["100000000000", 100_000_000],
    ["1769860800250", 1_769_860_800.25],
    ["2026-01-31T12:00:00Z", 1_769_860_800],
    ["2026-01-31t12:00:00.5z", 1_769_860_800.5],
    ["2026-01-31 12:00:00Z", 1_769_860_800],
    ["2026-01-31T13:30:00+01:30", 1_769_860_800],
    ["2026-01-31T13:30:00 01:30", 1_769_860_800],
    ["2026-01-31T07:00:00-05:00", 1_769_860_800],
    ["2026-01-31T12:00", 1_769_860_800],
    ["2026-01-31", 1_769_817_600],
    ["2024-02-29", 1_709_164_800],
    ["now", 1_769_860_800],
    [" NOW-1h ", 1_769_857_200],
    ["now-90s", 1_769_860_710],
    ["now-15m", 1_769_859_900],
    ["now-7d", 1_769_256_000],
    ["now-2w", 1_768_651_200],
    ["now+5m", 1_769_861_100],
    ["now 5m", 1_769_861_100],
    ["today", 1_769_817_600],
    ["today+8h", 1_769_846_400],
    ["yesterday", 1_769_731_200],
  ];
  for (const [text, seconds] of cases) {
    const expected = seconds > 32_503_679_999 ? null : seconds;
    assertEquals(readTime(text, noonMs), expected, text);
  }
});

Deno.test("what has no one meaning is no time", () => {
  const none = [
    "",
    " ",
    "-1",
    "now-",
    "now-1",
    "now-1y",
    "now-1h30m",
    "tomorrow",
    "12:00",
    "31.01.2026",
    "1e9",
    "0x10",
  ];
  const odd = [
    "2026-02-30",
    "2025-02-29",
    "2026-13-01",
    "2026-01-31T24:00Z",
    "2026-01-31T12:60Z",
    "1969-12-31",
  ];
  const far = ["now-9999w", "now-999999999w", "2026-01-31T12:00:00+24:00", "3000-01-01", "9".repeat(40)];
  for (const text of [...none, ...odd, ...far, "2026-01-31T12:00:00Zx"]) {
    assertEquals(readTime(text, noonMs), null, text);
  }
});

Deno.test("spans are whole units, and a time is written to the millisecond", () => {
  assertEquals(["90s", "15m", "1h", "7d", "2w", "h", "1.5h", "1 h"].map(readSeconds), [
    90,
    900,
    3_600,
    604_800,
    1_209_600,
    null,
    null,
    null,
  ]);
  assertEquals(writeTime(1_769_860_800.123456), "2026-01-31T12:00:00.123Z");
  assertEquals([writeTime(0), writeTime(8.64e12), writeTime(8.65e12), writeTime(NaN)], [
    "1970-01-01T00:00:00.000Z",
    "+275760-09-13T00:00:00.000Z",
    null,
    null,
  ]);
});

Deno.test("a time is written as a date writes it, whatever was written before it", () => {
  const year = 31_556_952;
  const times = [0, 59.999, 60, 59, -0.001, -60, -61.5, 8.64e12, -8.64e12, -8.639_999_999_9e12, 0.5];
  for (let i = 0; i < 2_000; i++) times.push((i * 7_919 % 4_001 - 2_000) * year / 97 + i / 1_000);
  for (const seconds of times) {
    const ms = Math.floor(Math.round(seconds * 1e6) / 1e3);
    assertEquals(writeTime(seconds), new Date(ms).toISOString());
  }
});
