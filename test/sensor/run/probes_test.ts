/** What the doctor says of the running sensor's newest canary. @module */

import { assertEquals } from "@std/assert";
import { arrivalCheck } from "../../../sensor/run/probes.ts";
import type { Status } from "../../../sensor/control/status_file.ts";

const nowMs = 1_800_000_000_000;
const flow = { interface: "eth0", community_id: `1:${"A".repeat(27)}=`, problem: null };
const none = { interface: "eth1", community_id: null, problem: "it has no address to send from" };

async function found(agoMs: number, arrivedMs: number | null, flows: (typeof flow | typeof none)[] = [flow]) {
  const canary = { sent_ms: nowMs - agoMs, asked: null, flows };
  const status = { written_ms: nowMs, canary_arrived_ms: arrivedMs, health: { canary } } as unknown as Status;
  const { outcome, detail } = await arrivalCheck(() => Promise.resolve(status))();
  return [outcome, detail];
}

Deno.test("a canary that is not found after five minutes is a warning, and one that cannot be sent is none", async () => {
  assertEquals(await found(300_000, null), ["ok", "sent 300 s ago, not found at the centre yet"]);
  assertEquals(await found(300_001, null), ["warn", "sent 300 s ago, not found at the centre yet"]);
  assertEquals(await found(300_001, nowMs - 300_001), ["ok", "sent 300 s ago, found at the centre"]);
  assertEquals(await found(900_000, null, [none]), [
    "ok",
    "not possible: eth1: it has no address to send from",
  ]);
  assertEquals(await found(900_000, 5, [flow, none]), [
    "warn",
    "sent 900 s ago, not found at the centre yet; eth1: it has no address to send from",
  ]);
});

Deno.test("without a sensor that runs, or before its first canary, the doctor has nothing to warn of", async () => {
  const idle = await arrivalCheck(() => Promise.resolve(null))();
  assertEquals(idle.outcome, "ok");
  const fresh = { written_ms: nowMs, canary_arrived_ms: null, health: {} } as unknown as Status;
  const { outcome, detail } = await arrivalCheck(() => Promise.resolve(fresh))();
  assertEquals([outcome, detail], ["ok", "none was sent yet"]);
});
