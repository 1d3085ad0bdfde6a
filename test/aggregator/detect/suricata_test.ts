/** Suricata's alerts: read from a file that is rotated, joined to flows, and never more than low. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { FreshFinding } from "../../../aggregator/detect/finding.ts";
import { type Alert, AlertBook, readAlert } from "../../../aggregator/detect/suricata_alerts.ts";
import { SuricataFeed } from "../../../aggregator/detect/suricata_feed.ts";
import { TailedFile } from "../../../aggregator/detect/tailed_file.ts";
import type { FlowQuery } from "../../../aggregator/model/page.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import type { Clock } from "../../../shared/clock.ts";
import { communityId } from "../../../shared/community_id.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { sampleFlow } from "../api/samples.ts";
import { severity, times } from "./updates.ts";

const ends = { src_ip: "203.0.113.9", src_port: 50_123, dest_ip: "10.0.0.9", dest_port: 443 };
const rule = { signature_id: 2_001, signature: "ET TEST <b>x</b>", category: "Attempted", severity: 1 };
const line = (change: Record<string, unknown> = {}, alert: Record<string, unknown> = {}) =>
  JSON.stringify({
    timestamp: "2026-01-15T10:00:00.250000+0100",
    event_type: "alert",
    ...ends,
    proto: "TCP",
    alert: { action: "allowed", gid: 1, rev: 2, ...rule, ...alert },
    ...change,
  });

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-eve-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("an alert is read with its time, its ends, its rule, and a Community ID of its own or computed", () => {
  const own = communityId({
    protocol: "tcp",
    src_ip: "203.0.113.9",
    dst_ip: "10.0.0.9",
    src_port: 50_123,
    dst_port: 443,
  });
  const alert = readAlert(line()) as Alert;
  assertEquals(alert, {
    atS: 1_768_467_600.25,
    attacker: "203.0.113.9",
    victim: "10.0.0.9",
    port: 443,
    community: own,
    rule: 2_001,
    signature: "ET TEST <b>x</b>",
    category: "Attempted",
    severity: 1,
  });
  assertEquals((readAlert(line({ community_id: "1:abc=" })) as Alert).community, "1:abc=");
  const turned = readAlert(
    line({}, { source: { ip: "10.0.0.9", port: 443 }, target: { ip: "203.0.113.9" } }),
  );
  assertEquals([(turned as Alert).attacker, (turned as Alert).victim], ["10.0.0.9", "203.0.113.9"]);
  const ping = readAlert(line({ proto: "ICMP", src_port: undefined, dest_port: undefined })) as Alert;
  assertEquals([ping.port, ping.community], [null, ""]);
  assertEquals((readAlert(line({ src_ip: "2001:DB8:0:0:0:0:0:9" })) as Alert).attacker, "2001:db8::9");
});

Deno.test("what is no alert is passed over, and what is a broken one is named", () => {
  assertEquals(readAlert('{"event_type":"flow","src_ip":"x"}'), null);
  assertEquals(readAlert(""), null);
  assertEquals(readAlert(line().slice(0, -1)), "not_json");
  for (const change of [{ src_ip: "nowhere" }, { timestamp: "soon" }, { dest_port: 65_536 }, { alert: {} }]) {
    assertEquals(readAlert(line(change)), "incomplete", JSON.stringify(change));
  }
});

Deno.test("alerts of one rule between two hosts wait together, at most 2000 such, ten flows of each", () => {
  const book = new AlertBook();
  const alert = (change: Record<string, unknown> = {}, more: Record<string, unknown> = {}) =>
    readAlert(line(change, more)) as Alert;
  for (let i = 0; i < 12; i++) book.add(alert({ src_port: 40_000 + i }), 1_000 + i);
  assertEquals(book.take(999), []);
  const [entry, ...others] = book.take(1_000);
  assertEquals([others, entry.count, entry.communities.size, entry.port, book.size], [[], 12, 10, 443, 0]);
  for (let i = 0; i < 2_000; i++) assert(book.add(alert({}, { signature_id: i }), 0));
  assertEquals(
    [book.add(alert({}, { signature_id: 2_000 }), 0), book.add(alert({}, { signature_id: 7 }), 0)],
    [
      false,
      true,
    ],
  );
});

Deno.test("a file is followed from its end, over renaming and truncation, line by line, and where it was left", () =>
  inFolder(async (folder) => {
    const path = `${folder}/eve.json`;
    const add = (text: string) => Deno.writeTextFile(path, text, { append: true });
    const file = new TailedFile(path, null);
    await add("old\n");
    assertEquals(await file.read(), []);
    await add("a\nb");
    assertEquals(await file.read(), ["a"]);
    const left = file.place;
    await add("c\n\u00e4\n");
    assertEquals(await file.read(), ["bc", "\u00e4"]);
    await add("before renaming\n");
    await Deno.rename(path, `${path}.1`);
    const longer = "after renaming, a longer line than the whole file before";
    await add(`${longer}\n`);
    assertEquals(await file.read(), ["before renaming", longer]);
    await Deno.writeTextFile(path, "short\n");
    assertEquals(await file.read(), ["short"]);
    await add(`${"x".repeat(65_537)}\n${"y".repeat(65_536)}\n`);
    assertEquals([(await file.read()).map((text) => text.length), file.tooLong], [[65_536], 1]);
    await add("z".repeat(200_000));
    await file.read();
    await add("z\nnext\n");
    assertEquals([await file.read(), file.tooLong], [["next"], 2]);
    file.close();
    const early = new TailedFile(`${path}.2`, null);
    assertEquals([await early.read(), early.place], [[], null], "it is not there yet");
    await Deno.writeTextFile(`${path}.2`, "first\n");
    assertEquals(await early.read(), ["first"]);
    early.close();
    await Deno.rename(`${path}.1`, path);
    const again = new TailedFile(path, left);
    assertEquals(await again.read(), ["bc", "\u00e4", "before renaming"]);
    again.close();
  }));

/** A feed whose clock goes on by what it sleeps, until `untilMs`. */
async function feed(
  folder: string,
  text: string,
  {
    untilMs = 200_000,
    away = 0,
    odd = "",
    isFull = false,
    kept = { text: '{"inode":0,"position":0,"due":[],"waiting":[]}' as string | null },
  } = {},
) {
  const found: FreshFinding[] = [], asked: FlowQuery[] = [];
  await Deno.writeTextFile(`${folder}/eve.json`, text);
  let nowMs = 0;
  const over = Promise.withResolvers<void>();
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      if (nowMs >= untilMs) over.resolve();
      return nowMs >= untilMs ? new Promise((resolve) => stops.push(() => resolve())) : Promise.resolve();
    },
  };
  const stops: (() => void)[] = [];
  const reporter = createReporter({ component: "test", write: () => undefined, clock });
  const flow = sampleFlow(1, { network: "lab", src_ip: ends.src_ip, dst_ip: ends.dest_ip });
  const one = new SuricataFeed({ path: `${folder}/eve.json`, network: "default" }, {
    store: {
      readFlows: (query) => {
        if (away-- > 0) return Promise.reject(new StoreUnavailable("away"));
        asked.push(query);
        if (query.community_id === odd) return Promise.reject(new RangeError("cannot be read"));
        return Promise.resolve({ rows: query.community_id === "1:none=" ? [] : [flow] });
      },
    },
    clock,
    reporter,
    memory: {
      read: () => kept.text,
      write(text) {
        if (isFull) throw new Error("no room");
        kept.text = text;
      },
    },
    onFound: (findings) => {
      found.push(...findings);
      return Promise.resolve();
    },
  });
  one.start();
  await over.promise;
  const before = found.length, atCrash = { ...kept };
  const stopping = one.stop();
  for (const stop of stops) stop();
  await stopping;
  return {
    found,
    before,
    asked,
    kept,
    atCrash,
    flow,
    counted: (name: string) => reporter.snapshot().get(name) ?? 0,
  };
}

Deno.test("alerts become a low threat with the flows of their Community ID, after two minutes", () =>
  inFolder(async (folder) => {
    const text = `${line()}\n${line({ src_port: 50_124 })}\n{"event_type":"alert"\n{"event_type":"dns"}\n`;
    const { found, before, asked, flow, counted } = await feed(folder, text);
    assertEquals([found.length, before], [1, 1]);
    const [finding] = found;
    assertEquals([finding.detector, finding.network, finding.count, severity(finding)], [
      "suricata",
      "lab",
      2,
      "low",
    ]);
    assertEquals([finding.src_ips, finding.dst_ips, finding.dst_port], [["203.0.113.9"], ["10.0.0.9"], 443]);
    assertEquals([finding.new_flow_ids, finding.flows], [[flow.flow_id], 1]);
    assertEquals([asked.length, asked[0].ip, asked[0].to], [2, "10.0.0.9", 1_768_467_601.25]);
    const words = finding.evidence.find(({ name }) => name === "the rule's words")!;
    assertEquals([words.value, words.hostile], ["ET TEST <b>x</b>", true]);
    assert(
      !JSON.stringify(finding.words).includes("ET TEST"),
      "the rule's words stand in no sentence of ours",
    );
    assertStringIncludes(finding.words.summary, "it raised 2 alert(s)");
    const refused = 'suricata_lines_refused_total{reason="not_json"}';
    assertEquals([counted("suricata_alerts_total"), counted(refused)], [2, 1]);
  }));

Deno.test("an alert whose flow nobody saw is told too, one that waits is told at the end, and while the store is away it waits", () =>
  inFolder(async (folder) => {
    const unseen = await feed(folder, `${line({ community_id: "1:none=" })}\n`);
    assertEquals([unseen.found[0].network, unseen.found[0].flow_ids], ["default", []]);
    assertEquals(unseen.counted("suricata_alerts_unjoined_total"), 1);
    const early = await feed(folder, `${line()}\n`, { untilMs: 100_000 });
    assertEquals([early.before, early.found.length], [0, 1]);
    const away = await feed(folder, `${line()}\n`, { away: 3 });
    assertEquals([away.found.length, away.counted("suricata_joins_failed_total")], [1, 3]);
  }));

Deno.test("what waits in a crash, or while the store is away at the end, is told by the next run, once", () =>
  inFolder(async (folder) => {
    const text = `${line()}\n${line({ src_port: 50_124 })}\n`;
    const crashed = await feed(folder, text, { untilMs: 100_000 });
    assertEquals(crashed.before, 0);
    const next = await feed(folder, text, { kept: crashed.atCrash });
    assertEquals(next.found.map(({ count }) => count), [2]);
    assertEquals((await feed(folder, text, { kept: next.atCrash })).found, []);
    const away = await feed(folder, text, { away: 1_000 });
    assertEquals(away.found, []);
    const back = await feed(folder, text, { kept: away.kept, untilMs: 2_000 });
    assertEquals([back.before, back.found[0].count], [1, 2], "it has waited already");
  }));

Deno.test("alerts that cannot be saved are counted and told; damaged ones are counted and left out", () =>
  inFolder(async (folder) => {
    const told = await feed(folder, `${line()}\n`, { isFull: true });
    assertEquals([told.found.length, told.counted("suricata_saves_failed_total") > 0], [1, true]);
    const huge = JSON.stringify({ inode: 0, position: 0, due: [], waiting: Array(2_001).fill({}) });
    const { found, counted } = await feed(folder, `${line()}\n`, { kept: { text: huge } });
    assertEquals([found, counted("suricata_reads_failed_total")], [[], 1]);
  }));

Deno.test("an alert that cannot be taken in is counted, and those around it are told", () =>
  inFolder(async (folder) => {
    const rules = times(3, (i) => line({ community_id: `1:${i}=` }, { signature_id: i }));
    const { found, counted } = await feed(folder, `${rules.join("\n")}\n`, { odd: "1:1=" });
    assertEquals(found.map(({ identity }) => identity.split("|")[2]), ["0", "2"]);
    assertEquals(counted("suricata_joins_failed_total"), 1);
  }));

Deno.test("severities 1 to 3 are low, low and info; a run goes on where the last one stopped", () =>
  inFolder(async (folder) => {
    const rules = times(3, (i) => line({}, { signature_id: i, severity: i + 1 }));
    const first = await feed(folder, `${rules.join("\n")}\n`);
    assertEquals(first.found.map(severity), ["low", "low", "info"]);
    const again = await feed(folder, `${rules.join("\n")}\n`, { kept: first.kept });
    assertEquals(again.found, []);
    const broken = await feed(folder, `${line()}\n`, { kept: { text: "{" } });
    assertEquals([broken.found, broken.counted("suricata_reads_failed_total")], [[], 1], "from its end");
  }));
