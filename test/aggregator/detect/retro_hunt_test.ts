/** What a list brings anew is found in stored flows, marked as found afterwards, within bounds. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startDetectors } from "../../../aggregator/detect/detectors/catalogue.ts";
import { intelligence } from "../../../aggregator/detect/detectors/intelligence.ts";
import { Engine } from "../../../aggregator/detect/engine.ts";
import type { FreshFinding } from "../../../aggregator/detect/finding.ts";
import { RetroHunt, type RetroHuntOptions } from "../../../aggregator/detect/retro_hunt.ts";
import { FreshEntries, type FreshList } from "../../../aggregator/intel/fresh_entries.ts";
import { LineReader } from "../../../aggregator/intel/formats.ts";
import { IndicatorTable } from "../../../aggregator/intel/table.ts";
import type { Flow } from "../../../aggregator/model/flow.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { explainByRules } from "../../../aggregator/triage/rules.ts";
import type { Clock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { sampleFlow } from "../api/samples.ts";
import { baseS, times } from "./updates.ts";

function freshList(text: string, list = "feed.txt"): FreshList {
  const table = new IndicatorTable([1, 2]);
  const reader = new LineReader((indicator, note) => table.add(indicator, note));
  for (const line of text.split("\n")) reader.read(line);
  return { list, table };
}

const nowS = baseS + 6 * 86_400;
const flow = (id: number, atS: number, dst_ip: string): Flow => ({
  ...sampleFlow(id),
  flow_id: id.toString(16).padStart(16, "0"),
  src_ip: "10.0.0.5",
  dst_ip,
  start: baseS + atS,
  end: baseS + atS + 1,
});

/** A hunt over `flows`, of which the store gives pages, the newest first. */
function world(flows: readonly Flow[], options: Partial<RetroHuntOptions> = {}) {
  const found: FreshFinding[] = [], asked: number[] = [], slept: number[] = [];
  const stored = { away: 0 };
  const clock: Clock = {
    nowMs: () => nowS * 1_000,
    monotonicMs: () => 0,
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
  };
  const reporter = createReporter({ component: "test", write: () => undefined, clock });
  const newest = [...flows].sort((a, b) => b.start - a.start);
  const hunt = new RetroHunt({ days: 7, pageRows: 10, ...options }, {
    store: {
      readFlows({ from = 0 }, { limit, cursor = "0" }) {
        if (stored.away-- > 0) return Promise.reject(new StoreUnavailable("away"));
        asked.push(from);
        const rows = newest.filter(({ start }) => start >= from).slice(
          Number(cursor),
          Number(cursor) + limit,
        );
        const next = Number(cursor) + rows.length;
        return Promise.resolve(
          next < newest.length && rows.length > 0 ? { rows, next_cursor: `${next}` } : { rows },
        );
      },
    },
    clock,
    reporter,
    onFound: (findings) => {
      found.push(...findings);
      return Promise.resolve();
    },
  });
  const ended = async (outcome: string) => {
    const name = `retro_hunts_total{outcome="${outcome}"}`;
    for (let i = 0; i < 10_000 && !reporter.snapshot().has(name); i++) await Promise.resolve();
    return reporter.snapshot().get(name) ?? 0;
  };
  return {
    hunt,
    found,
    asked,
    slept,
    stored,
    ended,
    counted: (name: string) => reporter.snapshot().get(name) ?? 0,
  };
}

const contacts = [
  ...times(35, (i) => flow(i + 1, i * 60, "198.51.100.7")),
  flow(90, 9_000, "203.0.113.9"),
  flow(91, 9_100, "203.0.113.9"),
];

Deno.test("a new entry is found in stored flows, page by page, and says that it was found afterwards", async () => {
  const { hunt, found, asked, ended, counted } = world(contacts);
  hunt.take(freshList("203.0.113.9 # C2"));
  assertEquals(await ended("done"), 1);
  const [finding] = found;
  assertEquals([found.length, finding.detector, finding.src_ips, finding.dst_ips, finding.count], [
    1,
    "intelligence",
    ["10.0.0.5"],
    ["203.0.113.9"],
    2,
  ]);
  assertStringIncludes(finding.title, "found afterwards");
  assertStringIncludes(finding.identity, "|afterwards|10.0.0.5|address|203.0.113.9");
  assert(finding.reasons.some(({ name, points }) => name === "found_afterwards" && points === 0));
  assertEquals(finding.new_flow_ids.length, 2);
  assertEquals([asked.length, asked[0], counted("retro_hunt_flows_total")], [4, nowS - 7 * 86_400, 37]);
  await hunt.stop();
});

Deno.test("an engine keeps it beside today's contact, and a closed one stays closed", async () => {
  const { hunt, found, ended } = world(contacts);
  const list = freshList("203.0.113.9");
  hunt.take(list);
  await ended("done");
  await hunt.stop();
  const reporter = createReporter({ component: "test", write: () => undefined });
  const engine = new Engine({}, {
    detectors: startDetectors(undefined, [intelligence(new FreshEntries([list]))]),
    reporter,
    explain: explainByRules,
  });
  const [threat, ...others] = engine.adopt(found, nowS * 1_000);
  assertEquals([others, threat.severity, threat.status], [[], "high", "open"]);
  assertStringIncludes(threat.explanation, "found afterwards");
  assertEquals(engine.takeLinks()[0].flow_ids.length, 2);
  engine.setStatus(threat.id, "closed");
  assertEquals([engine.adopt(found, nowS * 1_000), engine.threats.length], [[], 1]);
});

Deno.test("a hunt goes back so many days, and no further than so many flows", async () => {
  const old = world([...contacts, flow(99, -86_400 - 1, "192.0.2.1"), flow(98, -86_400 + 1, "192.0.2.2")]);
  old.hunt.take(freshList("192.0.2.1\n192.0.2.2"));
  assertEquals(await old.ended("done"), 1);
  assertEquals(old.found.map(({ dst_ips }) => dst_ips), [["192.0.2.2"]]);
  const cut = world(contacts, { rowsMax: 20 });
  cut.hunt.take(freshList("198.51.100.7"));
  assertEquals([await cut.ended("cut"), cut.counted("retro_hunt_flows_total")], [1, 20]);
  assertEquals(cut.found.at(-1)?.count, 18, "the newest twenty, of which two went elsewhere");
  await Promise.all([old.hunt.stop(), cut.hunt.stop()]);
});

Deno.test("a page is tried ten times while the store is away, and what waits is bounded", async () => {
  const soon = world(contacts), never = world(contacts);
  soon.stored.away = 9;
  soon.hunt.take(freshList("203.0.113.9"));
  assertEquals([await soon.ended("done"), soon.found.length], [1, 1]);
  assertEquals(soon.slept.slice(0, 9), times(9, () => 60_000));
  never.stored.away = 10;
  never.hunt.take(freshList("203.0.113.9"));
  assertEquals([await never.ended("failed"), never.found.length], [1, 0]);
  const many = world(contacts);
  for (let i = 0; i < 66; i++) many.hunt.take(freshList("203.0.113.9", `${i}.txt`));
  assertEquals(many.counted("retro_hunt_lists_dropped_total"), 1, "one is hunted for, 64 wait");
  await Promise.all([soon.hunt.stop(), never.hunt.stop(), many.hunt.stop()]);
  many.hunt.take(freshList("203.0.113.9"));
  assertEquals(many.counted("retro_hunt_lists_dropped_total"), 1, "stopped");
});
