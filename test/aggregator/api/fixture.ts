/** An API over a real store in memory, with a clock and randomness that the test owns.
 *
 * Out: the services, one key a role, and `ask`, which calls the API without a socket.
 * Why a real store: the shapes that pass through are then those that people get. @module */

import { Buffer } from "node:buffer";
import { type Api, type ApiOptions, createApi } from "../../../aggregator/api/api.ts";
import { noPlaces } from "../../../aggregator/model/place.ts";
import { TrustedProxies } from "../../../aggregator/model/client_address.ts";
import { ApiKeys, makeApiKey } from "../../../aggregator/api/api_keys.ts";
import { ConcurrencyLimit } from "../../../aggregator/api/concurrency_limit.ts";
import { type Capabilities, topicsOf } from "../../../aggregator/api/capabilities.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { Sessions } from "../../../aggregator/api/sessions.ts";
import { describeDetectors } from "../../../aggregator/detect/detectors/catalogue.ts";
import { LiveFeed } from "../../../aggregator/api/live/feed.ts";
import { RateLimit } from "../../../aggregator/api/rate_limit.ts";
import { makeJoinToken } from "../../../aggregator/api/admin/tokens.ts";
import { PacketEvidence } from "../../../aggregator/evidence/evidence.ts";
import { PacketFiles } from "../../../aggregator/evidence/packet_files.ts";
import { CheckInWriter } from "../../../aggregator/fleet/check_in_writer.ts";
import { ClockOffsets } from "../../../aggregator/fleet/clock_offsets.ts";
import { SensorDirectory } from "../../../aggregator/fleet/directory.ts";
import { ReleaseFolder } from "../../../aggregator/fleet/release_folder.ts";
import { Rollouts } from "../../../aggregator/fleet/rollouts.ts";
import type { IngestOutcome } from "../../../aggregator/ingest/ingest.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { type Role, roles } from "../../../aggregator/model/access.ts";
import { keyId, keysFromSeed, sha256Hex, signText } from "../../../shared/batch.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import { checkInMessage, enrolMessage } from "../../../shared/control_messages.ts";
import { assertDescribed } from "./described.ts";
import { createReporter } from "../../../shared/reporter.ts";

export class TestClock implements Clock {
  ms = 1_800_000_000_000;
  #sleepers = new Set<{ endMs: number; resolve: () => void }>();
  nowMs(): number {
    return this.ms;
  }
  monotonicMs(): number {
    return this.ms;
  }
  /** Time stands still unless a test moves it: a sleep ends when {@link advance} passes its end,
   * or when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const sleeper = { endMs: this.ms + ms, resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", () => {
        this.#sleepers.delete(sleeper);
        resolve();
      }, { once: true });
    });
  }

  /** Sleeps that have not ended. */
  get asleep(): number {
    return this.#sleepers.size;
  }

  advance(ms: number): void {
    this.ms += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.endMs > this.ms) continue;
      this.#sleepers.delete(sleeper);
      sleeper.resolve();
    }
  }
}

export interface Reply {
  status: number;
  // deno-lint-ignore no-explicit-any -- a test reads what the API says, whatever its shape.
  body: any;
  text: string;
  headers: Headers;
}

export interface Asked {
  role?: Role;
  key?: string;
  json?: unknown;
  bytes?: Uint8Array;
  headers?: Record<string, string>;
  source?: string;
  isSecure?: boolean;
}

/** Those of the API, and the store behind its topics. */
export type Services = Capabilities & { store: Store };

export interface Fixture {
  api: Api;
  services: Services;
  clock: TestClock;
  keys: Record<Role, string>;
  submitted: { outcome: IngestOutcome | null; bodies: Uint8Array[] };
  /** Folder of packets as evidence. */
  packets: string;
  ask(method: string, path: string, asked?: Asked): Promise<Reply>;
  counter(key: string): number;
  stop(): Promise<void>;
}

export const host = "127.0.0.1:8600";

/** Starts a fixture; `change` replaces services. */
export async function startFixture(
  change: (services: Services) => Partial<Services> = () => ({}),
  options: Partial<ApiOptions> = {},
): Promise<Fixture> {
  const clock = new TestClock();
  const reporter = createReporter({ component: "test", write: () => undefined, clock });
  const store = openStore("sqlite::memory:", {
    reporter,
    clock,
    places: { isKnown: true, find: (ip) => services.places.find(ip) },
  });
  await store.start();
  const keys = {} as Record<Role, string>;
  for (const role of roles) {
    const made = makeApiKey(randomBytes(20), { name: `${role}-key`, role, nowMs: clock.ms });
    await store.addApiKey(made.row);
    keys[role] = made.key;
  }
  const submitted: Fixture["submitted"] = { outcome: null, bodies: [] };
  const directory = new SensorDirectory({}, { store });
  const packets = await Deno.makeTempDir({ prefix: "picket-packets-" });
  const files = new PacketFiles(packets);
  const releases = new ReleaseFolder(`${packets}/releases`);
  const standard: Services = {
    ...topicsOf(store),
    store,
    reporter,
    clock,
    directory,
    policies: directory.policies,
    places: noPlaces,
    releases,
    rollouts: new Rollouts({}, { store, directory, releases, reporter }),
    releaseRate: new RateLimit({ burst: 4, refillMs: 1_000 }),
    releaseLimit: new ConcurrencyLimit({ kind: "release", activeMax: 8, waitingMax: 8 }, { reporter }),
    evidence: new PacketEvidence({}, { store, files, directory, clock, reporter, randomBytes }),
    clockOffsets: new ClockOffsets(),
    checkIns: new CheckInWriter({ gatherMs: 0 }, { store, clock }),
    keys: new ApiKeys({}, { store }),
    sessions: new Sessions(),
    enrolRate: new RateLimit({ burst: 60, refillMs: 1_000 }),
    guessRate: new RateLimit({ burst: 5, refillMs: 10_000 }),
    queryLimit: new ConcurrencyLimit({ kind: "query", activeMax: 4, waitingMax: 32 }, { reporter }),
    exportLimit: new ConcurrencyLimit({ kind: "export", activeMax: 2, waitingMax: 0 }, { reporter }),
    uploadLimit: new ConcurrencyLimit({ kind: "upload", activeMax: 32, waitingMax: 0 }, { reporter }),
    submit: (_header, compressed) => {
      submitted.bodies.push(compressed);
      return Promise.resolve(submitted.outcome ?? { outcome: "stored" });
    },
    detectors: describeDetectors(),
    intelligence: () => null,
    live: new LiveFeed({}, { store, clock, reporter }),
    onThreatStatus: () => undefined,
    onSuppressions: () => undefined,
    progress: () => ({ pending: 0, lastMs: clock.ms, failingSinceMs: null, failure: null }),
    sinks: {
      status: () =>
        Promise.resolve([{
          name: "chat",
          kind: "webhook",
          severity_min: "medium",
          waiting: 1,
          dead: 1,
          oldest_ms: clock.ms,
          last_sent_ms: null,
          problem: "the receiver answered 500",
        }]),
      areWell: () => true,
      dead: (name) => Promise.resolve(name === "chat" ? [] : null),
      test: (name) => Promise.resolve(name === "chat" ? "" : null),
    },
    archiveProblem: () => null,
    randomBytes,
    fleet: { buckets: 4, kafka: null },
    site: "default",
    authority: null,
    placeOf: (url) => ({ url: url.origin, fingerprint: null }),
  };
  const changed = change(standard);
  const services: Services = { ...standard, ...changed, ...(changed.store ? topicsOf(changed.store) : {}) };
  const api = createApi(
    { hostnames: null, publicUrl: null, proxies: new TrustedProxies([]), ...options },
    services,
  );
  return {
    api,
    services,
    clock,
    keys,
    submitted,
    ask: (method, path, asked = {}) => ask(api, keys, method, path, asked),
    counter: (key) => reporter.snapshot().get(key) ?? 0,
    packets,
    stop: async () => {
      await store.stop();
      await Deno.remove(packets, { recursive: true });
    },
  };
}

async function ask(
  api: Api,
  keys: Record<Role, string>,
  method: string,
  path: string,
  asked: Asked,
): Promise<Reply> {
  const key = asked.key ?? (asked.role ? keys[asked.role] : undefined);
  const body = asked.json === undefined ? asked.bytes : JSON.stringify(asked.json);
  const response = await api.fetch(
    // What the runtime makes of a request: HTTP/2 has no `host` header, and its URL has the connection's scheme.
    new Request(`${asked.isSecure ? "https" : "http"}://${asked.headers?.host ?? host}${path}`, {
      method,
      headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...asked.headers },
      ...(body === undefined ? {} : { body: body as BodyInit }),
    }),
    { source: asked.source ?? "192.0.2.1", isSecure: asked.isSecure ?? false },
  );
  const text = await response.text();
  const isJson = /^application\/(problem\+)?json/.test(response.headers.get("content-type") ?? "");
  const reply = {
    status: response.status,
    text,
    headers: response.headers,
    body: isJson && method !== "HEAD" ? JSON.parse(text) : null,
  };
  assertDescribed(method, path, reply);
  return reply;
}

export function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** A sensor's key and what it signs with it. */
export class TestSensor {
  readonly name: string;
  readonly keys = keysFromSeed(randomBytes(32));
  id = "";

  constructor(name: string) {
    this.name = name;
  }

  get publicKey(): string {
    return Buffer.from(this.keys.publicKey).toString("base64");
  }

  get keyId(): string {
    return keyId(this.keys.publicKey);
  }

  enrolment(token: string): Record<string, unknown> {
    const unsigned = { token, name: this.name, public_key: this.publicKey };
    return {
      ...unsigned,
      version: "0.1.0",
      signature: signText(enrolMessage(unsigned), this.keys.privateKey),
    };
  }

  /** Enrols with a token made in the store; returns the reply. */
  async enrol(fixture: Fixture, site = "lab", approve = false): Promise<Reply> {
    const made = makeJoinToken(randomBytes(24), { site, tags: ["roof"], nowMs: fixture.clock.ms, approve });
    await fixture.services.store.addJoinToken(made.row);
    const reply = await fixture.ask("POST", "/api/v1/enrol", { json: this.enrolment(made.token) });
    this.id = reply.body.sensor_id ?? "";
    return reply;
  }

  checkIn(fixture: Fixture, health: CheckInRequest, path = "/api/v1/check-in"): Promise<Reply> {
    const json = JSON.stringify(health);
    const message = checkInMessage(this.id, health.sent_ms, sha256Hex(json));
    const signature = signText(message, this.keys.privateKey);
    return fixture.ask("POST", path, {
      bytes: new TextEncoder().encode(json),
      headers: { "picket-signature": signature },
    });
  }
}

/** A check-in of a sensor that is well. */
export function healthOf(sensorId: string, sentMs: number): CheckInRequest {
  return {
    sensor_id: sensorId,
    version: "0.1.0",
    epoch: 1,
    sent_ms: sentMs,
    started_ms: sentMs - 600_000,
    capture: {
      state: "capturing",
      source: "eth0",
      error: null,
      packets: 1_000,
      bytes: 900_000,
      in_flows: 990,
      left_out: { not_ip: 10 },
      dropped: 0,
      last_packet: sentMs / 1_000 - 1,
    },
    flows: { open: 10, segments: 100, evicted: 0, factor: 1 },
    facts: { offered: 100, answered: 100, refused: 0, restarts: 0 },
    spool: { batches: 0, bytes: 0, bytes_max: 1_000_000, dropped_batches: 0, quarantined: 0, oldest_s: 0 },
    transport: { kind: "http", error: null, sent_batches: 4 },
    sealed: { "0": 3, "1": 1 },
    counters: {},
  };
}
