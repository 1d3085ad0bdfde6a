/** Tests of finding the sensor's own peers. @module */

import { assertEquals } from "@std/assert";
import { OwnPeers, type Peer } from "../../../sensor/run/own_peers.ts";
import { counted, FakeClock, silentReporter } from "../ship/helpers.ts";

const hub = { host: "hub.example", port: 9092 };

Deno.test("own peers are named by address, and one that cannot be resolved or takes too long does not stop the sensor", async () => {
  const { reporter } = silentReporter();
  const clock = new FakeClock();
  const answers: Record<string, () => Promise<string[]>> = {
    "hub.example": () => Promise.resolve(["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]),
    "gone.example": () => Promise.reject(new Error("no such name")),
    "slow.example": () => new Promise(() => {}),
  };
  const named = [
    { host: "192.0.2.7", port: 8600 },
    hub,
    { host: "gone.example", port: 9092 },
    { host: "slow.example", port: 9092 },
  ];
  const own = new OwnPeers(() => named, { clock, reporter, lookupAll: (host) => answers[host]() });
  const updated = own.update();
  await clock.advance(5_000);
  assertEquals(await updated, true);
  assertEquals(own.all, [
    { host: "192.0.2.7", port: 8600 },
    { host: "192.0.2.1", port: 9092 },
    { host: "2001:db8::1", port: 9092 },
  ]);
  assertEquals(counted(reporter, "own_peer_lookup_failures_total"), 2);
});

Deno.test("own peers are looked up again: a name that resolves late or moves, a broker that makes itself known", async () => {
  const { reporter } = silentReporter();
  const clock = new FakeClock();
  let addresses: string[] = [];
  const named: Peer[] = [hub];
  const own = new OwnPeers(() => named, { clock, reporter, lookupAll: () => Promise.resolve(addresses) });
  assertEquals(await own.update(), false);
  const told: (readonly Peer[])[] = [];
  own.start((peers) => told.push(peers));
  addresses = ["192.0.2.1"];
  await clock.advance(2_500);
  assertEquals(told, [[{ host: "192.0.2.1", port: 9092 }]]);
  // Connections to where it was may still stand.
  addresses = ["192.0.2.2"];
  named.push({ host: "192.0.2.9", port: 9093 });
  await clock.advance(30_000);
  assertEquals(told.length, 1);
  await clock.advance(31_000);
  assertEquals(told[1], [
    { host: "192.0.2.1", port: 9092 },
    { host: "192.0.2.2", port: 9092 },
    { host: "192.0.2.9", port: 9093 },
  ]);
  addresses = Array.from({ length: 40 }, (_, i) => `198.51.100.${i + 1}`);
  await clock.advance(61_000);
  assertEquals(own.all.length, 32);
  await own.stop();
});
