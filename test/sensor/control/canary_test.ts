/** When canaries are sent, on whose question, and how often at most. @module */

import { assertEquals } from "@std/assert";
import {
  CanaryKeeper,
  type CanaryKeeperOptions,
  canaryQuestion,
  type CanarySending,
} from "../../../sensor/control/canary.ts";
import { FakeDisk } from "../ship/fake_disk.ts";
import { counted, FakeClock, silentReporter } from "../ship/helpers.ts";

const question = canaryQuestion("/state");
const flowOf = (n: number) => `1:${String(n).padStart(27, "A")}=`;

interface World {
  keeper: CanaryKeeper;
  clock: FakeClock;
  disk: FakeDisk;
  /** Interfaces that one was sent on, in order. */
  sent: string[];
  count(name: string): number;
}

async function world(
  body: (world: World) => Promise<void>,
  options: Partial<CanaryKeeperOptions> & { isOff?: boolean; problem?: string } = {},
): Promise<void> {
  const clock = new FakeClock(), disk = new FakeDisk(), sent: string[] = [];
  const { reporter } = silentReporter();
  const send = (name: string): Promise<CanarySending> => {
    sent.push(name);
    return Promise.resolve(
      options.problem ? { problem: options.problem } : { communityId: flowOf(sent.length) },
    );
  };
  const { isOff = false, problem: _, ...rest } = options;
  const keeper = new CanaryKeeper({ interfaces: ["eth0"], ...rest }, {
    send: isOff ? null : send,
    disk,
    folder: "/state",
    clock,
    reporter,
    random: () => 0.5,
  });
  keeper.start();
  try {
    await body({ keeper, clock, disk, sent, count: (name) => counted(reporter, name) });
  } finally {
    const stopped = keeper.stop();
    await clock.advance(2_000);
    await stopped;
  }
}

Deno.test("the first canary comes a minute after the start, and the next an hour later", () =>
  world(async ({ keeper, clock, sent }) => {
    await clock.advance(59_500);
    assertEquals([sent, keeper.state], [[], undefined]);
    await clock.advance(1_000);
    const { sent_ms } = keeper.state!;
    assertEquals(keeper.state, {
      sent_ms,
      asked: null,
      flows: [{ interface: "eth0", community_id: flowOf(1), problem: null }],
    });
    await clock.advance(3_598_000);
    assertEquals(sent.length, 1);
    await clock.advance(3_000);
    assertEquals([sent.length, keeper.state!.sent_ms > sent_ms], [2, true]);
  }));

Deno.test("the centre's question is answered once, however often it is asked, and said back until another comes", () =>
  world(async ({ keeper, clock, sent }) => {
    for (let i = 0; i < 3; i++) {
      keeper.heed({ ask: 1_700_000_000_001, arrived: null });
      await clock.advance(10_000);
    }
    assertEquals([sent.length, keeper.state!.asked], [1, 1_700_000_000_001]);
    keeper.heed({ ask: 1_700_000_000_002, arrived: 5 });
    await clock.advance(1_500);
    assertEquals([sent.length, keeper.state!.asked, keeper.arrivedMs], [2, 1_700_000_000_002, 5]);
    // The hourly one does not take it back.
    await clock.advance(3_700_000);
    assertEquals([sent.length > 2, keeper.state!.asked], [true, 1_700_000_000_002]);
  }));

Deno.test("a centre that asks all the time gets one canary every five seconds", () =>
  world(async ({ keeper, clock, sent }) => {
    for (let i = 0; i < 200; i++) {
      keeper.heed({ ask: i + 1, arrived: null });
      await clock.advance(100);
    }
    assertEquals(sent.length, 4);
  }));

Deno.test("a file in the state folder is the question of a command here, and is taken away", () =>
  world(async ({ keeper, clock, disk, sent }) => {
    await disk.write(question, new Uint8Array(0));
    await clock.advance(1_500);
    assertEquals([sent.length, keeper.state!.asked], [1, null]);
    assertEquals((await disk.list("/state")).map(({ name }) => name), []);
    await clock.advance(20_000);
    assertEquals(sent.length, 1);
  }));

Deno.test("a question that cannot be taken away is not answered for ever", () =>
  world(async ({ clock, disk, sent, count }) => {
    await disk.write(question, new Uint8Array(0));
    disk.remove = () => Promise.reject(new Deno.errors.PermissionDenied("no"));
    await clock.advance(3_500);
    assertEquals([sent.length, count("canary_questions_unread_total")], [0, 3]);
  }));

Deno.test("a sensor that is to send none says so, for each interface, and sends none when asked", () =>
  world(async ({ keeper, clock, sent, count }) => {
    keeper.heed({ ask: 7, arrived: null });
    await clock.advance(1_500);
    const problem = "it was told to send none (--no-canary)";
    assertEquals(keeper.state!.asked, 7);
    assertEquals(keeper.state!.flows, [{ interface: "eth0", community_id: null, problem }]);
    assertEquals([sent.length, count('canaries_total{outcome="not_possible"}')], [0, 1]);
  }, { isOff: true }));

Deno.test("of seventeen interfaces sixteen get one, and long words are cut to what a check-in takes", () =>
  world(
    async ({ keeper, clock, sent }) => {
      await clock.advance(61_000);
      assertEquals(sent.length, 16);
      const [first] = keeper.state!.flows;
      assertEquals([first.interface.length, first.problem!.length], [60, 200]);
    },
    {
      interfaces: ["e".repeat(70), ...Array.from({ length: 16 }, (_, i) => `eth${i}`)],
      problem: "x".repeat(300),
    },
  ));
