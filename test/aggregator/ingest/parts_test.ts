/** The parts of the merger and of the books, each by itself: against plain models, and at their bounds. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { FactFilter } from "../../../aggregator/ingest/fact_filter.ts";
import { FingerprintIndex } from "../../../aggregator/ingest/fingerprint_index.ts";
import { GapBook } from "../../../aggregator/ingest/gaps.ts";
import { MergeState } from "../../../aggregator/ingest/merge_state.ts";
import { Merger } from "../../../aggregator/ingest/merge.ts";
import { Pool } from "../../../aggregator/ingest/pool.ts";
import { TrafficSums } from "../../../aggregator/ingest/traffic_sums.ts";
import { columnsOf, ownKey, readColumns } from "../../../aggregator/ingest/columns.ts";
import { joinedState, mirroredStates, turnFacts } from "../../../aggregator/ingest/turn.ts";
import { unpack } from "../../../aggregator/ingest/verify.ts";
import { connStates } from "../../../shared/segment.ts";
import { mergeFacts } from "../../../aggregator/model/facts.ts";
import { namesOf } from "../../../aggregator/model/fact_names.ts";
import { areFacts, factLimits } from "../../../shared/facts.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { encodeValue } from "../../shared/columns.ts";
import { segmentsOf } from "./merging.ts";
import { communityId } from "../../../shared/community_id.ts";
import { nowMs, segment, t0, tableOf } from "./fleet.ts";

/** Whole numbers below `below`, the same for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

Deno.test("ARP's question and answer between two hosts are two flows, whoever asks", () => {
  const said = {
    protocol: "arp",
    src_ip: "10.0.0.1",
    dst_ip: "10.0.0.9",
    community_id: "",
    src_port: 1,
    dst_port: 0,
  };
  const columns = columnsOf([said, said, { ...said, src_port: 2 }].map((one) => segment(one)));
  const [question, again, answer] = [0, 1, 2].map((row) => ownKey(columns, row).toHex());
  assertEquals(again, question);
  assert(answer !== question);
});

Deno.test("fingerprint index answers as a map does, through growth and removals", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const next = numbers(seed);
    const index = new FingerprintIndex();
    const model = new Map<string, number>();
    for (let step = 0; step < 20_000; step++) {
      // Few low halves, so that probes collide; the home slot is the low half.
      const low = next(30) * 4_096 + next(3), high = next(60);
      const key = `${low}/${high}`;
      if (next(3) === 0) {
        index.delete(low, high);
        model.delete(key);
      } else {
        index.set(low, high, step);
        model.set(key, step);
      }
    }
    for (let low = 0; low < 30 * 4_096; low += low % 4_096 === 2 ? 4_094 : 1) {
      for (let high = 0; high < 60; high++) {
        assertEquals(index.get(low, high), model.get(`${low}/${high}`) ?? -1, `seed ${seed}`);
      }
    }
  }
});

Deno.test("pool restores what a transaction changed and takes rows given back first", () => {
  const pool = new Pool({ count: Float64Array, flag: Uint8Array });
  const rows = Array.from({ length: 3_000 }, () => pool.take());
  rows.forEach((row) => pool.columns.count[row] = row);
  pool.begin();
  for (const row of [0, 5, 5, 2_999]) {
    pool.touch(row);
    pool.columns.count[row] = -1;
  }
  pool.rollback();
  assertEquals([0, 5, 2_999].map((row) => pool.columns.count[row]), [0, 5, 2_999]);
  pool.give(7);
  assertEquals([pool.size, pool.take(), pool.columns.count[7], pool.size], [2_999, 7, 0, 3_000]);
});

Deno.test("a state turned round twice is the same again, or has no mirror image", () => {
  for (const [state, name] of connStates.entries()) {
    const back = connStates[mirroredStates[mirroredStates[state]]];
    assert(back === name || back === "OTH", `${name} comes back as ${back}`);
  }
  assertEquals(connStates[mirroredStates[connStates.indexOf("RSTO")]], "RSTR");
});

Deno.test("facts seen the other way round have their first octets the other way round", () => {
  const facts = { first: { fwd: "01", bwd: "02" } };
  assertEquals(turnFacts(facts), { first: { fwd: "02", bwd: "01" } });
  assertEquals(turnFacts(turnFacts(facts)), facts);
  assertEquals(turnFacts({ first: { fwd: "01" }, cut: 1 }), { first: { bwd: "01" }, cut: 1 });
  assertEquals(turnFacts(null), null);
});

Deno.test("joined state says what flags of both directions say together", () => {
  const fin = 1, syn = 2, rst = 4, ack = 16;
  const cases: [number, number, string][] = [
    [syn | ack | fin, syn | ack | fin, "SF"],
    [syn | ack, syn | ack, "S1"],
    [syn | ack | fin, syn | ack, "S2"],
    [syn | ack, syn | ack | fin, "S3"],
    [syn, rst | ack, "REJ"],
    [syn | rst, syn | ack, "RSTO"],
    [syn | ack, syn | rst, "RSTR"],
    [ack, syn | rst, "RSTRH"],
    [ack, syn | fin, "SHR"],
    [ack, ack, "OTH"],
  ];
  for (const [fwd, bwd, state] of cases) assertEquals(joinedState("tcp", fwd, bwd), state);
  assertEquals(joinedState("udp", 0, 0), "SF");
});

Deno.test("traffic sums lose no packet and no octet, whatever the span", () => {
  const next = numbers(3);
  for (let round = 0; round < 300; round++) {
    const sums = new TrafficSums();
    const start = next(1_000_000) * 1e6 + next(1_000_000), span = next(2) ? next(5_000_000) : next(900) * 1e6;
    const packets = next(5_000), bytes = packets * 60 + next(100_000);
    sums.add(start, start + span, "a", "tcp", 1, packets, bytes);
    const rows = sums.rows();
    assertEquals(rows.reduce((sum, row) => sum + row.packets, 0), packets);
    assertEquals(rows.reduce((sum, row) => sum + row.bytes, 0), bytes);
    assertEquals(rows.reduce((sum, row) => sum + row.flows, 0), 1);
    assert(rows.length <= 120 && rows.every((row) => row.packets >= 0 && row.bytes >= 0));
    assert(rows.every((row) => row.second * 1e6 <= start + span && row.second >= Math.floor(start / 1e6)));
  }
});

Deno.test("fact filter stays within its facts and then believes only the trusted sighting", () => {
  const state = new MergeState();
  const flows = [state.addFlow(1, 1), state.addFlow(2, 2)];
  // Two sightings each, so that nobody is alone with what it tells.
  const [first, second] = [0, 1].map((vantage) => flows.map((flow) => state.addSighting(flow, vantage)));
  const filter = new FactFilter(state, 10_000);
  const message = (id: number) => ({ dns: [{ name: `${id}.example`, type: "A" }] });
  for (let id = 0; id < 2_048; id++) assert(filter.take(message(id), flows[0], first[0], true) !== null);
  assert(filter.take(message(-1), flows[0], first[0], true) !== null);
  assertEquals(filter.take(message(-1), flows[0], second[0], false), null);
  assert(filter.take(message(-1), flows[1], second[1], false) !== null);
  filter.forget(flows[0]);
  assert(filter.take(message(-1), flows[0], second[0], false) !== null);
});

Deno.test("fact filter stays within its facts over all flows", () => {
  const state = new MergeState();
  const flow = state.addFlow(1, 1);
  const [first, second] = [0, 1].map((vantage) => state.addSighting(flow, vantage));
  const filter = new FactFilter(state, 3);
  const message = (id: number) => ({ dns: [{ name: `${id}.example`, type: "A" }] });
  filter.begin();
  for (let id = 0; id < 3; id++) assert(filter.take(message(id), flow, first, false) !== null);
  assertEquals(filter.unremembered, 0);
  assertEquals(filter.take(message(3), flow, second, false), null);
  assertEquals(filter.unremembered, 1);
  assertEquals(filter.take(message(2), flow, second, false), null);
  assert(filter.take(message(2), flow, first, false) !== null);
});

Deno.test("gap book keeps its gaps bounded and never forgets a missing number", async () => {
  const store = { readPositions: () => Promise.resolve([]), readGaps: () => Promise.resolve([]) };
  const book = new GapBook({ store });
  const key = { sensor: "a", epoch: 1, bucket: 0 };
  await book.load([{ ...key, seq: 2 }], [], nowMs);
  for (let seq = 2; seq <= 2_000; seq += 2) book.note(key, seq, nowMs);
  const { gaps, gapsReplaced } = book.changes(nowMs);
  assertEquals([gaps.length, gapsReplaced.length], [256, 0]);
  const isMissing = (seq: number) => gaps.some(({ from_seq, to_seq }) => from_seq <= seq && seq <= to_seq);
  for (let seq = 1; seq < 2_000; seq += 2) assert(isMissing(seq), String(seq));
  book.rollback();
  assertEquals(book.changes(nowMs), { gaps: [], gapsReplaced: [], sequences: [] });
});

/** A book, and what the store knows: of one sequence, that another instance goes on with. */
function sharedBook() {
  const stored = { highest: 0, gap: null as null | [number, number], reads: 0 };
  const key = { sensor: "a", epoch: 1, bucket: 0 };
  const book = new GapBook({
    store: {
      readPositions() {
        stored.reads++;
        return Promise.resolve([{ bucket: 0, seq_max: stored.highest, batches: stored.highest }]);
      },
      readGaps() {
        const [from_seq, to_seq] = stored.gap ?? [0, 0];
        const gap = { sensor_id: "a", epoch: 1, bucket: 0, from_seq, to_seq, found_ms: 1, closed_ms: null };
        return Promise.resolve(stored.gap ? [gap] : []);
      },
    },
  });
  const take = async (seq: number, ms: number) => {
    await book.load([{ ...key, seq }], [], ms);
    book.note(key, seq, ms);
    const { gaps } = book.changes(ms);
    book.commit();
    stored.highest = Math.max(stored.highest, seq);
    return gaps.map(({ from_seq, to_seq, closed_ms }) => [from_seq, to_seq, closed_ms]);
  };
  return { book, stored, key, take };
}

Deno.test("gap book asks the store before it opens a gap: another instance may have taken these", async () => {
  const { stored, take } = sharedBook();
  for (const seq of [1, 2, 3]) assertEquals(await take(seq, nowMs), []);
  assertEquals(stored.reads, 1, "in order nobody is asked");
  stored.highest = 6;
  assertEquals(await take(7, nowMs), []);
  assertEquals(await take(9, nowMs), [[8, 8, null]]);
});

Deno.test("gap book asks the store before it expects a batch, and before it closes a gap", async () => {
  const { book, stored, key, take } = sharedBook();
  await take(1, nowMs);
  assertEquals(await take(5, nowMs), [[2, 4, null]]);
  stored.gap = [4, 4]; // 2 and 3 came to another instance.
  assertEquals(await take(4, nowMs), [[4, 4, nowMs]]);
  Object.assign(stored, { highest: 6, gap: null });
  await book.load([], [{ ...key, seq: 6 }], nowMs);
  book.expect(key, 6, nowMs);
  assertEquals(book.changes(nowMs).gaps, []);
});

Deno.test("gap book asks again after half a minute what was taken, as the ledger forgets", async () => {
  const { book, stored, key, take } = sharedBook();
  await take(1, nowMs);
  stored.highest = 2;
  await book.load([{ ...key, seq: 2 }], [], nowMs + 29_999);
  assertEquals(book.isTaken(key, 2), false);
  await book.load([{ ...key, seq: 2 }], [], nowMs + 30_000);
  assertEquals(book.isTaken(key, 2), true);
});

Deno.test("unpack hands on what is not compressed", () => {
  const plain = new TextEncoder().encode('{"start_us":[1]}');
  assertEquals(unpack(plain), plain);
  assertEquals(unpack(new Uint8Array(0)), new Uint8Array(0));
});

Deno.test("facts stay within their limits however often they are merged", () => {
  const { entriesMax } = factLimits;
  const many = Array.from({ length: entriesMax - 4 }, (_, id) => (
    { name: `H${id}.example`, type: "A" }
  ));
  const merged = mergeFacts({ dns: many }, { dns: many, tls: { sni: "X.example" } })!;
  assertEquals([merged.dns?.length, merged.cut, merged.tls?.sni], [entriesMax, entriesMax - 8, "X.example"]);
  assert(areFacts(mergeFacts(merged, { dns: many, other: { a: "b" } })));
  assertEquals(mergeFacts(null, null), null);
  const line = namesOf(merged);
  assert(line.startsWith("h0.example h1.example ") && line.length <= 1_000);
  assertEquals(namesOf({ tls: { sni: "A\u0000B C\ud800" } }), "a_b_c\ufffd");
});

Deno.test("merger refuses limits that make no sense", () => {
  const reporter = createReporter({ component: "test", write: () => {} });
  assertThrows(() => new Merger({ flowsMax: 0 }, { reporter }), RangeError, '"flowsMax" must be >= 1');
});

Deno.test("rows of a batch come by start, each with its own values and the means that did not travel", () => {
  const sent = [3, 1, 2].map((second) =>
    segment({ start: t0 + second, end: t0 + second + 2, src_port: second, fwd_bytes: 1_000 * second })
  );
  const columns = readColumns(encodeValue(tableOf(sent)), 3);
  assert(typeof columns !== "string");
  const read = segmentsOf(columns);
  assertEquals(read.map((one) => [one.start - t0, one.src_port]), [[1, 1], [2, 2], [3, 3]]);
  assertEquals(read.map((one) => one.packet_length_mean), [500, 556, 611]);
  assertEquals(read.map((one) => one.interarrival_us_mean), [118_000, 118_000, 118_000]);
});

Deno.test("what an update says on demand is of its ends, whichever way round the flow has them", () => {
  const sent = segment({ src_mac: "02:00:00:00:00:05", dst_mac: "02:00:00:00:00:0a", dst_ip: "10.0.0.9" });
  const columns = readColumns(encodeValue(tableOf([sent])), 1);
  assert(typeof columns !== "string");
  const [there] = segmentsOf(columns), [back] = segmentsOf(columns, true);
  assertEquals([there.src_ip, there.src_mac, there.dst_mac], [sent.src_ip, sent.src_mac, sent.dst_mac]);
  assertEquals([back.src_ip, back.src_mac, back.dst_mac], ["10.0.0.9", sent.dst_mac, sent.src_mac]);
  assertEquals([back.src_port, back.dst_port], [sent.dst_port, sent.src_port]);
  assertEquals(there.community_id, communityId(sent));
  assertEquals(back.community_id, there.community_id);
});

Deno.test("traffic rows stay in bounds when a sensor makes up long spans, and lose nothing", () => {
  const sums = new TrafficSums();
  for (let i = 0; i < 20_000; i++) sums.add(i * 1e9, i * 1e9 + 600e6, "s", "tcp", 1, 1_000, 10);
  const rows = sums.rows();
  // 50,000 rows are reached after 417 spans of 120; each of the others has one.
  assertEquals(rows.length, 417 * 120 + (20_000 - 417));
  assertEquals(sums.lumped, 20_000 - 417);
  assertEquals(rows.reduce((sum, row) => sum + row.packets, 0), 20_000_000);
});
