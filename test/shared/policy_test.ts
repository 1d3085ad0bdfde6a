/** The table of policy fields: what is taken, what is refused, and that it is the sensor's own options it speaks of.
 * @module */

import { assertEquals } from "@std/assert";
import {
  checkPolicy,
  noiseClasses,
  policyDifference,
  policyFields,
  readPolicy,
  withoutKept,
} from "../../shared/policy.ts";
import { captureOptions, flowOptions, ringOptionsOf } from "../../sensor/run/common_options.ts";

Deno.test("policy fields that have the name of an option have its range", () => {
  const options: Record<string, { kind: string; min?: number; max?: number; choices?: readonly string[] }> = {
    ...captureOptions,
    ...flowOptions,
    ...ringOptionsOf("start"),
  };
  const shared = Object.entries(policyFields).filter(([field]) => Object.hasOwn(options, field));
  assertEquals(shared.length, 8);
  for (const [field, rule] of shared) {
    const { min, max } = options[field];
    if (rule.kind === "number") assertEquals([rule.min, rule.max], [min, max], field);
  }
  assertEquals(options.ringPayload.choices, ["off", ...policyFields.ringPayload.choices]);
});

Deno.test("a policy is taken at both ends of each range, and refused beyond with the field and the rule", () => {
  for (
    const settings of [
      {},
      { filter: "" },
      { filter: "x".repeat(2_000) },
      { snaplen: 0 },
      { snaplen: 68 },
      { snaplen: 262_144 },
      { noise: [] },
      { noise: [...noiseClasses] },
      { tcpIdleMs: 1, activeMs: 86_400_000 },
      { facts: false, sampleMax: 1_024, uploadBytesPerS: 0, ringPayload: "full" },
      { uploadBytesPerS: 1_000 },
      { uploadBytesPerS: 1_000_000_000 },
      { lateAfterS: 15, blindAfterS: 10, broadcastOnlyS: 60, lossPermille: 1 },
      { lateAfterS: 86_400, blindAfterS: 86_400, broadcastOnlyS: 604_800, lossPermille: 1_000 },
      { tsharkFailures: 1, canariesMissed: 1, clockOffsetMs: 100 },
      { tsharkFailures: 100, canariesMissed: 100, clockOffsetMs: 3_600_000 },
    ]
  ) assertEquals(checkPolicy(settings).ok, true, JSON.stringify(settings));
  for (
    const [settings, field] of [
      [{ filter: "x".repeat(2_001) }, "filter"],
      [{ filter: "ip\nand" }, "filter"],
      [{ filter: null }, "filter"],
      [{ snaplen: 67 }, "snaplen"],
      [{ snaplen: 262_145 }, "snaplen"],
      [{ snaplen: -1 }, "snaplen"],
      [{ snaplen: 99.5 }, "snaplen"],
      [{ snaplen: "100" }, "snaplen"],
      [{ noise: ["mdns", "mdns"] }, "noise"],
      [{ noise: ["dns"] }, "noise"],
      [{ activeMs: 0 }, "activeMs"],
      [{ activeMs: 86_400_001 }, "activeMs"],
      [{ facts: 1 }, "facts"],
      [{ sampleMax: 1_025 }, "sampleMax"],
      [{ uploadBytesPerS: 999 }, "uploadBytesPerS"],
      [{ ringPayload: "off" }, "ringPayload"],
      ...[14, 86_401].map((lateAfterS) => [{ lateAfterS }, "lateAfterS"] as const),
      ...[9, 86_401].map((blindAfterS) => [{ blindAfterS }, "blindAfterS"] as const),
      ...[59, 604_801].map((broadcastOnlyS) => [{ broadcastOnlyS }, "broadcastOnlyS"] as const),
      ...[0, 1_001, 0.5].map((lossPermille) => [{ lossPermille }, "lossPermille"] as const),
      ...[0, 101].map((tsharkFailures) => [{ tsharkFailures }, "tsharkFailures"] as const),
      ...[0, 101].map((canariesMissed) => [{ canariesMissed }, "canariesMissed"] as const),
      ...[99, 3_600_001].map((clockOffsetMs) => [{ clockOffsetMs }, "clockOffsetMs"] as const),
      [{ interface: "eth0" }, "interface"],
      [{ constructor: 1 }, "constructor"],
      [[], "settings"],
      [null, "settings"],
    ] as const
  ) {
    const checked = checkPolicy(settings);
    assertEquals(checked.ok ? null : checked.field, field, JSON.stringify(settings));
  }
  const checked = checkPolicy({ snaplen: 20 });
  assertEquals(
    checked.ok ? "" : checked.message,
    'Cannot set "snaplen" as it must be 0, or a whole number from 68 to 262144: current value is 20',
  );
});

Deno.test("an offer that is odd in any part is no policy", () => {
  const good = { name: "office", version: 3, settings: { snaplen: 100 } };
  assertEquals(readPolicy({ ...good, more: 1 }), good);
  for (
    const change of [
      { name: "" },
      { name: "a b" },
      { version: 0 },
      { version: 1.5 },
      { settings: { x: 1 } },
      {
        settings: undefined,
      },
    ]
  ) assertEquals(readPolicy({ ...good, ...change }), null, JSON.stringify(change));
  assertEquals([readPolicy(null), readPolicy("x"), readPolicy([])], [null, null, null]);
});

Deno.test("differences are said field by field, and kept fields are left out", () => {
  assertEquals(policyDifference({ snaplen: 100, facts: true }, { facts: true, noise: ["arp"] }), [
    "snaplen: 100 -> not set",
    'noise: not set -> ["arp"]',
  ]);
  assertEquals(withoutKept({ snaplen: 100, filter: "ip" }, ["filter", "noise"]), { snaplen: 100 });
});
