/** What a test needs to capture on a wire of its own. @module */

import { run } from "./world.ts";

/** Why a test cannot have a wire here; null = it can. */
export async function missingForWire(): Promise<string | null> {
  for (const tool of ["ip", "tcpreplay", "dumpcap"]) {
    const found = await run(["sh", "-c", `command -v ${tool}`]);
    if (found.code !== 0) return `"${tool}" is not installed`;
  }
  const name = `picket-probe-${crypto.randomUUID().slice(0, 6)}`;
  const made = await run(["ip", "netns", "add", name]);
  if (made.code !== 0) return `cannot make a network namespace: ${made.stderr.trim()}`;
  await run(["ip", "netns", "delete", name]);
  return null;
}
