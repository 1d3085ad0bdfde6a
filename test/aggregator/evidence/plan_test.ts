/** Which sensor is asked for what: times of its own, bounds, and flows that cannot be found by their name. @module */

import { assertEquals } from "@std/assert";
import { planRequests } from "../../../aggregator/evidence/plan.ts";
import type { Sighting } from "../../../aggregator/model/flow.ts";
import { sampleFlow } from "../api/samples.ts";

const sighting = (sensor_id: string, start: number, end: number): Sighting => ({
  ...sampleFlow(0).seen_by[0],
  sensor_id,
  start,
  end,
});
const idOf = (digit: string) => `1:${digit.repeat(27)}=`;

Deno.test("each sensor is asked in its own time, a second before the flow to a minute after it, ten minutes while it goes on", () => {
  const seen_by = [sighting("s1", 1_000, 1_004), sighting("s2", 5_000, 5_004)];
  const flow = sampleFlow(0, { start: 1_000, seen_by, community_id: idOf("A") });
  assertEquals(planRequests([flow]), [
    {
      sensor_id: "s1",
      flows: [{ community_id: idOf("A"), from_us: 999_000_000, to_us: 1_064_000_000 }],
      reason: "",
      flow_us: 1_000_000_000,
    },
    {
      sensor_id: "s2",
      flows: [{ community_id: idOf("A"), from_us: 4_999_000_000, to_us: 5_064_000_000 }],
      reason: "",
      flow_us: 1_000_000_000,
    },
  ]);
  const [active] = planRequests([{ ...flow, end_reason: "active" }]);
  assertEquals(active.flows[0].to_us, 1_604_000_000);
});

Deno.test("two vantages of one sensor are one request; the same ends an hour later are another flow", () => {
  const twice = sampleFlow(0, { seen_by: [sighting("s1", 1_000, 1_004), sighting("s1", 1_001, 1_009)] });
  const later = sampleFlow(1, { seen_by: [sighting("s1", 4_600, 4_601)] });
  const [plan] = planRequests([twice, later]);
  assertEquals(plan.flows.map(({ from_us, to_us }) => [from_us / 1e6, to_us / 1e6]), [[999, 1_069], [
    4_599,
    4_661,
  ]]);
});

Deno.test("a sensor is asked for 32 flows at most, and eight sensors are asked, those that saw most", () => {
  const flows = Array.from(
    { length: 40 },
    (_, i) =>
      sampleFlow(i, {
        community_id: idOf(String.fromCharCode(65 + i % 26)),
        seen_by: [
          sighting("busy", i * 1_000, i * 1_000 + 1),
          sighting(`s${i}`, i * 1_000, i * 1_000 + 1),
        ],
      }),
  );
  const plans = planRequests(flows);
  assertEquals([plans.length, plans[0].sensor_id, plans[0].flows.length], [8, "busy", 32]);
});

Deno.test("ARP has no Community ID: its sensor is named, and why it cannot be asked", () => {
  const [plan] = planRequests([sampleFlow(0, { community_id: "", protocol: "arp" })]);
  assertEquals([plan.flows, plan.reason], [[], "saw ARP only, whose packets cannot be found by flow"]);
  assertEquals(planRequests([]), []);
});
