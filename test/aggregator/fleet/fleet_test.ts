/** What makes a sensor late, blind or lossy, with the words and numbers a person reads. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ClockOffsets } from "../../../aggregator/fleet/clock_offsets.ts";
import { conservationOf, deliveryOf } from "../../../aggregator/fleet/conservation.ts";
import { SensorDirectory } from "../../../aggregator/fleet/directory.ts";
import { fleetHealth, sensorHealth } from "../../../aggregator/fleet/fleet.ts";
import { span } from "../../../aggregator/fleet/span.ts";
import { outdatedReasons } from "../../../aggregator/fleet/upgrade_reasons.ts";
import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import type { CheckInRequest, InterfaceCounters } from "../../../shared/control.ts";
import { healthOf } from "../api/fixture.ts";
import { sensorRow } from "./sensor_row.ts";

const nowMs = 1_800_000_000_000;

function row(
  change: Partial<SensorRow> = {},
  health: (checkIn: CheckInRequest) => void = () => undefined,
): SensorRow {
  const checkIn = healthOf("s1", nowMs - 5_000);
  health(checkIn);
  return { ...sensorRow(nowMs, checkIn), ...change };
}

function counters(name: string, change: Partial<InterfaceCounters>): InterfaceCounters {
  const zeros = { rx_dropped: 0, rx_missed: 0, rx_fifo: 0, rx_errors: 0 };
  return { name, rx_packets: 900, tx_packets: 100, ...zeros, ...change };
}

Deno.test("sensor health names the worst status and every reason with its number", () => {
  const cases: [string, SensorRow, string][] = [
    ["healthy", row(), ""],
    ["healthy", row({ clock_offset_ms: -90_000 }), "Its clock is 90 s behind"],
    ["never_seen", row({ last_check_in_ms: null, check_in: null }), "never checked in"],
    ["late", row({ last_check_in_ms: nowMs - 30_001 }), "No check-in for 30 s (limit 30 s)"],
    [
      "stopped",
      row({ last_check_in_ms: nowMs - 600_000 }, (c) => c.capture.state = "idle"),
      "It finished 10 min ago",
    ],
    ["blind", row({}, (c) => c.capture.last_packet = c.sent_ms / 1_000 - 61), "No packet on eth0 for 61 s"],
    ["blind", row({}, (c) => c.capture.last_packet = null), "No packet at all on eth0 for 10 min"],
    [
      "blind",
      row({}, (c) => Object.assign(c.capture, { state: "failed", error: "eth0 is down" })),
      "Capture of eth0 failed: eth0 is down",
    ],
    ["healthy", row({}, (c) => c.facts.walls = { standing: ["network", "files"], missing: [] }), ""],
    [
      "unwalled",
      row({}, (c) => c.facts.walls = { standing: ["network"], missing: ["files", "memory"] }),
      "Walls around its tshark are missing: files, memory; the shipped units have them all",
    ],
    ["lossy", row({}, (c) => c.capture.dropped = 20), "20 packets (2.0 %) were dropped by the kernel"],
    ["healthy", row({}, (c) => c.capture.interfaces = [counters("eth0", {})]), ""],
    [
      "lossy",
      row(
        {},
        (c) => c.capture.interfaces = [counters("eth0", {}), counters("eth1", { rx_missed: 5, rx_fifo: 6 })],
      ),
      "11 packets (1.1 %) were dropped by the card or its driver before the kernel could hand them on (eth1), since it started",
    ],
    [
      // Since the start it is too small a part to be seen.
      "lossy",
      row({}, (c) => {
        Object.assign(c.capture, { packets: 1e9, in_flows: 1e9, left_out: {}, dropped: 9 });
        c.capture.recent = { seconds: 60, packets: 491, dropped: 9, card_dropped: 0 };
      }),
      "9 packets (1.8 %) were dropped by the kernel before the sensor saw them, in the last 60 s",
    ],
    [
      "lossy",
      row({}, (c) => {
        c.flows.factor = 8;
        c.capture.in_flows -= 400;
        c.capture.left_out.not_sampled = 400;
      }),
      "It is overloaded and samples 1 flow in 8: 400 packets (40 %) were left out since it started",
    ],
    ["lossy", row({}, (c) => c.capture.in_flows = 980), "10 packets are neither in flows nor counted"],
    ["lossy", row({}, (c) => c.facts.refused = 50), "50 packets (33 %) were not dissected"],
    [
      "lossy",
      row({}, (c) => {
        c.capture.links = [
          { name: "eth0", error: null, dropped: 0, restarts: 0 },
          { name: "eth1", error: "it is gone", dropped: 0, restarts: 3 },
        ];
      }),
      "eth1 is not captured: it is gone; its other interfaces go on",
    ],
    [
      "healthy",
      row({}, (c) => c.capture.links = [{ name: "eth0", error: null, dropped: 0, restarts: 1 }]),
      "",
    ],
    [
      "lossy",
      row({}, (c) => Object.assign(c.spool, { error: "no space left", unwritten: 4 })),
      "Its disk takes no batches: no space left; 4 are in memory only",
    ],
    ["healthy", row({}, (c) => Object.assign(c.spool, { error: null, unwritten: 0 })), ""],
    ["healthy", row({}, (c) => c.counters = { packets_copied_total: 200 }), ""],
    [
      "healthy",
      row({}, (c) => c.counters = { packets_copied_total: 201 }),
      "201 packets (20 %) are copies of others, as a mirror port makes them; flows count each",
    ],
    ["lossy", row({}, (c) => c.spool.dropped_batches = 3), "3 batches were dropped as the spool was full"],
    [
      "lossy",
      row({}, (c) => {
        c.transport.error = "connection refused";
        Object.assign(c.spool, { batches: 7, oldest_s: 180 });
      }),
      "7 batches wait in the spool since 3 min: connection refused",
    ],
    ["quarantined", row({ quarantined_ms: 1, quarantine_reason: "two live epochs" }), "two live epochs"],
    ["revoked", row({ revoked_ms: nowMs, quarantined_ms: 1, last_check_in_ms: 0 }), "Revoked at 2027-01-15"],
  ];
  for (const [status, sensor, words] of cases) {
    const health = sensorHealth(sensor, [], null, nowMs);
    assertEquals(health.status, status, words);
    if (words === "") assertEquals(health.reasons, []);
    else assertStringIncludes(health.reasons.join("\n"), words);
  }
});

Deno.test("sensor health does not call a sensor blind by its wrong clock, nor before it could see a packet", () => {
  const wrongClock = row({}, (c) => {
    c.sent_ms -= 86_400_000 * 365;
    c.capture.last_packet = c.sent_ms / 1_000 - 2;
  });
  assertEquals(sensorHealth(wrongClock, [], null, nowMs).status, "healthy");
  const justStarted = row({}, (c) => {
    c.started_ms = c.sent_ms - 20_000;
    c.capture.last_packet = null;
  });
  assertEquals(sensorHealth(justStarted, [], null, nowMs).status, "healthy");
});

Deno.test("an interface that carries only broadcast and multicast is blind after ten minutes, where that is known", () => {
  const health = (since: number | null, change: (checkIn: CheckInRequest) => void = () => undefined) =>
    sensorHealth(
      row({}, (c) => {
        c.capture.last_unicast = since === null ? null : c.sent_ms / 1_000 - since;
        change(c);
      }),
      [],
      null,
      nowMs,
    );
  assertEquals(health(600).status, "healthy");
  const blind = health(601);
  assertEquals([blind.status, blind.kinds], ["blind", ["broadcast_only"]]);
  assertEquals(blind.reasons, [
    "Only broadcast and multicast on eth0 for 10 min (limit 10 min): is the mirror port configured?",
  ]);
  // None since the start, which was ten minutes ago.
  assertEquals(health(null).status, "healthy");
  assertEquals(health(null, (c) => c.started_ms -= 1_000).kinds, ["broadcast_only"]);
  const policy = { name: "p", wanted: 1, actual: 1, problem: null, kept: [] };
  assertEquals(health(601, (c) => c.policy = { ...policy, filtered: true }).status, "healthy");
  assertEquals(health(601, (c) => c.policy = { ...policy, filtered: false }).status, "blind");
  assertEquals(health(601, (c) => c.capture.state = "replaying").status, "healthy");
  assertEquals(health(601, (c) => delete c.capture.last_unicast).status, "healthy");
  assertEquals(
    health(601, (c) => c.capture.last_packet = null).kinds,
    ["blind"],
    "no packet at all says more",
  );
});

Deno.test("a tshark that fails three times in ten minutes is a reason, and twice is none", () => {
  const health = (lately: number, words: string) =>
    sensorHealth(row({}, (c) => c.facts.failures = { total: 9, lately, words }), [], null, nowMs);
  assertEquals(health(2, "exit status 139").reasons, []);
  const failing = health(3, "exit status 139");
  assertEquals([failing.status, failing.kinds], ["lossy", ["dissector_failing"]]);
  assertStringIncludes(
    failing.reasons[0],
    "Its tshark failed 3 times in 10 min, last: exit status 139; flows are whole",
  );
  assertStringIncludes(health(3, "").reasons[0], "last: no reason is known");
});

Deno.test("a sensor that is a minor version behind is outdated; a patch behind, ahead, or of no version is not", () => {
  const behind = (sensor: string) => outdatedReasons(sensor, "1.4.2");
  assertEquals(behind("1.3.9"), [
    "Its version 1.3.9 is older than the aggregator's 1.4.2: install its package, or picket-aggregator upgrade start",
  ]);
  for (const old of ["0.9.0", "1.0.0", "1.3.99+8"]) assertEquals(behind(old).length, 1, old);
  for (const fine of ["1.4.0", "1.4.2", "1.5.0", "2.0.0", "1.10.0", "1.4", "trunk"]) {
    assertEquals(behind(fine), [], fine);
  }
  const { status, kinds } = sensorHealth(row({}, (c) => c.version = "0.0.9"), [], null, nowMs);
  assertEquals([status, kinds], ["healthy", ["outdated"]]);
});

Deno.test("fleet health counts gaps, sums what was captured, and puts the worst first", () => {
  const gap = { epoch: 1, bucket: 0, found_ms: nowMs, closed_ms: null };
  const gaps = [{ ...gap, sensor_id: "s2", from_seq: 4, to_seq: 6 }, {
    ...gap,
    sensor_id: "s2",
    from_seq: 9,
    to_seq: 9,
  }];
  const sensors = [
    row(),
    row({ sensor_id: "s2", name: "cellar" }),
    row({ sensor_id: "s3", name: "attic", revoked_ms: 1 }),
  ];
  const fleet = fleetHealth(sensors, gaps, new Map([["s2", [{ bucket: 0, seq_max: 3, batches: 3 }]]]), nowMs);
  assertEquals(fleet.sensors.map(({ name, status }) => [name, status]), [
    ["attic", "revoked"],
    ["cellar", "lossy"],
    ["roof", "healthy"],
  ]);
  assertEquals(fleet.sensors[1].missing_batches, 4);
  assertEquals(fleet.sensors[1].delivery?.in_flight, 1);
  assertEquals(fleet.summary.healthy + fleet.summary.lossy + fleet.summary.revoked, 3);
  assertEquals(fleet.conservation, {
    packets: 3_000,
    in_flows: 2_970,
    left_out: { not_ip: 30 },
    dropped: 0,
    card_dropped: 0,
    unaccounted: 0,
  });
});

Deno.test("conservation adds up causes and shows what nobody accounts for", () => {
  const one = { ...healthOf("s1", nowMs).capture, interfaces: [counters("eth0", { rx_dropped: 3 })] },
    two = { ...one, left_out: { not_ip: 4, malformed: 1 }, dropped: 7 };
  const sum = conservationOf([one, two]);
  assertEquals(sum, {
    packets: 2_000,
    in_flows: 1_980,
    left_out: { not_ip: 14, malformed: 1 },
    dropped: 7,
    card_dropped: 6,
    unaccounted: 5,
  });
  const health = healthOf("s1", nowMs);
  health.spool.batches = 2;
  assertEquals(deliveryOf(health, [{ bucket: 0, seq_max: 1, batches: 1 }]), {
    sealed: 4,
    stored: 1,
    spooled: 2,
    dropped: 0,
    in_flight: 1,
  });
});

Deno.test("clock offset is that of the fastest request, and starts afresh after a step or a restart", () => {
  const offsets = new ClockOffsets();
  const noted = [-900, -40, -400].map((difference) => offsets.note("s1", 1, nowMs + difference, nowMs));
  assertEquals(noted, [-900, -40, -40]);
  assertEquals(offsets.note("s1", 1, nowMs - 3_600_000, nowMs), -3_600_000);
  assertEquals(offsets.note("s1", 2, nowMs - 3_600_500, nowMs), -3_600_500);
  for (let i = 0; i < 8; i++) offsets.note("s1", 2, nowMs - 3_600_700, nowMs);
  assertEquals(
    offsets.note("s1", 2, nowMs - 3_600_700, nowMs),
    -3_600_700,
    "an old witness leaves the window",
  );
});

Deno.test("directory reads the store at most every 2 s, and for an unknown id at most every 250 ms", async () => {
  let reads = 0;
  const rows = [row()];
  const directory = new SensorDirectory({}, {
    store: { readSensors: () => Promise.resolve((reads++, rows)), readPolicies: () => Promise.resolve([]) },
  });
  for (let ms = 0; ms < 1_900; ms += 100) assert(await directory.find("s1", ms));
  assertEquals(reads, 1);
  rows[0] = row({ revoked_ms: 1 });
  assertEquals((await directory.find("s1", 2_000))?.revoked_ms, 1);
  for (let ms = 2_001; ms < 2_250; ms += 10) assertEquals(await directory.find("s9", ms), null);
  assertEquals(reads, 2);
  rows.push(row({ sensor_id: "s9", name: "new" }));
  assert(await directory.find("s9", 2_300));
  assertEquals([reads, directory.nameOf("s9"), directory.nameOf("s10")], [3, "new", "s10"]);
});

Deno.test("directory reads a sensor again that was not let in, as a command may just have let it in", async () => {
  for (const kept of ["quarantined_ms", "revoked_ms"] as const) {
    let reads = 0;
    const rows = [row({ [kept]: 1 })];
    const directory = new SensorDirectory({}, {
      store: { readSensors: () => Promise.resolve((reads++, rows)), readPolicies: () => Promise.resolve([]) },
    });
    for (let ms = 0; ms < 250; ms += 10) assertEquals((await directory.find("s1", ms))?.[kept], 1);
    assertEquals(reads, 1);
    rows[0] = row();
    assertEquals((await directory.find("s1", 250))?.[kept], null);
    assertEquals((await directory.find("s1", 1_900))?.[kept], null);
    assertEquals(reads, 2);
  }
});

Deno.test("fleet health of 1,000 sensors is made well below 50 ms", () => {
  const sensors = Array.from({ length: 1_000 }, (_, i) => row({ sensor_id: `s${i}`, name: `sensor-${i}` }));
  const started = performance.now();
  assertEquals(fleetHealth(sensors, [], new Map(), nowMs).summary.healthy, 1_000);
  assert(performance.now() - started < 50);
});

Deno.test("span writes a time in the unit a person would use", () => {
  assertEquals([400, 45_000, 600_000, 10_800_000, 345_600_000].map(span), [
    "0.4 s",
    "45 s",
    "10 min",
    "3 h",
    "4 d",
  ]);
});

Deno.test("a sensor says how far its packet ring reaches back, and it is a reason below a minute", () => {
  const ring = { payload: "start", bytes_max: 33_554_432, packets: 900, overwritten: 5_000, oldest: 0 };
  const health = (reachS: number, change: Partial<typeof ring> & { state?: "replaying" } = {}) =>
    sensorHealth(
      row({}, (c) => {
        const { state, ...rest } = change;
        if (state) c.capture.state = state;
        const presentS = state ? c.capture.last_packet! : c.sent_ms / 1_000;
        c.ring = { ...ring, oldest: presentS - reachS, ...rest };
      }),
      [],
      null,
      nowMs,
    );
  assertEquals(health(250).packet_ring, "ring reaches back 4 min 10 s");
  assertEquals(health(250, { state: "replaying" }).packet_ring, "ring reaches back 4 min 10 s");
  assertEquals(health(12_000).packet_ring, "ring reaches back 3 h 20 min");
  assertEquals([health(60).reasons, health(60).status], [[], "healthy"]);
  assertEquals(health(59).reasons, [
    "Its packet ring reaches back 59 s only: 5000 packets were overwritten by newer ones; --ring-mib gives it more room",
  ]);
  assertEquals(health(59, { overwritten: 0 }).reasons, [], "it has not been filled yet");
  assertEquals(health(59).status, "healthy");
  const empty = row({}, (c) => c.ring = { ...ring, packets: 0, overwritten: 0, oldest: null as never });
  assertEquals(sensorHealth(empty, [], null, nowMs).packet_ring, "ring is empty");
  assertEquals(sensorHealth(row(), [], null, nowMs).packet_ring, "no packets are kept");
});
