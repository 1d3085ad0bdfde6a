/** `GET /api/v1/live`: flows and threats as this aggregator stores them, as server-sent events.
 *
 * In: topic, filter, the id of the last event seen.
 * Out: a stream that ends with its session, its key or the aggregator.
 * Invariant: a stream nobody reads takes no place:
 * it joins the feed when it is first read, and leaves when it is cancelled. @module */

import { z } from "../../../shared/schema.ts";
import { meets } from "../../filter/evaluate.ts";
import { flowTable } from "../../filter/flow_table.ts";
import { threatTable } from "../../filter/threat_table.ts";
import type { Flow } from "../../model/flow.ts";
import type { Threat } from "../../model/threat.ts";
import type { Capabilities } from "../capabilities.ts";
import { filterQuery, readFilter } from "../filter/filter.ts";
import { flowWithPlaces } from "../places.ts";
import { type Call, resource } from "../route.ts";
import { withStamps } from "../stamps.ts";
import { presentInList } from "../threats/threats.ts";
import { type LiveFeed, type Topic, topics } from "./feed.ts";
import { Watcher } from "./watcher.ts";

export const eventStream = "text/event-stream";

export const live = resource({
  summary:
    "Flows or threats as this aggregator stores or changes them: server-sent events, resumed after Last-Event-ID",
  query: z.strictObject({ of: z.enum(topics).describe("What to watch"), ...filterQuery }),
  answerTypes: [eventStream],
  errors: ["busy"],
  needs: ["live", "directory", "places", "keys", "sessions", "clock", "reporter"],
  async handle(call, has) {
    const { of: topic, filter } = call.query;
    has.live.checkRoom(call.caller!.keyHash);
    const accepts = filter === undefined ? () => true : await acceptsOf(topic, filter, call.nowMs, has);
    const { clock, reporter } = has;
    const watcher = new Watcher({
      topic,
      keyHash: call.caller!.keyHash,
      accepts: (row) => !("suppressed_by" in row && row.suppressed_by !== null) && accepts(row),
      present: (row) =>
        withStamps(
          topic === "flows"
            ? flowWithPlaces(row as Flow, has.places)
            : presentInList(row as Threat, has.places),
        ),
      isAllowed: () => isAllowed(call, has),
      clock,
      reporter,
    });
    return {
      stream: {
        body: streamOf(watcher, has.live, call.header("last-event-id")),
        type: eventStream,
      },
      // Proxies neither hold it back nor pack it.
      headers: { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" },
    };
  },
});

async function acceptsOf(
  topic: Topic,
  text: string,
  nowMs: number,
  has: Pick<Capabilities, "directory" | "places">,
): Promise<(row: Flow | Threat) => boolean> {
  if (topic === "flows") {
    const filter = await readFilter(text, flowTable, nowMs, has);
    return (row) => meets(filter, flowTable, row as Flow, has.places);
  }
  const filter = await readFilter(text, threatTable, nowMs, has);
  return (row) => meets(filter, threatTable, row as Threat, has.places);
}

/** Asked without using the session: watching keeps nobody logged in. */
async function isAllowed(
  { caller, session }: Call,
  { keys, sessions, clock }: Pick<Capabilities, "keys" | "sessions" | "clock">,
): Promise<boolean> {
  const nowMs = clock.nowMs();
  if (caller!.by === "session" && !sessions.isOpen(session, nowMs)) return false;
  // A database that does not answer cannot vouch for a key either; who watches comes again.
  return await keys.findHash(caller!.keyHash, nowMs).then((row) => row !== null, () => false);
}

function streamOf(
  watcher: Watcher,
  feed: LiveFeed,
  lastSeen: string | undefined,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  let hasJoined = false;
  return new ReadableStream({
    async pull(controller) {
      if (!hasJoined) {
        hasJoined = true;
        try {
          feed.join(watcher, lastSeen);
        } catch {
          watcher.end("busy");
        }
        return controller.enqueue(encoder.encode("retry: 2000\n\n"));
      }
      const text = await watcher.next();
      if (text !== null) return controller.enqueue(encoder.encode(text));
      feed.leave(watcher);
      controller.close();
    },
    cancel() {
      feed.leave(watcher);
      watcher.end("stopped");
    },
  }, { highWaterMark: 0 });
}
