/** What honest programs do in numbers that look alarming: one scenario for each, in flow updates.
 *
 * Out: names of scenarios and their updates by time. Invariant: nothing here is an attack. Rates, periods and sizes are
 * the programs' defaults or what their manuals say; names and addresses are made up. @module */

import type { FlowUpdate } from "../../aggregator/model/flow.ts";
import { Capture } from "../../deploy/demo/packets.ts";
import type { HttpFact } from "../../shared/facts.ts";
import type { Segment } from "../../shared/segment.ts";
import {
  baseS,
  lookUp,
  refused,
  silent,
  times,
  unansweredDatagram,
  update,
} from "../aggregator/detect/updates.ts";

const server = (i: number) => `10.0.${1 + (i >> 8)}.${1 + (i & 255)}`;
const outside = (i: number) => `203.0.${113 + (i >> 8)}.${1 + i % 250}`;
const random = new Capture(7);
const around = (value: number, share: number) => value * (1 + share * (2 * random.random() - 1));

/** A connection that lasts; its segments are cut every minute. */
function long(atS: number, lastsS: number, change: Partial<Segment>): FlowUpdate[] {
  const flow_id = `l${made++}`;
  return times(Math.ceil(lastsS / 60), (segment) => {
    const start = atS + 60 * segment;
    const one = update(
      start,
      { ...change, segment, end: baseS + Math.min(start + 60, atS + lastsS) },
      segment === 0,
    );
    return { ...one, flow_id };
  });
}
let made = 0;

const datagrams: Partial<Segment> = {
  protocol: "udp",
  fwd_tcp_flags: 0,
  bwd_tcp_flags: 0,
  fwd_syn_count: 0,
  bwd_syn_count: 0,
  fwd_fin_count: 0,
  bwd_fin_count: 0,
  tcp_isn: null,
};
const oneWay: Partial<Segment> = { ...datagrams, bwd_packets: 0, bwd_bytes: 0, bwd_payload_bytes: 0 };

const echo: Partial<Segment> = {
  protocol: "icmp",
  src_port: 8,
  dst_port: 0,
  packet_length_min: 84,
  packet_length_max: 84,
  packet_length_mean: 84,
  packet_length_deviation: 0,
};

function stream(
  atS: number,
  lastsS: number,
  perS: number,
  octets: number,
  change: Partial<Segment>,
): FlowUpdate[] {
  const fwd_packets = perS * 60;
  const sizes = {
    fwd_packets,
    fwd_bytes: fwd_packets * octets,
    fwd_payload_bytes: fwd_packets * (octets - 28),
  };
  return long(atS, lastsS, {
    ...datagrams,
    ...sizes,
    bwd_packets: 0,
    bwd_bytes: 0,
    bwd_payload_bytes: 0,
    ...change,
  });
}

function http(method: string, uri: string, status: number, more: Partial<HttpFact> = {}): Partial<Segment> {
  return {
    app_protocol: "http",
    facts: {
      http: [{ method, uri, host: "app.example.internal", user_agent: "client/1.0", ...more }, { status }],
    },
  };
}

const tls = (sni: string): Partial<Segment> => ({
  app_protocol: "tls",
  facts: { tls: { sni, version: "TLS 1.3", ja3: "a".repeat(32), alpn: "h2" } },
});

/** Nagios, Zabbix and Icinga ask each service of each host every minute, in any order; some are down. */
function monitoring(): FlowUpdate[] {
  const ports = [22, 25, 80, 443, 3_306, 5_432, 8_080];
  return times(20, (minute) =>
    times(50, (host) =>
      ports.flatMap((dst_port, p) => {
        const down = (host + p) % 11 === 0 ? refused : (host + p) % 17 === 0 ? silent : {};
        const atS = minute * 60 + around(30, 0.9);
        return [update(atS, { src_ip: "10.0.0.6", dst_ip: server(host), dst_port, ...down })];
      }))).flat(2);
}

/** Kubelet: liveness and readiness of 110 pods every 10 s; pods come and go. */
function kubelet(): FlowUpdate[] {
  return times(60, (round) =>
    times(110, (pod) =>
      update(round * 10 + around(5, 0.9), {
        src_ip: "10.0.0.40",
        dst_ip: `10.244.3.${1 + pod}`,
        dst_port: [8_080, 8_081, 9_090, 80][pod % 4],
        end: baseS + round * 10 + 5,
        ...pod % 30 === 0 && round % 7 < 2
          ? refused
          : http("GET", "/healthz", 200, { user_agent: "kube-probe/1.29" }),
      }))).flat();
}

/** A resolver in a cluster tries five search domains for each outside name (ndots:5). */
function searchDomains(): FlowUpdate[] {
  const suffixes = [
    ".default.svc.cluster.local",
    ".svc.cluster.local",
    ".cluster.local",
    ".example.internal",
    "",
  ];
  return times(1_500, (i) =>
    suffixes.map((suffix, step) => {
      const name = `api${i % 12}.partner.example.com${suffix}`;
      const rcode = suffix === "" ? "NOERROR" : "NXDOMAIN";
      return lookUp(i * 0.4 + step * 0.01, name, "A", {
        src_ip: `10.244.3.${1 + i % 20}`,
        dst_ip: "10.96.0.10",
        facts: { dns: [{ name, type: "A", rcode, ...suffix === "" ? { answers: ["192.0.2.9"] } : {} }] },
      });
    })).flat();
}

/** Peers found by trackers and DHT: two thirds do not answer, each on a port of its own. */
function torrent(): FlowUpdate[] {
  return times(600, (i) => {
    const atS = i * 1.5, dst_ip = outside(i), dst_port = 6_881 + (i * 37) % 50_000;
    const udp = { src_ip: "10.0.0.25", src_port: 51_413, dst_ip, dst_port };
    if (i % 3 === 0) {
      return update(atS, {
        ...datagrams,
        ...udp,
        fwd_packets: 900,
        fwd_bytes: 60_000,
        bwd_packets: 1_500,
        bwd_bytes: 2e6,
      });
    }
    return i % 3 === 1
      ? update(atS, { ...unansweredDatagram, ...udp, fwd_packets: 3 })
      : update(atS, { ...silent, ...udp, src_port: 40_000 + i });
  });
}

/** Ansible: one session to each of 60 hosts, twice an hour, by keys; git over SSH every minute by a CI runner. */
function sshAutomation(): FlowUpdate[] {
  const session = (atS: number, src_ip: string, dst_ip: string, lastsS: number) =>
    update(atS, {
      src_ip,
      dst_ip,
      dst_port: 22,
      end: baseS + atS + lastsS,
      app_protocol: "ssh",
      fwd_packets: 40,
      fwd_payload_bytes: 6_000,
      bwd_packets: 40,
      bwd_payload_bytes: 9_000,
      facts: { ssh: { client: "SSH-2.0-OpenSSH_9.2", server: "SSH-2.0-OpenSSH_9.2p1" } },
    });
  const runs = times(
    4,
    (round) => times(60, (i) => session(round * 1_800 + i * 0.5, "10.0.0.9", server(i), 25)),
  );
  const git = times(120, (i) => session(i * 60 + around(5, 0.9), "10.0.0.12", "10.0.0.14", 1.5));
  return [...runs.flat(), ...git];
}

/** A proxy holds long polls, server-sent events and WebSockets of 200 people open to one application. */
function longPolls(): FlowUpdate[] {
  const to = { src_ip: "10.0.0.3", dst_ip: "10.0.0.30", dst_port: 8_080 };
  return [
    ...times(200, (i) => {
      const answer = http("GET", `/poll?id=${i}`, 200);
      return update(i * 0.2, {
        ...to,
        ...answer,
        end: baseS + i * 0.2 + 30,
        fwd_packets: 5,
        bwd_payload_bytes: 300,
      });
    }),
    ...times(200, (i) =>
      long(60 + i * 0.1, 600, {
        ...to,
        ...http("GET", "/socket", 101),
        fwd_packets: 12,
        fwd_payload_bytes: 900,
        bwd_packets: 14,
        bwd_payload_bytes: 1_100,
      })).flat(),
  ];
}

/** Cameras to their recorder, televisions, telephones on hold, audio over IP, a screen that is mirrored. */
function media(): FlowUpdate[] {
  return [
    ...times(
      80,
      (i) =>
        stream(i, 300, 400, 1_200, {
          src_ip: server(i),
          dst_ip: "10.0.0.50",
          src_port: 9_000,
          dst_port: 20_000 + i,
        }),
    ).flat(),
    ...stream(0, 600, 750, 1_356, {
      src_ip: "203.0.113.9",
      src_port: 5_004,
      dst_ip: "10.0.0.25",
      dst_port: 5_004,
    }),
    ...times(
      8,
      (i) =>
        stream(i, 600, 3_000, 240, {
          src_ip: "10.0.0.60",
          src_port: 14_336 + i,
          dst_ip: `10.0.0.${61 + i}`,
          dst_port: 14_400,
        }),
    ).flat(),
    ...times(
      30,
      (i) =>
        stream(i, 180, 50, 200, {
          src_ip: "203.0.113.20",
          src_port: 16_384 + 2 * i,
          dst_ip: "10.0.0.70",
          dst_port: 30_000 + 2 * i,
        }),
    ).flat(),
    ...times(
      24,
      (i) =>
        long(i, 180, {
          ...datagrams,
          src_ip: server(i),
          dst_ip: "10.0.0.70",
          dst_port: 10_000 + 2 * i,
          fwd_packets: 3_000,
          bwd_packets: 3_000,
        }),
    ).flat(),
    ...stream(0, 300, 1_500, 1_400, {
      src_ip: "10.0.0.25",
      src_port: 7_000,
      dst_ip: "239.2.3.4",
      dst_port: 7_000,
    }),
  ];
}

/** Backups and copies of hundreds of gigabytes, inside and to a store outside, each night since the sensor watches. */
function copies(): FlowUpdate[] {
  const big = { fwd_packets: 400_000, fwd_bytes: 6e8, fwd_payload_bytes: 5.8e8, bwd_packets: 90_000 };
  return [
    ...times(
      5,
      (i) =>
        long(i * 10, 900, {
          ...big,
          src_ip: server(i),
          dst_ip: "10.0.0.50",
          dst_port: 22,
          app_protocol: "ssh",
        }),
    ).flat(),
    ...long(0, 900, {
      ...big,
      src_ip: "10.0.0.25",
      dst_ip: "10.0.0.51",
      dst_port: 2_049,
      app_protocol: "nfs",
    }),
    ...long(0, 900, { ...big, src_ip: "10.0.0.26", dst_ip: "10.0.0.51", dst_port: 445, app_protocol: "smb" }),
    ...times(7, (day) =>
      long(day * 86_400, 600, {
        ...big,
        fwd_payload_bytes: Math.round(around(5e7, 0.2)),
        src_ip: "10.0.0.52",
        dst_ip: "203.0.113.80",
        ...tls("s3.eu-central-1.storage.example"),
      })).flat(),
  ];
}

/** WireGuard, IPsec, OpenVPN, QUIC and a game: much UDP, each way. */
function tunnels(): FlowUpdate[] {
  return [51_820, 4_500, 1_194, 443, 27_015].flatMap((dst_port, i) =>
    long(i, 600, {
      ...datagrams,
      src_ip: `10.0.0.${80 + i}`,
      src_port: 51_820,
      dst_ip: outside(i),
      dst_port,
      fwd_packets: 240_000,
      fwd_bytes: 3e8,
      bwd_packets: 30_000,
      bwd_bytes: 4e6,
    })
  );
}

/** 400 hosts in the morning: DHCP, ARP for the router and each other, who is there by mDNS. */
function morning(): FlowUpdate[] {
  return times(400, (i) => {
    const atS = i * 2 + around(1, 0.9),
      src_ip = server(i),
      mac = `f4:39:09:00:${(i >> 8).toString(16).padStart(2, "0")}:${
        (i & 255).toString(16).padStart(2, "0")
      }`;
    const arp: Partial<Segment> = {
      ...oneWay,
      protocol: "arp",
      src_ip,
      src_port: 1,
      dst_port: 0,
      src_mac: mac,
      dst_mac: "ff:ff:ff:ff:ff:ff",
      fwd_packets: 1,
    };
    return [
      update(atS, {
        ...oneWay,
        src_ip: "0.0.0.0",
        src_port: 68,
        dst_ip: "255.255.255.255",
        dst_port: 67,
        src_mac: mac,
        dst_mac: "ff:ff:ff:ff:ff:ff",
        fwd_packets: 2,
        app_protocol: "dhcp",
        facts: {
          dhcp: [{ message_type: "DISCOVER", mac, hostname: `pc-${i}` }, {
            message_type: "REQUEST",
            mac,
            requested_ip: src_ip,
          }],
        },
      }),
      update(atS + 1, { ...arp, dst_ip: "10.0.0.1" }),
      update(atS + 2, { ...arp, dst_ip: server((i * 7) % 400) }),
      update(atS + 2, {
        ...oneWay,
        src_ip,
        src_port: 5_353,
        dst_ip: "224.0.0.251",
        dst_port: 5_353,
        fwd_packets: 4,
      }),
    ];
  }).flat();
}

/** An exporter of flows, a sender of logs, statsd by short-lived programs, traps. */
function collectors(): FlowUpdate[] {
  return [
    ...stream(0, 300, 1_500, 900, {
      src_ip: "10.0.0.1",
      src_port: 50_000,
      dst_ip: "10.0.0.7",
      dst_port: 2_055,
    }),
    ...stream(0, 300, 2_000, 300, {
      src_ip: "10.0.0.30",
      src_port: 50_001,
      dst_ip: "10.0.0.7",
      dst_port: 514,
    }),
    ...times(
      6_000,
      (i) =>
        update(i / 1_200, {
          ...unansweredDatagram,
          src_ip: server(i % 30),
          src_port: 32_768 + i,
          dst_ip: "10.0.0.7",
          dst_port: 8_125,
          end: baseS + i / 1_200,
        }),
    ),
  ];
}

/** Applications whose requests hold braces, quotes and code, as those of honest ones do. */
function oddRequests(): FlowUpdate[] {
  const uris = [
    "/search?q=O%27Reilly+%26+Sons+(2nd+ed.)",
    "/graphql?query=%7Buser(id:%221%22)%7Bname%7D%7D",
    "/api/v1/query?query=rate(http_requests_total%7Bjob%3D%22api%22%7D%5B5m%5D)",
    "/render?target=alias(sumSeries(a.*.b),%27x%27)&from=-1h",
    "/_search?q=status:%3E400+AND+user:%22a%22",
    "/odata/Products?$filter=Name%20eq%20%27Milk%27%20and%20Price%20lt%205",
    "/jenkins/job/a/buildWithParameters?cmd=deploy",
    "/wiki/index.php?title=Special:Search&search=the+union+and+its+members",
    "/rest/api/2/search?jql=project%20%3D%20%22A%22%20AND%20status%20%3D%20%22Open%22",
    "/arcgis/query?where=NAME%3D'a'+AND+CITY%3D'b'&f=json",
    "/items?filter=(price%3E5)%20and%20(stock%3D1)",
    "/t/{{path}}/x?u=${host}",
    "/download?file=report%202026.pdf&path=/data/2026/",
  ];
  const bodies: [body: string, type: string][] = [
    ['{"query":"query { user(id: 1) { name } }"}', "application/json"],
    ['{"log":"GET /?x=${jndi:ldap://a} HTTP/1.1 404"}', "application/json"],
    [
      '<?xml version="1.0"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">',
      "text/xml",
    ],
    ["comment=I+don%27t+know%3B+ask+Bob&rating=5", "application/x-www-form-urlencoded"],
    ['--b..Content-Disposition: form-data; name="f"; filename="a{1}.php"', "multipart/form-data; boundary=b"],
  ];
  const to = { src_ip: "10.0.0.25", dst_ip: "10.0.0.30", dst_port: 80 };
  return [
    ...times(400, (i) => update(i * 3, { ...to, ...http("GET", uris[i % uris.length], 200) })),
    ...times(200, (i) => {
      const [body, content_type] = bodies[i % bodies.length];
      return update(i * 5, { ...to, ...http("POST", "/api", 200, { body, content_type, length: 2_000 }) });
    }),
  ];
}

/** Load balancers, pools of databases and caches, and a runner that builds: many short connections to few servers. */
function pools(): FlowUpdate[] {
  return [
    ...times(
      3_000,
      (i) =>
        update(i * 0.2, {
          src_ip: `10.0.0.${3 + i % 2}`,
          dst_ip: server(i % 8),
          dst_port: 8_080,
          ...http("GET", "/health", 200),
        }),
    ),
    ...times(
      5_000,
      (i) =>
        update(i * 0.05, {
          src_ip: "10.0.0.30",
          dst_ip: "10.0.0.31",
          dst_port: 6_379,
          fwd_payload_bytes: 90,
          bwd_payload_bytes: 200,
        }),
    ),
    ...times(
      2_000,
      (i) =>
        update(i * 0.1, {
          src_ip: "10.0.0.12",
          dst_ip: outside(i % 9),
          ...tls("registry.example.com"),
          bwd_payload_bytes: 4e5,
        }),
    ),
    ...times(
      1_500,
      (i) =>
        update(i * 0.3, { src_ip: "10.0.0.30", dst_ip: "10.0.0.32", dst_port: 3_306, app_protocol: "mysql" }),
    ),
  ];
}

/** Updates of 40 machines in one night, from mirrors by plain HTTP. */
function updates(): FlowUpdate[] {
  return times(40, (host) =>
    times(60, (i) =>
      update(host * 20 + i * 0.3, {
        src_ip: server(host),
        dst_ip: outside(i % 3),
        dst_port: 80,
        bwd_payload_bytes: 900_000,
        app_protocol: "http",
        facts: {
          http: [
            {
              method: "GET",
              host: "deb.example.org",
              uri: `/debian/pool/main/p${i}/p${i}_1.2_amd64.deb`,
              user_agent: "Debian APT-HTTP/1.3 (2.6.1)",
            },
            { status: i % 20 === 0 ? 404 : 200, content_type: "application/vnd.debian.binary-package" },
          ],
        },
      }))).flat();
}

/** Pollers of 120 devices of which 30 are gone: SNMP, and pings of those. */
function pollers(): FlowUpdate[] {
  return times(12, (round) =>
    times(120, (i) => {
      const to = { src_ip: "10.0.0.6", dst_ip: server(i) }, atS = round * 300 + i * 0.3;
      const gone = i % 4 === 0;
      const snmp = { ...to, src_port: 40_000 + round, dst_port: 161 };
      const ping = { ...datagrams, ...to, ...echo, fwd_packets: 5 };
      return [
        update(
          atS,
          gone
            ? { ...unansweredDatagram, ...snmp, fwd_packets: 3 }
            : { ...datagrams, ...snmp, fwd_packets: 20, bwd_packets: 20 },
        ),
        update(atS, gone ? { ...oneWay, ...ping, ...{ bwd_packets: 0 } } : { ...ping, bwd_packets: 5 }),
      ];
    })).flat(2);
}

/** A call by WebRTC: each side tries all addresses of the other; then media over a relay. */
function calls(): FlowUpdate[] {
  return times(12, (person) => [
    ...times(20, (i) =>
      update(person * 30 + i * 0.05, {
        ...unansweredDatagram,
        src_ip: server(person),
        src_port: 50_000 + i % 4,
        dst_ip: i % 2 ? `192.168.${i}.5` : outside(person * 3 + i),
        dst_port: 50_000 + i,
        fwd_packets: 6,
      })),
    ...long(person * 30 + 2, 600, {
      ...datagrams,
      src_ip: server(person),
      src_port: 50_001,
      dst_ip: "203.0.113.7",
      dst_port: 3_478,
      fwd_packets: 9_000,
      bwd_packets: 15_000,
    }),
  ]).flat();
}

/** By name; each is run alone. */
export const scenarios: Readonly<Record<string, () => FlowUpdate[]>> = {
  "monitoring of 50 hosts": monitoring,
  "kubelet's probes": kubelet,
  "search domains of a cluster": searchDomains,
  "BitTorrent": torrent,
  "automation by SSH": sshAutomation,
  "long polls and WebSockets": longPolls,
  "video, audio and telephones": media,
  "backups and copies": copies,
  "tunnels, QUIC and a game": tunnels,
  "an office in the morning": morning,
  "collectors of logs and flows": collectors,
  "odd but honest requests": oddRequests,
  "pools and builds": pools,
  "updates of 40 machines": updates,
  "pollers of devices": pollers,
  "calls by WebRTC": calls,
};
