/** Long session: one connection of an own host to the Internet that stays open and in use for hours.
 *
 * In: later segments of TCP flows. Out: one finding for each pair of hosts and port.
 * Invariant: never above low: remote work, tunnels and chat hold connections for days; it is worth knowing which.
 * Source: RITA's long connections (low from one hour, high from eight); Zeek's connection states. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, hostile, reason } from "../finding.ts";
import { by } from "../keys.ts";

export const longSession = detector({
  name: "long_session",
  technique: "T1571",
  title: "Long session",
  about: "One connection of an own host to the Internet stays open and in use for hours.",
  limits: {
    hoursMin: { value: 8, unit: "h", why: "a working day; RITA calls eight hours long" },
    octetsMin: {
      value: 10_000,
      unit: "octets",
      why: "each way since it counts as long: the keep-alives of TCP carry an octet at most",
    },
  },
  window: {
    quietS: { value: 14_400, unit: "s", why: "TCP keep-alives come every two hours (RFC 9293, 3.8.4)" },
    ageS: { value: 7 * 86_400, unit: "s", why: "sessions of a week are told once" },
  },
  keysMax: 5_000,
  key(update, { hoursMin }) {
    const { src, dst, segment } = update;
    if (segment.protocol !== "tcp" || segment.end - segment.flow_start < hoursMin * 3_600) return null;
    const isTalk = segment.fwd_payload_bytes > 0 && segment.bwd_payload_bytes > 0;
    return isTalk && src.isOwn && !dst.isPrivate ? by.pairPort : null;
  },
  open: ({ segment: { src_ip, dst_ip, dst_port } }) => ({
    srcIp: src_ip,
    dstIp: dst_ip,
    port: dst_port,
    name: "",
    ageS: 0,
    sent: 0,
    received: 0,
  }),
  step(session, { serverName, segment }) {
    session.name ||= serverName;
    session.ageS = Math.max(session.ageS, segment.end - segment.flow_start);
    session.sent += segment.fwd_payload_bytes;
    session.received += segment.bwd_payload_bytes;
  },
  isThreat: ({ sent, received }, { octetsMin }) => sent >= octetsMin && received >= octetsMin,
  finding(session, { hoursMin }) {
    const { srcIp, dstIp, port, sent, received } = session;
    const hours = Math.floor(session.ageS / 3_600);
    const evidence = {
      hours: field("hours open", hours),
      sent: field("octets sent since it counts as long", sent),
      received: field("octets received since then", received),
      name: hostile("name of the service", session.name || "not seen"),
    };
    return {
      src_ips: [srcIp],
      dst_ips: [dstIp],
      dst_port: port,
      count: session.flows,
      summary:
        `${srcIp} has kept one connection to ${dstIp} (port ${port}) open for ${evidence.hours} hours, and still sends and receives.`,
      reasons: [reason(
        "hours",
        growingPoints(hours, hoursMin, { base: 22, perTenfold: 8, max: 35 }),
        `${evidence.hours} hours; most connections end within minutes, and ${hoursMin} hours are the threshold`,
      )],
      evidence,
    };
  },
  meaning:
    "A tunnel or a remote control needs a connection that stays. So do remote work, chat, and the access of a maintenance company.",
  action: (_evidence, { dst_ips, src_ips }) =>
    `Nothing is urgent. Find out which program on ${src_ips[0]} keeps this connection, and whether ${
      dst_ips[0]
    } is known to you; if nobody can explain it, look closer.`,
  falseAlarm: "Virtual private networks, remote shells, chat and push services stay connected for days.",
});
