/** Runs simulations from the command line.
 *
 * In: `--seed N` (that one) or `--seeds N` (1 to N; 1,000 without). Out: each seed that fails, with what differs and
 * how to run it again; last line `N seeds, N failed`; exit code 1 when one failed. @module */

import { simulate } from "./fleet.ts";
import { replayOf } from "./replay.ts";

const encoder = new TextEncoder();
const [name, value] = Deno.args;
const count = Number(value ?? 1_000);
if ((name !== undefined && name !== "--seed" && name !== "--seeds") || !(count >= 1)) {
  say(
    `Cannot simulate as arguments must be --seed N or --seeds N: current value is "${Deno.args.join(" ")}"`,
  );
  Deno.exit(2);
}
const seeds = name === "--seed" ? [count] : Array.from({ length: count }, (_, i) => i + 1);
let failed = 0, batches = 0, destroyed = 0;
const faults: Record<string, number> = {};
for (const seed of seeds) {
  const outcome = await simulate(seed);
  batches += outcome.batches;
  destroyed += outcome.destroyed;
  for (const [fault, times] of Object.entries(outcome.faults)) faults[fault] = (faults[fault] ?? 0) + times;
  if (name === "--seed") say(JSON.stringify(outcome, null, 1));
  if (outcome.differences.length === 0) continue;
  failed++;
  say(replayOf(outcome));
}
say(`${batches} batches, ${destroyed} destroyed by faults: ${JSON.stringify(faults)}`);
say(`${seeds.length} seeds, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);

function say(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}
