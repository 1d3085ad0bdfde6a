/** Findings over the captures of others, compared with the table that was reviewed last: a change of a detector shows
 * here. Attackers and victims are those of the labels, ordinary traffic is quiet,
 * and every sentence is true of the evidence beside it.
 *
 * Use: `deno test -A test/quality/golden_test.ts -- --write` writes the table anew;
 * read its difference before you commit it. @module */

import { assert, assertEquals } from "@std/assert";
import type { AnalyzedThreat } from "../../aggregator/analyze.ts";
import { severities } from "../../aggregator/model/threat.ts";
import { analysisOf, labelledCaptures, overCaptures, threatRows } from "./captures.ts";

const table = new URL("golden.tsv", import.meta.url);

Deno.test("findings over labelled captures are those of the golden table", overCaptures, async () => {
  const rows = ["file\tdetector\tattacker\tvictim\tport\tseverity\tcount"];
  for (const capture of await labelledCaptures()) {
    for (const row of threatRows(await analysisOf(capture))) rows.push(`${capture.file}\t${row}`);
  }
  if (Deno.args.includes("--write")) return await Deno.writeTextFile(table, rows.join("\n") + "\n");
  assertEquals(rows, (await Deno.readTextFile(table)).trimEnd().split("\n"));
});

/** Detector, attacker, victim, port; null = many or none. */
const attacks: Record<string, [string, string | null, string | null, number | null]> = {
  "attack-portscan-syn.pcap": ["port_scan_vertical", "172.16.0.8", "64.13.134.52", null],
  "attack-portscan-lan.pcapng": ["port_scan_vertical", "192.168.1.205", "192.168.1.195", null],
  "attack-arp-spoof.pcapng": ["arp_spoofing", "172.16.0.105", null, null],
  "attack-ics-file-move.pcap": ["lateral_movement", "192.168.1.101", null, null],
  "attack-ssh-bruteforce.pcap": ["password_guessing", "147.32.80.40", "147.32.80.37", 902],
  "attack-ftp-bruteforce.pcap": ["password_guessing", "10.234.125.254", "10.121.70.151", 21],
  "attack-synflood-spoofed.pcap": ["syn_flood", null, "10.10.10.10", 25_565],
  "attack-dns-tunnel-iodine.pcap": ["dns_tunnel", "10.0.2.30", "10.0.2.20", 53],
  "attack-dns-tunnel-dns2tcp.pcapng": ["dns_tunnel", "192.168.68.114", "198.46.158.57", 53],
  "attack-arp-scan.pcap": ["host_sweep", "192.168.1.247", null, null],
  "attack-icmp-tunnel.pcap": ["icmp_tunnel", "192.168.5.208", "192.168.5.217", null],
  "attack-dns-amplification-frag.pcap": ["amplification", null, "10.10.10.10", null],
  "attack-dga-tinba.pcap": ["nxdomain_burst", "10.0.2.108", null, 53],
  "attack-beacon-2s.pcap": ["beacon", "147.32.80.37", "141.193.213.21", 443],
};

Deno.test("each labelled attack is found with attacker and victim", overCaptures, async () => {
  for (const capture of await labelledCaptures()) {
    const wanted = attacks[capture.file];
    if (!wanted) continue;
    const { threats } = await analysisOf(capture);
    const found = threats.filter(({ severity }) => isAboveLow(severity)).map((threat) =>
      JSON.stringify([threat.detector, threat.src_ip ?? null, threat.dst_ip ?? null, threat.dst_port])
    );
    assert(found.includes(JSON.stringify(wanted)), `${capture.file}: ${found.join(" ")}`);
  }
});

/** By the kind of a label: the detectors that say the same. */
const detectorsOf: Record<string, string[]> = {
  "portscan-vertical": ["port_scan_vertical"],
  "arp-scan": ["host_sweep"],
  "arp-spoof": ["arp_spoofing"],
  "bruteforce-ssh": ["password_guessing"],
  "bruteforce-ftp": ["password_guessing"],
  "synflood": ["syn_flood"],
  "amplification-dns": ["amplification"],
  "dns-tunnel": ["dns_tunnel"],
  "icmp-tunnel": ["icmp_tunnel"],
  "beacon": ["beacon"],
  "dga-beacon": ["nxdomain_burst", "dga"],
  "web-sqli": ["web_attack"],
  "ics-lateral": ["lateral_movement"],
};

Deno.test(
  "the table of kinds: each is found above low, with the attacker and the victim of its label",
  overCaptures,
  async () => {
    const rows: string[] = [], wrong: string[] = [], kindsSeen = new Set<string>();
    for (const capture of await labelledCaptures()) {
      if (capture.kind === "normal" || capture.kind === "unjudged") continue;
      kindsSeen.add(capture.kind);
      const { threats } = await analysisOf(capture);
      const named = threats.filter(({ detector, severity }) =>
        isAboveLow(severity) && detectorsOf[capture.kind]?.includes(detector)
      );
      const right = named.find((threat) =>
        areThere(capture.attacker, threat.src_ips) && areThere(capture.victim, threat.dst_ips)
      );
      const verdict = right ? "found" : named.length > 0 ? "found, but wrong hosts" : "missed";
      const best = right ?? named[0];
      rows.push(
        [
          capture.kind.padEnd(18),
          verdict.padEnd(22),
          (best?.detector ?? "-").padEnd(20),
          best?.severity ?? "-",
          capture.file,
        ]
          .join("  "),
      );
      if (!right) wrong.push(`${capture.file}: ${verdict}`);
    }
    // deno-lint-ignore no-console -- the table is a result
    console.log(rows.sort().join("\n"));
    assertEquals(wrong, []);
    assertEquals([...kindsSeen].sort(), Object.keys(detectorsOf).sort());
  },
);

/** Whether the addresses that a label names are among those found;
 * a label that names none stands for many, a network for its hosts. */
function areThere(label: string, found: readonly string[]): boolean {
  const [network] = /\d+\.\d+\.\d+(?=\.0\/24)/.exec(label) ?? [];
  if (network !== undefined) return found.some((ip) => ip.startsWith(`${network}.`));
  const ips = label.match(/\d+\.\d+\.\d+\.\d+/g) ?? [];
  return ips.length === 0
    ? label === "" || label === "dns" || found.length > 10
    : ips.some((ip) => found.includes(ip));
}

Deno.test(
  "ordinary traffic raises nothing above low, and every packet is accounted for",
  overCaptures,
  async () => {
    const normal = (await labelledCaptures()).filter(({ kind }) => kind === "normal");
    assert(normal.length > 30);
    for (const labelled of normal) {
      const { threats, capture } = await analysisOf(labelled);
      const found = threats.filter(({ severity }) => isAboveLow(severity));
      assertEquals(found.map((threat) => [threat.detector, threat.explanation]), [], labelled.file);
      const leftOut = Object.values(capture.left_out).reduce((sum, packets) => sum + packets, 0);
      assertEquals(capture.packets, capture.in_flows + leftOut, labelled.file);
    }
  },
);

function isAboveLow(severity: string): boolean {
  return severities.indexOf(severity as "low") > severities.indexOf("low");
}

/** Numbers of a text, without those inside addresses and names, and without percentages. */
function numbersOf(text: string): string[] {
  const plain = text.replace(/[\w-]+(?:\.[\w-]+)+(?=\W|$)/g, (word) => /^\d+\.\d+$/.test(word) ? word : "")
    .replace(/\d+(?:\.\d+)? %/g, "");
  return [...plain.matchAll(/(?<![\w.])\d+(?:\.\d+)?(?![\w])/g)].map(([number]) => number);
}

function knownNumbers({ evidence, dst_port }: AnalyzedThreat): Set<string> {
  const known = new Set(evidence.flatMap(({ value }) => String(value).match(/\d+(?:\.\d+)?/g) ?? []));
  if (dst_port !== null) known.add(String(dst_port));
  for (const { name, value } of evidence) {
    // SSH: up to six guesses a session.
    if (name === "sessions that look like failed logins") known.add(String(6 * Number(value)));
  }
  return known;
}

Deno.test("the numbers of summaries and reasons are those of the evidence", overCaptures, async () => {
  let checked = 0;
  for (const capture of await labelledCaptures()) {
    for (const threat of (await analysisOf(capture)).threats) {
      const known = knownNumbers(threat);
      const where = `${capture.file}: ${threat.detector}`;
      const wrong = numbersOf(threat.words.summary).filter((number) => !known.has(number));
      assertEquals(wrong, [], `${where}: ${threat.words.summary}`);
      for (const { text, points } of threat.reasons) {
        const leading = /^(?:at least )?(\d+(?:\.\d+)?)(?! %)\b/.exec(text)?.[1];
        if (leading === undefined || points < 0) continue;
        assert(known.has(leading), `${where}: ${text}`);
        checked++;
      }
      const [before, against] = threat.explanation.split("Against it: ");
      for (const { text, points } of threat.reasons) {
        assert((points < 0 ? against ?? "" : before).includes(text), `${where}: ${text}`);
      }
    }
  }
  assert(checked > 20, `only ${checked} reasons begin with a number`);
});
