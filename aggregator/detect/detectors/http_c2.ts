/** C2 over HTTP: a program that calls itself a browser posts to a bare address of the Internet,
 * at a path that looks computed.
 *
 * In: HTTP requests of flows. Out: one finding for each own host and server.
 * Invariant: pages have names, and browsers come to them by names; a device that reports to a bare address names a path
 * that means something, and does not call itself a browser.
 * Source: published analyses of Emotet, TrickBot and Dridex; ATT&CK T1071.001. @module */

import type { HttpFact } from "../../../shared/facts.ts";
import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { PreparedUpdate } from "../prepared.ts";
import { isBareAddress } from "../signs/address.ts";
import { stopHost } from "../signs/advice.ts";
import { isRandom } from "../signs/odd_service.ts";

const webPorts = new Set([80, 8080]);

export const httpC2 = detector({
  name: "http_c2",
  technique: "T1071.001",
  title: "Orders over HTTP",
  about: "A program that calls itself a browser posts to a bare address, at a path that looks computed.",
  needs: ["http"],
  limits: {
    postsMin: { value: 1, unit: "posts", why: "the first one tells the master who was infected" },
    severalMin: { value: 3, unit: "posts", why: "masters are asked again and again" },
  },
  window: {
    quietS: { value: 86_400, unit: "s", why: "malware calls at least once a day" },
    ageS: { value: 7 * 86_400, unit: "s", why: "the calls of a week are one story" },
  },
  keysMax: 5_000,
  items: postsOf,
  key: () => by.pair,
  open: ({ src, segment: { dst_ip, dst_port } }) => ({
    src,
    server: dst_ip,
    port: dst_port,
    posts: 0,
    path: "",
  }),
  step(calls, _update, _limits, { uri = "" }) {
    calls.posts++;
    calls.path ||= uri.slice(0, 120);
  },
  isThreat: ({ posts }, { postsMin }) => posts >= postsMin,
  finding({ src, server, port, posts, path }, { severalMin }) {
    const evidence = {
      posts: field("such posts", posts),
      path: hostile("path of the first", path),
    };
    const reasons = [reason(
      "computed_path",
      40,
      `${evidence.posts} post(s) to a bare address at a path without words, by a program that calls itself a browser`,
    )];
    if (!webPorts.has(port)) {
      reasons.push(reason("odd_port", 15, `hardly any page is served in the clear on port ${port}`));
    }
    if (posts >= severalMin) {
      reasons.push(reason("several", 10, `${evidence.posts} posts; ${severalMin} are the threshold`));
    }
    return {
      src_ips: [src.ip],
      dst_ips: [server],
      dst_port: port,
      count: posts,
      summary:
        `${src.ip} posted ${evidence.posts} time(s) to ${server} (port ${port}), which has no name, at a path that looks computed.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Malware reports what it found to its control server, and fetches commands, disguised as a browser.",
  action: (_evidence, { dst_ips }, { src }) =>
    `Find out which program on ${src.ip} sends this. If nobody can explain it, ${stopHost(src)}, and block ${
      dst_ips[0]
    }.`,
  falseAlarm: "A program of your own that reports to a server without a name; then you know the server.",
});

function postsOf({ src, dst, segment: { facts } }: PreparedUpdate): HttpFact[] {
  if (!src.isOwn || dst.isPrivate || facts?.http === undefined) return [];
  return facts.http.filter(({ method, host = "", uri = "", user_agent = "" }) => {
    if (method !== "POST" || !user_agent.startsWith("Mozilla/")) return false;
    if (host !== "" && !isBareAddress(host)) return false;
    const parts = uri.replace(/[?#].*$/, "").split("/").filter((part) => part !== "");
    return parts.length > 0 && parts.every((part) => isRandom(part));
  });
}
