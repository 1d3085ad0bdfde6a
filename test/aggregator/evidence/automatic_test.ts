/** Threats ask for their packets by themselves: once, within a rate, and without making detection wait. @module */

import { assertEquals } from "@std/assert";
import { AutomaticRequests } from "../../../aggregator/evidence/automatic.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { FakeClock } from "../../sensor/ship/helpers.ts";

function open(isAsked: (subject: string) => Promise<boolean> = () => Promise.resolve(false)) {
  const clock = new FakeClock();
  const reporter = createReporter({ component: "test", write: () => {} });
  const asked: string[] = [];
  const state = { fails: false };
  const automatic = new AutomaticRequests({}, {
    ask: (subject) => {
      if (state.fails) return Promise.reject(new Error("no store"));
      return Promise.resolve(asked.push(subject));
    },
    isAsked,
    clock,
    reporter,
  });
  automatic.start();
  const counted = (outcome: string) =>
    reporter.snapshot().get(`packet_requests_total{outcome="${outcome}"}`) ?? 0;
  return { clock, asked, state, automatic, counted };
}

Deno.test("a threat that grows is asked for once, also when it was asked for before a restart", async () => {
  const { clock, asked, automatic } = open((subject) => Promise.resolve(subject === "threat/old"));
  for (let i = 0; i < 5; i++) {
    automatic.offer("threat/a", ["f1"]);
    automatic.offer("threat/old", ["f1"]);
    automatic.offer("threat/none", []);
    await clock.advance(1_000);
  }
  assertEquals(asked, ["threat/a"]);
  await automatic.stop();
});

Deno.test("thirty are asked for at once, then one a minute; the others are counted and not asked later by themselves", async () => {
  const { clock, asked, automatic, counted } = open();
  for (let i = 0; i < 40; i++) automatic.offer(`threat/${i}`, ["f1"]);
  await clock.advance(1_000);
  assertEquals([asked.length, counted("over_rate")], [30, 10]);
  await clock.advance(120_000);
  for (let i = 100; i < 103; i++) automatic.offer(`threat/${i}`, ["f1"]);
  await clock.advance(1_000);
  assertEquals([asked.length, counted("over_rate")], [32, 11]);
  await automatic.stop();
});

Deno.test("200 threats wait at most; one whose asking failed is asked for when it grows again", async () => {
  const { clock, asked, state, automatic, counted } = open();
  state.fails = true;
  automatic.offer("threat/a", ["f1"]);
  await clock.advance(1_000);
  assertEquals([asked, counted("failed")], [[], 1]);
  state.fails = false;
  automatic.offer("threat/a", ["f1"]);
  await clock.advance(1_000);
  assertEquals(asked, ["threat/a"]);
  for (let i = 0; i < 203; i++) automatic.offer(`threat/${i}`, ["f1"]);
  assertEquals(counted("crowded_out"), 3);
  await automatic.stop();
});
