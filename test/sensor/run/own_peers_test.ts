/** Tests of finding the sensor's own peers. @module */

import { assertEquals } from "@std/assert";
import { resolvePeers } from "../../../sensor/run/own_peers.ts";
import { FakeClock, silentReporter } from "../ship/helpers.ts";

Deno.test("own peers are named by address, and one that cannot be resolved or takes too long does not stop the sensor", async () => {
  const { reporter, lines } = silentReporter();
  const clock = new FakeClock();
  const answers: Record<string, () => Promise<string[]>> = {
    "hub.example": () => Promise.resolve(["192.0.2.1", "2001:db8::1"]),
    "gone.example": () => Promise.reject(new Error("no such name")),
    "slow.example": () => new Promise(() => {}),
  };
  const resolved = resolvePeers([
    { host: "192.0.2.7", port: 8600 },
    { host: "hub.example", port: 9092 },
    { host: "gone.example", port: 9092 },
    { host: "slow.example", port: 9092 },
  ], { clock, reporter, lookupAll: (host) => answers[host]() });
  await clock.advance(5_000);
  assertEquals(await resolved, [
    { host: "192.0.2.7", port: 8600 },
    { host: "192.0.2.1", port: 9092 },
    { host: "2001:db8::1", port: 9092 },
  ]);
  assertEquals(lines.length, 2);
});
