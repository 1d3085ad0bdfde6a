/** Web scan: a client tries many pages of a web server that are not there, or names itself as a scanner.
 *
 * In: HTTP requests and responses of flows. Out: one finding for each client and server.
 * Invariant: a crawler that follows links gets few refusals and is none; a page with many dead pictures asks for each
 * once from a browser that also gets what it asks for. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, hostile, reason } from "../finding.ts";
import { by } from "../keys.ts";
import { Distinct } from "../signs/distinct.ts";
import { probedPlace, scannerOf } from "../signs/web_strings.ts";

const pathsMax = 4_096;

export const webScan = detector({
  name: "web_scan",
  technique: "T1595.003",
  title: "Web scan",
  about: "A client tries many pages that are not there, known weak places, or names itself as a scanner.",
  needs: ["http"],
  limits: {
    pathsMin: {
      value: 30,
      unit: "paths",
      why: "visitors of a page ask for a few dead links, tools for a whole list",
    },
    refusedShareMin: {
      value: 0.6,
      unit: "share",
      why: "answers of status 400 to 499 or 501; of a site's own links few are dead",
    },
    probedPathsMin: {
      value: 4,
      unit: "paths",
      why: "nobody but a scanner asks for several of these on one server",
    },
    pathsPerMinuteMin: { value: 10, unit: "paths/min", why: "tools are faster than readers" },
  },
  window: {
    quietS: { value: 600, unit: "s", why: "tools do not pause that long" },
    ageS: { value: 3_600, unit: "s", why: "dead links of a day do not add up" },
  },
  items: ({ segment }) => segment.facts?.http ?? [],
  key: () => by.pairPort,
  opens: (_update, _limits, { method, uri, user_agent, status }) =>
    (status !== undefined && status >= 400) ||
    (method !== undefined && (probedPlace(uri) !== "" || scannerOf(user_agent) !== "")),
  open: ({ segment: { src_ip, dst_ip, dst_port } }) => ({
    client: src_ip,
    server: dst_ip,
    port: dst_port,
    requests: 0,
    answers: 0,
    refused: 0,
    paths: new Distinct<string>(pathsMax),
    probed: new Distinct<string>(pathsMax),
    tool: "",
    example: "",
  }),
  step(scan, _update, _limits, { method, uri = "", user_agent, status }) {
    if (status !== undefined) {
      scan.answers++;
      if ((status >= 400 && status < 500) || status === 501) scan.refused++;
    }
    if (method === undefined) return;
    scan.requests++;
    scan.tool ||= scannerOf(user_agent);
    const path = uri.replace(/\?.*$/, "").slice(0, 120);
    scan.paths.add(path);
    const place = probedPlace(uri);
    if (place !== "" && scan.probed.add(place)) scan.example ||= path;
  },
  isThreat(scan, limits, { firstS, lastS }) {
    if (scan.tool !== "" || scan.probed.size >= limits.probedPathsMin) return true;
    const minutes = Math.max(1, (lastS - firstS) / 60);
    return scan.paths.size >= limits.pathsMin && scan.refused >= limits.refusedShareMin * scan.answers &&
      scan.answers >= limits.pathsMin && scan.paths.size >= limits.pathsPerMinuteMin * minutes;
  },
  finding(scan, { pathsMin, probedPathsMin }) {
    const evidence = {
      paths: field("different paths tried", scan.paths.count),
      refused: field("answers that refused", `${scan.refused} of ${scan.answers}`),
      probed: field("known weak places tried", scan.probed.count),
      tool: field("tool that the client names", scan.tool || "none"),
      example: hostile("first of them", scan.example || "none"),
      requests: field("requests", scan.requests),
    };
    const reasons = [];
    if (scan.tool !== "") reasons.push(reason("tool", 40, `the client calls itself ${evidence.tool}`));
    if (scan.probed.size >= probedPathsMin) {
      reasons.push(reason(
        "weak_places",
        growingPoints(scan.probed.size, probedPathsMin, { base: 40, perTenfold: 15, max: 55 }),
        `${evidence.probed} places were tried that only scanners ask for; ${probedPathsMin} are enough`,
      ));
    }
    if (scan.paths.size >= pathsMin) {
      reasons.push(reason(
        "many_paths",
        growingPoints(scan.paths.size, pathsMin, {
          base: scan.tool === "" ? 40 : 15,
          perTenfold: 12,
          max: 60,
        }),
        `${evidence.paths} different paths were tried and ${evidence.refused} answers refused; ${pathsMin} paths are the threshold`,
      ));
    }
    return {
      src_ips: [scan.client],
      dst_ips: [scan.server],
      dst_port: scan.port,
      count: scan.requests,
      summary:
        `${scan.client} tried ${evidence.paths} different paths of the web server ${scan.server} (port ${scan.port})${
          scan.tool === "" ? "" : ` with ${scan.tool}`
        }; ${evidence.refused} answers refused it.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "A program looks for forgotten pages, backups and known weak programs on this web server, to attack what it finds.",
  action: (_evidence, { src_ips, dst_ips }) =>
    `Look into the log of ${dst_ips[0]} for what ${
      src_ips[0]
    } got an answer to (status 200): those places are known to the attacker now. Take away what does not have to be there, and block ${
      src_ips[0]
    }.`,
  falseAlarm:
    "Your own vulnerability scanner, a link checker or a search engine; then the source is known to you or has a name.",
});
