/** Web attack: a client sends strings to a web server that only make sense as an attack on the program behind it.
 *
 * In: HTTP requests of flows. Out: one finding for each client and server.
 * Invariant: the attempt is found, not its success: whether it worked stands in the server's log. Strings inside the
 * address of a page that somebody merely reads, without the grammar of an attack around them,
 * are none (signs/web_strings.ts). @module */

import type { HttpFact } from "../../../shared/facts.ts";
import { detector } from "../detector.ts";
import { capScore, field, hostile, reason } from "../finding.ts";
import { by } from "../keys.ts";
import {
  isSureAttack,
  scannerOf,
  type WebAttackKind,
  webAttackKinds,
  webAttacksInBody,
  webAttacksInHeader,
  webAttacksInTarget,
} from "../signs/web_strings.ts";

/** Kinds that no honest program ever sends, not even once. */
const grave: readonly WebAttackKind[] = [
  "JNDI look-up (Log4Shell)",
  "Shellshock",
  "command injection",
  "code injection",
  "OGNL expression (Struts, Confluence)",
  "Spring4Shell",
  "template injection (SSTI)",
  "XML external entity (XXE)",
];
const lowMax = 35;

export const webAttack = detector({
  name: "web_attack",
  technique: "T1190",
  title: "Web attack",
  about:
    "A client sends attack strings to a web server: SQL injection, path traversal, Log4Shell, and the like.",
  needs: ["http"],
  limits: {
    requestsMin: { value: 1, unit: "requests", why: "one such request is an attempt" },
    sureRequestsMin: {
      value: 3,
      unit: "requests",
      why: "a single quote before a comparison may be a search for such words; three are a trial of variants",
    },
    manyRequestsMin: { value: 20, unit: "requests", why: "nobody types so many variants: a tool is at work" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "people who attack by hand think between two requests" },
    ageS: { value: 86_400, unit: "s", why: "an attempt is one however old" },
  },
  items: ({ segment }) => (segment.facts?.http ?? []).filter(isAttack),
  key: () => by.pairPort,
  open: ({ segment: { src_ip, dst_ip, dst_port }, src, dst }) => ({
    client: src_ip,
    server: dst_ip,
    port: dst_port,
    isFromInside: src.isOwn,
    isToInside: dst.isOwn,
    requests: 0,
    sure: 0,
    kinds: new Map<WebAttackKind, number>(),
    example: "",
    host: "",
    tool: "",
  }),
  step(attack, _update, _limits, request) {
    attack.requests++;
    if (isSureAttack(request.uri) || isSureAttack(request.body)) attack.sure++;
    for (const kind of attacksOf(request)) attack.kinds.set(kind, (attack.kinds.get(kind) ?? 0) + 1);
    if (attack.example === "") attack.example = exampleOf(request).slice(0, 200);
    attack.host ||= request.host ?? "";
    attack.tool ||= scannerOf(request.user_agent);
  },
  isThreat: ({ requests }, { requestsMin }) => requests >= requestsMin,
  finding(attack, { sureRequestsMin, manyRequestsMin }) {
    const kinds = webAttackKinds.filter((kind) => attack.kinds.has(kind));
    const evidence = {
      requests: field("requests with attack strings", attack.requests),
      kinds: field("kinds", kinds.map((kind) => `${kind} (${attack.kinds.get(kind)})`).join(", ")),
      example: hostile("first such request", attack.example),
      host: hostile("host asked for", attack.host || "not named"),
      tool: field("tool that the client names", attack.tool || "none"),
      sure: field("of them beyond doubt", attack.sure),
    };
    const isSure = attack.requests >= sureRequestsMin || attack.sure > 0;
    const isGrave = kinds.some((kind) => grave.includes(kind));
    const reasons = [reason(
      "attack_strings",
      isGrave ? 60 : attack.requests >= sureRequestsMin ? 50 : isSure ? 45 : 35,
      isGrave
        ? `${evidence.requests} request(s) with ${evidence.kinds}: no honest program sends this even once`
        : attack.sure > 0
        ? `${evidence.requests} request(s) with ${evidence.kinds}, ${evidence.sure} of them with a string that no honest page needs`
        : `${evidence.requests} request(s) with ${evidence.kinds}; from ${sureRequestsMin} on it is a trial of variants`,
    )];
    if (kinds.length >= 2) {
      reasons.push(reason("several_kinds", 10, `${kinds.length} kinds of attack by one client`));
    }
    if (attack.requests >= manyRequestsMin) {
      reasons.push(
        reason(
          "many_requests",
          10,
          `${evidence.requests} requests; a person sends fewer than ${manyRequestsMin}`,
        ),
      );
    }
    if (attack.tool !== "") reasons.push(reason("tool", 10, `the client calls itself ${evidence.tool}`));
    else if (kinds.length === 1 && kinds[0] === "serialised object") {
      capScore(reasons, lowMax, "objects_alone", "some programs send objects to their own server this way");
    }
    return {
      title: kinds.length === 1 ? `Web attack: ${kinds[0]}` : "Web attack",
      src_ips: [attack.client],
      dst_ips: [attack.server],
      dst_port: attack.port,
      count: attack.requests,
      summary:
        `${attack.client} sent ${evidence.requests} web request(s) with attack strings to ${attack.server} (port ${attack.port}): ${
          kinds.join(", ")
        }.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Somebody tries whether the program behind this web server can be made to run commands, give out its database or its files. Whether it worked cannot be told from the request alone.",
  action: (_evidence, { src_ips, dst_ips }) =>
    `Look into the web server's log on ${
      dst_ips[0]
    } for these requests and what they were answered. If an answer holds data or the output of a command, treat the machine as taken over. ` +
    `Bring the program up to date and block ${src_ips[0]} meanwhile. If ${
      src_ips[0]
    } is a machine of yours, find out which program sends this.`,
  falseAlarm:
    "Vulnerability scanners and penetration testers send such requests on purpose; compare address and time with your planned tests.",
});

/** Of all parts of a request that a client writes. */
function attacksOf(request: HttpFact): WebAttackKind[] {
  const { uri, host, user_agent, referrer, header, body, content_type } = request;
  return [
    ...new Set([
      ...webAttacksInTarget(uri),
      ...webAttacksInBody(body, content_type),
      ...webAttacksInHeader(user_agent),
      ...webAttacksInHeader(host),
      ...webAttacksInHeader(content_type),
      ...webAttacksInHeader(header),
      ...webAttacksInReferrer(referrer),
    ]),
  ];
}

/** A referrer repeats the target of the page before; only what never stands in one counts. */
function webAttacksInReferrer(referrer: string | undefined): WebAttackKind[] {
  return webAttacksInHeader(referrer).filter((kind) => kind !== "SQL injection");
}

function isAttack(request: HttpFact): boolean {
  return request.method !== undefined && attacksOf(request).length > 0;
}

/** The part that shows it: the target, the body, or the header field. */
function exampleOf(request: HttpFact): string {
  const { method, uri, user_agent, host, referrer, header, body, content_type } = request;
  if (webAttacksInTarget(uri).length > 0) return `${method} ${uri}`;
  if (webAttacksInBody(body, content_type).length > 0) return `${method} ${uri} with ${body}`;
  if (webAttacksInReferrer(referrer).length > 0) return `Referer: ${referrer}`;
  if (webAttacksInHeader(content_type).length > 0) return `Content-Type: ${content_type}`;
  if (header !== undefined && webAttacksInHeader(header).length > 0) return header;
  return webAttacksInHeader(user_agent).length > 0 ? `User-Agent: ${user_agent}` : `Host: ${host}`;
}
