/** Who hangs up: the query ends with them, and one that still waits for its place never begins. @module */

import { assertEquals } from "@std/assert";
import type { FlowStore } from "../../../aggregator/store/store.ts";
import { startHostileWorld } from "../dashboard/hostile.ts";

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("a query learns that its caller has gone, through the front door, and those behind it are not begun", async () => {
  const world = await startHostileWorld();
  const { fixture } = world;
  let begun = 0, ended = 0;
  const readFlows: FlowStore["readFlows"] = (_query, { signal }) => {
    begun++;
    return new Promise((resolve) =>
      signal!.addEventListener("abort", () => {
        ended++;
        resolve({ rows: [] });
      })
    );
  };
  Object.assign(fixture.services.flowStore, { readFlows });
  const gone = new AbortController();
  const headers = { authorization: `Bearer ${fixture.keys.viewer}` };
  const asked = Array.from(
    { length: 6 },
    () =>
      fetch(`${world.url}/api/v1/flows`, { headers, signal: gone.signal }).then(
        () => "answered",
        () => "gone",
      ),
  );
  await until(() => begun === 4);
  gone.abort();
  assertEquals(new Set(await Promise.all(asked)), new Set(["gone"]));
  await until(() => ended === 4 && fixture.counter('requests_abandoned_total{route="/api/v1/flows"}') === 2);
  assertEquals([begun, ended], [4, 4], "four at once, as the fixture allows");
  assertEquals(fixture.counter('requests_abandoned_total{route="/api/v1/flows"}'), 2);
  await world.stop();
});
