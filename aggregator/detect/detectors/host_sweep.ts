/** Host sweep: one host asks a whole network who is there, by ARP or by ping.
 *
 * In: first updates of ARP and ICMP echo flows. Out: one finding for each asking host and protocol.
 * Invariant: hosts that answer count as found, not as tried in vain; announcements of one's own address are no question. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";

const hostsMax = 4_096;
const echoTypes: Readonly<Record<string, number>> = { icmp: 8, icmp6: 128 };

export const hostSweep = detector({
  name: "host_sweep",
  technique: "T1018",
  title: "Ping sweep",
  about: "One host asks a whole network who is there, by ARP or by ping.",
  limits: {
    hostsMin: {
      value: 25,
      unit: "addresses",
      why: "as for a scan of one port (Zeek's addr_scan_threshold in 5 minutes)",
    },
    silentShareMin: {
      value: 0.5,
      unit: "share",
      why: "a router that looks for its clients and a pinging monitor know whom they ask",
    },
    hostsPerMinuteMin: {
      value: 5,
      unit: "addresses/min",
      why: "a host that looks for its neighbours over a day stays below",
    },
    fastHostsPerS: { value: 1, unit: "addresses/s", why: "ordinary hosts meet new ones more slowly" },
  },
  window: {
    quietS: { value: 300, unit: "s", why: "sweeps ask many addresses a minute" },
    ageS: { value: 3_600, unit: "s", why: "a network changes within a day, not within an hour" },
  },
  keysMax: 10_000,
  key(update) {
    const { protocol, src_ip, src_port, dst_ip, fwd_packets } = update.segment;
    const isQuestion = protocol === "arp" || (protocol in echoTypes && src_port === echoTypes[protocol]);
    if (!isQuestion || !update.first || fwd_packets === 0 || src_ip === dst_ip || update.dst.isGroup) {
      return null;
    }
    // A host that looks whether its new address is free (RFC 5227).
    return src_ip === "0.0.0.0" ? null : `${protocol}|${src_ip}`;
  },
  open: ({ segment: { protocol, src_ip } }) => ({
    protocol,
    srcIp: src_ip,
    mac: "",
    silent: new Distinct<string>(hostsMax),
    answered: new Distinct<string>(hostsMax),
    asked: 0,
  }),
  step(sweep, { segment: { src_mac, dst_ip, bwd_packets } }) {
    sweep.mac = src_mac;
    sweep.asked++;
    const hosts = bwd_packets > 0 ? sweep.answered : sweep.silent;
    hosts.add(dst_ip);
  },
  isThreat(sweep, { hostsMin, silentShareMin, hostsPerMinuteMin }) {
    const asked = sweep.silent.size + sweep.answered.size;
    const minutes = (sweep.lastS - sweep.firstS) / 60;
    return asked >= hostsMin && sweep.silent.size >= silentShareMin * asked &&
      asked >= hostsPerMinuteMin * minutes;
  },
  finding(sweep, { hostsMin, fastHostsPerS }) {
    const hosts = new Set([...sweep.answered, ...sweep.silent]);
    const isArp = sweep.protocol === "arp";
    const evidence = {
      asked: field("addresses asked", hosts.size),
      silent: field("addresses without answer", sweep.silent.size),
      answered: field("addresses that answered", [...sweep.answered].slice(0, 20).join(", ") || "none"),
      mac: field("hardware address of the asker", sweep.mac || "unknown"),
      duration: field("duration in seconds", Math.round(sweep.lastS - sweep.firstS)),
      protocol: field("protocol", isArp ? "ARP" : "ping"),
    };
    const { asked, silent, protocol } = evidence;
    const reasons = [reason(
      "addresses_asked",
      growingPoints(asked.value, hostsMin, { base: 30, perTenfold: 15, max: 50 }),
      `${asked} addresses were asked; ${hostsMin} are enough to call it a sweep`,
    )];
    const perS = hosts.size / Math.max(1, sweep.lastS - sweep.firstS);
    if (perS >= fastHostsPerS) {
      reasons.push(reason(
        "fast",
        10,
        `${perS.toFixed(1)} addresses a second; ordinary hosts stay below ${fastHostsPerS}`,
      ));
    }
    return {
      title: isArp ? "ARP sweep" : "Ping sweep",
      src_ips: [sweep.srcIp],
      dst_ips: hosts,
      dst_port: null,
      count: sweep.asked,
      summary:
        `${sweep.srcIp} asked ${asked} addresses by ${protocol} whether somebody is there; ${silent} did not answer.`,
      reasons,
      evidence,
    };
  },
  meaning: "This is the first step of most attacks on a network: finding out which machines exist.",
  action:
    "Find out who uses the asking machine and which program asks. If nobody can explain it, isolate the machine and look at what it did to those that answered.",
  falseAlarm:
    "Network inventory, printers' software and routers ask whole networks too; they do so from known addresses and again and again.",
});
