/** What every store must do: one suite, run by each implementation.
 *
 * In: a function that opens a new, empty, started store, and one that opens the same data again. Invariant: nothing here knows which
 * database it is; a case that needs to has no place here. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BadCursor, LedgerConflict, type Store } from "../../../aggregator/store/store.ts";
import type { FlowQuery } from "../../../aggregator/model/page.ts";
import { deadLetter, flowWrite, idOf, ledgerRow, nothing, nowMs, sighting, t0, threat } from "./rows.ts";

export interface Subject {
  store: Store;
  /** Closes and opens the same data. */
  reopen(): Promise<Store>;
  close(): Promise<void>;
}

/** Runs the suite over the stores that `open` makes. */
export function storeContract(
  name: string,
  open: () => Promise<Subject>,
  options: { ignore?: boolean } = {},
): void {
  const test = (behaviour: string, work: (subject: Subject) => Promise<void>) =>
    Deno.test({
      name: `${name} store ${behaviour}`,
      ignore: options.ignore ?? false,
      // The client of a server keeps timers of its pool between tests.
      sanitizeOps: name === "sqlite",
      sanitizeResources: name === "sqlite",
      fn: async () => {
        const subject = await open();
        try {
          await work(subject);
        } finally {
          await subject.close();
        }
      },
    });
  flowCases(test);
  ledgerCases(test);
  queryCases(test);
  statisticsCases(test);
  identityCases(test);
  threatCases(test);
}

type Test = (behaviour: string, work: (subject: Subject) => Promise<void>) => void;

function flowCases(test: Test): void {
  test("gives back a flow as it was written", async ({ store, reopen }) => {
    const written = flowWrite(1);
    await store.ingest({ ...nothing(), flows: [written] });
    const expected = { ...written.flow, seen_by: written.sightings };
    assertEquals(await store.readFlow(written.flow.flow_id), expected);
    const again = await reopen();
    assertEquals(await again.readFlow(written.flow.flow_id), expected);
    assertEquals(await again.readFlow(idOf(2)), null);
    assertEquals(await again.readFlow("no id"), null);
  });

  test("keeps IPv6, mapped and odd addresses as they are", async ({ store }) => {
    const ips = ["2001:db8::1", "::ffff:102:304", "1.2.3.4", "255.255.255.255", "::"];
    await store.ingest({ ...nothing(), flows: ips.map((src_ip, i) => flowWrite(i, { src_ip })) });
    for (const [i, src_ip] of ips.entries()) {
      assertEquals((await store.readFlow(idOf(i)))?.src_ip, src_ip);
      const { rows } = await store.readFlows({ src_ip }, { limit: 10 });
      assertEquals(rows.map((flow) => flow.src_ip), [src_ip]);
    }
    assertEquals((await store.readFlows({ ip: "not an address" }, { limit: 10 })).rows, []);
  });

  test("keeps numbers up to 2^53 - 1 and text of any character", async ({ store }) => {
    const large = Number.MAX_SAFE_INTEGER;
    const name = "a'b\"c\\d%_é\u202e\u{1f600}";
    const facts = { dns: [{ name, type: "A", rcode: "NOERROR", answers: [name] }] };
    await store.ingest({
      ...nothing(),
      flows: [flowWrite(1, { fwd_bytes: large, total_bytes: large, tcp_isn: 4_294_967_295, facts })],
    });
    const flow = await store.readFlow(idOf(1));
    assertEquals([flow?.fwd_bytes, flow?.tcp_isn, flow?.facts], [large, 4_294_967_295, facts]);
  });

  test("adds an update to the flow that is there", async ({ store }) => {
    const first = flowWrite(1, {
      end_reason: "active",
      conn_state: "S1",
      bwd_sensor: "",
      facts: { tls: { sni: "a.example" } },
      app_protocol: "",
      packet_length_mean: 100,
      packet_length_deviation: 0,
      interarrival_us_min: 5,
    });
    const second = flowWrite(1, {
      start: t0 + 30,
      end: t0 + 90,
      end_reason: "fin",
      conn_state: "SF",
      bwd_sensor: "s-two",
      facts: { tls: { sni: "b.example", version: "TLS 1.3" }, cut: 2 },
      app_protocol: "tls",
      packet_length_mean: 300,
      packet_length_deviation: 0,
      packet_length_min: 40,
      interarrival_us_min: 9,
      stored_ms: nowMs + 5,
      updated_ms: nowMs + 5,
    }, { kind: "update", newSightings: 0 });
    second.sightings = [{ ...second.sightings[0], end: t0 + 90 }, sighting("s-two")];
    await store.ingest({ ...nothing(), flows: [first] });
    await store.ingest({ ...nothing(), flows: [second] });
    const flow = (await store.readFlow(idOf(1)))!;
    assertEquals([flow.fwd_packets, flow.bwd_bytes, flow.total_packets, flow.total_bytes], [
      20,
      4_000,
      30,
      6_000,
    ]);
    assertEquals([flow.start, flow.end], [first.flow.start, t0 + 90]);
    assertEquals([flow.end_reason, flow.conn_state, flow.app_protocol, flow.bwd_sensor], [
      "fin",
      "SF",
      "tls",
      "s-two",
    ]);
    assertEquals(flow.facts, { tls: { sni: "a.example", version: "TLS 1.3" }, cut: 2 });
    assertEquals([flow.packet_length_mean, flow.packet_length_deviation, flow.packet_length_min], [
      200,
      100,
      40,
    ]);
    assertEquals(flow.interarrival_us_min, 5);
    assertEquals([flow.stored_ms, flow.updated_ms], [nowMs, nowMs + 5]);
    assertEquals(flow.seen_by.map((one) => [one.sensor_id, one.fwd_packets, one.segments]), [
      ["s-one", 20, 2],
      ["s-two", 10, 1],
    ]);
    assertEquals(flow.seen_by[0].end, t0 + 90);
  });

  test("writes several parts of one flow in one transaction", async ({ store }) => {
    const facts = (name: string) => ({ dns: [{ name, type: "A" }] });
    await store.ingest({
      ...nothing(),
      flows: [
        flowWrite(1, { facts: facts("a.example") }),
        flowWrite(1, { facts: facts("b.example") }, { kind: "update", newSightings: 0 }),
      ],
    });
    const flow = await store.readFlow(idOf(1));
    assertEquals(flow?.facts?.dns?.map(({ name }) => name), ["a.example", "b.example"]);
    assertEquals(flow?.total_packets, 30);
  });

  test("reads recent flows by their last change, oldest first", async ({ store }) => {
    const flows = [3, 1, 2].map((n) => flowWrite(n, { updated_ms: nowMs + n }));
    await store.ingest({ ...nothing(), flows });
    const ids = async (since: number, limit: number) =>
      (await store.readRecentFlows(since, limit)).map(({ flow_id }) => flow_id);
    assertEquals(await ids(nowMs, 10), [1, 2, 3].map(idOf));
    assertEquals(await ids(nowMs + 2, 10), [2, 3].map(idOf));
    assertEquals(await ids(nowMs, 2), [2, 3].map(idOf));
  });
}

function ledgerCases(test: Test): void {
  test("refuses a ledger key that is there and writes nothing of that transaction", async ({ store }) => {
    await store.ingest({ ...nothing(), ledger: [ledgerRow(1)], flows: [flowWrite(1)] });
    const write = {
      ...nothing(),
      ledger: [ledgerRow(2), ledgerRow(1)],
      flows: [flowWrite(2)],
      offsets: [{ topic: "t", partition: 0, next_offset: "9" }],
      deadLetters: [deadLetter("sha256")],
    };
    await assertRejects(() => store.ingest(write), LedgerConflict);
    assertEquals(await store.readFlow(idOf(2)), null);
    assertEquals(await store.readOffsets("t"), []);
    assertEquals(await store.readDeadLetters(10), []);
    assertEquals((await store.readTotals()).flows, 1);
    assertEquals(await store.readLedger([ledgerRow(1), ledgerRow(2)]), [ledgerRow(1)]);
  });

  test("answers which batches of a long list it has", async ({ store }) => {
    await store.ingest({ ...nothing(), ledger: Array.from({ length: 450 }, (_, i) => ledgerRow(i * 2)) });
    const asked = Array.from({ length: 900 }, (_, i) => ledgerRow(i));
    assertEquals((await store.readLedger(asked)).length, 450);
    assertEquals(await store.readLedger([]), []);
  });

  test("keeps positions and epochs of a sensor", async ({ store }) => {
    await store.ingest({
      ...nothing(),
      ledger: [ledgerRow(4), { ...ledgerRow(9), bucket: 3, sealed_ms: nowMs + 7 }],
    });
    await store.ingest({
      ...nothing(),
      ledger: [ledgerRow(2), { ...ledgerRow(1), epoch: 6, sealed_ms: nowMs + 9 }],
    });
    assertEquals(await store.readPositions("s-one", 5), [
      { bucket: 1, seq_max: 4, batches: 2 },
      { bucket: 3, seq_max: 9, batches: 1 },
    ]);
    assertEquals(await store.readEpochs("s-one"), [
      { epoch: 5, first_sealed_ms: nowMs - 100, first_received_ms: nowMs, last_sealed_ms: nowMs + 7 },
      { epoch: 6, first_sealed_ms: nowMs + 9, first_received_ms: nowMs, last_sealed_ms: nowMs + 9 },
    ]);
  });

  test("keeps the offsets of the last transaction", async ({ store, reopen }) => {
    const offset = (partition: number, next_offset: string) => ({ topic: "t", partition, next_offset });
    await store.ingest({ ...nothing(), offsets: [offset(0, "5"), offset(1, "9007199254740993")] });
    await store.ingest({ ...nothing(), offsets: [offset(0, "6")] });
    const again = await reopen();
    assertEquals(await again.readOffsets("t"), [offset(0, "6"), offset(1, "9007199254740993")]);
    assertEquals(await again.readOffsets("other"), []);
  });

  test("replaces the open gaps of a sequence and keeps closed ones", async ({ store }) => {
    const gap = (from_seq: number, to_seq: number, closed_ms: number | null = null, bucket = 1) => ({
      sensor_id: "s-one",
      epoch: 5,
      bucket,
      from_seq,
      to_seq,
      found_ms: nowMs,
      closed_ms,
    });
    const key = { sensor_id: "s-one", epoch: 5, bucket: 1 };
    await store.ingest({ ...nothing(), gaps: [gap(2, 4), gap(7, 7), gap(1, 1, null, 2)] });
    await store.ingest({
      ...nothing(),
      gaps: [gap(2, 2), gap(4, 4), gap(7, 7, nowMs + 1)],
      gapsReplaced: [key],
    });
    assertEquals(await store.readGaps({ open: true }, 10), [gap(2, 2), gap(4, 4), gap(1, 1, null, 2)]);
    assertEquals(await store.readGaps({ open: false, sensor_id: "s-one" }, 10), [gap(7, 7, nowMs + 1)]);
    assertEquals(await store.readGaps({ sensor_id: "other" }, 10), []);
  });

  test("keeps dead letters with the octets that came, newest first", async ({ store }) => {
    const letters = ["sha256", "ratio"].map(deadLetter);
    await store.ingest({ ...nothing(), deadLetters: letters });
    assertEquals(await store.readDeadLetters(10), letters.toReversed());
    assertEquals((await store.readDeadLetters(1)).length, 1);
  });
}

function queryCases(test: Test): void {
  test("pages through flows, newest first, each exactly once", async ({ store }) => {
    await store.ingest({ ...nothing(), flows: Array.from({ length: 95 }, (_, i) => flowWrite(i)) });
    const { ids, pages } = await allPages(store, {}, 10);
    assertEquals(ids, Array.from({ length: 95 }, (_, i) => idOf(94 - i)));
    assertEquals(pages, 10);
  });

  test("pages the same way through one address, whichever end it is", async ({ store }) => {
    const flows = Array.from(
      { length: 60 },
      (_, i) =>
        flowWrite(i, i % 3 === 0 ? { src_ip: "10.9.9.9" } : i % 3 === 1 ? { dst_ip: "10.9.9.9" } : {}),
    );
    await store.ingest({ ...nothing(), flows });
    const { ids } = await allPages(store, { ip: "10.9.9.9" }, 7);
    const expected = flows.map(({ flow }) => flow.flow_id).filter((_, i) => i % 3 !== 2).reverse();
    assertEquals(ids, expected);
  });

  test("filters flows by every field, alone and together", async ({ store }) => {
    const special = flowWrite(50, {
      src_ip: "192.0.2.7",
      dst_ip: "198.51.100.8",
      src_port: 5_353,
      dst_port: 8_443,
      protocol: "udp",
      app_protocol: "quic",
      community_id: "1:special",
      conn_state: "S0",
      network: "global",
      total_bytes: 1_000_000,
      facts: { quic: { sni: "Odd_100%.Example" } },
    });
    special.sightings = [sighting("s-special")];
    const others = Array.from(
      { length: 40 },
      (_, i) => flowWrite(i, { facts: { tls: { sni: `host${i}.example` } } }),
    );
    await store.ingest({ ...nothing(), flows: [...others, special] });
    const queries = [
      { ip: "192.0.2.7" },
      { ip: "198.51.100.8" },
      { src_ip: "192.0.2.7" },
      { dst_ip: "198.51.100.8" },
      { port: 8_443 },
      { port: 5_353 },
      { dst_port: 8_443 },
      { protocol: "udp" },
      { app_protocol: "quic" },
      { sensor_id: "s-special" },
      { community_id: "1:special" },
      { conn_state: "S0" },
      { network: "global" },
      { min_bytes: 999_999 },
      { name: "100%.EXAMPLE" },
      { name: "odd_1" },
      {
        src_ip: "192.0.2.7",
        dst_ip: "198.51.100.8",
        ip: "198.51.100.8",
        port: 8_443,
        name: "odd",
        protocol: "udp",
      },
      { from: t0 + 50, to: t0 + 50 },
    ];
    for (const query of queries) {
      const { rows } = await store.readFlows(query, { limit: 10 });
      assertEquals(rows.map(({ flow_id }) => flow_id), [idOf(50)], JSON.stringify(query));
    }
    const nothingFound = [
      { dst_ip: "192.0.2.7" },
      { dst_port: 5_353 },
      { name: "100_.example" },
      { name: "' OR 1=1 --" },
      { protocol: "udp' OR '1'='1" },
      { src_ip: "192.0.2.7", dst_ip: "192.0.2.7" },
      { threat_id: "none" },
      { from: t0 + 51 },
      { to: t0 - 1 },
    ];
    for (const query of nothingFound) {
      assertEquals(await store.readFlows(query, { limit: 10 }), { rows: [] }, JSON.stringify(query));
    }
    assertEquals((await store.readFlows({ from: t0 + 3, to: t0 + 5 }, { limit: 10 })).rows.length, 3);
  });

  test("refuses a limit out of bounds and a cursor it did not give", async ({ store }) => {
    await assertRejects(() => store.readFlows({}, { limit: 0 }), RangeError, '"limit" must be 1 to 1000');
    await assertRejects(() => store.readFlows({}, { limit: 1_001 }), RangeError);
    await assertRejects(() => store.readFlows({}, { limit: 1, cursor: "x' --" }), BadCursor);
    await assertRejects(() => store.readThreats({}, { limit: 1, cursor: "x' --" }), BadCursor);
  });
}

async function allPages(
  store: Store,
  query: FlowQuery,
  limit: number,
): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = [];
  let pages = 0;
  let cursor: string | undefined;
  do {
    const page = await store.readFlows(query, { limit, ...(cursor ? { cursor } : {}) });
    ids.push(...page.rows.map(({ flow_id }) => flow_id));
    pages++;
    cursor = page.next_cursor;
  } while (cursor);
  return { ids, pages };
}

function statisticsCases(test: Test): void {
  test("scales totals, talkers and protocols by the sampling factor, not the flow itself", async ({ store }) => {
    const write = flowWrite(1, { factor: 8 });
    await store.ingest({ ...nothing(), flows: [write] });
    await store.ingest({
      ...nothing(),
      flows: [flowWrite(1, { factor: 2 }, { kind: "update", newSightings: 0 })],
    });
    const { total_packets, total_bytes, src_ip, flow_id } = write.flow;
    const { flows, packets, bytes } = await store.readTotals();
    assertEquals([flows, packets, bytes], [8, total_packets * 10, total_bytes * 10]);
    const talker = (await store.readTopTalkers({}, 10)).find(({ ip }) => ip === src_ip)!;
    assertEquals([talker.flows, talker.total_packets, talker.total_bytes], [8, packets, bytes]);
    const [protocol] = await store.readProtocols({});
    assertEquals([protocol.flows, protocol.packets, protocol.bytes], [8, packets, bytes]);
    const flow = await store.readFlow(flow_id);
    assertEquals([flow!.factor, flow!.total_packets], [2, 2 * total_packets]);
  });

  test("adds up totals, talkers, protocols and traffic", async ({ store }) => {
    assertEquals(await store.readTotals(), {
      flows: 0,
      packets: 0,
      bytes: 0,
      sightings: 0,
      threats: 0,
      first: null,
      last: null,
    });
    const traffic = (second: number, packets: number, sensor_id = "s-one") => ({
      second,
      sensor_id,
      protocol: "tcp",
      flows: 1,
      packets,
      bytes: packets * 100,
    });
    for (const n of [1, 2]) {
      await store.ingest({
        ...nothing(),
        flows: [
          flowWrite(n),
          flowWrite(n, {}, { kind: "update", newSightings: 0 }),
          flowWrite(n + 200, { src_ip: "10.0.0.77", protocol: "udp", app_protocol: "dns" }),
        ],
        traffic: [traffic(t0, 5), traffic(t0 + 61, 7), traffic(t0 + 61, 1, "s-two")],
      });
    }
    const totals = await store.readTotals();
    assertEquals([totals.flows, totals.packets, totals.bytes, totals.sightings], [4, 90, 18_000, 4]);
    assertEquals([totals.first, totals.last], [t0 + 1, t0 + 204]);
    const talkers = await store.readTopTalkers({}, 10);
    assertEquals(talkers.map(({ ip }) => ip), ["10.0.0.9", "10.0.0.5", "10.0.0.77"]);
    assertEquals(talkers[1], {
      ip: "10.0.0.5",
      flows: 2,
      sent_bytes: 4_000,
      received_bytes: 8_000,
      total_bytes: 12_000,
      total_packets: 60,
    });
    assertEquals((await store.readTopTalkers({}, 1)).length, 1);
    const late = await store.readTopTalkers({ from: t0 + 180 }, 10);
    assertEquals(late.map(({ ip }) => ip).sort(), ["10.0.0.77", "10.0.0.9"]);
    assertEquals(await store.readProtocols({}), [
      { protocol: "tcp", app_protocol: "tls", flows: 2, packets: 60, bytes: 12_000 },
      { protocol: "udp", app_protocol: "dns", flows: 2, packets: 30, bytes: 6_000 },
    ]);
    assertEquals(await store.readProtocols({ to: t0 - 60 }), []);
    assertEquals(await store.readSeries({ from: t0, to: t0 + 100 }, 1), [
      { time: t0, flows: 2, packets: 10, bytes: 1_000 },
      { time: t0 + 61, flows: 4, packets: 16, bytes: 1_600 },
    ]);
    assertEquals(await store.readSeries({ from: t0, to: t0 + 100 }, 60, "s-one"), [
      { time: t0, flows: 2, packets: 10, bytes: 1_000 },
      { time: t0 + 60, flows: 2, packets: 14, bytes: 1_400 },
    ]);
    await assertRejects(
      () => store.readSeries({ from: 0, to: t0 }, 1),
      RangeError,
      "must have <= 5000 points",
    );
    await assertRejects(() => store.readSeries({ from: 0, to: 1 }, 0.5), RangeError, '"stepS"');
  });
}

function identityCases(test: Test): void {
  const token = {
    site: "lab",
    tags: ["a", "b"],
    created_ms: nowMs,
    expires_ms: nowMs + 900_000,
    used_ms: null,
    used_by: null,
  };
  const sensor = (n: number) => ({
    sensor_id: `s-${n}`,
    name: `sensor-${n}`,
    key_id: `key${n}`,
    public_key: `public${n}`,
  });

  test("enrols with a token once, and knows the same sensor again", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1" });
    assertEquals((await store.redeemJoinToken("other", sensor(1), nowMs)).outcome, "unknown_token");
    assertEquals((await store.redeemJoinToken("h1", sensor(1), nowMs + 900_000)).outcome, "expired_token");
    const enrolled = await store.redeemJoinToken("h1", sensor(1), nowMs);
    assertEquals([enrolled.outcome, enrolled.sensor?.site, enrolled.sensor?.tags], ["enrolled", "lab", [
      "a",
      "b",
    ]]);
    assertEquals(await store.readSensors(), [enrolled.sensor!]);
    const again = await store.redeemJoinToken("h1", { ...sensor(1), sensor_id: "s-new" }, nowMs + 1_000_000);
    assertEquals([again.outcome, again.sensor?.sensor_id], ["same_sensor", "s-1"]);
    assertEquals((await store.redeemJoinToken("h1", sensor(2), nowMs)).outcome, "used_token");
    await store.addJoinToken({ ...token, token_hash: "h2" });
    const namesake = { ...sensor(3), name: "sensor-1" };
    assertEquals((await store.redeemJoinToken("h2", namesake, nowMs)).outcome, "name_taken");
    assertEquals((await store.redeemJoinToken("h2", sensor(2), nowMs)).outcome, "enrolled");
  });

  test("lets exactly one of many redemptions at once enrol", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1" });
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, i) => store.redeemJoinToken("h1", sensor(i), nowMs)),
    );
    assertEquals(all.filter(({ outcome }) => outcome === "enrolled").length, 1);
    assertEquals(all.filter(({ outcome }) => outcome === "used_token").length, 39);
    assertEquals((await store.readSensors()).length, 1);
  });

  test("lets exactly one of many sensors take a name", async ({ store }) => {
    const hashes = Array.from({ length: 12 }, (_, i) => `h${i}`);
    for (const token_hash of hashes) await store.addJoinToken({ ...token, token_hash });
    const all = await Promise.all(
      hashes.map((hash, i) => store.redeemJoinToken(hash, { ...sensor(i), name: "same" }, nowMs)),
    );
    assertEquals(all.filter(({ outcome }) => outcome === "enrolled").length, 1);
    assertEquals(all.filter(({ outcome }) => outcome === "name_taken").length, 11);
  });

  test("keeps check-ins, revocations and quarantines", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1" });
    await store.redeemJoinToken("h1", sensor(1), nowMs);
    const checkIn = { sensor_id: "s-1", version: "0.1.0", epoch: 3 } as never;
    await store.saveCheckIn("s-1", checkIn, nowMs + 5, -12.5);
    await store.quarantineSensor("s-1", "two copies", nowMs + 6);
    await store.quarantineSensor("s-1", "again", nowMs + 7);
    assertEquals(await store.revokeSensor("s-1", nowMs + 8), true);
    assertEquals(await store.revokeSensor("s-1", nowMs + 9), true);
    assertEquals(await store.revokeSensor("nobody", nowMs), false);
    await store.ingest({ ...nothing(), ledger: [{ ...ledgerRow(1), sensor_id: "s-1" }] });
    const [row] = await store.readSensors();
    assertEquals([row.last_check_in_ms, row.clock_offset_ms, row.check_in], [nowMs + 5, -12.5, checkIn]);
    assertEquals([row.quarantined_ms, row.quarantine_reason, row.revoked_ms], [
      nowMs + 6,
      "two copies",
      nowMs + 8,
    ]);
    assertEquals([row.last_batch_ms, row.enrolled_ms], [nowMs, nowMs]);
  });

  test("keeps API keys", async ({ store, reopen }) => {
    const row = {
      key_hash: "k1",
      name: "für alle",
      role: "viewer" as const,
      created_ms: nowMs,
      revoked_ms: null,
    };
    await store.addApiKey(row);
    assertEquals(await (await reopen()).readApiKeys(), [row]);
  });
}

function threatCases(test: Test): void {
  test("keeps a threat whole, and its status when it comes again", async ({ store }) => {
    const first = threat("t1", { flow_ids: [idOf(1), idOf(2)] });
    await store.ingest({ ...nothing(), flows: [flowWrite(1), flowWrite(2), flowWrite(3)] });
    await store.saveThreats([first]);
    assertEquals(await store.readThreat("t1"), first);
    assertEquals(await store.setThreatStatus("t1", "closed", nowMs + 9), true);
    assertEquals(await store.setThreatStatus("none", "closed", nowMs), false);
    const flowsOf = async () =>
      (await store.readFlows({ threat_id: "t1" }, { limit: 10 })).rows.map(({ flow_id }) => flow_id);
    assertEquals(await flowsOf(), [idOf(2), idOf(1)]);
    const next = {
      ...first,
      count: 9,
      flow_ids: [idOf(3), idOf(3)],
      stored_ms: nowMs + 20,
      updated_ms: nowMs + 20,
    };
    await store.saveThreats([next], [{ threat_id: "t1", flow_ids: [idOf(1)] }]);
    assertEquals(await store.readThreat("t1"), { ...next, status: "closed", stored_ms: nowMs });
    assertEquals(await flowsOf(), [idOf(3), idOf(2), idOf(1)], "links stay");
    assertEquals(await store.readThreat("none"), null);
    assertEquals((await store.readTotals()).threats, 1);
  });

  test("lists threats by last sight, filtered and in pages", async ({ store }) => {
    await store.saveThreats([
      threat("t1", { last_seen: t0 + 10, severity: "low", score: 20 }),
      threat("t2", {
        last_seen: t0 + 30,
        severity: "high",
        score: 70,
        detector: "beacon",
        dst_ips: ["198.51.100.1"],
      }),
      threat("t3", { last_seen: t0 + 20, severity: "critical", score: 95, status: "acknowledged" }),
      threat("t4", { last_seen: t0 + 20, first_seen: t0 + 15, severity: "info", score: 0 }),
    ]);
    const ids = async (query: Parameters<Store["readThreats"]>[0], limit = 10, cursor?: string) => {
      const page = await store.readThreats(query, { limit, ...(cursor ? { cursor } : {}) });
      return { ids: page.rows.map(({ id }) => id), next: page.next_cursor };
    };
    assertEquals((await ids({})).ids, ["t2", "t4", "t3", "t1"]);
    const first = await ids({}, 2);
    assertEquals(first.ids, ["t2", "t4"]);
    assertEquals(await ids({}, 2, first.next), { ids: ["t3", "t1"], next: undefined });
    assertEquals((await ids({ severity_min: "high" })).ids, ["t2", "t3"]);
    assertEquals((await ids({ detector: "beacon" })).ids, ["t2"]);
    assertEquals((await ids({ status: "acknowledged" })).ids, ["t3"]);
    assertEquals((await ids({ ip: "198.51.100.1" })).ids, ["t2"]);
    assertEquals((await ids({ from: t0 + 11 })).ids, ["t2", "t4", "t3"]);
    assertEquals((await ids({ to: t0 + 12 })).ids, ["t2", "t3", "t1"]);
    assert((await ids({ ip: "' OR 1=1" })).ids.length === 0);
  });
}
