/** Obsolete TLS: a server still speaks a version of TLS that must not be used any more.
 *
 * In: TLS facts of flows whose handshake was answered. Out: one finding for each own server and port; for outside
 * servers one for each client.
 * Invariant: an offer is no agreement: only flows in which the server said something count. Never more than low: it is
 * a weakness, not an attack. Source: RFC 8996 (TLS 1.0 and 1.1), RFC 7568 (SSL 3.0), RFC 6176 (SSL 2.0). @module */

import { detector } from "../detector.ts";
import { field, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";

const obsolete = new Set(["SSL 2.0", "SSL 3.0", "TLS 1.0", "TLS 1.1"]);
const peersMax = 256;

export const obsoleteTls = detector({
  name: "obsolete_tls",
  technique: "T1040",
  title: "Obsolete TLS",
  about: "A server agrees to a version of TLS or SSL that must not be used any more.",
  needs: ["tls"],
  limits: {
    connectionsMin: {
      value: 3,
      unit: "connections",
      why: "one may be a scanner that asks for old versions on purpose",
    },
  },
  window: {
    quietS: { value: 86_400, unit: "s", why: "a server's settings change seldom" },
    ageS: { value: 7 * 86_400, unit: "s", why: "old clients come once a week" },
  },
  key({ begins, segment: { facts, dst_port, bwd_payload_bytes }, src, dst }) {
    const version = facts?.tls?.version;
    if (!begins || version === undefined || bwd_payload_bytes === 0 || !obsolete.has(version)) return null;
    return dst.isOwn ? `server|${dst.ip}|${dst_port}` : `client|${src.ip}`;
  },
  open: ({ segment: { dst_port }, src, dst }) => ({
    isServer: dst.isOwn,
    host: dst.isOwn ? dst.ip : src.ip,
    port: dst.isOwn ? dst_port : null,
    peers: new Distinct<string>(peersMax),
    versions: new Set<string>(),
    connections: 0,
  }),
  step(use, { segment: { facts }, src, dst }) {
    use.connections++;
    use.peers.add(use.isServer ? src.ip : dst.ip);
    use.versions.add(facts!.tls!.version!);
  },
  isThreat: ({ connections }, { connectionsMin }) => connections >= connectionsMin,
  finding(use) {
    const evidence = {
      connections: field("connections", use.connections),
      versions: field("versions agreed on", [...use.versions].sort().join(", ")),
      peers: field(use.isServer ? "clients" : "servers", use.peers.count),
    };
    return {
      src_ips: use.isServer ? use.peers : [use.host],
      dst_ips: use.isServer ? [use.host] : use.peers,
      dst_port: use.port,
      count: use.connections,
      summary: use.isServer
        ? `${use.host} (port ${use.port}) agreed to ${evidence.versions} in ${evidence.connections} connections of ${evidence.peers} client(s).`
        : `${use.host} used ${evidence.versions} in ${evidence.connections} connections to ${evidence.peers} outside server(s).`,
      reasons: [
        reason(
          "obsolete_version",
          25,
          `${evidence.versions} in ${evidence.connections} connections; RFC 8996 forbids both TLS 1.0 and 1.1`,
        ),
      ],
      evidence,
    };
  },
  meaning:
    "What travels over such a connection can be read or changed by somebody in between who takes the trouble.",
  action: (_evidence, { dst_port }) =>
    dst_port === null
      ? "Update the program on this host, or the servers it calls if they are yours."
      : "Switch off the old versions on this server; if old devices need them, keep those on a network of their own.",
  falseAlarm: "Scanners ask for old versions on purpose; the server agrees all the same.",
});
