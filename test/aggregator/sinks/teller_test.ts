/** One message per incident and per rise of its severity, and the rest of a storm in a digest. @module */

import { assert, assertEquals } from "@std/assert";
import { severityOf, type Threat } from "../../../aggregator/model/threat.ts";
import { quietMinutesLeft } from "../../../aggregator/sinks/rules.ts";
import { threat as row } from "../store/rows.ts";
import { collector, rules, tellAll, withWorld, type World } from "./world.ts";

const day = 86_400;

function threat(id: string, { clock }: World, change: Partial<Threat> = {}): Threat {
  const score = change.score ?? 40;
  const severity = severityOf(score);
  return row(id, {
    score,
    severity,
    rules_severity: severity,
    stored_ms: clock.ms,
    updated_ms: clock.ms,
    ...change,
  });
}

/** What waits for a sink, sent. */
async function sent(world: World, sink = "chat") {
  const receiver = collector();
  const sender = world.sender(receiver, sink);
  while (await sender.turn() === "more");
  return receiver.taken;
}

Deno.test("an incident is told once, and again only when it becomes more severe", () =>
  withWorld(async (world) => {
    const { store } = world;
    const teller = world.teller([rules()]);
    await teller.turn();
    await store.saveThreats([threat("a", world)]);
    await teller.turn();
    await store.saveThreats([threat("a", world, { count: 9 }), threat("b", world, { title: "Second scan" })]);
    await teller.turn();
    const first = await sent(world);
    assertEquals(first.map(({ kind, severity }) => [kind, severity]), [["incident", "medium"]]);
    assertEquals([first[0].actors, first[0].targets, first[0].sensors], [["10.0.0.66"], ["10.0.0.9"], [
      "name of s-one",
    ]]);
    await store.saveThreats([threat("b", world, { score: 75 })]);
    // A restart knows what was told.
    const again = world.teller([rules()]);
    await again.turn();
    await store.saveThreats([threat("b", world, { score: 40 })]);
    await again.turn();
    await store.saveThreats([threat("b", world, { score: 75 })]);
    await again.turn();
    assertEquals((await sent(world)).map(({ kind, severity }) => [kind, severity]), [["rise", "high"]]);
  }));

Deno.test("what a suppression hides is told when it ends, and not before", () =>
  withWorld(async (world) => {
    const { store, clock } = world;
    const by = { name: "ada", keyId: "0123456789ab" };
    const teller = world.teller([rules()]);
    await teller.turn();
    const made = { id: "00000000000000b1", reason: "our scanner", made_by: by.name, made_ms: clock.ms };
    const ends = { expires_ms: clock.ms + 3_600_000, ended_ms: null };
    await store.addSuppression({ ...made, ...ends, detector: threat("a", world).detector }, by);
    await store.saveThreats([threat("a", world)]);
    await teller.turn();
    assertEquals(await sent(world), []);
    await store.endSuppression(made.id, clock.ms, by);
    await teller.turn();
    assertEquals((await sent(world)).map(({ kind }) => kind), ["incident"]);
  }));

Deno.test("the same machine is told of again after a day of silence, and not before", () =>
  withWorld(async (world) => {
    const teller = world.teller([rules()]);
    await teller.turn();
    const t0 = row("x").first_seen;
    const at = (id: string, s: number) => threat(id, world, { first_seen: t0 + s, last_seen: t0 + s });
    await world.store.saveThreats([at("a", 0)]);
    await tellAll(teller);
    await world.store.saveThreats([at("b", day - 1)]);
    await tellAll(teller);
    assertEquals((await sent(world)).length, 1);
    await world.store.saveThreats([at("c", 2 * day + 10)]);
    await tellAll(teller);
    assertEquals((await sent(world)).length, 1);
  }));

Deno.test("rules choose by severity, site, tag and detector; closed and old threats are not told", () =>
  withWorld(async (world) => {
    const { store, clock } = world;
    await store.saveThreats([threat("old", world, { src_ips: ["10.0.0.1"] })]);
    clock.advance(1_000);
    const sinks = [
      rules({ name: "all", severity_min: "info" }),
      rules({ name: "high", severity_min: "high" }),
      rules({ name: "site", sites: ["office"] }),
      rules({ name: "roof", tags: ["roof"] }),
      rules({ name: "cellar", tags: ["cellar"] }),
      rules({ name: "beacons", detectors: ["beacon"] }),
    ];
    const teller = world.teller(sinks);
    await teller.turn();
    await store.saveThreats([
      threat("a", world, { src_ips: ["10.0.0.2"], score: 70, network: "office" }),
      threat("b", world, { src_ips: ["10.0.0.3"], detector: "beacon", sensors: ["s-two"], score: 25 }),
      threat("c", world, { src_ips: ["10.0.0.4"], status: "closed" }),
      threat("d", world, { src_ips: ["10.0.0.5"], detector: "beacon", sensors: ["s-two"] }),
    ]);
    await tellAll(teller);
    const told: Record<string, string[]> = {};
    for (const { name } of sinks) {
      told[name] = (await sent(world, name)).map(({ actors }) => actors[0]).sort();
    }
    assertEquals(told, {
      all: ["10.0.0.2", "10.0.0.3", "10.0.0.5"],
      high: ["10.0.0.2"],
      site: ["10.0.0.2"],
      roof: ["10.0.0.2"],
      cellar: [],
      beacons: ["10.0.0.5"],
    });
  }));

Deno.test("in quiet hours only what is urgent comes at once, the rest as a digest when they end", () =>
  withWorld(async (world) => {
    const { store, clock } = world;
    clock.ms = Date.UTC(2027, 0, 15, 23, 0);
    const teller = world.teller([rules({ quiet: { from: "22:00", to: "06:00" } })]);
    await teller.turn();
    await store.saveThreats([
      threat("a", world, { src_ips: ["10.0.0.1"], score: 95 }),
      threat("b", world, { src_ips: ["10.0.0.2"], score: 75 }),
      threat("c", world, { src_ips: ["10.0.0.3"] }),
    ]);
    await tellAll(teller);
    assertEquals((await sent(world)).map(({ severity }) => severity), ["critical"]);
    clock.ms = Date.UTC(2027, 0, 16, 5, 59);
    assertEquals(await sent(world), []);
    clock.ms = Date.UTC(2027, 0, 16, 6, 2);
    const [digest, ...more] = await sent(world);
    assertEquals(more, []);
    assertEquals([digest.kind, digest.severity, digest.incidents, digest.threats], ["digest", "high", 2, 2]);
    assertEquals(digest.digest?.by_severity, { high: 1, medium: 1 });
  }));

Deno.test("quiet hours are told in the zone's time, also over midnight", () => {
  const berlin = { from: "22:00", to: "06:00", zone: "Europe/Berlin" };
  assertEquals(quietMinutesLeft(berlin, Date.UTC(2027, 0, 15, 20, 59)), 0);
  assertEquals(quietMinutesLeft(berlin, Date.UTC(2027, 0, 15, 21, 0)), 480);
  assertEquals(quietMinutesLeft(berlin, Date.UTC(2027, 0, 16, 4, 59)), 1);
  assertEquals(quietMinutesLeft(berlin, Date.UTC(2027, 0, 16, 5, 0)), 0);
  const noon = { from: "12:00", to: "13:00", zone: "UTC" };
  assertEquals([11, 12, 13].map((hour) => quietMinutesLeft(noon, Date.UTC(2027, 0, 15, hour))), [0, 60, 0]);
});

Deno.test("a storm of 100,000 threats is 20 messages and a digest that says how many", () =>
  withWorld(async (world) => {
    const { store, clock } = world;
    const teller = world.teller([rules(), rules({ name: "mail", messages_per_hour: 3 })]);
    await teller.turn();
    const storm = 100_000, slice = 5_000, t0 = row("x").first_seen;
    for (let i = 0; i < storm; i += slice) {
      await store.saveThreats(
        Array.from({ length: slice }, (_, k) => {
          const n = i + k;
          const ip = `10.${n >> 16}.${n >> 8 & 255}.${n & 255}`;
          return threat(n.toString(16).padStart(16, "0"), world, { src_ips: [ip], first_seen: t0 + n / 1e3 });
        }),
      );
      await tellAll(teller);
    }
    for (const [sink, most] of [["chat", 20], ["mail", 3]] as const) {
      const now = await sent(world, sink);
      assertEquals([now.length, now.every(({ kind }) => kind === "incident")], [most, true]);
    }
    clock.advance(61 * 60_000);
    const later = await sent(world);
    assertEquals(later.map(({ kind, incidents }) => [kind, incidents]), [["digest", 99_980]]);
    assert(later[0].threats >= 99_980);
    assert(JSON.stringify(later[0]).length < 5_000);
    assertEquals((await sent(world, "mail")).map(({ incidents }) => incidents), [99_997]);
    assertEquals(world.counted("sink_held_incidents_total"), 99_980 + 99_997);
  }));

Deno.test("a storm of one attacker is one message and a digest that says how many more", () =>
  withWorld(async (world) => {
    const teller = world.teller([rules()]);
    await teller.turn();
    await world.store.saveThreats([threat("first", world)]);
    await tellAll(teller);
    await world.store.saveThreats(
      Array.from({ length: 3_000 }, (_, n) => threat(n.toString(16).padStart(16, "0"), world)),
    );
    await tellAll(teller);
    assertEquals((await sent(world)).map(({ kind }) => kind), ["incident"]);
    world.clock.advance(62 * 60_000);
    const [digest] = await sent(world);
    assertEquals([digest.kind, digest.incidents, digest.digest?.more_threats], ["digest", 0, 3_000]);
  }));

Deno.test("of two aggregators one decides, and nothing is told twice", () =>
  withWorld(async (world) => {
    const [a, b] = [world.teller([rules()], "a"), world.teller([rules()], "b")];
    assertEquals([await a.turn(), await b.turn()], ["idle", "standby"]);
    await world.store.saveThreats([threat("a", world)]);
    await Promise.all([a.turn(), b.turn()]);
    await world.store.releaseLease("sinks", "a");
    await b.turn();
    assertEquals((await sent(world)).length, 1);
  }));
