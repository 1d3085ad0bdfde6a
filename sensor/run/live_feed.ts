/** The loop of a live capture: packets as they come, time as it passes, flows left out when it is too much.
 *
 * In: a started source. Out: packets in the fast lane, whose clock goes on while none come; its sampling level.
 * Invariant: once `signal` aborts, what the source still has is read, for at most `stopTimeoutMs`.
 * Why the monotonic clock for silence: the wall clock may be set while the sensor runs, and that must end no flow.
 * @module */

import type { Edges } from "../../shared/command.ts";
import type { OverloadGuard } from "../prefilter/overload.ts";
import type { CaptureSource, FastLane } from "./stages.ts";

/** How often time passes for flows while no packet comes, and how long the loop waits for one. */
const tickMs = 25;
/** When nothing followed a chunk for this long, everything captured up to then has been delivered. */
const silenceMsMin = 5;
/** A tick later than this says that the program stood still, not that the network was silent. */
const passedMsMax = 200;
/** The kernel hands packets to dumpcap four times a second;
 * one that is told to end leaves there what it has not got yet. */
const deliveryMs = 300;
const stopTimeoutMs = 5_000;

/** Returns when the source has no more packets, or did not end in time. */
export async function feed(
  source: CaptureSource,
  fastLane: FastLane,
  guard: OverloadGuard,
  edges: Edges,
): Promise<void> {
  const { clock } = edges;
  const ended = new AbortController();
  // One timer for many chunks: there are thousands a second.
  const nextTick = () => clock.sleep(tickMs, ended.signal).then(() => null);
  const stopping = new Stopping(source, edges);
  let sinceMs = clock.monotonicMs();
  let stampUs = 0, lagMs = 0;
  let chunk = source.next(), tick = nextTick();
  try {
    while (!stopping.isOverdue()) {
      const isMore = await Promise.race([chunk, tick]);
      if (isMore === false) return;
      const nowMs = clock.monotonicMs();
      if (isMore) {
        // A chunk may bring the middle of a packet, or only the news that dumpcap runs again.
        if (fastLane.stampUs !== stampUs) guard.chunk(lagMs = clock.nowMs() - fastLane.stampUs / 1_000);
        stampUs = fastLane.stampUs;
        await fastLane.turn();
        sinceMs = clock.monotonicMs();
        // Asked for only now: what the parts before read belongs to the buffer of the last chunk.
        chunk = source.next();
      } else {
        tick = nextTick();
        if (nowMs - sinceMs < silenceMsMin) continue;
        await fastLane.advance(Math.min(passedMsMax, nowMs - sinceMs), lagMs);
        sinceMs = nowMs;
      }
      watch(source, fastLane, guard, edges);
      // Here and nowhere else: a sensor whose packets do not move is not alive, whatever its timers do.
      edges.supervisor?.alive();
    }
    edges.reporter.warn("capture did not end in time, packets on their way are left");
  } finally {
    ended.abort();
  }
}

/** Tells the source to stop once the program is told to, and when it has had its time. */
class Stopping {
  #sinceMs: number | null = null;
  #isTold = false;

  constructor(readonly source: CaptureSource, readonly edges: Edges) {}

  isOverdue(): boolean {
    const { clock, signal } = this.edges;
    if (!signal.aborted) return false;
    this.#sinceMs ??= clock.monotonicMs();
    const passedMs = clock.monotonicMs() - this.#sinceMs;
    if (!this.#isTold && passedMs >= deliveryMs) {
      this.#isTold = true;
      this.source.stop();
    }
    return passedMs > stopTimeoutMs;
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
    edges.reporter.error("overloaded, keeping fewer of the new flows", { one_in });
  } else {
    edges.reporter.count("sampling_steps_total", { direction: "down" });
    edges.reporter.info(level === 0 ? "keeps every flow again" : "keeps more of the new flows", { one_in });
  }
}
