/** The bounds of evidence: how many requests, how many octets, how long; and a disk that takes nothing. @module */

import { assertEquals, assertMatch } from "@std/assert";
import { type EvidenceOptions, PacketEvidence } from "../../../aggregator/evidence/evidence.ts";
import { PacketFiles } from "../../../aggregator/evidence/packet_files.ts";
import { flowIdText } from "../../../aggregator/model/flow_id.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { sha256Hex } from "../../../shared/batch.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { randomBytes, TestClock } from "../api/fixture.ts";
import { sampleFlow, sampleStart, sampleThreat, sampleWrite } from "../api/samples.ts";
import { uploadOf } from "./files.ts";

async function open(options: EvidenceOptions = {}) {
  const clock = new TestClock();
  const reporter = createReporter({ component: "test", write: () => {}, clock });
  const store = openStore("sqlite::memory:", { reporter, clock });
  await store.start();
  const folder = await Deno.makeTempDir({ prefix: "picket-evidence-" });
  const sensor = { revoked_ms: null, check_in: null } as never;
  const directory = { find: () => Promise.resolve(sensor), nameOf: (id: string) => id };
  const files = new PacketFiles(folder);
  const evidence = new PacketEvidence(options, { store, files, directory, clock, reporter, randomBytes });
  const flows = Array.from({ length: 100 }, (_, i) => sampleFlow(i));
  await store.ingest(sampleWrite(flows));
  const ask = (index: number) =>
    evidence.ask(`flow/${flows[index].flow_id}`, [flows[index].flow_id], "ann", clock.nowMs());
  /** Answers what is asked for, with a file of `length` octets and some. */
  const answer = async (length: number) => {
    const outcomes: string[] = [];
    for (const { id, flows: [flow] } of await evidence.wanted("s1", clock.nowMs())) {
      const body = uploadOf({ times: [flow.from_us], length });
      const fields = {
        sensor: "s1",
        request: id,
        outcome: "found" as const,
        packets: 1,
        left_out: 0,
        oldest: 1,
      };
      const header = { ...fields, sha256: sha256Hex(body), signature: "" };
      outcomes.push(await evidence.accept(header, body, clock.nowMs()));
    }
    return outcomes;
  };
  const states = async () => {
    const all = await Promise.all(flows.map(({ flow_id }) => evidence.status(`flow/${flow_id}`)));
    return all.map(({ state }) => state).filter((state) => state !== "none");
  };
  const counted = (key: string) => reporter.snapshot().get(key) ?? 0;
  const stop = async () => {
    await store.stop();
    await Deno.remove(folder, { recursive: true });
  };
  return { clock, store, folder, evidence, flows, ask, answer, states, counted, stop };
}

const namesIn = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("64 requests wait for a sensor at most, eight go into one answer; asking twice asks once", async () => {
  const { evidence, clock, ask, states, stop } = await open();
  for (let i = 0; i < 64; i++) {
    assertEquals((await ask(i)).state, "asked");
    await ask(i);
  }
  const over = await ask(64);
  assertEquals([over.state, over.reason], [
    "refused",
    "not asked for: sensor s1 has too many requests waiting",
  ]);
  const listed = new Set<string>();
  for (let checkIns = 1; checkIns <= 8; checkIns++) {
    for (const { id } of await evidence.wanted("s1", clock.nowMs())) listed.add(id);
    assertEquals(listed.size, checkIns * 8, "those that are not answered hold up no other");
  }
  assertEquals((await evidence.wanted("s2", clock.nowMs())).length, 0);
  assertEquals((await states()).filter((state) => state === "asked").length, 64);
  await stop();
});

Deno.test("the oldest files leave when all are too much, and their requests say so; the newest stays", async () => {
  const { clock, folder, ask, answer, states, evidence, flows, counted, stop } = await open({
    bytesMax: 4_000,
  });
  for (let i = 0; i < 3; i++) {
    await ask(i);
    clock.ms += 1_000;
    assertEquals(await answer(1_500), ["stored"]);
  }
  assertEquals(await states(), ["gone", "arrived", "arrived"]);
  assertEquals([namesIn(folder).length, counted("packet_files_evicted_total")], [2, 1]);
  const { reason } = await evidence.status(`flow/${flows[0].flow_id}`);
  assertMatch(reason, /had to make room for newer packets here/);
  await stop();
});

Deno.test("of many small files the oldest leave too", async () => {
  const { clock, folder, ask, answer, states, stop } = await open({ filesMax: 2 });
  for (let i = 0; i < 3; i++) {
    await ask(i);
    clock.ms += 1_000;
    assertEquals(await answer(60), ["stored"]);
  }
  assertEquals([namesIn(folder).length, await states()], [2, ["gone", "arrived", "arrived"]]);
  await stop();
});

Deno.test("files that no row stands for leave within the hour; those that are stored or asked for stay", async () => {
  const { clock, folder, ask, answer, evidence, counted, stop } = await open();
  await ask(0);
  assertEquals(await answer(60), ["stored"]);
  const [stored] = namesIn(folder);
  await ask(1);
  const [{ id }] = await evidence.wanted("s1", clock.nowMs());
  const put = (name: string) => Deno.writeTextFile(`${folder}/${name}`, "");
  for (const name of ["00000000000000aa.pcapng", "00000000000000bb.part", `${id}.part`, "notes"]) {
    await put(name);
  }
  await evidence.turn(clock.nowMs());
  assertEquals(namesIn(folder), [stored, `${id}.part`, "notes"].sort());
  assertEquals(counted("packet_files_swept_total"), 2);
  await put("00000000000000cc.pcapng");
  clock.ms += 3_599_000;
  await evidence.turn(clock.nowMs());
  assertEquals(namesIn(folder).length, 4);
  clock.ms += 1_000;
  await evidence.turn(clock.nowMs());
  // The request was given up meanwhile.
  assertEquals(namesIn(folder), [stored, "notes"].sort());
  await stop();
});

Deno.test("files leave with the day of their newest flow, and at the end of their age", async () => {
  const { clock, folder, store, evidence, ask, answer, states, stop } = await open({ ageMs: 86_400_000 });
  const day = Math.floor(sampleStart / 86_400) * 86_400;
  const next = sampleFlow(0, {
    flow_id: flowIdText((day + 86_400) * 1e6 + 5, 7),
    start: day + 86_400,
    community_id: `1:${"B".repeat(27)}=`,
  });
  await store.ingest(sampleWrite([next]));
  await ask(0);
  await evidence.ask(`flow/${next.flow_id}`, [next.flow_id], "ann", clock.nowMs());
  assertEquals(await answer(60), ["stored", "stored"]);
  await evidence.dropDay(day - 86_400);
  assertEquals(namesIn(folder).length, 2);
  await evidence.dropDay(day);
  assertEquals([namesIn(folder).length, await states()], [1, []]);
  clock.ms += 86_400_000;
  await evidence.turn(clock.nowMs());
  assertEquals(namesIn(folder).length, 1);
  clock.ms += 1;
  await evidence.turn(clock.nowMs());
  assertEquals(namesIn(folder).length, 0);
  await stop();
});

Deno.test("a file that somebody removed or damaged is said to be gone, and is never half a download", async () => {
  const { clock, folder, ask, answer, evidence, flows, counted, stop } = await open();
  await ask(0);
  await ask(1);
  assertEquals(await answer(60), ["stored", "stored"]);
  const [one, two] = namesIn(folder);
  await Deno.remove(`${folder}/${one}`);
  await Deno.truncate(`${folder}/${two}`, 50);
  for (const index of [0, 1]) {
    const subject = `flow/${flows[index].flow_id}`;
    assertEquals(await evidence.download(subject, clock.nowMs()), null);
    assertMatch(
      (await evidence.status(subject)).reason,
      /sensor s1 had packets that are not on this aggregator's disk any more/,
    );
    assertEquals((await ask(index)).state, "asked", "it can be asked for again");
  }
  assertEquals(counted("packet_files_lost_total"), 2);
  await stop();
});

Deno.test("a disk that takes no file leaves the request open, and the sensor is asked again", async () => {
  const { clock, folder, evidence, flows, ask, answer, states, stop } = await open();
  await ask(0);
  await Deno.remove(folder, { recursive: true });
  await Deno.writeTextFile(folder, "a file in the place of the folder");
  assertEquals(await answer(60), ["unwritten"]);
  assertEquals(await states(), ["asked"]);
  const status = async () => await evidence.status(`flow/${flows[0].flow_id}`);
  assertEquals(
    (await status()).reason,
    "waiting for sensor s1, which sent packets that this aggregator's disk did not take",
  );
  clock.ms += 3_600_000;
  await evidence.turn(clock.ms);
  assertEquals(
    (await status()).reason,
    "not to be had any more: sensor s1 sent packets that this aggregator's disk did not take",
  );
  await Deno.remove(folder);
  await ask(0);
  assertEquals(await answer(60), ["stored"]);
  assertEquals(await states(), ["arrived"]);
  await stop();
});

Deno.test("with no room for packets nothing is asked for, and that is the answer", async () => {
  const { evidence, clock, ask, stop } = await open({ bytesMax: 0 });
  evidence.offer([sampleThreat({ flow_ids: ["0006630f1a0e1000"] })]);
  const { state, reason } = await ask(0);
  assertEquals([state, reason], ["refused", "Packets are not kept here (--retain-packets-mb is 0)"]);
  assertEquals(await evidence.wanted("s1", clock.nowMs()), []);
  await stop();
});

Deno.test("threats of high severity and above ask by themselves while they are open, those below do not", async () => {
  const { clock, evidence, flows, stop } = await open();
  evidence.start();
  const flow_ids = [flows[0].flow_id];
  const ids = ["0", "1", "2", "3"].map((digit) => digit.repeat(16));
  evidence.offer([
    sampleThreat({ id: ids[0], flow_ids, severity: "medium" }),
    sampleThreat({ id: ids[1], flow_ids, severity: "high" }),
    sampleThreat({ id: ids[2], flow_ids, severity: "critical" }),
    sampleThreat({ id: ids[3], flow_ids, severity: "critical", status: "closed" }),
  ]);
  clock.advance(1_000);
  for (let i = 0; i < 100 && (await evidence.status(`threat/${ids[2]}`)).state === "none"; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const states = await Promise.all(ids.map(async (id) => (await evidence.status(`threat/${id}`)).state));
  assertEquals(states, ["none", "asked", "asked", "none"]);
  await evidence.stop();
  await stop();
});
