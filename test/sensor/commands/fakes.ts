/** What the command tests stand on: an aggregator in memory, stages that need no tool,
 * edges that keep what was printed. @module */

import { Buffer } from "node:buffer";
import { zstdDecompressSync } from "node:zlib";
import { publicKeyFromRaw, readHeader, sha256Hex, verifyBatch, verifyText } from "../../../shared/batch.ts";
import { checkInRequest, enrolRequest, type InterfaceCounters } from "../../../shared/control.ts";
import { checkInMessage, enrolMessage } from "../../../shared/control_messages.ts";
import { partMessage } from "../../../shared/release.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { Command, Edges } from "../../../shared/command.ts";
import type { DispatchEdges, Program } from "../../../shared/dispatch.ts";
import { IdentityError } from "../../../sensor/control/identity.ts";
import type { PacketHandler } from "../../../sensor/capture/capture_error.ts";
import { FileSource } from "../../../sensor/capture/file_source.ts";
import { FileCapture } from "../../../sensor/run/file_capture.ts";
import type { CaptureSource, FastLane, Stages } from "../../../sensor/run/stages.ts";
import { SegmentPage } from "../../../sensor/flow/segment_page.ts";
import { appendRow } from "../flow/pages.ts";
import type { SegmentSink } from "../../../sensor/pipeline.ts";
import { ethernet } from "../frames.ts";
import { canaryPacket } from "../../../sensor/doctor.ts";
import { realDisk } from "../../../sensor/disk.ts";

/** An aggregator that checks signatures, keeps batches, and can be told to misbehave. */
export class FakeAggregator {
  readonly token = "jt_0123456789abcdefghijklmnop";
  enrolled: { name: string; public_key: string } | null = null;
  checkIns: ReturnType<typeof checkInRequest.parse>[] = [];
  batches = new Map<string, number>();
  replays = 0;
  revoked = false;
  buckets = 4;
  /** Highest epoch it knows. */
  epochMax = 0;
  /** What check-ins ask for, and the uploads that came. */
  packets: unknown[] | null = null;
  uploads: Record<string, string>[] = [];
  /** What check-ins offer. */
  policy: unknown = undefined;
  upgrade: unknown = undefined;
  /** Program of the release it has, and the key that signed it. */
  program = new Uint8Array();
  releaseKey: string | undefined = undefined;
  /** Certificate and key in PEM: it speaks TLS. */
  tls: { cert: string; key: string } | null = null;
  /** What `/ca.pem` answers. */
  authority: () => Response | Promise<Response> = () => new Response("not here", { status: 404 });
  /** Enrolments answered with 429 before the first is taken. */
  busyEnrolments = 0;
  /** Ahead of the sensor's clock by this. */
  clockAheadMs = 0;
  /** Set: every batch is answered with this. */
  batchAnswer: (() => Response) | null = null;
  kafka: { brokers: string[]; topic: string } | null = null;
  #server: Deno.HttpServer<Deno.NetAddr> | null = null;
  port = 0;

  get url(): string {
    return `${this.tls ? "https" : "http"}://127.0.0.1:${this.port}`;
  }

  start(): this {
    const options = { hostname: "127.0.0.1", port: this.port, onListen: () => {}, ...this.tls };
    this.#server = Deno.serve(options, (request) => this.#answer(request));
    this.port = this.#server.addr.port;
    return this;
  }

  async stop(): Promise<void> {
    await this.#server?.shutdown();
    this.#server = null;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/healthz") return Response.json({ ok: true });
    if (pathname === "/ca.pem") return await this.authority();
    if (pathname === "/api/v1/enrol") return this.#enrol(await request.json());
    if (pathname === "/api/v1/check-in") {
      const text = await request.text();
      const checked = checkInRequest.parse(JSON.parse(text));
      const message = checkInMessage(checked.sensor_id, checked.sent_ms, sha256Hex(text));
      const signature = request.headers.get("picket-signature")!;
      if (!verifyText(message, signature, this.#key())) {
        return Response.json({ code: "signature" }, { status: 401 });
      }
      this.checkIns.push(checked);
      const now = Date.now() + this.clockAheadMs;
      const packets = this.packets === null ? {} : { packets: this.packets };
      const policy = this.policy === undefined ? {} : { policy: this.policy };
      const answer = {
        config_version: 0,
        revoked: this.revoked,
        epoch_max: this.epochMax,
        ...packets,
        ...policy,
        ...(this.upgrade === undefined ? {} : { upgrade: this.upgrade }),
      };
      return Response.json({ received_ms: now, answered_ms: now, ...answer });
    }
    if (pathname === "/api/v1/packets") {
      this.uploads.push(Object.fromEntries(request.headers));
      await request.body?.cancel();
      return Response.json({ outcome: "stored" });
    }
    if (/^\/api\/v1\/releases\/[0-9a-f]{64}\/part$/.test(pathname)) return this.#part(request);
    if (pathname === "/api/v1/batches") return await this.#batch(request);
    return Response.json({ code: "not_found", title: "no such path" }, { status: 404 });
  }

  #enrol(body: unknown): Response {
    if (this.busyEnrolments > 0) {
      this.busyEnrolments--;
      const error = { code: "too_many", message: "Too many enrolments" };
      return Response.json({ error }, { status: 429, headers: { "retry-after": "1" } });
    }
    const asked = enrolRequest.parse(body);
    const refuse = (code: string, message: string) =>
      Response.json({ code, title: message }, { status: 403 });
    if (!verifyText(enrolMessage(asked), asked.signature, keyOf(asked.public_key))) {
      return refuse("signature", "signature does not fit");
    }
    if (asked.token !== this.token) return refuse("token_unknown", "this join token is not known");
    if (this.enrolled && this.enrolled.public_key !== asked.public_key) {
      return refuse("token_used", "this join token was used by another sensor");
    }
    this.enrolled = { name: asked.name, public_key: asked.public_key };
    return Response.json({
      sensor_id: "s_fake",
      name: asked.name,
      site: "lab",
      buckets: this.buckets,
      kafka: this.kafka,
      ...(this.releaseKey === undefined ? {} : { release_key: this.releaseKey }),
    });
  }

  #part(request: Request): Response {
    const url = new URL(request.url), from = Number(url.searchParams.get("from"));
    const message = partMessage("s_fake", url.pathname.split("/")[4], from);
    if (!verifyText(message, request.headers.get("picket-signature")!, this.#key())) {
      return Response.json({ code: "bad_signature", title: "signature" }, { status: 401 });
    }
    return new Response(this.program.slice(from, from + 1024 * 1024));
  }

  async #batch(request: Request): Promise<Response> {
    const body = new Uint8Array(await request.arrayBuffer());
    if (this.batchAnswer) return this.batchAnswer();
    if (this.revoked) return Response.json({ reason: "revoked" }, { status: 403 });
    const header = readHeader((name) => request.headers.get(name) ?? undefined);
    if (typeof header === "string") return Response.json({ reason: header }, { status: 400 });
    const value = new Uint8Array(zstdDecompressSync(body));
    const refusal = verifyBatch({ header, value }, this.#key());
    if (refusal) return Response.json({ reason: refusal }, { status: 422 });
    const name = `${header.epoch}-${header.bucket}-${header.seq}`;
    if (this.batches.has(name)) this.replays++;
    else this.batches.set(name, header.flows);
    return Response.json({ outcome: "stored" });
  }

  get flows(): number {
    return [...this.batches.values()].reduce((sum, flows) => sum + flows, 0);
  }

  #key() {
    return keyOf(this.enrolled!.public_key);
  }
}

function keyOf(base64: string) {
  return publicKeyFromRaw(new Uint8Array(Buffer.from(base64, "base64")));
}

/** Edges whose output can be read; `env` holds what the environment would. */
export function fakeEdges(env: Record<string, string> = {}) {
  const printed: string[] = [], complaints: string[] = [], logs: string[] = [];
  const stopping = new AbortController();
  const reloads = new Set<() => void | Promise<void>>();
  const reporter = createReporter({ component: "test", write: (line) => logs.push(line) });
  const edges: DispatchEdges = {
    print: (line) => void printed.push(...line.split("\n")),
    complain: (line) => void complaints.push(line),
    isColourful: false,
    progress: null,
    clock: systemClock,
    reporter,
    env: (name) => env[name],
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    signal: stopping.signal,
    onReload: (reload) => {
      reloads.add(reload);
      return () => void reloads.delete(reload);
    },
    readTextFile: (path) => Deno.readTextFileSync(path),
    withLogs: (): Edges => edges,
  };
  const reload = () => Promise.all([...reloads].map((one) => one()));
  return { edges, printed, complaints, logs, stop: () => stopping.abort(), reload };
}

/** A fast lane that makes one segment of every packet. */
class OneFlowPerPacket implements FastLane {
  openFlows = 0;
  factor = 1;
  stampUs = 0;
  life = { trafficUs: 0, unicastUs: 0 };
  flowCounts = { opened: 0, evicted: 0 };
  #pages: SegmentPage[] = [];
  #packets = 0;
  #bytes = 0;
  #first: number | null = null;
  #last: number | null = null;
  constructor(readonly sink: SegmentSink) {}
  packet(_buffer: Uint8Array, _offset: number, _captured: number, wire: number, timeUs: number): void {
    this.#packets++;
    this.#bytes += wire;
    this.#first ??= timeUs / 1e6;
    this.#last = timeUs / 1e6;
    this.life = { trafficUs: timeUs, unicastUs: timeUs };
    if (this.#pages.at(-1)?.isFull ?? true) this.#pages.push(new SegmentPage());
    const src_port = this.#packets % 60_000;
    const [src_ip, dst_ip] = ["192.0.2.1", "192.0.2.2"];
    const row = { start_us: timeUs, src_ip, dst_ip, src_port, dst_port: 80, packets: [1, 0] as const };
    appendRow(this.#pages.at(-1)!, row);
  }
  async turn(): Promise<void> {
    const pages = this.#pages;
    this.#pages = [];
    for (const page of pages) await this.sink.take(page);
  }
  advance(): Promise<void> {
    return this.turn();
  }
  report(): void {}
  leaveOut(): void {}
  tune(): void {}
  sample(level: number): void {
    this.factor = 2 ** level;
  }
  finish(): Promise<void> {
    return this.turn();
  }
  summary(file: string) {
    const [packets, bytes, first, last] = [this.#packets, this.#bytes, this.#first, this.#last];
    return { file, packets, bytes, first, last, in_flows: packets, left_out: {}, remarks: {} };
  }
}

/** A live source that a test feeds by hand. */
export class FakeLive implements CaptureSource {
  readonly name = "fake0";
  readonly bytesRead = 0;
  readonly bytesTotal = null;
  dropped = 0;
  interfaces: InterfaceCounters[] = [];
  problem: { code: string; message: string } | null = null;
  isStopped = false;
  #given = Promise.withResolvers<boolean>();
  onPacket: (timeUs: number) => void = () => {};
  start(): Promise<void> {
    return Promise.resolve();
  }
  attach(handler: PacketHandler): void {
    this.onPacket = (timeUs) => handler.packet(new Uint8Array(60), 0, 60, 60, timeUs, 1);
  }
  next(): Promise<boolean> {
    return this.#given.promise;
  }
  packet(timeUs: number): void {
    this.onPacket(timeUs);
    const given = this.#given;
    this.#given = Promise.withResolvers();
    given.resolve(true);
  }
  stop(): void {
    this.isStopped = true;
    this.#given.resolve(false);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Stages without tools: files are real, tshark is missing, live packets come from `live`. */
export function fakeStages(live = new FakeLive()): Stages {
  return {
    disk: realDisk,
    fileSource: (path, chunkBytes) => new FileCapture(path, new FileSource(path), chunkBytes),
    liveSource: () => live,
    fastLane: (_options, { sink }) => new OneFlowPerPacket(sink),
    deepLane: () => Promise.reject(new Error("Cannot use tshark as it is not installed")),
    sendCanary: () => Promise.resolve({ communityId: `1:${"A".repeat(27)}=` }),
    interfaces: () =>
      Promise.resolve([
        { name: "lo", description: "Loopback", addresses: ["127.0.0.1"], isLoopback: true, isUp: true },
        { name: "fake0", description: "", addresses: ["192.0.2.9"], isLoopback: false, isUp: true },
      ]),
  };
}

/** A classic capture of `packets` Ethernet frames of 60 octets, one a second. */
export function captureBytes(packets: number, cutOctets = 0): Uint8Array {
  const bytes = new Uint8Array(24 + packets * 76);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0xa1b2c3d4, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, 65_535, true);
  view.setUint32(20, 1, true);
  for (let i = 0; i < packets; i++) {
    const at = 24 + i * 76;
    view.setUint32(at, 1_700_000_000 + i, true);
    view.setUint32(at + 8, 60, true);
    view.setUint32(at + 12, 60, true);
  }
  return bytes.slice(0, bytes.length - cutOctets);
}

/** A capture of DNS queries, each from another port, `gapMs` apart: as many flows as packets. */
export function flowsCaptureBytes(packets: number, gapMs: number): Uint8Array {
  const frame = ethernet(0x0800, canaryPacket().packet);
  const record = 16 + frame.length;
  const bytes = new Uint8Array(24 + packets * record);
  bytes.set(captureBytes(0));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < packets; i++) {
    const at = 24 + i * record;
    const timeUs = 1_700_000_000e6 + i * gapMs * 1_000;
    view.setUint32(at, Math.floor(timeUs / 1e6), true);
    view.setUint32(at + 4, timeUs % 1e6, true);
    view.setUint32(at + 8, frame.length, true);
    view.setUint32(at + 12, frame.length, true);
    bytes.set(frame, at + 16);
    view.setUint16(at + 16 + 34, 1_024 + i % 60_000);
  }
  return bytes;
}

/** The sensor's program with only `commands`. */
export function programOf(commands: readonly Command[]): Program {
  return {
    name: "picket-sensor",
    about: "a test",
    configPath: "/etc/picket/sensor.json",
    firstSteps: [["doctor", "first"]],
    commands,
    isEnvironment: (error) => error instanceof IdentityError,
  };
}
