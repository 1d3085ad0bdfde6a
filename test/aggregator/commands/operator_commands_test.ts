/** What an operator does about tokens, sensors and keys: on the database, and through a running aggregator. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { keyCommand } from "../../../aggregator/commands/key_command.ts";
import { policyCommand } from "../../../aggregator/commands/policy_command.ts";
import {
  revokeCommand,
  sensorCommand,
  sensorsCommand,
} from "../../../aggregator/commands/sensors_command.ts";
import { tokenCommand } from "../../../aggregator/commands/token_command.ts";
import type { CanaryState } from "../../../aggregator/model/sensor.ts";
import type { HealthRow } from "../../../aggregator/model/sensor_health.ts";
import { sha256Hex } from "../../../shared/batch.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import { healthOf, TestClock } from "../api/fixture.ts";
import { startHostileWorld } from "../dashboard/hostile.ts";
import { type Ran, runInside, storeIn, withFolder } from "./harness.ts";

const commands = [tokenCommand, sensorCommand, sensorsCommand, revokeCommand, keyCommand, policyCommand];

interface Place {
  run(...args: string[]): Promise<Ran>;
  // deno-lint-ignore no-explicit-any -- a test reads what a command prints, whatever its shape.
  json(...args: string[]): Promise<any>;
  enrol(token: string, name: string): Promise<string>;
  quarantine(id: string): Promise<void>;
  note: (row: HealthRow) => Promise<void>;
  /** Its check-in of now announces a canary, which arrived or did not. */
  canary: (id: string, canary: CheckInRequest["canary"], state: CanaryState) => Promise<void>;
  /** The clock stands still. */
  nowMs: number;
}

/** Runs `work` where the commands open the database, and where they ask a server. */
async function everywhere(work: (place: Place) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const clock = new TestClock();
    const run = (...args: string[]) => runInside(commands, [...args, "--state", folder], { clock });
    const onStore = async <T>(act: (store: ReturnType<typeof storeIn>) => Promise<T>) => {
      const store = storeIn(folder);
      await store.start();
      try {
        return await act(store);
      } finally {
        await store.stop();
      }
    };
    await work({
      run,
      json: async (...args) => JSON.parse((await run(...args, "--json")).stdout),
      enrol: (token, name) => onStore((store) => enrolIn(store, token, name, clock.ms)),
      quarantine: (id) => onStore((store) => store.quarantineSensor(id, "two copies", clock.ms)),
      note: (row) => onStore((store) => store.saveHealth([row])),
      canary: (id, canary, state) => onStore((store) => announce(store, id, canary, state, clock.ms)),
      nowMs: clock.ms,
    });
  });
  const world = await startHostileWorld();
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/admin.key`, world.fixture.keys.admin);
    const { store, directory } = world.fixture.services;
    const run = (...args: string[]) =>
      runInside(commands, [...args, "--state", folder, "--url", world.url], { clock: world.fixture.clock });
    await work({
      run,
      json: async (...args) => JSON.parse((await run(...args, "--json")).stdout),
      enrol: (token, name) =>
        enrolIn(store, token, name, world.fixture.clock.ms).finally(() => directory.forget()),
      quarantine: (id) =>
        store.quarantineSensor(id, "two copies", world.fixture.clock.ms).finally(() => directory.forget()),
      note: (row) => store.saveHealth([row]),
      canary: (id, canary, state) =>
        announce(store, id, canary, state, world.fixture.clock.ms).finally(() => directory.forget()),
      nowMs: world.fixture.clock.ms,
    });
  });
  await world.stop();
}

async function announce(
  store: ReturnType<typeof storeIn>,
  sensorId: string,
  canary: CheckInRequest["canary"],
  state: CanaryState,
  nowMs: number,
): Promise<void> {
  const checkIn = { ...healthOf(sensorId, nowMs), canary };
  await store.saveCheckIns([{ sensorId, checkIn, nowMs, clockOffsetMs: 0, ended: [] }]);
  await store.saveCanaries(new Map([[sensorId, state]]));
}

async function enrolIn(
  store: ReturnType<typeof storeIn>,
  token: string,
  name: string,
  nowMs: number,
): Promise<string> {
  const unique = crypto.randomUUID();
  const sensor = { sensor_id: `s${unique.slice(0, 8)}`, name, key_id: "0".repeat(16), public_key: unique };
  return (await store.redeemJoinToken(sha256Hex(token), sensor, nowMs)).outcome;
}

Deno.test("tokens are made for one or many, listed without their text, and revoked", () =>
  everywhere(async ({ run, json, enrol }) => {
    const one = await json("token", "create", "--site", "lab", "--tags", "roof,north", "--ttl", "2d");
    assertEquals([one.site, one.tags, one.uses_max, one.expires_ms - one.created_ms], [
      "lab",
      ["roof", "north"],
      1,
      172_800_000,
    ]);
    assertStringIncludes(one.command, one.token);
    const many = await json("token", "create", "--uses", "2", "--approve");
    assertEquals([await enrol(many.token, "a"), await enrol(many.token, "b"), await enrol(many.token, "c")], [
      "enrolled",
      "enrolled",
      "used_token",
    ]);
    const three = await json("token", "create", "--count", "3");
    assertEquals(new Set(three.tokens.map(({ token }: { token: string }) => token)).size, 3);
    const plain = await run("token");
    assertMatch(plain.stdout, /^pj_[A-Za-z0-9_-]{32}$/);
    assertStringIncludes(plain.stderr, "sudo picket-sensor enrol");
    const revoked = await run("token", "revoke", one.id);
    assertEquals([revoked.code, revoked.stdout], [0, `revoked ${one.id}`]);
    assertEquals(await enrol(one.token, "d"), "revoked_token");
    const list = await run("token", "list");
    assertMatch(list.stdout, new RegExp(`^${one.id}  revoked  0 of 1 used  site lab  roof  north$`, "m"));
    assertMatch(
      list.stdout,
      new RegExp(`^${many.id}  used     2 of 2 used  site default  \\(needs approval\\)$`, "m"),
    );
    assert(!list.stdout.includes("pj_"));
    for (const wrong of [["--ttl", "14m"], ["--ttl", "31d"], ["--uses", "0"], ["--site", "a b"], ["extra"]]) {
      assertEquals((await run("token", "create", ...wrong)).code, 2, wrong.join(" "));
    }
    assertEquals((await run("token", "revoke")).code, 2);
    assertEquals((await run("token", "revoke", "0123456789ab")).code, 1);
  }));

Deno.test("sensors are approved, released, renamed, tagged, revoked and removed, by name and by id", () =>
  everywhere(async ({ run, json, enrol, quarantine }) => {
    const { token } = await json("token", "create", "--uses", "9", "--approve");
    await enrol(token, "north");
    assertEquals((await json("sensor", "show", "north")).status, "pending");
    assertEquals((await run("sensor", "approve", "north")).stdout, "approved north");
    const north = await json("sensor", "show", "north");
    assertEquals(north.status, "never_seen");
    await quarantine(north.sensor_id);
    assertEquals((await json("sensor", "show", "north")).status, "quarantined");
    assertEquals((await run("sensor", "release", north.sensor_id)).code, 0);
    assertEquals((await json("sensor", "show", "north")).status, "never_seen");
    assertEquals((await run("sensor", "rename", "north", "south")).stdout, "renamed south");
    assertEquals((await run("sensor", "tag", "south", "outdoor", "tall")).code, 0);
    assertEquals((await json("sensor", "show", "south")).tags, ["outdoor", "tall"]);
    assertEquals((await json("sensor", "tag", "south")).name, "south");
    assertEquals((await json("sensor", "show", "south")).tags, []);
    await enrol(token, "other");
    const taken = await run("sensor", "rename", "other", "south");
    assertEquals(taken.code, 1);
    assertStringIncludes(taken.stderr, "Choose another name");
    assertEquals(await enrol(token, "south"), "name_taken");
    assertEquals((await run("revoke", "south")).stdout, "revoked south");
    assertEquals(await enrol(token, "south"), "enrolled", "a revoked name is free");
    assertEquals(
      (await json("sensor", "show", "south")).status,
      "pending",
      "a name means the one that has it now",
    );
    assertEquals((await json("sensor", "show", north.sensor_id)).status, "revoked");
    assertEquals((await run("sensor", "remove", north.sensor_id)).code, 0);
    assertEquals((await run("sensor", "show", north.sensor_id)).code, 1);
    assertStringIncludes((await run("sensors")).stdout, "south (site default): pending");
    assertStringIncludes((await run("sensors", "south")).stdout, "south (site default): pending");
    assertEquals((await run("sensors", "south", "other")).code, 2);
    assertEquals((await run("sensor", "list")).stdout, (await run("sensors")).stdout);
    for (const wrong of [["approve"], ["rename", "south"], ["fly", "south"], ["show", "a", "b"]]) {
      assertEquals((await run("sensor", ...wrong)).code, 2, wrong.join(" "));
    }
    assertEquals((await run("sensor", "release", "nobody")).code, 1);
  }));

Deno.test("a sensor is shown with its last changes, as text and as JSON", () =>
  everywhere(async ({ run, json, enrol, note }) => {
    const { token } = await json("token", "create");
    await enrol(token, "north");
    const { sensor_id, changes } = await json("sensor", "show", "north");
    assertEquals(changes, []);
    assert(!(await run("sensor", "show", "north")).stdout.includes("last changes"));
    const counts = { epoch: 1, packets: 9, in_flows: 9, left_out: 0, dropped: 0, card_dropped: 0 };
    const rest = {
      spooled_batches: 0,
      missing_batches: 0,
      missing_packets: 0,
      clock_offset_ms: 0,
      ...counts,
    };
    const at_ms = 1_799_999_000_000;
    const row = { sensor_id, at_ms, weight: 2 as const, status: "blind", kinds: ["blind"], ...rest };
    await note({ ...row, reasons: ["No packet on eth0\x1b[2J", "and more"] });
    await note({ ...row, at_ms: at_ms + 1, weight: 0, reasons: [] });
    const { stdout } = await run("sensor", "show", "north");
    assertMatch(
      stdout,
      /^ {2}last changes:\n {4}2027-01-15 07:43:20 UTC {2}blind: No packet on eth0.*; and more$/m,
    );
    assert(!stdout.includes("\x1b"));
    assertEquals((await json("sensor", "show", "north")).changes.length, 1);
  }));

Deno.test("a canary is asked for and waited for, and the exit code says whether it arrived", () =>
  everywhere(async ({ run, json, enrol, canary, quarantine, nowMs: asked }) => {
    const { token } = await json("token", "create", "--uses", "2");
    for (const name of ["north", "south"]) await enrol(token, name);
    const { sensor_id } = await json("sensor", "show", "north");
    const sent_ms = asked - 3_000;
    const flows = [{ interface: "eth0", community_id: `1:${"A".repeat(27)}=`, problem: null }];
    const state = {
      sent_ms,
      announced_ms: asked,
      missing: [],
      is_missed: false,
      missed: 0,
      arrived_ms: asked - 1_000,
      arrived_sent_ms: sent_ms,
    };
    await canary(sensor_id, { sent_ms, asked, flows }, state);
    const found = await run("sensor", "canary", "north");
    assertEquals([found.code, found.stdout], [0, "canary of north: arrived 1 s ago"]);
    assertEquals((await json("sensor", "canary", sensor_id)).found, true);
    assertStringIncludes((await run("sensor", "show", "north")).stdout, "; canary: arrived 1 s ago");
    const problem = "it has no address to send from";
    const south = await json("sensor", "show", "south");
    await canary(south.sensor_id, { sent_ms, asked, flows: [{ ...flows[0], community_id: null, problem }] }, {
      ...state,
      sent_ms: 1,
      arrived_sent_ms: 1,
    });
    const none = await run("sensor", "canary", "south");
    assertEquals([none.code, none.stdout], [1, `canary of south: not possible: eth0: ${problem}`]);
    assertEquals((await run("sensor", "canary", "nobody")).code, 1);
    assertEquals((await run("sensor", "canary", "north", "now")).code, 2);
    await quarantine(sensor_id);
    assertStringIncludes((await run("sensor", "canary", "north")).stderr, "released");
  }));

Deno.test("keys are made with an end, listed without their text, and revoked by name or id", () =>
  everywhere(async ({ run, json }) => {
    const made = await json("key", "create", "--name", "grafana", "--role", "analyst", "--expires", "7d");
    assertMatch(made.key, /^pk_/);
    assertEquals([made.role, made.expires_ms - made.created_ms], ["analyst", 604_800_000]);
    assertMatch((await run("key", "--name", "grafana")).stdout, /^pk_/);
    const list = await run("key", "list");
    assertStringIncludes(list.stdout, `${made.id}  grafana  analyst`);
    assert(!list.stdout.includes(made.key));
    const twice = await run("key", "revoke", "grafana");
    assertEquals(twice.code, 1);
    assertStringIncludes(twice.stderr, made.id);
    assertEquals((await run("key", "revoke", made.id)).stdout, "revoked grafana");
    assertEquals((await run("key", "revoke", "grafana")).code, 0, "only one of that name is left");
    assertEquals((await run("key", "revoke", "grafana")).code, 1);
    for (
      const wrong of [["--name", "a b"], [], ["--name", "x", "--expires", "soon"], [
        "--name",
        "x",
        "--role",
        "god",
      ]]
    ) {
      assertEquals((await run("key", "create", ...wrong)).code, 2, wrong.join(" "));
    }
  }));

Deno.test("policies are set, shown, compared and ended by command, here and through a server", async () => {
  await everywhere(async ({ run, json }) => {
    const set = (...words: string[]) => run("policy", "set", "office", ...words);
    const first = await set("filter=not port 9100", "noise=mdns,ssdp", "facts=off", "--to", "tag=canary");
    assertMatch(first.stdout, /^policy office is now version \d+, for tag=canary$/);
    assertMatch((await set("snaplen=256", "facts=", "--to", "all")).stdout, /for all$/);
    const { rows: [row] } = await json("policy", "list");
    assertEquals([row.target, row.settings], ["all", {
      filter: "not port 9100",
      noise: ["mdns", "ssdp"],
      snaplen: 256,
    }]);
    assertEquals((await run("policy", "diff", "office")).stdout.split("\n"), [
      "snaplen: not set -> 256",
      "facts: false -> not set",
    ]);
    const { rows } = await json("policy", "history", "office");
    const [newest, oldest] = rows.map(({ version }: { version: number }) => String(version));
    assertStringIncludes(
      (await run("policy", "diff", "office", newest, oldest)).stdout,
      "snaplen: 256 -> not set",
    );
    assertStringIncludes(
      (await run("policy", "show", "office")).stdout,
      'filter="not port 9100" snaplen=256',
    );
    for (const words of [["snaplen=20"], ["snaplen=abc"], ["colour=red"], ["snaplen"], ["facts=maybe"]]) {
      const { code, stderr } = await set(...words);
      assert(code !== 0 && stderr.includes("must be"), `${words}: ${code} ${stderr}`);
    }
    assertEquals((await set("snaplen=100", "--to", "site=lab")).code !== 0, true);
    assertEquals((await run("policy", "remove", "office")).stdout, "removed office");
    assertEquals((await run("policy", "list")).stdout, "no policy is set");
    assertEquals((await run("policy", "show", "office")).code !== 0, true);
    assertMatch((await set("activeMs=1000")).stdout, /for all$/, "begins afresh after its end");
    assertEquals((await json("policy", "list")).rows[0].settings, { activeMs: 1_000 });
  });
});
