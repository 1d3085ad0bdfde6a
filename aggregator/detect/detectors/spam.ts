/** Spam: an own host delivers mail to many mail servers of others, though it is no mail server.
 *
 * In: SMTP flows, and MX questions. Out: one finding for each sending host.
 * Invariant: a host that is given mail, from inside or outside, is a mail server, and may deliver wherever it likes;
 * people's mail programs use one or two servers, on other ports. Hosts that do not answer are a scan, not mail.
 * @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import type { PreparedUpdate } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";

const serversMax = 4_096, smtp = 25;
const receivePorts = new Set([25, 465, 587]);

interface Part {
  host: Address;
  what: "sends" | "receives" | "asks";
  /** Of a host that sends. */
  server: string;
  octets: number;
}

export const spam = detector({
  name: "spam",
  technique: "T1496",
  title: "Spam",
  about: "An own host that is no mail server delivers mail to many mail servers outside.",
  limits: {
    serversMin: {
      value: 8,
      unit: "mail servers",
      why: "outside, within an hour or so; devices that report by mail use one or two",
    },
    mxMin: {
      value: 3,
      unit: "questions",
      why: "for mail servers of domains, which only mail servers need to ask",
    },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "spam programs send all the time, or pause for minutes" },
    ageS: { value: 14_400, unit: "s", why: "the reports of a day may go to a few servers" },
  },
  items: readMail,
  key: (_update, _limits, { host }) => host.ip,
  open: (_update, { host }) => ({
    host,
    servers: new Distinct<string>(serversMax),
    sessions: 0,
    octets: 0,
    mx: 0,
    receives: false,
  }),
  step(sender, _update, _limits, { what, server, octets }) {
    if (what === "receives") sender.receives = true;
    else if (what === "asks") sender.mx++;
    else {
      sender.servers.add(server);
      sender.sessions++;
      sender.octets += octets;
    }
  },
  isThreat: ({ servers, receives }, { serversMin }) => servers.size >= serversMin && !receives,
  finding(sender, { serversMin, mxMin }) {
    const evidence = {
      servers: field("mail servers outside", sender.servers.count),
      sessions: field("sessions", sender.sessions),
      octets: field("octets sent", sender.octets),
      mx: field("questions for mail servers of domains", sender.mx),
      duration: field("duration in seconds", Math.round(sender.lastS - sender.firstS)),
    };
    const reasons = [reason(
      "many_mail_servers",
      growingPoints(sender.servers.size, serversMin, { base: 45, perTenfold: 15, max: 70 }),
      `${evidence.servers} mail servers outside, and nobody was seen to give it mail; ${serversMin} are the threshold`,
    )];
    if (sender.mx >= mxMin) {
      reasons.push(reason("asks_for_mx", 10, `${evidence.mx} questions for the mail servers of domains`));
    }
    return {
      src_ips: [sender.host.ip],
      dst_ips: sender.servers,
      dst_port: smtp,
      count: sender.sessions,
      summary:
        `${sender.host.ip} delivered mail to ${evidence.servers} mail servers outside in ${evidence.sessions} sessions, though it was not seen to receive any.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "A machine that was taken over sends spam for others. Your addresses end up on block lists, and your own mail is refused.",
  action: (_evidence, _finding, { host }) =>
    `${findOut(host, "sends mail")} Close port 25 to the Internet for all hosts but your mail servers.`,
  falseAlarm:
    "A server that sends newsletters or reports itself, without a mail server between, looks the same; then you know it.",
});

function readMail({ segment, src, dst, begins, probe, dns }: PreparedUpdate): Part[] {
  if (dns !== null) {
    const asks = segment.facts?.dns?.some(({ type }) => type === "MX") && dns.client === src.ip && src.isOwn;
    return asks ? [{ host: src, what: "asks", server: "", octets: 0 }] : [];
  }
  if (segment.protocol !== "tcp" || !begins || probe !== "used") return [];
  const { dst_port, fwd_payload_bytes, bwd_payload_bytes } = segment;
  if (!receivePorts.has(dst_port) || bwd_payload_bytes === 0) return [];
  if (dst.isOwn) return [{ host: dst, what: "receives", server: "", octets: 0 }];
  if (!src.isOwn || dst.isPrivate || dst_port !== smtp) return [];
  return [{ host: src, what: "sends", server: dst.ip, octets: fwd_payload_bytes }];
}
