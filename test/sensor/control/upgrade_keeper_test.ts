/** Tests of upgrades from the centre: what is taken, tried, passed and brought back, over restarts too.
 *
 * Method: real files in a temporary folder, a clock that the test owns;
 * a restart is a new keeper over the same folder, started as deploy/start-sensor.sh would. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { folderSlots, type Slots } from "../../../sensor/control/slots.ts";
import type { Part } from "../../../sensor/control/upgrade_download.ts";
import { UpgradeKeeper, type UpgradeKeeperOptions } from "../../../sensor/control/upgrade_keeper.ts";
import { realDisk } from "../../../sensor/disk.ts";
import { releaseKeyText } from "../../../shared/release.ts";
import { keysFromSeed } from "../../../shared/batch.ts";
import { counted, FakeClock, silentReporter } from "../ship/helpers.ts";
import { here, partOf, type Release, releaseKey, releaseOf, tinyProgram } from "./upgrade_fixture.ts";

class Machine {
  readonly folder = Deno.makeTempDirSync({ prefix: "picket-upgrade-" });
  readonly clock = new FakeClock();
  readonly reporter = silentReporter().reporter;
  readonly slotsFolder = `${this.folder}/slots`;
  version = "1.0.0";
  key: string | null = releaseKey;
  isService = true;
  captureProblem: string | null = null;
  checkInProblem: string | null = null;
  /** What the aggregator has. */
  program: Uint8Array = new Uint8Array();
  free = 1e12;
  restarts = 0;
  asked: number[] = [];
  answer: (from: number) => Part = (from) => ({ ok: true, bytes: partOf(this.program, from) });
  slots: Partial<Slots> = {};
  bytesPerS = 1e9;

  /** Starts the program that the links name, as the shell does. */
  async start(change: Partial<UpgradeKeeperOptions> = {}): Promise<UpgradeKeeper> {
    let link = "active";
    if (this.#linkOf("next") !== null) {
      Deno.renameSync(`${this.slotsFolder}/next`, `${this.slotsFolder}/tried`);
      link = "tried";
    }
    const slot = this.#linkOf(link) as "a" | "b" | null ?? "installed";
    const keeper = new UpgradeKeeper({
      trialMs: 60_000,
      version: this.version,
      target: here,
      slot: this.isService ? slot : null,
      key: this.key,
      ...change,
    }, {
      slots: {
        ...folderSlots(this.slotsFolder),
        freeBytes: () => Promise.resolve(this.free),
        ...this.slots,
      },
      fetchPart: (_sha256, from) => {
        this.asked.push(from);
        return Promise.resolve(this.answer(from));
      },
      bytesPerS: () => this.bytesPerS,
      disk: realDisk,
      folder: this.folder,
      clock: this.clock,
      reporter: this.reporter,
      captureProblem: () => this.captureProblem,
      checkInProblem: () => this.checkInProblem,
      restart: () => this.restarts++,
    });
    await keeper.start();
    return keeper;
  }

  #linkOf(name: string): string | null {
    try {
      return Deno.readLinkSync(`${this.slotsFolder}/${name}`);
    } catch {
      return null;
    }
  }

  links(): Record<string, string> {
    const found = ["active", "next", "tried"].map((name) => [name, this.#linkOf(name)]);
    return Object.fromEntries(found.filter(([, to]) => to !== null));
  }

  /** Offers and waits until the sensor has done what it can. */
  async offer(keeper: UpgradeKeeper, { offer, program }: Release): Promise<void> {
    this.program = program;
    keeper.offer(offer);
    await this.until(() => !["downloading"].includes(keeper.state.state));
  }

  async until(isDone: () => boolean): Promise<void> {
    for (let i = 0; i < 2_000 && !isDone(); i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await this.clock.advance(1_000);
    }
    assert(isDone(), "it never came to it");
  }

  /** Ends the program: by somebody, or by itself. */
  async end(keeper: UpgradeKeeper, asked = false): Promise<void> {
    const stopped = keeper.stop(asked);
    await this.clock.advance(1_000);
    await stopped;
  }

  /** The running program gives way to the one it chose. */
  async next(keeper: UpgradeKeeper, version = this.version): Promise<UpgradeKeeper> {
    await this.end(keeper);
    this.version = version;
    return await this.start();
  }

  remove(): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const seen = (keeper: UpgradeKeeper) => {
  const { state, version, offer } = keeper.state;
  return [state, version, offer];
};

async function scenario(work: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = new Machine();
  try {
    await work(machine);
  } finally {
    machine.remove();
  }
}

Deno.test("a good program is fetched in parts, tried once, and in force after its trial and a restart", () =>
  scenario(async (machine) => {
    const program = tinyProgram(0, 2_500_000);
    const keeper = await machine.start();
    assertEquals([seen(keeper), keeper.state.key], [["idle", null, null], "dbc298251c51321b"]);
    await machine.offer(keeper, releaseOf(program));
    assertEquals(machine.asked, [0, 1_048_576, 2_097_152]);
    assertEquals([seen(keeper), machine.restarts], [["switching", "1.1.0", "1.1"], 1]);
    assertEquals(machine.links(), { next: "a" });
    assertEquals(Deno.readFileSync(`${machine.slotsFolder}/a/picket-sensor`), program);
    assertEquals(Deno.statSync(`${machine.slotsFolder}/a/picket-sensor`).mode! & 0o777, 0o700);
    assertEquals(Deno.readTextFileSync(`${machine.slotsFolder}/deadline`), "180\n");
    const tried = await machine.next(keeper, "1.1.0");
    assertEquals([seen(tried), machine.links()], [["trial", "1.1.0", "1.1"], { tried: "a" }]);
    await machine.clock.advance(5_000);
    tried.offer(null);
    await machine.clock.advance(54_000);
    assertEquals(machine.links(), { tried: "a" });
    await machine.until(() => "active" in machine.links());
    await machine.until(() => tried.state.state === "idle");
    assertEquals(counted(machine.reporter, "upgrades_total", "passed"), 1);
    const again = await machine.next(tried);
    assertEquals([seen(again), machine.links()], [["idle", "1.1.0", "1.1"], { active: "a" }]);
    // The next one goes into the other slot, and the one in force is not touched.
    await machine.offer(again, releaseOf(tinyProgram(1), { version: "1.2.0" }, { offer: "2.1" }));
    assertEquals(machine.links(), { active: "a", next: "b" });
    assertEquals(Deno.readFileSync(`${machine.slotsFolder}/a/picket-sensor`), program);
    await machine.end(again);
  }));

Deno.test("a program that ends on trial is not started again, and the one before says how it ended", () =>
  scenario(async (machine) => {
    const release = releaseOf(tinyProgram(7));
    const keeper = await machine.start();
    await machine.offer(keeper, release);
    await machine.end(keeper);
    await machine.end(await machine.start({ version: "1.1.0" }));
    Deno.writeTextFileSync(`${machine.slotsFolder}/ended`, "exit-code exited 7\n");
    const before = await machine.start();
    assertEquals(seen(before), ["failed", "1.1.0", "1.1"]);
    assertEquals(before.state.problem, "it ended before it had proved itself (exit-code exited 7)");
    assertEquals(machine.links(), {});
    await machine.offer(before, release);
    assertEquals([machine.asked.length, machine.restarts], [1, 1], "it is not tried again");
    const later = await machine.next(before);
    assertMatch(later.state.problem!, /^it ended before/);
    await machine.offer(later, releaseOf(tinyProgram(0), {}, { offer: "1.2" }));
    assertEquals([seen(later), machine.restarts], [["switching", "1.1.0", "1.2"], 2], "another offer is");
    await machine.end(later);
  }));

const harms: [
  name: string,
  harm: (machine: Machine, tried: UpgradeKeeper) => Promise<void>,
  reason: RegExp,
][] = [
  [
    "gets no check-in through",
    async (machine) => {
      machine.checkInProblem = "refused: 401";
      await machine.clock.advance(59_000);
      assertEquals(machine.restarts, 1);
      await machine.until(() => machine.restarts === 2);
    },
    /^no check-in got through for 60 s: refused: 401$/,
  ],
  [
    "captures nothing for 10 s",
    async (machine, tried) => {
      tried.offer(null);
      machine.captureProblem = "dumpcap: no such device";
      await machine.clock.advance(9_000);
      machine.captureProblem = null;
      await machine.clock.advance(2_000);
      machine.captureProblem = "dumpcap: no such device";
      await machine.clock.advance(10_000);
      assertEquals(machine.restarts, 1);
      await machine.until(() => machine.restarts === 2);
    },
    /^capture broke: dumpcap: no such device$/,
  ],
];
for (const [name, harm, reason] of harms) {
  Deno.test(`a program that ${name} gives way to the one before, and says why`, () =>
    scenario(async (machine) => {
      const keeper = await machine.start();
      await machine.offer(keeper, releaseOf(tinyProgram(0)));
      const tried = await machine.next(keeper, "1.1.0");
      await harm(machine, tried);
      const before = await machine.next(tried, "1.0.0");
      assertEquals(seen(before), ["failed", "1.1.0", "1.1"]);
      assertMatch(before.state.problem!, reason);
      assertEquals(machine.links(), {});
      await machine.end(before);
    }));
}

Deno.test("a program that is of another version than its release gives way at once", () =>
  scenario(async (machine) => {
    const keeper = await machine.start();
    await machine.offer(keeper, releaseOf(tinyProgram(0)));
    const tried = await machine.next(keeper, "1.0.9");
    assertEquals(machine.restarts, 2);
    const before = await machine.next(tried, "1.0.0");
    assertEquals(before.state.problem, "the program says that it is version 1.0.9");
    await machine.end(before);
  }));

Deno.test("a machine that is shut down during a trial tries again, but not for ever", () =>
  scenario(async (machine) => {
    const keeper = await machine.start();
    await machine.offer(keeper, releaseOf(tinyProgram(0)));
    let tried = await machine.next(keeper, "1.1.0");
    for (const start of [1, 2]) {
      await machine.end(tried, true);
      assertEquals(machine.links(), { next: "a" }, `start ${start}`);
      tried = await machine.start();
    }
    await machine.end(tried, true);
    assertEquals(machine.links(), { tried: "a" });
    const before = await machine.start({ version: "1.0.0" });
    assertEquals(seen(before), ["failed", "1.1.0", "1.1"]);
    await machine.end(before);
  }));

const refused: [name: string, release: () => Release, reason: RegExp, change?: (machine: Machine) => void][] =
  [
    ["of another key", () => releaseOf(tinyProgram(0)), /signature is not of the release key/, (machine) => {
      machine.key = releaseKeyText(keysFromSeed(new Uint8Array(32).fill(1)).publicKey);
    }],
    ["whose manifest was changed", () => {
      const release = releaseOf(tinyProgram(0));
      return {
        ...release,
        offer: { ...release.offer, manifest: release.offer.manifest.replace("1.1.0", "1.1.1") },
      };
    }, /signature is not of/],
    [
      "for another machine",
      () => releaseOf(tinyProgram(0), { target: "aarch64-unknown-linux-gnu" }),
      /it is for aarch64-unknown-linux-gnu, and this machine is x86_64/,
    ],
    ["that is older", () => releaseOf(tinyProgram(0), { version: "0.9.0" }), /older than version 1.0.0/],
    [
      "that does not read what this one wrote",
      () => releaseOf(tinyProgram(0), { version: "1.3.0" }),
      /takes over from versions 1.2 to 1.4, and version 1.0.0 runs/,
    ],
    [
      "whose program is another than the manifest's",
      () => ({ ...releaseOf(tinyProgram(0)), program: tinyProgram(1) }),
      /its SHA-256 is [0-9a-f]{64} where the release has/,
    ],
    [
      "whose program is for another machine than its manifest",
      () => releaseOf(tinyProgram(0, 4_096, "aarch64-unknown-linux-gnu"), { target: here }),
      /it is no program for x86_64/,
    ],
    ["that is a script", () => releaseOf(new TextEncoder().encode("#!/bin/sh\n")), /it is no program for/],
    [
      "for which the disk has no room",
      () => releaseOf(tinyProgram(0)),
      /has 67 MB free, and it needs 68 MB/,
      (machine) => {
        machine.free = 67_000_000;
      },
    ],
    [
      "that the aggregator no longer has",
      () => releaseOf(tinyProgram(0)),
      /cannot be downloaded: 404/,
      (machine) => {
        machine.answer = () => ({ ok: false, problem: "404", isFinal: true, retryAfterMs: null });
      },
    ],
    [
      "whose parts never come",
      () => releaseOf(tinyProgram(0)),
      /20 tries to download it failed: reset/,
      (machine) => {
        machine.answer = () => ({ ok: false, problem: "reset", isFinal: false, retryAfterMs: null });
      },
    ],
    [
      "whose parts are empty",
      () => releaseOf(tinyProgram(0)),
      /20 tries .* a part of 0 octets came/,
      (machine) => {
        machine.answer = () => ({ ok: true, bytes: new Uint8Array() });
      },
    ],
    [
      "whose parts are too long",
      () => releaseOf(tinyProgram(0)),
      /20 tries .* a part of 4097 octets came/,
      (machine) => {
        machine.answer = () => ({ ok: true, bytes: new Uint8Array(4_097) });
      },
    ],
    ["for which the disk fills up", () => releaseOf(tinyProgram(0)), /^the disk is full$/, (machine) => {
      machine.slots = {
        append: () => Promise.reject(Object.assign(new Error("no room"), { code: "ENOSPC" })),
      };
    }],
    [
      "that the disk cannot hold",
      () => releaseOf(tinyProgram(0)),
      /^the disk does not take it: I\/O error/,
      (machine) => {
        machine.slots = {
          append: () => Promise.reject(Object.assign(new Error("I/O error"), { code: "EIO" })),
        };
      },
    ],
    [
      "that cannot be put into its slot",
      () => releaseOf(tinyProgram(0)),
      /cannot be put into its slot: EIO/,
      (machine) => {
        machine.slots = { stage: () => Promise.reject(new Error("EIO")) };
      },
    ],
  ];
for (const [name, release, reason, change] of refused) {
  Deno.test(`a release ${name} is refused with its reason, and nothing is started`, () =>
    scenario(async (machine) => {
      change?.(machine);
      const keeper = await machine.start();
      const given = release();
      await machine.offer(keeper, given);
      await machine.until(() => keeper.state.state === "failed");
      assertMatch(keeper.state.problem!, reason);
      assertEquals([keeper.state.offer, machine.restarts, machine.links()], ["1.1", 0, {}]);
      const asked = machine.asked.length;
      await machine.offer(keeper, given);
      assertEquals(machine.asked.length, asked, "it is not taken again");
      await machine.end(keeper);
      const again = await machine.start();
      assertMatch(again.state.problem!, reason, "and a restart does not forget it");
      await machine.end(again);
    }));
}

Deno.test("an older release is taken where that is asked for", () =>
  scenario(async (machine) => {
    const keeper = await machine.start();
    await machine.offer(
      keeper,
      releaseOf(tinyProgram(0), { version: "0.9.0", fits: { min: "0.8", max: "1.0" } }, {
        allow_older: true,
      }),
    );
    assertEquals(seen(keeper), ["switching", "0.9.0", "1.1"]);
    await machine.end(keeper);
  }));

Deno.test("without a pinned key, or not started by its service, a sensor takes nothing and says so", () =>
  scenario(async (machine) => {
    for (
      const [key, isService, words] of [
        [null, true, /^no release key is pinned/],
        [releaseKey, false, /^it was not started by its service/],
      ] as const
    ) {
      machine.key = key;
      machine.isService = isService;
      const keeper = await machine.start();
      await machine.offer(keeper, releaseOf(tinyProgram(0)));
      assertEquals([keeper.state.state, machine.asked], ["unable", []]);
      assertMatch(keeper.state.problem!, words);
      await machine.end(keeper);
    }
  }));

Deno.test("a sensor that captures nothing takes no upgrade until it does", () =>
  scenario(async (machine) => {
    const keeper = await machine.start();
    machine.captureProblem = "eth0 is down";
    await machine.offer(keeper, releaseOf(tinyProgram(0)));
    assertEquals(seen(keeper), ["idle", null, null]);
    machine.captureProblem = null;
    await machine.offer(keeper, releaseOf(tinyProgram(0)));
    assertEquals(seen(keeper), ["switching", "1.1.0", "1.1"]);
    await machine.end(keeper);
  }));

Deno.test("an offer that is withdrawn ends the download, and another goes on where it stopped", () =>
  scenario(async (machine) => {
    const release = releaseOf(tinyProgram(0, 3_000_000));
    machine.program = release.program;
    const keeper = await machine.start();
    machine.answer = (from) => {
      if (from > 0) keeper.offer(null);
      return { ok: true, bytes: partOf(machine.program, from) };
    };
    keeper.offer(release.offer);
    await machine.until(() => keeper.state.state === "idle");
    assertEquals([machine.asked, machine.restarts], [[0, 1_048_576], 0]);
    machine.answer = (from) => ({ ok: true, bytes: partOf(machine.program, from) });
    const again = await machine.next(keeper);
    await machine.offer(again, release);
    assertEquals(machine.asked.slice(2), [1_048_576, 2_097_152]);
    assertEquals(machine.restarts, 1);
    await machine.end(again);
  }));

Deno.test("an aggregator that is busy is asked again when it says, more often than one that fails, but not for ever", () =>
  scenario(async (machine) => {
    const keeper = await machine.start(), release = releaseOf(tinyProgram(0));
    machine.program = release.program;
    let refusals = 0;
    const busy = { ok: false, problem: "busy", isFinal: false, retryAfterMs: 100 } as const;
    machine.answer = (from) => refusals++ < 60 ? busy : { ok: true, bytes: partOf(machine.program, from) };
    keeper.offer(release.offer);
    await machine.until(() => machine.restarts === 1);
    await machine.end(keeper);
  }));

Deno.test("an aggregator that stays busy is given up after 5,000 tries", () =>
  scenario(async (machine) => {
    const keeper = await machine.start();
    machine.answer = () => ({ ok: false, problem: "busy", isFinal: false, retryAfterMs: 100 });
    await machine.offer(keeper, releaseOf(tinyProgram(0)));
    assertMatch(keeper.state.problem!, /^5000 tries to download it failed: busy/);
    assertEquals(machine.asked.length, 5_000);
    await machine.end(keeper);
  }));

Deno.test("a download keeps to its rate", () =>
  scenario(async (machine) => {
    machine.bytesPerS = 10_000;
    const keeper = await machine.start();
    const release = releaseOf(tinyProgram(0, 2_000_000));
    machine.program = release.program;
    const sinceMs = machine.clock.monotonicMs();
    keeper.offer(release.offer);
    await machine.until(() => machine.restarts === 1);
    const seconds = (machine.clock.monotonicMs() - sinceMs) / 1_000;
    assert(seconds >= 200 && seconds < 240, `${seconds} s`);
    await machine.end(keeper);
  }));

Deno.test("a damaged note is no note, and what is on trial without one must prove itself too", () =>
  scenario(async (machine) => {
    const keeper = await machine.start();
    await machine.offer(keeper, releaseOf(tinyProgram(0)));
    await machine.end(keeper);
    for (const damage of ["{", "[]", '{"trial":{"offer":7}}']) {
      Deno.writeTextFileSync(`${machine.folder}/upgrade.json`, damage);
      const tried = await machine.start({ version: "1.1.0" });
      assertEquals(seen(tried), ["trial", "1.1.0", "0.0"]);
      await machine.end(tried, true);
    }
  }));

Deno.test("nonsense is no offer", () =>
  scenario(async (machine) => {
    const keeper = await machine.start();
    for (const nonsense of [7, "x", {}, { ...releaseOf(tinyProgram(0)).offer, offer: "../x" }]) {
      keeper.offer(nonsense);
    }
    keeper.offer(undefined);
    assertEquals(counted(machine.reporter, "upgrades_total", "malformed"), 4);
    assertEquals(seen(keeper), ["idle", null, null]);
    await machine.end(keeper);
  }));
