/** C2 over HTTP: a program posts to a bare address as a browser at a path that looks computed, or posts a disguised
 * description of its machine, again and again.
 *
 * In: HTTP requests of flows. Out: one finding for each own host and server.
 * Invariant: pages have names, and browsers come to them by names; a device that reports to a bare address names a path
 * that means something, does not call itself a browser, and sends its JSON as JSON.
 * Source: published analyses of Emotet, TrickBot and Dridex; Caldera's documentation of its contact over HTTP, as one
 * of many agents that post Base64 of JSON; ATT&CK T1071.001, T1132.001. @module */

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
  about:
    "A program posts to a bare address: as a browser at a computed path, or a disguised description of its machine.",
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
    computed: 0,
    descriptions: 0,
    path: "",
  }),
  step(calls, _update, _limits, { uri, isDescription }) {
    if (isDescription) calls.descriptions++;
    else calls.computed++;
    calls.path ||= uri.slice(0, 120);
  },
  isThreat: ({ computed, descriptions }, { postsMin, severalMin }) =>
    computed >= postsMin || descriptions >= severalMin,
  finding({ src, server, port, computed, descriptions, path }, { severalMin }) {
    const posts = computed + descriptions;
    const evidence = {
      posts: field("such posts", posts),
      descriptions: field("posts that describe a machine in Base64", descriptions),
      path: hostile("path of the first", path),
    };
    const reasons = [];
    if (computed > 0) {
      reasons.push(reason(
        "computed_path",
        40,
        `${computed} post(s) to a bare address at a path without words, by a program that calls itself a browser`,
      ));
    }
    if (descriptions > 0) {
      reasons.push(reason(
        "machine_described",
        40,
        `${evidence.descriptions} post(s) to a bare address describe a machine in JSON, disguised as Base64`,
      ));
    }
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
      summary: `${src.ip} posted ${evidence.posts} time(s) to ${server} (port ${port}), which has no name, ${
        computed > 0 ? "at a path that looks computed" : "what its machine is, in disguise"
      }.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Malware reports what it found to its control server, and fetches commands, in a disguise that passes for web traffic.",
  action: (_evidence, { dst_ips }, { src }) =>
    `Find out which program on ${src.ip} sends this. If nobody can explain it, ${stopHost(src)}, and block ${
      dst_ips[0]
    }.`,
  falseAlarm: "A program of your own that reports to a server without a name; then you know the server.",
});

interface Post {
  uri: string;
  isDescription: boolean;
}

function postsOf({ src, dst, segment: { facts } }: PreparedUpdate): Post[] {
  if (!src.isOwn || facts?.http === undefined) return [];
  const posts: Post[] = [];
  for (const { method, host = "", uri = "", user_agent = "", body = "" } of facts.http) {
    if (method !== "POST" || (host !== "" && !isBareAddress(host))) continue;
    const isDescription = describesMachine(body);
    // Inside, servers without a name are ordinary.
    const isComputed = !dst.isPrivate && user_agent.startsWith("Mozilla/") && isComputedPath(uri);
    if (isDescription || isComputed) posts.push({ uri, isDescription });
  }
  return posts;
}

function isComputedPath(uri: string): boolean {
  const parts = uri.replace(/[?#].*$/, "").split("/").filter((part) => part !== "");
  return parts.length > 0 && parts.every((part) => isRandom(part));
}

const machineKey =
  /"(?:arch(?:itecture)?|platform|os(?:_?version)?|host(?:name)?|computer_?name|user(?:name)?|domain|pid|ppid|exe_?name|executors|privilege|integrity|available_contacts|hwid|machine_?guid|(?:internal_)?ips?|av)"\s*:/gi;

/** Whether Base64 hides at least two of what agents tell of their machine first. */
function describesMachine(body: string): boolean {
  // "eyJ" is what an object's beginning becomes.
  if (!body.startsWith("eyJ") || !/^[A-Za-z0-9+\/]+={0,2}$/.test(body)) return false;
  const text = atob(body.slice(0, body.length & ~3));
  return (text.match(machineKey)?.length ?? 0) >= 2;
}
