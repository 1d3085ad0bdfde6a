/** A simulated office of 12 PCs, a monitor, printers, a router and phones:
 * what honest programs send when left as they were installed.
 *
 * In: a seed, days. Out: flow updates in the order of time, as the merger gives them. Nothing here is an attack.
 * Periods and jitter are the programs' defaults; the source stands beside each. Names are made up. @module */

import type { FlowUpdate } from "../../aggregator/model/flow.ts";
import { Capture } from "../../deploy/demo/packets.ts";
import type { Segment } from "../../shared/segment.ts";
import { lookUp, refused, silent, unansweredDatagram, update } from "../aggregator/detect/updates.ts";

export const officeHours = { from: 9 * 3_600, to: 17 * 3_600 };
const dayS = 86_400;
const pc = (i: number) => `10.0.0.${20 + i}`;
const pcs = 12, monitor = "10.0.0.6", router = "10.0.0.1";

interface Poll {
  /** Whose default it is, and where that is written. */
  source: string;
  from: readonly string[];
  periodS: number;
  /** Share of the period by which a call is late at most. */
  jitter: number;
  day: boolean;
  make: (atS: number, from: string) => FlowUpdate[];
}

export class Office {
  readonly #random: Capture;
  readonly #updates: FlowUpdate[] = [];

  constructor(seed: number, readonly days: number) {
    this.#random = new Capture(seed);
  }

  /** All updates of the days, by time. */
  updates(): FlowUpdate[] {
    for (const poll of this.#polls()) this.#run(poll);
    for (let day = 0; day < this.days; day++) {
      for (let i = 0; i < pcs; i++) this.#browse(pc(i), day * dayS);
    }
    return this.#updates.sort((a, b) => a.segment.start - b.segment.start);
  }

  #run({ from, periodS, jitter, day, make }: Poll): void {
    for (const host of from) {
      const phase = this.#random.random() * periodS;
      for (let atS = phase; atS < this.days * dayS; atS += periodS) {
        const ofDay = atS % dayS;
        if (day && (ofDay < officeHours.from || ofDay > officeHours.to)) continue;
        this.#updates.push(...make(atS + this.#random.random() * jitter * periodS, host));
      }
    }
  }

  /** Pages at times of which no two are alike, each with its DNS question and a few connections. */
  #browse(host: string, fromS: number): void {
    const random = this.#random;
    for (let atS = fromS + officeHours.from; atS < fromS + officeHours.to;) {
      // Think times are log-normal (Mah 1997; Barford and Crovella 1998):
      // median half a minute, now and then half an hour.
      atS += Math.min(3_600, 30 * Math.exp(1.5 * normal(random)));
      const site = Math.floor(400 * random.random() ** 3);
      const name = `www.site${site}.example.com`;
      if (random.random() < 0.5) this.#updates.push(lookUp(atS, name, "A", { src_ip: host }));
      if (random.random() < 0.02) this.#updates.push(this.#mistyped(atS, host));
      const connections = 1 + Math.floor(random.random() * 8);
      for (let i = 0; i < connections; i++) {
        const dead = random.random() < 0.02;
        this.#updates.push(update(atS + 0.1 + i * random.random(), {
          ...tls(name),
          src_ip: host,
          dst_ip: `203.0.${113 + (site + i >> 8)}.${1 + (site + i) % 250}`,
          fwd_payload_bytes: 400 + Math.floor(random.random() * 6_000),
          bwd_payload_bytes: Math.floor(2_000 * Math.exp(1.5 * normal(random))),
          ...dead ? silent : {},
        }));
      }
    }
  }

  #mistyped(atS: number, host: string): FlowUpdate {
    const name = `www.mistake${Math.floor(this.#random.random() * 1e4)}.example`;
    return lookUp(atS, name, "A", { src_ip: host, facts: { dns: [{ name, type: "A", rcode: "NXDOMAIN" }] } });
  }

  #vary(value: number, share: number): number {
    return Math.round(value * (1 + share * (this.#random.random() - 0.5)));
  }

  #polls(): Poll[] {
    const all = Array.from({ length: pcs }, (_, i) => pc(i));
    const web =
      (name: string, dst_ip: string, bytes: number, change: Partial<Segment> = {}) =>
      (atS: number, src_ip: string) => [
        update(atS, { ...tls(name), src_ip, dst_ip, fwd_payload_bytes: this.#vary(bytes, 0.05), ...change }),
      ];
    const udp = (dst_ip: string, dst_port: number, bytes: number) => (atS: number, src_ip: string) => [
      update(atS, { ...datagram, src_ip, dst_ip, dst_port, fwd_payload_bytes: bytes }),
    ];
    const always = { jitter: 0.02, day: false }, atWork = { jitter: 0.05, day: true };
    return [
      {
        source: "systemd-timesyncd.conf(5): PollIntervalMaxSec 2048",
        from: all,
        periodS: 2_048,
        ...always,
        make: udp("203.0.114.123", 123, 48),
      },
      {
        source: "Dropbox long poll: returns after 60 s without news",
        from: all.slice(0, 1),
        periodS: 60,
        jitter: 0.01,
        day: false,
        make: web("notify.files.example.net", "203.0.114.10", 620),
      },
      {
        source: "Thunderbird: check for new messages every 10 minutes",
        from: all.slice(0, 5),
        periodS: 600,
        ...atWork,
        make: web("imap.mail.example.net", "203.0.114.11", 900, { dst_port: 993 }),
      },
      {
        source: "Outlook: send/receive every 30 minutes",
        from: all.slice(5),
        periodS: 1_800,
        ...atWork,
        make: web("outlook.mail.example.net", "203.0.114.12", 3_200),
      },
      {
        source: "Chrome: component update every 5 hours; Windows: connectivity probe",
        from: all,
        periodS: 18_000,
        ...always,
        make: web("update.browser.example.net", "203.0.114.13", 1_100),
      },
      {
        source: "VS Code: update check every hour",
        from: all.slice(2, 4),
        periodS: 3_600,
        ...atWork,
        make: web("update.code.example.net", "203.0.114.14", 700),
      },
      {
        source: "Nextcloud desktop: remotePollInterval 30 s",
        from: all.slice(7, 8),
        periodS: 30,
        jitter: 0.02,
        day: true,
        make: web("cloud.example.org", "203.0.114.15", 1_400),
      },
      {
        source: "Evolution calendars: every 30 minutes; RSS readers: every 15",
        from: all.slice(1, 2),
        periodS: 900,
        ...atWork,
        make: web("feeds.example.org", "203.0.114.16", 500),
      },
      {
        source: "endpoint agent of an antivirus: every 5 minutes, one vendor for all",
        from: all,
        periodS: 300,
        jitter: 0.1,
        day: false,
        make: web("cloud.av.example.net", "203.0.114.17", 1_300),
      },
      {
        source: "printer's cloud service on one machine: every 15 minutes",
        from: ["10.0.0.90"],
        periodS: 900,
        ...always,
        make: web("ink.printer.example.net", "203.0.114.18", 800),
      },
      {
        source: "mosquitto: keepalive 60 s, a new connection after each sleep of a thermostat",
        from: ["10.0.0.91"],
        periodS: 300,
        ...always,
        make: web("mqtt.things.example.net", "203.0.114.19", 260, { dst_port: 8_883 }),
      },
      {
        source: "SIP: registration every 60 s behind NAT (RFC 5626 keeps alive every 95-120 s)",
        from: ["10.0.0.92", "10.0.0.93"],
        periodS: 60,
        ...always,
        make: udp("203.0.114.20", 5_060, 540),
      },
      {
        source: "WireGuard: PersistentKeepalive 25 s, as its manual says for NAT",
        from: all.slice(3, 4),
        periodS: 25,
        jitter: 0,
        day: true,
        make: udp("203.0.114.21", 51_820, 32),
      },
      {
        source: "Prometheus: scrape_interval 15 s here, 1 minute by default; 8 targets",
        from: [monitor],
        periodS: 15,
        jitter: 0.01,
        day: false,
        make: (atS) => this.#scrape(atS),
      },
      {
        source: "snmp_exporter: 60 s, 40 printers and switches, half of which are off",
        from: [monitor],
        periodS: 60,
        jitter: 0.01,
        day: false,
        make: (atS) => this.#snmp(atS),
      },
      {
        source: "Icinga: check_interval 5 minutes; hostalive pings all 40",
        from: [monitor],
        periodS: 300,
        jitter: 0.02,
        day: false,
        make: (atS) => this.#pings(atS),
      },
      {
        source: "Windows TCP/IP printer port: SNMP status every 10 minutes",
        from: all,
        periodS: 600,
        ...atWork,
        make: udp("10.0.0.90", 161, 80),
      },
      {
        source: "HAProxy: inter 2 s, one server of two is down",
        from: ["10.0.0.7"],
        periodS: 2,
        jitter: 0,
        day: false,
        make: (atS) => this.#health(atS),
      },
      {
        source:
          "Linux ARP: base_reachable_time 30 s; the router looks for clients that are there and for printers that are off",
        from: [router],
        periodS: 60,
        jitter: 0.1,
        day: false,
        make: (atS) => this.#arp(atS),
      },
      {
        source: "rsnapshot: hourly, SSH by key",
        from: ["10.0.0.8"],
        periodS: 3_600,
        ...always,
        make: (atS, src) => this.#backup(atS, src),
      },
      {
        source: "Amanda, Bareos: the director asks every client before a job, PCs that are off too",
        from: ["10.0.0.8"],
        periodS: 7_200,
        ...always,
        make: (atS, src) => this.#backupClients(atS, src),
      },
      {
        source: "Uptime Kuma: 60 s, 30 web sites of customers",
        from: [monitor],
        periodS: 60,
        jitter: 0.02,
        day: false,
        make: (atS, src) => this.#uptime(atS, src),
      },
    ];
  }

  #scrape(atS: number): FlowUpdate[] {
    return Array.from({ length: 8 }, (_, i) =>
      update(atS + i * 0.5, {
        src_ip: monitor,
        dst_ip: `10.0.1.${50 + i}`,
        dst_port: 9_100,
        app_protocol: "http",
        fwd_payload_bytes: 68,
        facts: { http: [{ method: "GET", host: `10.0.1.${50 + i}:9100`, uri: "/metrics" }, { status: 200 }] },
      }));
  }

  #snmp(atS: number): FlowUpdate[] {
    return Array.from({ length: 40 }, (_, i) =>
      update(atS + i * 0.05, {
        ...i % 2 ? unansweredDatagram : datagram,
        src_ip: monitor,
        dst_ip: `10.0.2.${10 + 3 * i}`,
        dst_port: 161,
        fwd_payload_bytes: 90,
      }));
  }

  #pings(atS: number): FlowUpdate[] {
    return Array.from({ length: 40 }, (_, i) =>
      update(atS + i * 0.2, {
        ...i % 2 ? unansweredDatagram : datagram,
        protocol: "icmp",
        src_port: 8,
        src_ip: monitor,
        dst_ip: `10.0.2.${10 + 3 * i}`,
        dst_port: 0,
      }));
  }

  #health(atS: number): FlowUpdate[] {
    const check = { src_ip: "10.0.0.7", dst_port: 8_080, fwd_payload_bytes: 60 };
    return [
      update(atS, { ...check, dst_ip: "10.0.1.70" }),
      update(atS + 0.1, { ...refused, ...check, fwd_payload_bytes: 0, dst_ip: "10.0.1.71" }),
    ];
  }

  #arp(atS: number): FlowUpdate[] {
    const asked = (dst_ip: string, i: number) =>
      update(atS + i * 0.3, { ...arp, src_ip: router, dst_ip, dst_mac: "ff:ff:ff:ff:ff:ff" });
    const there = Array.from({ length: pcs }, (_, i) => pc(i)).flatMap((host, i) => [
      asked(host, i),
      update(atS + i * 0.3 + 0.001, { ...arp, src_ip: host, dst_ip: router, dst_mac: "02:00:00:00:00:01" }),
    ]);
    const off = Array.from({ length: 20 }, (_, i) => asked(`10.0.2.${13 + 6 * i}`, pcs + i));
    return [...there, ...off];
  }

  #backup(atS: number, src_ip: string): FlowUpdate[] {
    const session = {
      dst_port: 22,
      app_protocol: "ssh",
      fwd_payload_bytes: 40_000,
      bwd_payload_bytes: 900_000,
    };
    return Array.from({ length: 4 }, (_, i) => update(atS + i * 60, { ...session, src_ip, dst_ip: pc(i) }));
  }

  #backupClients(atS: number, src_ip: string): FlowUpdate[] {
    return Array.from(
      { length: 30 },
      (_, i) =>
        update(atS + i * 2, {
          ...i % 3 ? silent : {},
          src_ip,
          dst_ip: `10.0.3.${10 + i * 5}`,
          dst_port: 9_102,
        }),
    );
  }

  #uptime(atS: number, src_ip: string): FlowUpdate[] {
    return Array.from({ length: 30 }, (_, i) =>
      update(atS + i * 0.7, {
        ...tls(`www.customer${i}.example.net`),
        src_ip,
        dst_ip: `198.51.100.${10 + i}`,
        fwd_payload_bytes: 420,
      }));
  }
}

const datagram: Partial<Segment> = {
  protocol: "udp",
  fwd_packets: 1,
  bwd_packets: 1,
  fwd_syn_count: 0,
  bwd_syn_count: 0,
  fwd_tcp_flags: 0,
  bwd_tcp_flags: 0,
  tcp_isn: null,
};
const arp: Partial<Segment> = {
  ...datagram,
  protocol: "arp",
  bwd_packets: 0,
  bwd_payload_bytes: 0,
  fwd_payload_bytes: 0,
  src_port: 0,
  dst_port: 0,
};

function tls(sni: string): Partial<Segment> {
  return { app_protocol: "tls", facts: { tls: { sni, version: "TLS 1.3" } } };
}

/** A number of the standard normal distribution (Box and Muller). */
function normal(random: Capture): number {
  return Math.sqrt(-2 * Math.log(1 - random.random())) * Math.cos(2 * Math.PI * random.random());
}
