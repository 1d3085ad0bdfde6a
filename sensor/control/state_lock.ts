/** One running sensor in a state folder: two would look like a cloned identity to the aggregator.
 *
 * In: the folder. Out: a lock that ends with the process, however it ends.
 * Why the folder itself: it is there, whoever owns it, on a disk that is full or that takes no writes. @module */

/** Takes the lock; null when another process holds it. */
export async function lockState(folder: string): Promise<{ release(): void } | null> {
  const file = await Deno.open(folder, { read: true });
  if (await file.tryLock(true)) return { release: () => file.close() };
  file.close();
  return null;
}
