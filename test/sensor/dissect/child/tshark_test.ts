/** The deep lane with the real tshark: its walls, its deaths, hostile text, and what it leaves behind. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../../shared/clock.ts";
import { DissectLane } from "../../../../sensor/dissect/lane.ts";
import type { LaneOptions } from "../../../../sensor/dissect/lane_options.ts";
import { Tshark } from "../../../../sensor/dissect/child/tshark.ts";
import { counted, silentReporter } from "../../ship/helpers.ts";
import { bytesOf, dnsMessage, rawUdp } from "../fixture.ts";
import { takenFrom } from "../readings.ts";

async function withLane(
  options: Partial<LaneOptions>,
  body: (world: {
    lane: DissectLane;
    offer: (packet: Uint8Array, flowId: number) => number;
    until: (condition: () => boolean, ms: number) => Promise<void>;
    reporter: ReturnType<typeof silentReporter>["reporter"];
  }) => Promise<void>,
): Promise<void> {
  const { reporter } = silentReporter();
  const program = new Tshark();
  const lane = new DissectLane(options, { program, clock: systemClock, reporter });
  const offer = (packet: Uint8Array, flowId: number) =>
    lane.offer(packet, 0, packet.length, packet.length, 1_700_000_000_000_000, flowId);
  const until = async (condition: () => boolean, ms: number) => {
    const endMs = systemClock.monotonicMs() + ms;
    while (!condition()) {
      assert(systemClock.monotonicMs() < endMs, `not within ${ms} ms`);
      await lane.turn();
      await systemClock.sleep(10);
    }
  };
  await lane.start();
  try {
    await body({ lane, offer, until, reporter });
  } finally {
    await lane.stop();
  }
}

const query = (name: string) =>
  rawUdp(40_000, 53, dnsMessage([7, 0x0100, 1, 0, 0, 0], [name, 0, 0, 1, 0, 1]));

Deno.test("one packet is answered in well under a second, without more traffic", () =>
  withLane({}, async ({ lane, offer, until }) => {
    offer(query("first"), 1);
    await until(() => lane.answeredTicket === 1, 20_000);
    const startMs = systemClock.monotonicMs();
    offer(query("second"), 2);
    await until(() => lane.answeredTicket === 2, 5_000);
    assert(systemClock.monotonicMs() - startMs < 1_000);
    assertEquals(takenFrom(lane, 2).facts?.dns?.[0].name, "second");
  }));

Deno.test("hostile text stays one value of one packet", () =>
  withLane({}, async ({ lane, offer, until }) => {
    offer(query("a\tb\nc\u0000d,e"), 1);
    const request = "NOTIFY /a,b\tc HTTP/1.1\r\nHost: x\ty\r\nUser-Agent: M (K, like G)\x1b[31m\r\n\r\n";
    offer(rawUdp(40_000, 1_900, bytesOf(request)), 2);
    offer(query("after"), 3);
    await until(() => lane.answeredTicket === 3, 20_000);
    assertEquals(takenFrom(lane, 1).facts?.dns?.[0].name, "a\\tb\\nc\\000d,e");
    const [http] = takenFrom(lane, 2).facts?.http ?? [];
    assertEquals([http.uri, http.user_agent], ["/a,b\\tc", "M (K, like G)\\033[31m"]);
    assertEquals(takenFrom(lane, 3).facts?.dns?.[0].name, "after");
  }));

Deno.test("the child has no capability, cannot gain one, and no network where that can be had", () =>
  withLane({}, async ({ lane, offer, until }) => {
    offer(query("x"), 1);
    await until(() => lane.answeredTicket === 1, 20_000);
    const status = Deno.readTextFileSync(`/proc/${lane.health.children[0]}/status`);
    const standing = lane.health.walls?.standing ?? [];
    assert(/^CapEff:\t0{16}$/m.test(status), status);
    if (standing.includes("capabilities")) assert(/^CapPrm:\t0{16}$/m.test(status), status);
    if (standing.includes("privileges")) assert(/^NoNewPrivs:\t1$/m.test(status), status);
    if (standing.includes("user")) assert(/^Uid:\t65534\t/m.test(status), status);
    if (standing.includes("network")) {
      const devices = Deno.readTextFileSync(`/proc/${lane.health.children[0]}/net/dev`);
      assertEquals(devices.split("\n").slice(2).filter((line) => line.trim() !== "").length, 1);
    }
  }));

for (const [how, signal] of [["killed", "SIGKILL"], ["stopped", "SIGSTOP"]] as const) {
  Deno.test(`a tshark that is ${how} costs at most 5 s of facts, said and counted`, () =>
    withLane({}, async ({ lane, offer, until, reporter }) => {
      offer(query("before"), 1);
      await until(() => lane.answeredTicket === 1, 20_000);
      const [pid] = lane.health.children;
      Deno.kill(pid, signal);
      const startMs = systemClock.monotonicMs();
      let flow = 1;
      await until(() => {
        offer(query("during"), ++flow);
        return takenFrom(lane, flow).facts !== null || lane.health.children.some((child) => child !== pid);
      }, 5_000);
      const ticket = offer(query("after"), 1_000_000);
      await until(() => lane.answeredTicket >= ticket, 5_000);
      assertEquals(takenFrom(lane, 1_000_000).facts?.dns?.[0].name, "after");
      assert(systemClock.monotonicMs() - startMs < 6_000);
      const { offered, answered, given_up } = lane.health;
      assertEquals(offered, answered + given_up);
      assertEquals(counted(reporter, "facts_given_up_total"), given_up);
    }));
}

Deno.test("a missing tshark is named", async () => {
  const program = new Tshark({ tsharkPath: "tshark-that-is-not" });
  await assertRejects(() => program.prepare(), Error, "Cannot find tshark: no program tshark-that-is-not");
});

Deno.test("the private folder goes with the lane, and nothing else is left beside it", async () => {
  // A folder of its own: other sensors on this machine come and go in the usual one.
  const folder = await Deno.makeTempDir({ prefix: "picket-lane-" }), usual = Deno.env.get("TMPDIR");
  const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name.replace(/-[^-]*$/, ""));
  Deno.env.set("TMPDIR", folder);
  try {
    await withLane({}, async ({ lane, offer, until }) => {
      offer(query("x"), 1);
      await until(() => lane.answeredTicket === 1, 20_000);
      assertEquals(names(), ["picket-tshark"]);
    });
    assertEquals(names(), []);
  } finally {
    if (usual === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", usual);
    await Deno.remove(folder, { recursive: true });
  }
});
