/** Word of what was just stored, where the aggregator sends it:
 * the lists on the page are then asked for again, within a second.
 *
 * Why the rows themselves are not used: a list has filters, an order and pages of its own,
 * and asking for it again gets them right.
 * Bound: one stream a topic and page; whatever number of rows come, `act` is called once in {@link nudgeMs}. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useApp } from "./app.ts";
import { addressOf } from "./call.ts";
import { every } from "./edges.ts";
import { useEffect, useRef } from "./preact.ts";

const nudgeMs = 1_000;

/** Calls `act` after rows of `topic` were stored; without such word, once a second when `isPolled`. */
export function useLive(topic: "flows" | "threats", isOn: boolean, isPolled: boolean, act: () => void): void {
  const { offer, session } = useApp();
  const isOffered = offer.has("GET /api/v1/live");
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    if (!isOn || session === null || (!isOffered && !isPolled)) return;
    let isDue = !isOffered;
    const stop = every(nudgeMs, () => {
      if (!isDue) return;
      isDue = !isOffered;
      latest.current();
    });
    if (!isOffered) return stop;
    const source = new EventSource(addressOf("/live", { of: topic }));
    const note = () => {
      isDue = true;
    };
    for (const name of ["flow", "threat", "missed"]) source.addEventListener(name, note);
    return () => {
      stop();
      source.close();
    };
  }, [isOn, isOffered, isPolled, topic, session === null]);
}
