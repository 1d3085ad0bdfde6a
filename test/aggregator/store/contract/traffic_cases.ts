/** What the topic of traffic must do: sums that follow from the flows. @module */

import { assertEquals, assertRejects } from "@std/assert";
import type { Test } from "../contract.ts";
import { flowsOf, flowWrite, nothing, t0 } from "../rows.ts";

export function statisticsCases(test: Test): void {
  test("scales totals, talkers and protocols by the sampling factor, not the flow itself", async ({ store }) => {
    const write = flowWrite(1, { factor: 8 });
    await store.ingest({ ...nothing(), ...flowsOf([write]) });
    await store.ingest({
      ...nothing(),
      ...flowsOf([flowWrite(1, { factor: 2 }, { kind: "update", newSightings: 0 })]),
    });
    const { total_packets, total_bytes, src_ip, flow_id } = write.flow;
    const { flows, packets, bytes } = await store.readTotals();
    assertEquals([flows, packets, bytes], [8, total_packets * 10, total_bytes * 10]);
    const talker = (await store.readTopTalkers({}, 10)).find(({ ip }) => ip === src_ip)!;
    assertEquals([talker.flows, talker.total_packets, talker.total_bytes], [8, packets, bytes]);
    const [protocol] = await store.readProtocols({});
    assertEquals([protocol.flows, protocol.packets, protocol.bytes], [8, packets, bytes]);
    const flow = await store.readFlow(flow_id);
    assertEquals([flow!.factor, flow!.total_packets], [2, 2 * total_packets]);
  });

  test("tells the parts of a series with zeros, ten of them and the rest", async ({ store }) => {
    const row = (second: number, protocol: string, bytes: number, sensor_id = "s-one") => ({
      second: t0 + second,
      sensor_id,
      protocol,
      flows: 1,
      packets: 2,
      bytes,
    });
    const small = Array.from({ length: 12 }, (_, i) => row(30, `proto-${i}`, i + 1));
    const traffic = [row(5, "tcp", 900), row(65, "tcp", 100, "s-two"), row(65, "udp", 500), ...small];
    await store.ingest({ ...nothing(), traffic });
    const range = { from: t0, to: t0 + 120 };
    const stacks = await store.readStacks(range, 60, "protocol");
    assertEquals(stacks.map(({ name }) => name), [
      "tcp",
      "udp",
      ...[11, 10, 9, 8, 7, 6, 5, 4].map((n) => `proto-${n}`),
      "",
    ]);
    assertEquals(stacks[0], { name: "tcp", flows: [1, 1, 0], packets: [2, 2, 0], bytes: [900, 100, 0] });
    assertEquals(stacks[1].bytes, [0, 500, 0]);
    assertEquals(stacks[10], { name: "", flows: [4, 0, 0], packets: [8, 0, 0], bytes: [10, 0, 0] });
    const sensors = await store.readStacks(range, 60, "sensor");
    assertEquals(sensors.map(({ name, bytes }) => [name, bytes]), [
      ["s-one", [978, 500, 0]],
      ["s-two", [0, 100, 0]],
    ]);
    const one = await store.readStacks(range, 60, "protocol", "s-two");
    assertEquals(one, [{ name: "tcp", flows: [0, 1, 0], packets: [0, 2, 0], bytes: [0, 100, 0] }]);
    assertEquals(await store.readStacks({ from: t0 - 500, to: t0 - 400 }, 60, "sensor"), []);
    await assertRejects(() => store.readStacks({ from: 0, to: t0 }, 1, "sensor"), RangeError, "points");
  });

  test("adds up traffic with hosts outside by the hour in which flows began", async ({ store }) => {
    const hour = t0 - t0 % 3_600;
    const flow = (second: number, dst_ip: string, fwd_bytes: number) =>
      flowWrite(second, { src_ip: "10.0.0.5", dst_ip, fwd_bytes, bwd_bytes: 1 });
    const at = (hours: number) => hour - t0 + hours * 3_600;
    await store.ingest({
      ...nothing(),
      ...flowsOf([
        flow(at(0), "203.0.113.9", 99),
        flow(at(0) + 1, "203.0.113.9", 199),
        flow(at(1), "203.0.113.9", 299),
        flow(at(1) + 1, "2001:db8::1", 399),
        flow(at(1) + 9, "10.0.0.6", 4_999),
        flow(at(3), "203.0.113.9", 5_999),
      ]),
    });
    const { cells, totals } = await store.readOutside({ from: hour, to: hour + 7_200 }, 3_600);
    assertEquals(cells.map(({ ip, time, bytes }) => [ip, (time - hour) / 3_600, bytes]), [
      ["2001:db8::1", 1, 400],
      ["203.0.113.9", 0, 300],
      ["203.0.113.9", 1, 300],
    ]);
    assertEquals(totals.map(({ time, bytes }) => [(time - hour) / 3_600, bytes]).sort(), [[0, 300], [
      1,
      700,
    ]]);
    const whole = await store.readOutside({ from: hour, to: hour + 4 * 3_600 }, 86_400);
    assertEquals(whole.cells.map(({ ip, bytes }) => [ip, bytes]), [["203.0.113.9", 6_600], [
      "2001:db8::1",
      400,
    ]]);
    assertEquals((await store.readOutside({ from: 0, to: 3_600 }, 3_600)).totals, []);
    await assertRejects(() => store.readOutside({ from: 0, to: 3_600 }, 1_800), RangeError, "whole hours");
  });

  test("adds up totals, talkers, protocols and traffic", async ({ store }) => {
    assertEquals(await store.readTotals(), {
      flows: 0,
      packets: 0,
      bytes: 0,
      sightings: 0,
      threats: 0,
      first: null,
      last: null,
    });
    const traffic = (second: number, packets: number, sensor_id = "s-one") => ({
      second,
      sensor_id,
      protocol: "tcp",
      flows: 1,
      packets,
      bytes: packets * 100,
    });
    for (const n of [1, 2]) {
      await store.ingest({
        ...nothing(),
        ...flowsOf([
          flowWrite(n),
          flowWrite(n, {}, { kind: "update", newSightings: 0 }),
          flowWrite(n + 200, { src_ip: "10.0.0.77", protocol: "udp", app_protocol: "dns" }),
        ]),
        traffic: [traffic(t0, 5), traffic(t0 + 61, 7), traffic(t0 + 61, 1, "s-two")],
      });
    }
    const totals = await store.readTotals();
    assertEquals([totals.flows, totals.packets, totals.bytes, totals.sightings], [4, 90, 18_000, 4]);
    assertEquals([totals.first, totals.last], [t0 + 1, t0 + 204]);
    const talkers = await store.readTopTalkers({}, 10);
    assertEquals(talkers.map(({ ip }) => ip), ["10.0.0.9", "10.0.0.5", "10.0.0.77"]);
    assertEquals(talkers[1], {
      ip: "10.0.0.5",
      flows: 2,
      sent_bytes: 4_000,
      received_bytes: 8_000,
      total_bytes: 12_000,
      total_packets: 60,
    });
    assertEquals((await store.readTopTalkers({}, 1)).length, 1);
    // From 6 hours on by whole hours, and t0 begins one.
    const sixHours = 21_600;
    const atLeast = await store.readTopTalkers({ from: t0 + 180, to: t0 + 180 + sixHours }, 10);
    assertEquals(atLeast, talkers);
    const less = await store.readTopTalkers({ from: t0 + 180, to: t0 + 179 + sixHours }, 10);
    assertEquals(less.map(({ ip }) => ip).sort(), ["10.0.0.77", "10.0.0.9"]);
    const late = await store.readTopTalkers({ from: t0 + 180 }, 10);
    assertEquals(late.map(({ ip }) => ip).sort(), ["10.0.0.77", "10.0.0.9"]);
    assertEquals(await store.readProtocols({}), [
      { protocol: "tcp", app_protocol: "tls", flows: 2, packets: 60, bytes: 12_000 },
      { protocol: "udp", app_protocol: "dns", flows: 2, packets: 30, bytes: 6_000 },
    ]);
    assertEquals(await store.readProtocols({ to: t0 - 60 }), []);
    assertEquals(await store.readSeries({ from: t0, to: t0 + 100 }, 1), [
      { time: t0, flows: 2, packets: 10, bytes: 1_000 },
      { time: t0 + 61, flows: 4, packets: 16, bytes: 1_600 },
    ]);
    assertEquals(await store.readSeries({ from: t0, to: t0 + 100 }, 60, "s-one"), [
      { time: t0, flows: 2, packets: 10, bytes: 1_000 },
      { time: t0 + 60, flows: 2, packets: 14, bytes: 1_400 },
    ]);
    await assertRejects(
      () => store.readSeries({ from: 0, to: t0 }, 1),
      RangeError,
      "must have <= 5000 points",
    );
    await assertRejects(() => store.readSeries({ from: 0, to: 1 }, 0.5), RangeError, '"stepS"');
  });

  test("keeps the 250 busiest addresses of an hour once it is over", async ({ store }) => {
    const ip = (n: number) => `10.7.${n >> 8}.${n & 255}`;
    for (const minute of [0, 1, 2, 3, 4]) {
      const writes = Array.from({ length: 60 }, (_, i) => {
        const n = 60 * minute + i;
        return flowWrite(n, {
          src_ip: ip(n),
          dst_ip: "10.9.0.1",
          fwd_bytes: 1_000 + n,
          bwd_bytes: 0,
        });
      });
      await store.ingest({ ...nothing(), ...flowsOf(writes) });
    }
    const day = { from: t0, to: t0 + 86_399 };
    const ips = async () => (await store.readTopTalkers(day, 1_000)).map((row) => row.ip);
    assertEquals((await ips()).length, 301);
    // Flows of an hour may come until two hours after it.
    await store.pruneTalkers((t0 + 3 * 3_600) * 1e3 - 1);
    assertEquals((await ips()).length, 301);
    await store.pruneTalkers((t0 + 3 * 3_600) * 1e3);
    const left = await ips();
    assertEquals([left.length, left[0], left[1], left[249]], [250, "10.9.0.1", ip(299), ip(51)]);
    // Minutes, as they are read for short ranges, stay as they are.
    assertEquals((await store.readTopTalkers({ from: t0, to: t0 + 3_600 }, 1_000)).length, 301);
    await store.dropDay(t0 - t0 % 86_400, "hours");
    assertEquals(await ips(), []);
  });
}
