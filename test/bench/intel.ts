/** How fast intelligence lists are read and looked up.
 *
 *     deno run -A test/bench/intel.ts [--entries 1500000]
 *
 * Out: seconds to read lists of that many entries from files,
 * look-ups a second for addresses and names (half of them on a list), memory.
 * Aim: >= 1,000,000 look-ups a second over 1,500,000 entries. @module */

import { IntelLists } from "../../aggregator/intel/lists.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";

const entries = Number(Deno.args[Deno.args.indexOf("--entries") + 1]) || 1_500_000;
const lookups = 1_000_000;
const folder = await Deno.makeTempDir({ prefix: "picket-bench-intel-" });
const octets = (i: number) => [11 + (i >>> 18) % 100, (i >>> 10) & 255, (i >>> 2) & 255, (i & 3) * 64 + 1];
const nameOf = (i: number) => `host${i}.evil${i % 977}.example`;
try {
  const half = Math.floor(entries / 2);
  await writeList("ips.txt", half, (i) => octets(i).join("."));
  await writeList("names.txt", half, nameOf);
  await Deno.writeTextFile(`${folder}/nets.txt`, "198.51.100.0/24\n203.0.112.0/20\n2a00:1::/32\n");
  const reporter = createReporter({ component: "bench", clock: systemClock, write: () => {} });
  const lists = new IntelLists({ folder }, {
    clock: systemClock,
    reporter,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  });
  const before = Deno.memoryUsage().rss;
  const loadS = timed(await measure(() => lists.refresh()));
  const size = lists.states.reduce((sum, { entries }) => sum + entries, 0);
  say(
    `read          ${size} entries in ${loadS} s, ${mega(Deno.memoryUsage().rss - before)} MB more`,
  );
  const addresses = Array.from({ length: 4_096 }, (_, i) => new Uint8Array(octets(i * 2 * half / 4_096 | 0)));
  rate("addresses", lookups, (i) => lists.findAddress(addresses[i & 4_095]) !== null);
  const names = Array.from({ length: 4_096 }, (_, i) => `www.${nameOf(i * 2 * half / 4_096 | 0)}`);
  rate("names", lookups, (i) => lists.findDomain(names[i & 4_095]) !== null);
} finally {
  await Deno.remove(folder, { recursive: true });
}

function rate(what: string, times: number, look: (i: number) => boolean): void {
  let found = 0;
  for (let i = 0; i < 100_000; i++) look(i);
  const startMs = performance.now();
  for (let i = 0; i < times; i++) if (look(i)) found++;
  const seconds = (performance.now() - startMs) / 1_000;
  say(
    `${what.padEnd(12)}  ${Math.round(times / seconds / 1_000)} k look-ups/s, ${
      found / times * 100 | 0
    } % found`,
  );
}

async function writeList(name: string, count: number, lineOf: (i: number) => string): Promise<void> {
  const parts: string[] = [];
  for (let i = 0; i < count; i++) parts.push(lineOf(i));
  await Deno.writeTextFile(`${folder}/${name}`, parts.join("\n"));
}

async function measure(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

function timed(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

function mega(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
