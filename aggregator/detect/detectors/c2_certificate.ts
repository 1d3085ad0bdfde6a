/** Session with a C2 server's certificate: an encrypted session with a host of the Internet whose certificate is that
 * of a remote-control tool, or that shows three signs at once of a server not meant for the public.
 *
 * In: certificates of TLS flows. Out: one finding for each own host and server.
 * Invariant: a self-signed certificate is ordinary inside a network, and so is one sign or two outside. Three signs in
 * one session are those of file sharing, chat and private networks too:
 * without a tool's name only a server that is called again and again counts.
 * Sources: names that AsyncRAT, DcRat, Quasar, VenomRAT, Orcus, BitRAT, Cobalt Strike and Covenant put into the
 * certificates they make; ATT&CK T1573.002, T1219. @module */

import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { PreparedUpdate } from "../prepared.ts";
import { stopHost } from "../signs/advice.ts";
import { oddSignsOf } from "../signs/odd_service.ts";

const tools =
  /\b(?:async ?rat|dcrat|quasar server ca|venom ?rat|orcus server|bitrat|xworm|major cobalt strike|cobaltstrike)\b|^covenant$/i;
/** What Quasar's builder leaves of the name when its user renames the tool. */
const renamed = /^[\w-]{2,24} server ca$/i;
/** Peers that vouch for themselves by design. */
const honest = /^(?:syncthing|bittorrent|i2p)\b/i;

export const c2Certificate = detector({
  name: "c2_certificate",
  technique: "T1573.002",
  title: "Session with an unpublished server",
  about:
    "An encrypted session with a server whose certificate is a remote-control tool's, or that nobody published.",
  needs: ["tls"],
  limits: {
    sessionsMin: { value: 1, unit: "sessions", why: "one session is enough to be controlled" },
    severalMin: {
      value: 5,
      unit: "sessions",
      why: "without a tool's name: tools come back when a session ends, peers are called once or twice",
    },
  },
  window: {
    quietS: { value: 86_400, unit: "s", why: "a session may last for a day" },
    ageS: { value: 7 * 86_400, unit: "s", why: "the sessions of a week are one story" },
  },
  keysMax: 5_000,
  // Most sessions name their server, or their certificate was not read.
  key: (update) => (isCandidate(update) && isOdd(update) ? by.pair : null),
  open: (update) => ({
    src: update.src,
    server: update.segment.dst_ip,
    port: update.segment.dst_port,
    subject: update.segment.facts!.tls!.certificate_subject!,
    isTool: false,
    sessions: 0,
  }),
  step(calls, update) {
    calls.sessions++;
    if (calls.isTool || !isTool(update)) return;
    // The tool's session counts, whatever came before it.
    const { dst_port, facts } = update.segment;
    Object.assign(calls, { isTool: true, port: dst_port, subject: facts!.tls!.certificate_subject! });
  },
  isThreat: ({ sessions, isTool }, { sessionsMin, severalMin }) =>
    sessions >= (isTool ? sessionsMin : severalMin),
  finding({ src, server, port, subject, isTool, sessions }, { severalMin }) {
    const evidence = {
      sessions: field("such sessions", sessions),
      subject: hostile("name in the certificate", subject.slice(0, 80) || "none"),
      port: field("port", port),
    };
    const reasons = [
      isTool
        ? reason("tool", 75, "the certificate bears the name that a remote-control tool gives it")
        : reason(
          "three_signs",
          40,
          `no server is named, port ${evidence.port} is none of the ordinary services', and nobody public vouches for the certificate`,
        ),
    ];
    if (sessions >= severalMin) {
      reasons.push(reason("several", 10, `${evidence.sessions} sessions; ${severalMin} are the threshold`));
    }
    return {
      src_ips: [src.ip],
      dst_ips: [server],
      dst_port: port,
      count: sessions,
      summary: `${src.ip} had ${evidence.sessions} encrypted session(s) with ${server} (port ${port}), ${
        isTool ? "whose certificate is a remote-control tool's." : "a server that nobody published."
      }`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Remote-control tools make a certificate of their own, and are called by address and port. Whoever runs the server sees and does what the user can.",
  action: (_evidence, { dst_ips }, { src }) =>
    `Find out which program on ${src.ip} keeps this session. If nobody can explain it, ${
      stopHost(src)
    }, and block ${dst_ips[0]}.`,
  falseAlarm:
    "A server of your own, or of a maintenance company, that was set up by hand; then somebody knows its address.",
});

function isCandidate({ src, dst, segment: { facts } }: PreparedUpdate): boolean {
  const tls = facts?.tls;
  return tls?.certificate_subject !== undefined && src.isOwn && !dst.isPrivate &&
    !honest.test(tls.certificate_subject);
}

function isTool(update: PreparedUpdate): boolean {
  const { certificate_subject = "", certificate_issuer = "" } = update.segment.facts?.tls ?? {};
  return tools.test(certificate_subject) || tools.test(certificate_issuer) ||
    renamed.test(certificate_subject) && certificate_subject === certificate_issuer && hasOddSigns(update);
}

function isOdd(update: PreparedUpdate): boolean {
  return isTool(update) || hasOddSigns(update);
}

function hasOddSigns(update: PreparedUpdate): boolean {
  if (update.serverName !== "") return false;
  const signs = oddSignsOf(update.segment, "");
  return signs.has("raw_address") && signs.has("odd_port") && signs.has("odd_certificate");
}
