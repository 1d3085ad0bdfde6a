/** The reporter: counters in Prometheus' notation, log lines sampled and made inert. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { createReporter, seriesKey } from "../../shared/reporter.ts";
import type { Clock } from "../../shared/clock.ts";

function stillClock(): Clock & { now: number } {
  const clock = {
    now: 0,
    nowMs: () => clock.now,
    monotonicMs: () => clock.now,
    sleep: () => Promise.resolve(),
  };
  return clock;
}

Deno.test("counters add up by name and labels", () => {
  const reporter = createReporter({ component: "test", write: () => {} });
  reporter.count("frames_total", { reason: "cut" });
  reporter.count("frames_total", { reason: "cut" }, 4);
  reporter.gauge("open", 3);
  assertEquals([...reporter.snapshot()], [['frames_total{reason="cut"}', 5], ["open", 3]]);
  assertEquals(seriesKey("a", { z: 1, b: 'x"\n' }), 'a{b="x__",z="1"}');
});

Deno.test("one message is written three times in ten seconds, and those held back are said later", () => {
  const lines: string[] = [];
  const clock = stillClock();
  const reporter = createReporter({ component: "test", write: (line) => lines.push(line), clock });
  for (let i = 0; i < 8; i++) reporter.warn("cannot send", { attempt: i });
  assertEquals(lines.length, 3);
  clock.now = 10_001;
  reporter.warn("cannot send", { attempt: 9 });
  assertEquals(lines[3], "test: warning: cannot send attempt=9 held_back=5");
});

Deno.test("wire strings cannot write control sequences or lines into the log", () => {
  const lines: string[] = [];
  const reporter = createReporter({
    component: "test",
    write: (line) => lines.push(line),
    clock: stillClock(),
  });
  reporter.info("name seen", { name: "a\u001b[2J\nerror: all is well\u202e" });
  assertEquals(lines.length, 1);
  assertStringIncludes(lines[0], "a\\u{1b}[2J\\u{a}error: all is well\\u{202e}");
});

Deno.test("a line says its time where nobody else does, and its level as the journal reads it", () => {
  const said = (reader: "terminal" | "journal" | "file", json = false) => {
    const lines: string[] = [];
    const clock = { ...stillClock(), nowMs: () => 1_700_000_000_000 };
    const reporter = createReporter({
      component: "test",
      write: (line) => lines.push(line),
      clock,
      reader,
      json,
    });
    reporter.info("begun", { port: 1 });
    reporter.warn("odd");
    reporter.error("lost");
    return lines;
  };
  assertEquals(said("terminal"), ["test: begun port=1", "test: warning: odd", "test: error: lost"]);
  assertEquals(said("journal"), ["<6>begun port=1", "<4>warning: odd", "<3>error: lost"]);
  assertEquals(said("file")[2], "2023-11-14T22:13:20.000Z test: error: lost");
  const object = '{"time":"2023-11-14T22:13:20.000Z","level":"error","component":"test","message":"lost"}';
  assertEquals([said("journal", true)[2], said("file", true)[2]], [`<3>${object}`, object]);
});

Deno.test("a histogram counts what lies at or below each end, and all of it", () => {
  const reporter = createReporter({ component: "test", write: () => {} });
  for (const seconds of [0.005, 0.006, 1, 599, 601, -3]) {
    reporter.observe("ingest_lag_seconds", seconds, { route: "/a" });
  }
  const series = Object.fromEntries(reporter.snapshot());
  const at = (end: string) => series[`ingest_lag_seconds_bucket{le="${end}",route="/a"}`];
  assertEquals(["0.005", "0.025", "0.25", "1", "120", "600", "+Inf"].map(at), [2, 3, 3, 4, 4, 5, 6]);
  assertEquals(series['ingest_lag_seconds_count{route="/a"}'], 6);
  assertEquals(Math.round(series['ingest_lag_seconds_sum{route="/a"}'] * 1e3), 1_201_011);
  assertEquals(Object.keys(series).length, 12);
});
