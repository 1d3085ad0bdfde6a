/** Tests of applying a policy's settings to the stages that run. @module */

import { assertEquals } from "@std/assert";
import { OverloadGuard } from "../../../sensor/prefilter/overload.ts";
import { PacketRing } from "../../../sensor/ring/packet_ring.ts";
import { ownFields, policyApplier } from "../../../sensor/run/policy_settings.ts";
import type { CaptureSource, FastLane } from "../../../sensor/run/stages.ts";

const own = {
  filter: "",
  snaplen: 0,
  tcpIdleMs: 120_000,
  otherIdleMs: 30_000,
  unansweredIdleMs: 10_000,
  activeMs: 60_000,
  facts: true,
  sampleMax: 1_024,
};

function stages() {
  const retuned: unknown[] = [], tuned: unknown[] = [], limits: number[] = [], levels: number[] = [];
  let problem: string | null = null;
  const source = { retune: (change: unknown) => (retuned.push(change), Promise.resolve(problem)) };
  const fastLane = { tune: (one: unknown) => tuned.push(one), sample: (level: number) => levels.push(level) };
  const ring = new PacketRing({ bytesMax: 1024 * 1024, payload: "start" });
  const apply = policyApplier(own, {
    source: source as unknown as CaptureSource,
    fastLane: fastLane as unknown as FastLane,
    guard: new OverloadGuard({ bufferBytes: 1_000 }),
    limitUpload: (bytesPerS) => void limits.push(bytesPerS),
    ring,
  });
  return { apply, retuned, tuned, limits, levels, ring, refuse: (why: string | null) => problem = why };
}

Deno.test("settings hold where they are set, the own options elsewhere and again afterwards", async () => {
  const { apply, retuned, tuned, limits, ring } = stages();
  const settings = {
    noise: ["mdns" as const],
    activeMs: 5_000,
    facts: false,
    uploadBytesPerS: 4_000,
    ringPayload: "full" as const,
  };
  assertEquals(await apply(settings), null);
  assertEquals(retuned, [], "capture is not begun anew for these");
  const times = { tcpIdleMs: 120_000, otherIdleMs: 30_000, unansweredIdleMs: 10_000 };
  assertEquals(tuned, [{ timeouts: { ...times, activeMs: 5_000 }, noise: ["mdns"], facts: false }]);
  assertEquals([limits, ring.payload], [[4_000], "full"]);
  assertEquals(await apply({}), null);
  assertEquals(tuned[1], { timeouts: { ...times, activeMs: 60_000 }, noise: [], facts: true });
  assertEquals([limits, ring.payload], [[4_000, 0], "start"]);
});

Deno.test("capture is begun anew for filter and snaplen, once, and a refusal leaves all as it was", async () => {
  const { apply, retuned, tuned, refuse } = stages();
  for (let i = 0; i < 2; i++) assertEquals(await apply({ filter: "ip", snaplen: 100 }), null);
  assertEquals(retuned, [{ filter: "ip", snaplen: 100 }]);
  refuse("dumpcap: syntax error");
  assertEquals(await apply({ filter: "nonsense" }), "dumpcap: syntax error");
  assertEquals(tuned.length, 2);
  refuse(null);
  assertEquals(await apply({ filter: "ip", snaplen: 100 }), null);
  assertEquals(retuned.length, 2, "what still holds is not begun again");
});

Deno.test("an option is the sensor's own when it has not its default", () => {
  const options = { filter: { default: "" }, snaplen: { default: 0 }, facts: { default: true } };
  assertEquals(ownFields({ filter: "", snaplen: 0, facts: true }, options), []);
  assertEquals(ownFields({ filter: "ip", snaplen: 0, facts: false, interface: "a" }, options), [
    "filter",
    "facts",
  ]);
});
