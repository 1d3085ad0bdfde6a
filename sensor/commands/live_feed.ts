/** The loop of a live capture: packets as they come, time as it passes, flows left out when it is too much.
 *
 * In: a started source. Out: packets in the fast lane, whose clock goes on while none come; its sampling level.
 * Invariant: once `signal` aborts, what the source still has is read, for at most `stopTimeoutMs`.
 * Why the monotonic clock for silence: the wall clock may be set while the sensor runs, and that must end no flow. @module */

import type { Edges } from "../../shared/command.ts";
import type { OverloadGuard } from "../prefilter/overload.ts";
import type { CaptureSource, FastLane } from "./stages.ts";

/** How often time passes for flows while no packet comes, and how long the loop waits for one. */
const tickMs = 100;
/** A tick later than this says that the program stood still, not that the network was silent. */
const tickMsMax = 2 * tickMs;
const stopTimeoutMs = 5_000;

/** Returns when the source has no more packets, or did not end in time. */
export async function feed(
  source: CaptureSource,
  fastLane: FastLane,
  guard: OverloadGuard,
  edges: Edges,
): Promise<void> {
  const { clock, signal } = edges;
  let stoppedMs: number | null = null;
  let sinceMs = clock.monotonicMs();
  let stampUs = 0;
  let chunk = source.next();
  for (;;) {
    const given = new AbortController();
    const isMore = await Promise.race([chunk, clock.sleep(tickMs, given.signal).then(() => null)]);
    given.abort();
    if (isMore === false) return;
    if (isMore === null) await fastLane.advance(Math.min(tickMsMax, clock.monotonicMs() - sinceMs));
    else {
      // A chunk may bring the middle of a packet, or only the news that dumpcap runs again.
      if (fastLane.stampUs !== stampUs) guard.chunk(clock.nowMs() - fastLane.stampUs / 1_000);
      stampUs = fastLane.stampUs;
      await fastLane.turn();
    }
    sinceMs = clock.monotonicMs();
    watch(source, fastLane, guard, edges);
    // Asked for only now: what the parts before read belongs to the buffer of the last chunk.
    if (isMore) chunk = source.next();
    if (!signal.aborted) continue;
    if (stoppedMs === null) {
      stoppedMs = clock.monotonicMs();
      source.stop();
    } else if (clock.monotonicMs() - stoppedMs > stopTimeoutMs) {
      edges.reporter.warn("capture did not end in time, packets on their way are left");
      return;
    }
  }
}

/** Sets the sampling level that the load asks for. */
function watch(source: CaptureSource, fastLane: FastLane, guard: OverloadGuard, edges: Edges): void {
  const before = guard.level;
  const totals = { bytesRead: source.bytesRead, ...fastLane.flowCounts };
  const level = guard.judge(totals, edges.clock.monotonicMs());
  if (level === before) return;
  fastLane.sample(level);
  const one_in = 2 ** level;
  if (level > before) {
    edges.reporter.count("sampling_steps_total", { direction: "up" });
    edges.reporter.error("overloaded, keeps fewer of the new flows", { one_in });
  } else {
    edges.reporter.count("sampling_steps_total", { direction: "down" });
    edges.reporter.info(level === 0 ? "keeps every flow again" : "keeps more of the new flows", { one_in });
  }
}
