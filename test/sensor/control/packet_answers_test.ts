/** A sensor answers what it is asked, and only that: what it uploads, how often it tries, and when it stops. @module */

import { assert, assertEquals } from "@std/assert";
import { publicKeyFromRaw, sha256Hex, verifyText } from "../../../shared/batch.ts";
import { communityId } from "../../../shared/community_id.ts";
import type { CheckInResponse, PacketRequest } from "../../../shared/control.ts";
import { packetsText, readPacketsHeader } from "../../../shared/packets.ts";
import type { Answer } from "../../../sensor/aggregator_client.ts";
import { packetRequestsIn } from "../../../sensor/control/answers.ts";
import { createIdentity } from "../../../sensor/control/identity.ts";
import { PacketAnswers } from "../../../sensor/control/packet_answers.ts";
import { PacketRing } from "../../../sensor/ring/packet_ring.ts";
import { bytes, ethernet, ipv4, u16 } from "../frames.ts";
import { FakeDisk } from "../ship/fake_disk.ts";
import { counted, FakeClock, silentReporter } from "../ship/helpers.ts";

const baseUs = 1_700_000_000_000_000;
const ends = { protocol: "udp", src_ip: "192.0.2.1", dst_ip: "198.51.100.2", src_port: 4_000, dst_port: 53 };
const id = communityId(ends);

function frame(port = 4_000): Uint8Array {
  const payload = new Array(20).fill(0x41);
  const udp = bytes(u16(port), u16(53), u16(28), [0, 0], payload);
  return ethernet(0x0800, ipv4(17, udp, { src: ends.src_ip, dst: ends.dst_ip }));
}

function ringOf(packets: number): PacketRing {
  const ring = new PacketRing({ bytesMax: 1024 * 1024 });
  const octets = frame();
  for (let i = 0; i < packets; i++) ring.add(octets, 0, octets.length, octets.length, baseUs + i, 1, 42);
  return ring;
}

function requestOf(name: number, change: Partial<PacketRequest> = {}): PacketRequest {
  const flows = [{ community_id: id, from_us: baseUs, to_us: baseUs + 1e6 }];
  return { id: String(name).padStart(16, "0"), flows, bytes_max: 1_000_000, ...change };
}

const good: Answer = { ok: true, status: 200, body: {}, retryAfterMs: null, dateMs: null };

async function open(ring: PacketRing | null, options: { hourBytesMax?: number; triesMax?: number } = {}) {
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  const identity = await createIdentity(new FakeDisk(), "/state", new Uint8Array(32).fill(1));
  const enrolled = { sensor_id: "s1", name: "a", site: "b", buckets: 1, kafka: null };
  identity.enrolment = { ...enrolled, aggregator: "", aggregator_ca: null };
  const uploads: {
    path: string;
    body: Uint8Array;
    header: NonNullable<ReturnType<typeof readPacketsHeader>>;
  }[] = [];
  const state = { answer: good };
  const answers = new PacketAnswers(options, {
    ring,
    client: {
      postBytes: (path, body, headers) => {
        const header = readPacketsHeader((name) => headers[name])!;
        assert(verifyText(packetsText(header), header.signature, publicKeyFromRaw(identity.publicKey)));
        assertEquals(header.sha256, sha256Hex(body));
        uploads.push({ path, body, header });
        return Promise.resolve(state.answer);
      },
    },
    identity,
    clock,
    reporter,
  });
  const ask = async (...requests: PacketRequest[]) => {
    answers.take(requests);
    // The pauses between answers, on a clock of our own.
    for (let i = 0; i < requests.length + 3; i++) await clock.advance(1_000);
    await answers.idle();
  };
  return { clock, reporter, answers, uploads, state, ask };
}

Deno.test("packets that are there are uploaded signed, those that are not are said to be gone, absent or never kept", async () => {
  const { uploads, ask } = await open(ringOf(5));
  const early = { community_id: id, from_us: baseUs - 2e6, to_us: baseUs - 1e6 };
  const other = { ...early, community_id: communityId({ ...ends, src_port: 4_001 }), from_us: baseUs };
  await ask(
    requestOf(1),
    requestOf(2, { flows: [early] }),
    requestOf(3, { flows: [{ ...other, to_us: baseUs + 1e6 }] }),
    requestOf(4, { bytes_max: 300 }),
  );
  assertEquals(
    uploads.map(({ path, header }) => [path, header.outcome, header.packets, header.left_out, header.oldest]),
    [
      ["/api/v1/packets", "found", 5, 0, 1_700_000_000_000],
      ["/api/v1/packets", "too_late", 0, 0, 1_700_000_000_000],
      ["/api/v1/packets", "absent", 0, 0, 1_700_000_000_000],
      ["/api/v1/packets", "found", 2, 3, 1_700_000_000_000],
    ],
  );
  assertEquals(uploads.map(({ body }) => body.length > 0), [true, false, false, true]);
  assert(uploads[3].body.length <= 300);

  const none = await open(null);
  await none.ask(requestOf(1));
  assertEquals([none.uploads[0].header.outcome, none.uploads[0].header.oldest], ["off", 0]);
  const empty = await open(ringOf(0));
  await empty.ask(requestOf(1));
  assertEquals([empty.uploads[0].header.outcome, empty.uploads[0].header.oldest], ["too_late", 0]);
});

Deno.test("an upload that fails is tried again while it is asked for, ever later, and eight times at most", async () => {
  const { uploads, state, ask, clock, reporter } = await open(ringOf(1));
  for (const problem of ["unreachable", "timeout"] as const) {
    state.answer = { ok: false, problem, message: "nobody there" };
    await ask(requestOf(1));
  }
  assertEquals(uploads.length, 1, "the next try has to wait for five seconds");
  for (let hour = 0; hour < 20; hour++) {
    await clock.advance(3_600_000);
    await ask(requestOf(1));
  }
  assertEquals(uploads.length, 8);
  assertEquals(counted(reporter, "packet_requests_total", 'outcome="unsent"'), 8);
  assertEquals(counted(reporter, "packet_requests_total", 'outcome="given_up"'), 13);
  state.answer = { ok: true, status: 503, body: {}, retryAfterMs: null, dateMs: null };
  await ask(requestOf(2));
  assertEquals(counted(reporter, "packet_requests_total", 'outcome="refused"'), 1);
});

Deno.test("octets of an hour are bounded; what is over waits for the next one and is counted", async () => {
  const { uploads, ask, clock, reporter } = await open(ringOf(3_000), { hourBytesMax: 600_000 });
  const requests = [1, 2, 3, 4].map((name) => requestOf(name, { bytes_max: 250_000 }));
  await ask(...requests);
  assertEquals(uploads.length, 2);
  assertEquals(counted(reporter, "packet_requests_total", 'outcome="deferred"'), 2);
  await clock.advance(3_600_000);
  await ask(...requests.slice(2));
  assertEquals(uploads.map(({ header }) => Number(header.request)), [1, 2, 3, 4]);
});

Deno.test("requests that come while others are answered wait for the next check-in; a stop ends the answering", async () => {
  const { uploads, answers, clock, ask } = await open(ringOf(1));
  answers.take([requestOf(1), requestOf(2)]);
  answers.take([requestOf(3)]);
  for (let i = 0; i < 5; i++) await clock.advance(1_000);
  await answers.idle();
  assertEquals(uploads.map(({ header }) => Number(header.request)), [1, 2]);
  await ask(requestOf(3));
  assertEquals(uploads.length, 3);
  answers.take([requestOf(4), requestOf(5)]);
  const stopped = answers.stop();
  await clock.advance(10_000);
  await stopped;
  answers.take([requestOf(6)]);
  await answers.idle();
  assert(uploads.length <= 4, "nothing begins after a stop");
});

Deno.test("of the requests in an answer those that are odd are left out, and cost no other one", () => {
  const answer = (packets: unknown) => ({ received_ms: 1, answered_ms: 1, packets }) as CheckInResponse;
  const nine = Array.from({ length: 9 }, (_, i) => requestOf(i));
  assertEquals(packetRequestsIn(answer(undefined)), { requests: [], odd: 0 });
  assertEquals(packetRequestsIn(answer(nine.slice(0, 8))).odd, 0);
  assertEquals(packetRequestsIn(answer(nine)).requests.length, 8);
  assertEquals(packetRequestsIn(answer(nine)).odd, 1);
  assertEquals(packetRequestsIn(answer("all")), { requests: [], odd: 1 });
  const flow = requestOf(1).flows[0];
  const odd = [
    null,
    { ...requestOf(1), id: "../../etc/passwd" },
    { ...requestOf(1), bytes_max: 1e12 },
    { ...requestOf(1), flows: new Array(33).fill(flow) },
    { ...requestOf(1), flows: [{ ...flow, community_id: "1:.*" }] },
    { ...requestOf(1), flows: [{ ...flow, from_us: NaN }] },
    { ...requestOf(1), flows: "all" },
  ];
  assertEquals(packetRequestsIn(answer([...odd, requestOf(7)])), {
    requests: [requestOf(7)],
    odd: odd.length,
  });
});
