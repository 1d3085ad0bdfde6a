/** Tests of troubles of sensors as threats: when one begins, what it says, when it is over, who looks.
 *
 * Method: a real store in memory, sensors that the test describes, a clock that it owns. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { troublesOf } from "../../../aggregator/fleet/troubles.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import { LeasedLoop } from "../../../aggregator/fleet/leased_loop.ts";
import { SensorWatch } from "../../../aggregator/serve/sensor_watch.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { healthOf, TestClock } from "../api/fixture.ts";

type Change = Partial<SensorRow> & { lastPacketS?: number; missing?: string[] };

function sensor(
  name: string,
  nowMs: number,
  { lastPacketS = 1, missing = [], ...row }: Change = {},
): SensorRow {
  const health = healthOf(name, nowMs);
  return {
    sensor_id: name,
    name,
    site: "lab",
    tags: [],
    key_id: "0".repeat(16),
    public_key: name,
    enrolled_ms: 1,
    approved_ms: 1,
    join_token: null,
    revoked_ms: null,
    quarantined_ms: null,
    quarantine_reason: null,
    canary: null,
    canary_asked_ms: null,
    last_check_in_ms: nowMs - 5_000,
    last_batch_ms: null,
    clock_offset_ms: 0,
    check_in: {
      ...health,
      capture: { ...health.capture, last_packet: nowMs / 1_000 - lastPacketS },
      facts: { ...health.facts, walls: { standing: ["network"], missing } },
    },
    ...row,
  };
}

const kindsOf = (row: SensorRow, nowMs: number) => troublesOf(row, nowMs).map(({ kind }) => kind);

Deno.test("each trouble is of its kind, on both sides of its limit, and what is old or over is none", () => {
  const nowMs = 1_800_000_000_000;
  const of = (change: Change) => kindsOf(sensor("roof", nowMs, change), nowMs);
  assertEquals(of({}), []);
  assertEquals(of({ last_check_in_ms: nowMs - 30_000 }), []);
  assertEquals(of({ last_check_in_ms: nowMs - 31_000 }), ["sensor_unreachable"]);
  assertEquals(of({ lastPacketS: 60 }), []);
  assertEquals(of({ lastPacketS: 61 }), ["sensor_blind"]);
  assertEquals(of({ missing: ["network"] }), ["sensor_unwalled"]);
  assertEquals(of({ clock_offset_ms: 2_000 }), []);
  assertEquals(of({ clock_offset_ms: -2_001 }), ["sensor_clock"]);
  assertEquals(of({ quarantined_ms: 1, quarantine_reason: "two copies" }), ["sensor_cloned"]);
  assertEquals(
    of({ lastPacketS: 90, last_check_in_ms: nowMs - 31_000 }),
    ["sensor_unreachable"],
    "its word is old",
  );
  assertEquals(of({ last_check_in_ms: null, check_in: null }), []);
  assertEquals(of({ revoked_ms: 1, lastPacketS: 90 }), []);
  assertEquals(of({ approved_ms: null, lastPacketS: 90 }), []);
  const stopped = sensor("roof", nowMs, { last_check_in_ms: nowMs - 90_000 });
  stopped.check_in!.capture.state = "idle";
  assertEquals(kindsOf(stopped, nowMs), [], "it said good-bye");
});

Deno.test("what a sensor loses now is a trouble, and what it lost since its start is none", () => {
  const nowMs = 1_800_000_000_000;
  const of = (change: (checkIn: CheckInRequest) => void) => {
    const row = sensor("roof", nowMs);
    change(row.check_in!);
    return troublesOf(row, nowMs).map(({ kind, texts }) => `${kind}: ${texts.join("; ")}`.slice(0, 54));
  };
  const recent = (dropped: number, card_dropped = 0) => (checkIn: CheckInRequest) =>
    checkIn.capture.recent = { seconds: 60, packets: 999_000, dropped, card_dropped };
  assertEquals(of(recent(999)), []);
  assertEquals(of(recent(1_001)), ["sensor_lossy: 1001 packets (0.10 %) were dropped by th"]);
  assertEquals(of(recent(0, 1_001)), ["sensor_lossy: 1001 packets (0.10 %) were dropped by th"]);
  assertEquals(of(({ flows }) => flows.factor = 2), [
    "sensor_lossy: It is overloaded and samples 1 flow in 2",
  ]);
  assertEquals(of(({ spool }) => spool.error = "disk full"), [
    "sensor_lossy: Its disk takes no batches: disk full",
  ]);
  assertEquals(of(({ capture }) => capture.last_unicast = capture.last_packet! - 700), [
    "sensor_blind: Only broadcast and multicast on eth0 for",
  ]);
  assertEquals(of(({ facts }) => facts.failures = { total: 3, lately: 3, words: "killed by SIGSEGV" }), [
    "sensor_dissector: Its tshark failed 3 times in 10 min,",
  ]);
  assertEquals(of((checkIn) => checkIn.version = "0.0.1"), [
    "sensor_outdated: Its version 0.0.1 is older than the a",
  ]);
  const links = [{ name: "eth1", error: "no such device" }] as CheckInRequest["capture"]["links"];
  assertEquals(of(({ capture }) => capture.links = links!), [
    "sensor_lossy: eth1 is not captured: no such device; it",
  ]);
  const waiting = (checkIn: CheckInRequest) => {
    checkIn.spool.batches = 9;
    checkIn.transport.error = "no broker";
  };
  assertEquals(of(waiting), ["sensor_backlog: 9 batches wait in the spool since 0 s:"]);
  assertEquals(of(({ spool }) => spool.batches = 9), []);
  assertEquals(
    of(({ capture, facts, spool }) => {
      capture.dropped = 500;
      capture.in_flows = 900;
      facts.refused = 100;
      spool.dropped_batches = spool.quarantined = 3;
    }),
    [],
  );
});

class World {
  readonly clock = new TestClock();
  readonly reporter = createReporter({ component: "test", write: () => undefined, clock: this.clock });
  readonly store = openStore("sqlite::memory:", { reporter: this.reporter, clock: this.clock });
  readonly noted: string[] = [];
  change: Change = {};
  sensors = () => [sensor("roof", this.clock.ms, this.change), sensor("cellar", this.clock.ms)];

  watch(holder = "one"): LeasedLoop {
    const { store, clock, reporter } = this;
    const watch = new SensorWatch({
      store,
      directory: { all: () => Promise.resolve(this.sensors()) },
      live: { note: (_of, ids) => void this.noted.push(...ids) },
      clock,
      reporter,
    });
    return new LeasedLoop(watch, { store, holder, clock });
  }

  /** Looks every ten seconds. */
  async pass(watch: LeasedLoop, seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed += 10) {
      this.clock.ms += 10_000;
      await watch.turn();
    }
  }

  async threats() {
    return (await this.store.readThreats({}, { limit: 10 })).rows;
  }

  async states(): Promise<string[]> {
    return (await this.threats()).map(({ detector, status }) => `${detector} ${status}`);
  }
}

async function scenario(work: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  await world.store.start();
  try {
    await work(world);
  } finally {
    await world.store.stop();
  }
}

Deno.test("a sensor that is blind for two minutes is a threat, which ends by itself a minute after it sees again", () =>
  scenario(async (world) => {
    const watch = world.watch();
    world.change = { lastPacketS: 90 };
    await world.pass(watch, 120);
    assertEquals(await world.states(), []);
    const beganMs = world.clock.ms - 110_000;
    await world.pass(watch, 10);
    const [threat] = await world.threats();
    assertEquals([threat.detector, threat.status, threat.severity, threat.sensors], [
      "sensor_blind",
      "open",
      "medium",
      ["roof"],
    ]);
    assertEquals([threat.first_seen, threat.network], [beganMs / 1_000, "lab"]);
    assertMatch(threat.words.summary, /^Sensor roof at site lab sees nothing: No packet on eth0 for 1?\d/);
    assertMatch(threat.explanation, /by sensor roof.*mirror port/);
    assertEquals(world.noted, [threat.id]);
    await world.pass(watch, 300);
    const [later] = await world.threats();
    assertEquals([later.id, world.noted.length], [threat.id, 6]);
    assert(later.last_seen - threat.last_seen >= 240, "its end goes on");
    world.change = {};
    await world.pass(watch, 50);
    assertEquals(await world.states(), ["sensor_blind open"]);
    await world.pass(watch, 10);
    assertEquals(await world.states(), ["sensor_blind closed"]);
    world.change = { lastPacketS: 90 };
    await world.pass(watch, 140);
    assertEquals(
      await world.states(),
      ["sensor_blind open", "sensor_blind closed"],
      "and again is another one",
    );
  }));

Deno.test("an aggregator that was away finds no sensor unreachable before five minutes, and says since when", () =>
  scenario(async (world) => {
    const watch = world.watch(), lastMs = world.clock.ms - 3_600_000;
    world.change = { last_check_in_ms: lastMs };
    await world.pass(watch, 300);
    assertEquals(await world.states(), []);
    await world.pass(watch, 10);
    const [threat] = await world.threats();
    assertEquals([threat.detector, threat.first_seen], ["sensor_unreachable", lastMs / 1_000]);
  }));

Deno.test("what a person closed stays closed while the trouble lasts", () =>
  scenario(async (world) => {
    const watch = world.watch();
    world.change = { lastPacketS: 90 };
    await world.pass(watch, 140);
    const [{ id }] = await world.threats();
    await world.store.setThreatStatus(id, "closed", world.clock.ms);
    await world.pass(watch, 600);
    assertEquals(await world.states(), ["sensor_blind closed"]);
    world.change = {};
    await world.pass(watch, 80);
    assertEquals(await world.states(), ["sensor_blind closed"]);
  }));

Deno.test("one aggregator looks, and the next one goes on with what is open", () =>
  scenario(async (world) => {
    const one = world.watch("one"), two = world.watch("two");
    world.change = { lastPacketS: 90 };
    await world.pass(one, 140);
    await world.pass(two, 140);
    assertEquals(await world.states(), ["sensor_blind open"]);
    await one.stop();
    await world.pass(two, 140);
    assertEquals(await world.states(), ["sensor_blind open"]);
    world.change = {};
    await world.pass(two, 70);
    assertEquals(await world.states(), ["sensor_blind closed"]);
    await two.stop();
  }));

Deno.test("who takes over goes on with all that is open, also where that is more than a page", () =>
  scenario(async (world) => {
    const one = world.watch("one"), two = world.watch("two");
    world.sensors = () =>
      Array.from(
        { length: 1_001 },
        (_, i) => sensor(`s${i}`, world.clock.ms, { quarantined_ms: 1, quarantine_reason: "two copies" }),
      );
    await world.pass(one, 10);
    const open = async () => {
      let count = 0, cursor: string | undefined;
      do {
        const page = await world.store.readThreats({ status: "open" }, {
          limit: 1_000,
          ...cursor !== undefined && { cursor },
        });
        count += page.rows.length;
        cursor = page.next_cursor;
      } while (cursor !== undefined);
      return count;
    };
    assertEquals(await open(), 1_001);
    await one.stop();
    world.sensors = () => [];
    await world.pass(two, 70);
    assertEquals(await open(), 0);
  }));

Deno.test("a sensor that is removed or revoked ends its threats too", () =>
  scenario(async (world) => {
    const watch = world.watch();
    world.change = { quarantined_ms: 1, quarantine_reason: "two copies" };
    await world.pass(watch, 10);
    const [threat] = await world.threats();
    assertEquals([threat.detector, threat.severity], ["sensor_cloned", "high"]);
    world.sensors = () => [];
    await world.pass(watch, 60);
    assertEquals(await world.states(), ["sensor_cloned closed"]);
  }));
