/** Strings an attacker would put on the wire, and an aggregator over HTTP whose every wire field holds one.
 *
 * Why one world for the browser: what is rendered inert here is rendered by the same functions everywhere. @module */

import { healthRow } from "../store/contract/health_cases.ts";
import type { HealthRow } from "../../../aggregator/model/sensor_health.ts";
import type { Places } from "../../../aggregator/model/place.ts";
import { TrustedProxies } from "../../../aggregator/model/client_address.ts";
import { listen, type Listening } from "../../../aggregator/serve/listen.ts";
import type { Certificate } from "../../../aggregator/tls/authority.ts";
import type { FrontDoorOptions } from "../../../aggregator/serve/front_door.ts";
import { systemClock } from "../../../shared/clock.ts";
import { startFixture } from "../api/fixture.ts";
import { type Fixture, healthOf, TestSensor } from "../api/fixture.ts";
import { sampleFlow, sampleStart, sampleThreat, sampleWrite } from "../api/samples.ts";

/** Each would do something if it were taken for markup, script, a link, or a direction. */
export const hostileStrings = [
  "<script>alert(1)</script>",
  '<img src=x onerror="alert(2)">',
  '"><svg onload=alert(3)>',
  "javascript:alert(4)",
  "<iframe src=https://evil.example></iframe>",
  "<style>@import url(https://evil.example/x.css)</style>",
  "{{constructor.constructor('alert(5)')()}}",
  "</textarea><script>fetch('https://evil.example')</script>",
  "good\u202Emoc.elpmaxe",
  "zero\u200Bwidth\u0007bell\u001b[31mred",
  "<a href=https://evil.example>log in again</a>",
  "<meta http-equiv=refresh content='0;url=https://evil.example'>",
] as const;

/** How questions of DNS end. */
const dnsEnds = [
  { rcode: "NOERROR", answers: ["192.0.2.1", hostileStrings[0]] },
  { rcode: "NXDOMAIN" },
  {},
  { rcode: hostileStrings[1] },
];

export interface HostileWorld {
  url: string;
  fixture: Fixture;
  listening: Listening;
  stop(): Promise<void>;
}

export interface WorldOptions {
  certificate?: Certificate;
  /** As a proxy before it is reached. */
  publicUrl?: string;
  trustedProxies?: string[];
  /** Besides loopback's own and the public one. */
  hostnames?: string[];
  limits?: FrontDoorOptions;
  /** Nobody has joined, and nothing is stored. */
  isEmpty?: boolean;
  /** What GeoIP files say. */
  places?: Places;
}

/** Of a sensor that was blind an hour ago, and said why in strings from the wire. */
function momentsOf(id: string, nowMs: number): HealthRow[] {
  const reasons = hostileStrings.slice(0, 4).map((text) => `Capture of ${text} failed: no such device`);
  return [
    healthRow(id, nowMs - 7_200_000, { weight: 2 }),
    healthRow(id, nowMs - 3_600_000, { weight: 2, status: "blind", kinds: ["capture_failed"], reasons }),
    healthRow(id, nowMs - 3_000_000),
    healthRow(id, nowMs - 60_000, {
      weight: 2,
      status: "lossy",
      kinds: ["kernel_drops"],
      reasons: [
        "12000 packets (6.2 %) were dropped by the kernel before the sensor saw them, since it started",
      ],
    }),
  ];
}

/** Starts it on a free port of loopback. */
export async function startHostileWorld(options: WorldOptions = {}): Promise<HostileWorld> {
  const proxies = new TrustedProxies(options.trustedProxies ?? []);
  const publicUrl = options.publicUrl === undefined ? null : new URL(options.publicUrl);
  const hostnames = [
    "127.0.0.1",
    "localhost",
    ...options.hostnames ?? [],
    ...publicUrl ? [publicUrl.hostname] : [],
  ];
  const fixture = await startFixture(() => options.places ? { places: options.places } : {}, {
    hostnames,
    publicUrl,
    proxies,
  });
  fixture.clock.ms = (sampleStart + 2_000) * 1_000;
  const { store } = fixture.services;
  for (const name of options.isEmpty ? [] : ["roof", "cellar", "never"]) {
    const sensor = new TestSensor(name);
    await sensor.enrol(fixture);
    if (name === "never") continue;
    const health = healthOf(sensor.id, fixture.clock.ms - 20);
    health.capture.source = name === "roof" ? hostileStrings[1] : "eth1";
    health.capture.packets = 182_340;
    health.capture.in_flows = 181_900;
    health.capture.left_out = { not_ip: 320, malformed: 120 };
    if (name === "cellar") {
      health.capture.dropped = 12_000;
      const counters = { rx_packets: 190_000, tx_packets: 0, rx_dropped: 0, rx_fifo: 0, rx_errors: 0 };
      health.capture.interfaces = [{ name: hostileStrings[1].slice(0, 60), ...counters, rx_missed: 345 }];
    }
    await sensor.checkIn(fixture, health);
    if (name === "cellar") await store.saveHealth(momentsOf(sensor.id, fixture.clock.ms));
  }
  const flows = Array.from({ length: 160 }, (_, index) => {
    const name = hostileStrings[index % hostileStrings.length];
    const dns = [{ name, type: "A", ...dnsEnds[Math.floor(index / 6) % dnsEnds.length] }];
    const read = [
      { app_protocol: "tls", facts: { tls: { sni: name } } },
      { app_protocol: "http", facts: { http: [{ host: "files.example.com", user_agent: name }] } },
      { app_protocol: "dns", facts: { dns } },
    ];
    return sampleFlow(index, read[index % read.length]);
  });
  if (!options.isEmpty) {
    await store.ingest(sampleWrite(flows));
    await store.saveThreats(threats(flows.slice(0, 5).map((flow) => flow.flow_id)));
  }
  const { certificate = null, limits = {} } = options;
  const edges = { clock: systemClock, reporter: fixture.services.reporter };
  const listening = listen({ listen: "127.0.0.1:0", certificate, proxies, limits }, edges, fixture.api);
  return {
    url: listening.url,
    fixture,
    listening,
    async stop() {
      await listening.close();
      await fixture.stop();
    },
  };
}

function threats(flowIds: string[]) {
  return [
    sampleThreat({
      flow_ids: flowIds,
      explanation:
        "The computer 10.0.0.5 tried 240 different ports of 10.0.0.9 within one minute, and got almost no answer. " +
        "This is how someone finds out which services a machine offers before attacking one of them.",
      suggested_action:
        "Find out who uses 10.0.0.5 and whether a scan was planned. If not, take it off the network and check it.",
    }),
    sampleThreat({
      id: "00112233445566ab",
      identity: "dns_tunnel",
      detector: "dns_tunnel",
      technique: "T1071.004",
      title: "DNS tunnel",
      severity: "critical",
      score: 92,
      dst_ips: ["198.51.100.53"],
      dst_port: 53,
      last_seen: 1_799_999_500,
      explanation: `10.0.0.7 asked for 1,204 names below ${hostileStrings[0]} that carry data. ${
        hostileStrings[1]
      }`,
      suggested_action: `Block the domain. ${hostileStrings[4]}`,
      reasons: hostileStrings.map((text, i) => ({ name: `r${i}`, points: 5, text })),
      evidence: hostileStrings.map((value, i) => ({
        id: `e${i}`,
        name: "longest name",
        value,
        hostile: true,
      })),
    }),
    sampleThreat({
      id: "00112233445566ac",
      identity: "beacon",
      detector: "beacon",
      technique: "T1071.001",
      title: "Beacon",
      severity: "medium",
      score: 52,
      status: "acknowledged",
      last_seen: 1_799_998_900,
      first_seen: 1_799_998_100,
      dst_ips: ["203.0.113.9"],
      dst_port: 443,
    }),
  ];
}
