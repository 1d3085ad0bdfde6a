/** One running sensor in a state folder: two would look like a cloned identity to the aggregator.
 *
 * In: the folder. Out: a lock that ends with the process, however it ends.
 * Why the folder itself: it is there, whoever owns it, on a disk that is full or that takes no writes. @module */

import type { Clock } from "../../shared/clock.ts";

const waitMs = 300;

/** Takes the lock; null when another process holds it. */
export async function lockState(folder: string, clock: Clock): Promise<{ release(): void } | null> {
  const file = await Deno.open(folder, { read: true });
  // A lock that is held elsewhere is waited for without end, as not every runtime that we support can only try; nobody
  // minds the waiting thread, as the program gives up.
  const taken = file.lock(true).then(() => true);
  const given = new AbortController();
  const isOurs = await Promise.race([taken, clock.sleep(waitMs, given.signal).then(() => false)]);
  given.abort();
  if (isOurs) return { release: () => file.close() };
  void taken.finally(() => file.close());
  return null;
}
