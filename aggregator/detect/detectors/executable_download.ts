/** Executable download: a program or script is fetched over plain HTTP from a place, or under a name,
 * that honest software does not use.
 *
 * In: HTTP requests and responses of flows. Out: one finding for each client and server.
 * Invariant: a program from a named host whose answer or address says that it is one is ordinary (updates come like
 * that) and is none.
 * Source: how droppers fetch their second stage: a bare address, a false type, names of IoT architectures (ATT&CK
 * T1105); how exploit kits serve theirs: a program, by its first octets, in answer to a page (T1189). @module */

import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { by } from "../keys.ts";
import { isBareAddress } from "../signs/address.ts";
import type { PreparedUpdate } from "../prepared.ts";

interface Download {
  uri: string;
  host: string;
  kind: string;
  isBareAddress: boolean;
  isFalseType: boolean;
  isOddAgent: boolean;
  /** A page's address was asked for, and a program came. */
  isPage: boolean;
}

/** Kinds of program in the words of dissect/plain/http_body.ts. */
const programMagic = new Set(["exe", "elf", "class", "macho", "dex"]);
const pageName = /(?:\/|\.(?:php\d?|aspx?|jspx?|cgi|do|html?))$/i;
const programType =
  /^(?:application\/(?:x-(?:msdownload|dosexec|msdos-program|executable|elf|sharedlib|sh|csh|msi|java-archive)|vnd\.microsoft\.portable-executable|java-(?:archive|vm)|hta)|text\/x-(?:sh|shellscript|powershell))/i;
const programName =
  /\.(?:exe|dll|scr|com|pif|msi|hta|ps1|vbs|vbe|wsf|bat|cmd|jar|class|elf|sh|bin|apk|jse)$/i;
/** "mirai.arm7", "bins/x.mips": one file for each architecture is how worms of small devices come. */
const deviceBinary =
  /[\/._-](?:mips(?:el)?|mpsl|arm[4-7]?l?|armv[4-7]l|x86(?:_64)?|i[3-6]86|ppc|powerpc|sh4|m68k|spc|sparc|arc)$/i;
const harmlessName = /\.(?:jpe?g|png|gif|bmp|ico|txt|css|mp3|mp4|pdf|docx?|xlsx?|htm|html|dat|tmp)$/i;
/** Programs that fetch for scripts; browsers and updaters name themselves otherwise. */
const scriptAgent =
  /^(?:wget|curl|powershell|.*windowspowershell|certutil|microsoft bits|python|perl|libwww|winhttp)/i;

export const executableDownload = detector({
  name: "executable_download",
  technique: "T1105",
  title: "Executable download",
  about:
    "A program or script is fetched over plain HTTP from a bare address, under a false type, or in answer to a page.",
  needs: ["http"],
  limits: {
    downloadsMin: { value: 1, unit: "downloads", why: "one is enough to be infected" },
    severalMin: { value: 3, unit: "downloads", why: "worms fetch one file for each architecture" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "a second stage follows the first within minutes" },
    ageS: { value: 86_400, unit: "s", why: "downloads of a day belong together" },
  },
  items: downloadsOf,
  key: () => by.pairPort,
  open: ({ segment: { src_ip, dst_ip, dst_port }, dst }) => ({
    client: src_ip,
    server: dst_ip,
    port: dst_port,
    isInside: dst.isOwn,
    downloads: 0,
    bare: 0,
    falseType: 0,
    scripted: 0,
    pages: 0,
    kinds: new Set<string>(),
    example: "",
  }),
  step(fetch, _update, _limits, { uri, host, kind, isBareAddress, isFalseType, isOddAgent, isPage }) {
    fetch.downloads++;
    if (isBareAddress) fetch.bare++;
    if (isFalseType) fetch.falseType++;
    if (isOddAgent) fetch.scripted++;
    if (isPage) fetch.pages++;
    if (fetch.kinds.size < 16) fetch.kinds.add(kind);
    fetch.example ||= `http://${host}${uri}`.slice(0, 200);
  },
  isThreat: ({ downloads }, { downloadsMin }) => downloads >= downloadsMin,
  finding(fetch, { severalMin }) {
    const evidence = {
      downloads: field("downloads", fetch.downloads),
      kinds: field("what", [...fetch.kinds].join(", ")),
      bare: field("from a bare address", fetch.bare),
      falseType: field("under a false type", fetch.falseType),
      pages: field("in answer to a page", fetch.pages),
      scripted: field("by a script's own client", fetch.scripted),
      example: hostile("first one", fetch.example),
    };
    const reasons = [];
    if (fetch.bare > 0) {
      reasons.push(
        reason(
          "bare_address",
          35,
          `${evidence.bare} download(s) from a bare address; software is published under a name`,
        ),
      );
    }
    if (fetch.falseType > 0) {
      reasons.push(
        reason(
          "false_type",
          45,
          `${evidence.falseType} download(s) whose answer called a program something else`,
        ),
      );
    }
    if (fetch.pages > 0) {
      reasons.push(
        reason(
          "page",
          40,
          `${evidence.pages} program(s) came in answer to a page's address, as exploit kits serve them`,
        ),
      );
    }
    if (fetch.scripted > 0) {
      reasons.push(
        reason(
          "script_client",
          10,
          `${evidence.scripted} download(s) by a program that scripts use, not by a browser`,
        ),
      );
    }
    if (fetch.downloads >= severalMin) {
      reasons.push(reason("several", 10, `${evidence.downloads} downloads; ${severalMin} are the threshold`));
    }
    if (fetch.isInside) reasons.push(reason("inside", -15, "the server is on your own network"));
    return {
      src_ips: [fetch.client],
      dst_ips: [fetch.server],
      dst_port: fetch.port,
      count: fetch.downloads,
      summary:
        `${fetch.client} fetched ${evidence.downloads} program(s) or script(s) from ${fetch.server} (port ${fetch.port}) over plain HTTP: ${evidence.kinds}.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Malware fetches its further parts like this: from an address that will be gone tomorrow, often dressed up as a picture or text.",
  action: (_evidence, { src_ips, dst_ips }) =>
    `Do not run the file. Find out which program on ${
      src_ips[0]
    } fetched it; if nobody did so on purpose, isolate ${
      src_ips[0]
    }, keep the file for examination, and block ${dst_ips[0]}.`,
  falseAlarm: "Devices and labs fetch their software from a server without a name; then you know the server.",
});

function downloadsOf({ segment: { facts }, dst }: PreparedUpdate): Download[] {
  const downloads: Download[] = [];
  const http = facts?.http ?? [];
  for (const [i, request] of http.entries()) {
    // Tools that fetch their agents post what machine it is for.
    if (request.method !== "GET" && request.method !== "POST") continue;
    // The answer stands behind its request; pipelined ones are in the same order.
    const response = http.slice(i + 1).find(({ status }) => status !== undefined);
    if (response === undefined || response.status !== 200) continue;
    const { uri = "", host = dst.ip, user_agent = "" } = request;
    const path = uri.replace(/[?#].*$/, "");
    const type = response.content_type ?? "", magic = response.magic ?? "";
    const isNamed = programName.test(path) || deviceBinary.test(path);
    const isTyped = programType.test(type) || programMagic.has(magic);
    const isBare = isBareAddress(host);
    const isFalseType = (isTyped && harmlessName.test(path)) ||
      (isNamed && /^(?:image|audio|video)\//i.test(type)) ||
      (programMagic.has(magic) && /^(?:image|audio|video|text)\//i.test(type));
    const isPage = isTyped && pageName.test(path);
    if (!(isNamed || isTyped) || !(isBare || isFalseType || isPage)) continue;
    downloads.push({
      uri: path,
      host,
      kind: deviceBinary.test(path)
        ? "a program for small devices"
        : programMagic.has(magic)
        ? `a program (${magic})`
        : isTyped
        ? type.split(";")[0].slice(0, 60)
        : path.slice(path.lastIndexOf(".")),
      isBareAddress: isBare,
      isFalseType,
      isPage,
      isOddAgent: user_agent === "" || scriptAgent.test(user_agent),
    });
  }
  return downloads;
}
