/** What a failed simulation says: its seed, what is wrong, and the command that runs it again. @module */

import type { Outcome } from "./fleet.ts";

export function replayOf({ seed, way, differences }: Outcome): string {
  return `seed ${seed} (${way}): ${differences.join("; ")}\n  deno run -A test/sim/run.ts --seed ${seed}`;
}
