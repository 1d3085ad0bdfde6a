/** Tests of enrol, replay and run against an aggregator in memory: what arrives, what is said, what is left. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { machineTest, until } from "./machine.ts";

machineTest("enrol makes a private key, redeems the token, and can be said again", async (machine) => {
  const first = await machine.enrol();
  assertEquals([first.code, first.err], [0, ""]);
  assertStringIncludes(first.out, "Enrolled as testhost (s_fake) at site lab");
  assertEquals(machine.aggregator.enrolled?.name, "testhost");
  assertEquals(Deno.statSync(`${machine.state}/identity.json`).mode! & 0o777, 0o600);
  assertEquals(Deno.statSync(machine.state).mode! & 0o777, 0o700);
  const key = machine.aggregator.enrolled?.public_key;
  assertEquals((await machine.enrol()).code, 0);
  assertEquals(machine.aggregator.enrolled?.public_key, key);
  const seed = JSON.parse(Deno.readTextFileSync(`${machine.state}/identity.json`)).seed;
  assert(!first.out.includes(seed) && !first.log.includes(seed));
});

machineTest("enrol says what to do about a wrong token, a used one, a silent address", async (machine) => {
  const wrong = await machine.enrol("jt_00000000000000000000000000");
  assertEquals(wrong.code, 1);
  assertStringIncludes(wrong.err, "this join token is not known");
  assertStringIncludes(wrong.err, "make a fresh one");
  machine.aggregator.enrolled = { name: "other", public_key: "A".repeat(43) + "=" };
  const used = await machine.enrol();
  assertEquals(used.code, 1);
  assertStringIncludes(used.err, "was used by another sensor");
  const short = await machine.enrol("abc");
  assertEquals(short.code, 2);
  const { token } = machine.aggregator;
  const silent = await machine.call("enrol", "--aggregator", "http://127.0.0.1:9", "--token", token);
  assertEquals(silent.code, 3);
  assertStringIncludes(silent.err, "http://127.0.0.1:9 is not reachable");
  assertEquals((await machine.call("enrol", "--aggregator", "nonsense", "--token", token)).code, 2);
  assertEquals((await machine.call("enrol", "--token", token)).code, 2);
});

machineTest(
  "replay --ship seals, spools and ships every segment, checks in, and leaves nothing behind",
  async (machine) => {
    await machine.enrol();
    const { code, out, err } = await machine.call("replay", machine.capture(12_000), "--ship", "--no-facts");
    assertEquals([code, err], [0, ""]);
    const { capture, shipped } = JSON.parse(out);
    assertEquals([capture.packets, capture.in_flows, capture.bytes], [12_000, 12_000, 720_000]);
    assertEquals(machine.aggregator.flows, 12_000);
    assertEquals(shipped, { batches: machine.aggregator.batches.size, left_in_spool: 0 });
    assertEquals(machine.spooled(), []);
    const last = machine.aggregator.checkIns.at(-1)!;
    assertEquals([last.capture.state, last.capture.packets, last.spool.batches], ["idle", 12_000, 0]);
    assertEquals(last.transport.sent_batches, machine.aggregator.batches.size);
    const { size } = machine.aggregator.batches;
    assertEquals(last.sealed_totals, { batches: size, flows: 12_000, packets: 12_000 });
    for (const [bucket, seq] of Object.entries(last.sealed)) {
      assert(machine.aggregator.batches.has(`${last.epoch}-${bucket}-${seq}`));
    }
  },
);

machineTest(
  "replay --flows prints one object a segment and the account last, and says that tshark is missing",
  async (machine) => {
    const { code, out, log } = await machine.call("replay", machine.capture(3), "--flows");
    const lines = out.split("\n").map((line) => JSON.parse(line));
    assertEquals([code, lines.length], [0, 4]);
    assertEquals([lines[0].src_ip, lines[0].start], ["192.0.2.1", 1_700_000_000]);
    assertEquals(lines[3].capture.packets, 3);
    assertStringIncludes(log, "tshark");
    const strict = await machine.call("replay", machine.capture(3), "--flows", "--require-facts");
    assertEquals(strict.code, 3);
    assertStringIncludes(strict.err, "tshark");
  },
);

machineTest("replay names what is wrong with a file", async (machine) => {
  const missing = await machine.call("replay", `${machine.folder}/none.pcap`);
  assertEquals(missing.code, 3);
  assertStringIncludes(missing.err, "none.pcap");
  assertStringIncludes(missing.err, "no such file");
  assertEquals((await machine.call("replay", machine.folder)).code, 3);
  const text = `${machine.folder}/notes.txt`;
  Deno.writeTextFileSync(text, "not a capture, but long enough to look at");
  const wrong = await machine.call("replay", text, "--no-facts");
  assertEquals(wrong.code, 1);
  assertStringIncludes(wrong.log, "not a capture file");
  assertEquals(JSON.parse(wrong.out).capture.note, "not_a_capture");
  const cut = await machine.call("replay", machine.capture(5, 10), "--no-facts");
  assertEquals(cut.code, 0);
  assertEquals([JSON.parse(cut.out).capture.packets, JSON.parse(cut.out).capture.note], [4, "cut_capture"]);
  assertStringIncludes(cut.log, "cut short");
  assertEquals((await machine.call("replay")).code, 2);
});

machineTest("replay --ship without enrolment says how to enrol", async (machine) => {
  const { code, err } = await machine.call("replay", machine.capture(1), "--ship", "--no-facts");
  assertEquals(code, 3);
  assertStringIncludes(err, "picket-sensor enrol");
});

machineTest(
  "replay --ship keeps everything in the spool while the aggregator is away, and the next run ships it",
  async (machine) => {
    await machine.enrol();
    await machine.aggregator.stop();
    const away = await machine.call(
      "replay",
      machine.capture(100),
      "--ship",
      "--no-facts",
      "--timeout-ms",
      "300",
    );
    assertEquals(away.code, 3);
    assertStringIncludes(away.log, "stays in the spool");
    assertStringIncludes(away.log, "not reachable");
    const left = machine.spooled().length;
    assert(left > 0);
    assertEquals(JSON.parse(away.out).shipped, { batches: 0, left_in_spool: left });
    machine.aggregator.start();
    const back = await machine.call("replay", machine.capture(50), "--ship", "--no-facts");
    assertEquals(back.code, 0);
    assertEquals(machine.aggregator.flows, 150);
    assertEquals(machine.spooled(), []);
    const epochs = new Set([...machine.aggregator.batches.keys()].map((name) => name.split("-")[0]));
    assertEquals(epochs.size, 2, "epoch did not rise");
  },
);

machineTest("replay --ship of a revoked sensor ships nothing and says so", async (machine) => {
  await machine.enrol();
  machine.aggregator.revoked = true;
  const { code, log } = await machine.call("replay", machine.capture(10), "--ship", "--no-facts");
  assertEquals(code, 3);
  assertStringIncludes(log, "revoked");
  assertEquals(machine.aggregator.batches.size, 0);
  assert(machine.spooled().length > 0);
});

machineTest("replay sets aside a batch that the aggregator refuses for good", async (machine) => {
  await machine.enrol();
  machine.aggregator.batchAnswer = () => Response.json({ reason: "column_value" }, { status: 422 });
  const { code, log, out } = await machine.call("replay", machine.capture(10), "--ship", "--no-facts");
  assertEquals(code, 1);
  assertStringIncludes(log, "column_value");
  const aside = [...Deno.readDirSync(`${machine.state}/spool/quarantine`)].length;
  assert(aside > 0);
  assertEquals(JSON.parse(out).shipped, { batches: 0, left_in_spool: aside, set_aside: aside });
});

machineTest(
  "run captures, makes a packet visible within 4.5 s, and on a signal leaves nothing unsealed",
  async (machine) => {
    await machine.enrol();
    machine.aggregator.clockAheadMs = 5_000;
    const { ended, stop, printed, logs } = machine.begin("run", "--no-facts");
    await until(() => logs.some((line) => line.includes("capturing")));
    assert(logs.some((line) => line.includes("fake0")));
    const fedMs = performance.now();
    machine.live.packet(Date.now() * 1_000);
    await until(() => machine.aggregator.flows === 1);
    // Its flow ends by silence, for which nobody waits: it is sealed within 3 s.
    assert(performance.now() - fedMs < 4_500, `${performance.now() - fedMs} ms`);
    machine.live.packet(Date.now() * 1_000);
    stop();
    assertEquals(await ended, 0);
    assert(machine.live.isStopped);
    // What was not shipped before the end is in the spool.
    assertEquals(machine.aggregator.flows + machine.spooled().length, 2);
    assertEquals(JSON.parse(printed.at(-1)!).capture.packets, 2);
    const stored = Deno.readTextFileSync(`${machine.state}/epoch`);
    assertEquals(machine.aggregator.checkIns.at(-1)?.epoch, Number(stored));
    const status = JSON.parse(Deno.readTextFileSync(`${machine.state}/status.json`));
    assert(Math.abs(status.clock_offset_ms - 5_000) < 500, `${status.clock_offset_ms}`);
    assertEquals(status.stopped, true);
    assertEquals((await machine.call("status")).code, 1);
  },
);

for (const [payload, outcome] of [["start", "too_late"], ["off", "off"]]) {
  machineTest(
    `run answers what a check-in asks for, and says how its ring is: ${payload}`,
    async (machine) => {
      await machine.enrol();
      const flow = { community_id: `1:${"A".repeat(27)}=`, from_us: 0, to_us: 1 };
      machine.aggregator.packets = [{ id: "odd" }, {
        id: "00112233445566aa",
        flows: [flow],
        bytes_max: 1_000,
      }];
      const options = ["--no-facts", "--check-in-s", "1", "--ring-payload", payload];
      const { ended, stop } = machine.begin("run", ...options);
      await until(() => machine.aggregator.uploads.length > 0);
      const [{ "picket-request": request, "picket-outcome": said }] = machine.aggregator.uploads;
      assertEquals([request, said], ["00112233445566aa", outcome]);
      await until(async () => /ring {7}/.test((await machine.call("status")).out));
      const { out } = await machine.call("status");
      assertStringIncludes(
        out,
        payload === "off" ? "no packets are kept" : "0 packets (start) in 33554432 octets",
      );
      stop();
      assertEquals(await ended, 0);
      const empty = { payload: "start", bytes_max: 33_554_432, packets: 0, overwritten: 0, oldest: null };
      assertEquals(machine.aggregator.checkIns.at(-1)!.ring, payload === "off" ? undefined : empty);
      assertEquals(machine.aggregator.uploads.length, 1, "not tried again at once");
    },
  );
}

machineTest(
  "a sensor that ships over Kafka uploads packets to the aggregator all the same",
  async (machine) => {
    machine.aggregator.kafka = { brokers: ["127.0.0.1:9"], topic: "picket.batches.v1" };
    await machine.enrol();
    const flow = { community_id: `1:${"A".repeat(27)}=`, from_us: 0, to_us: 1 };
    machine.aggregator.packets = [{ id: "00112233445566aa", flows: [flow], bytes_max: 1_000 }];
    const { ended, stop } = machine.begin("run", "--no-facts", "--check-in-s", "1");
    await until(() => machine.aggregator.uploads.length > 0);
    stop();
    assertEquals(await ended, 0);
    assertEquals(machine.aggregator.checkIns.at(-1)!.transport.kind, "kafka");
  },
);

machineTest("a revoked sensor uploads no packets", async (machine) => {
  await machine.enrol();
  machine.aggregator.revoked = true;
  const flow = { community_id: `1:${"A".repeat(27)}=`, from_us: 0, to_us: 1 };
  machine.aggregator.packets = [{ id: "00112233445566aa", flows: [flow], bytes_max: 1_000 }];
  const { ended, stop } = machine.begin("run", "--no-facts", "--check-in-s", "1");
  await until(() => machine.aggregator.checkIns.length > 1);
  stop();
  assertEquals(await ended, 0);
  assertEquals(machine.aggregator.uploads, []);
});

machineTest(
  "run takes the policy that a check-in offers, says what holds, and status shows it",
  async (machine) => {
    await machine.enrol();
    const tried: unknown[] = [];
    Object.assign(machine.live, {
      retune: (change: { filter: string }) => {
        tried.push(change);
        return Promise.resolve(change.filter === "nonsense" ? "dumpcap: syntax error" : null);
      },
    });
    const offer = (version: number, settings: Record<string, unknown>) =>
      machine.aggregator.policy = { name: "office", version, settings };
    offer(1, { filter: "nonsense", activeMs: 5_000 });
    const { ended, stop } = machine.begin("run", "--no-facts", "--snaplen", "128", "--check-in-s", "1");
    const said = () => machine.aggregator.checkIns.at(-1)?.policy;
    await until(() => said()?.problem != null);
    assertEquals([said()?.wanted, said()?.actual, said()?.problem], [1, 0, "dumpcap: syntax error"]);
    offer(2, { filter: "udp", snaplen: 96 });
    await until(() => said()?.actual === 2);
    assertEquals([said()?.problem, said()?.kept, said()?.filtered], [null, ["snaplen"], true]);
    assertEquals(tried, [{ filter: "nonsense", snaplen: 128 }, { filter: "udp", snaplen: 128 }]);
    await until(() => Deno.readTextFileSync(`${machine.state}/status.json`).includes('"actual":2'));
    assertStringIncludes(
      (await machine.call("status")).out,
      "policy     office version 2: version 2 holds; own options keep snaplen",
    );
    stop();
    assertEquals(await ended, 0);
  },
);

machineTest("run tells the fleet what kernel and card dropped, and status shows it", async (machine) => {
  await machine.enrol();
  const { ended, stop, logs } = machine.begin("run", "--no-facts", "--check-in-s", "1");
  await until(() => logs.some((line) => line.includes("capturing")));
  await until(() => machine.aggregator.checkIns.length > 0);
  assertEquals(machine.aggregator.checkIns[0].capture.interfaces, undefined);
  const counters = { name: "fake0", rx_packets: 9, tx_packets: 1, rx_missed: 2, rx_fifo: 0, rx_errors: 5 };
  machine.live.interfaces = [{ ...counters, rx_dropped: 3 }];
  machine.live.dropped = 7;
  machine.live.packet(Date.now() * 1_000);
  await until(() => machine.aggregator.checkIns.at(-1)!.capture.dropped === 7);
  const { interfaces, recent } = machine.aggregator.checkIns.at(-1)!.capture;
  assertEquals(interfaces, machine.live.interfaces);
  assertEquals({ ...recent, seconds: 0 }, { seconds: 0, packets: 1, dropped: 7, card_dropped: 5 });
  // The file behind it is written once the aggregator has answered.
  let out = "";
  await until(async () => (out = (await machine.call("status")).out).includes("lost       7 "));
  assertStringIncludes(
    out,
    "lost       7 dropped by the kernel, 5 by the card (fake0: 9 in, 1 out, 5 with errors); in the last",
  );
  stop();
  assertEquals(await ended, 0);
});

machineTest(
  "run starts without an aggregator, and goes on when its capture is all that works",
  async (machine) => {
    await machine.enrol();
    await machine.aggregator.stop();
    const { ended, stop, logs } = machine.begin("run", "--interface", "fake0");
    await until(() => logs.some((line) => line.includes("cannot check in")));
    assert(logs.some((line) => line.includes("no facts will be read")));
    machine.live.packet(Date.now() * 1_000);
    await until(() => machine.spooled().length > 0);
    await until(() => logs.some((line) => line.includes("they stay in the spool")));
    stop();
    assertEquals(await ended, 0);
    assert(machine.spooled().length > 0);
  },
);

machineTest(
  "run is told by the aggregator that it is revoked, and ships again when it is not",
  async (machine) => {
    await machine.enrol();
    machine.aggregator.revoked = true;
    const { ended, stop, logs } = machine.begin("run", "--no-facts", "--check-in-s", "1");
    await until(() => logs.some((line) => line.includes("revoked or quarantined")));
    machine.live.packet(Date.now() * 1_000);
    await until(() => machine.spooled().length > 0);
    assertEquals(machine.aggregator.flows, 0);
    machine.aggregator.revoked = false;
    await until(() => machine.aggregator.flows === 1);
    stop();
    assertEquals(await ended, 0);
  },
);

machineTest("run ends with its own exit code when the capture ends by itself", async (machine) => {
  await machine.enrol();
  const { ended, logs } = machine.begin("run", "--no-facts");
  await until(() => logs.some((line) => line.includes("capturing")));
  machine.live.problem = { code: "read_failed", message: "dumpcap went away" };
  machine.live.stop();
  assertEquals(await ended, 1);
  assert(logs.some((line) => line.includes("dumpcap went away")));
});
