/** What the topic of packets must do: one request a subject and sensor, outcomes for those that are waited for,
 * and an end. @module */

import { assertEquals } from "@std/assert";
import type { PacketRequestRow } from "../../../../aggregator/model/packets.ts";
import type { Test } from "../contract.ts";
import { nowMs } from "../rows.ts";

function request(index: number, change: Partial<PacketRequestRow> = {}): PacketRequestRow {
  return {
    id: String(index).padStart(16, "0"),
    subject: "threat/00112233445566aa",
    sensor_id: `s${index}`,
    state: "asked",
    reason: "",
    flows: [{
      community_id: `1:${"A".repeat(27)}=`,
      from_us: 1_768_478_400_000_001,
      to_us: 1_768_478_460_000_000,
    }],
    asked_by: "ann",
    expires_ms: nowMs + 3_600_000,
    at_ms: nowMs,
    packets: 0,
    bytes: 0,
    sha256: "",
    flow_us: 1_768_478_401_000_000,
    ...change,
  };
}

const arrived = {
  state: "arrived" as const,
  reason: "",
  at_ms: nowMs + 5,
  packets: 3,
  bytes: 400,
  sha256: "0".repeat(64),
};

export function packetCases(test: Test): void {
  test("keeps requests for packets whole, one a subject and sensor", async ({ store, reopen }) => {
    await store.addPacketRequests([request(1), request(2, { state: "refused", reason: "keeps none" })]);
    await store.addPacketRequests([]);
    const subject = request(1).subject;
    assertEquals(await store.readPacketRequests(subject), [
      request(1),
      request(2, { state: "refused", reason: "keeps none" }),
    ]);
    // Asked again: the one that is waited for stays, the refused one gives way.
    await store.addPacketRequests([request(3, { sensor_id: "s1" }), request(4, { sensor_id: "s2" })]);
    assertEquals((await store.readPacketRequests(subject)).map(({ id }) => Number(id)), [1, 4]);
    assertEquals(await store.readPacketRequest(request(1).id), request(1));
    assertEquals(await store.readPacketRequest("ffffffffffffffff"), null);
    assertEquals(await store.readPacketRequests("threat/other"), []);
    const again = await reopen();
    assertEquals((await again.readAskedPackets(10)).map(({ id }) => Number(id)), [1, 4]);
    assertEquals((await again.readAskedPackets(1)).length, 1);
  });

  test("settles a request once, and gives up those that expired", async ({ store }) => {
    await store.addPacketRequests([
      request(1),
      request(2, { expires_ms: nowMs + 10 }),
      request(3, { expires_ms: nowMs + 11 }),
    ]);
    assertEquals(await store.settlePacketRequest(request(1).id, arrived), true);
    assertEquals(await store.settlePacketRequest(request(1).id, { ...arrived, packets: 9 }), false);
    assertEquals(await store.settlePacketRequest("ffffffffffffffff", arrived), false);
    assertEquals(await store.readPacketRequest(request(1).id), request(1, arrived));
    assertEquals(await store.expirePacketRequests(nowMs + 10, "did not answer"), 1);
    const states = async () => (await store.readPacketRequests(request(1).subject)).map(({ state }) => state);
    assertEquals(await states(), ["arrived", "gone", "asked"]);
    assertEquals((await store.readPacketRequest(request(2).id))!.reason, "did not answer");
    await store.addPacketRequests([request(9, { sensor_id: "s1" })]);
    assertEquals((await store.readPacketRequest(request(1).id))!.packets, 3, "what arrived is not replaced");
  });

  test("tells stored packets, loses one, and forgets by age and by day", async ({ store }) => {
    await store.addPacketRequests([1, 2, 3, 4].map((index) => request(index, { flow_us: index * 1_000 })));
    for (const index of [1, 2, 3]) {
      await store.settlePacketRequest(request(index).id, { ...arrived, at_ms: nowMs + 10 - index });
    }
    assertEquals((await store.readStoredPackets()).map(({ id, bytes }) => [Number(id), bytes]), [
      [3, 400],
      [2, 400],
      [1, 400],
    ]);
    await store.losePackets(request(2).id, "is gone", nowMs + 50);
    const { state, bytes, sha256 } = (await store.readPacketRequest(request(2).id))!;
    assertEquals([state, bytes, sha256], ["gone", 0, ""]);
    const prune = async (changedBeforeMs: number, flowsFromUs = 0, flowsToUs = 0) =>
      (await store.prunePacketRequests({ changedBeforeMs, flowsFromUs, flowsToUs })).map(Number).sort();
    assertEquals(await prune(nowMs), []);
    assertEquals(await prune(0, 1_001, 3_000), [2]);
    assertEquals(await prune(0, 3_000, 3_001), [3]);
    assertEquals(await prune(nowMs + 1), [4]);
    assertEquals(await prune(nowMs + 9), []);
    assertEquals(await prune(nowMs + 10), [1]);
  });
}
