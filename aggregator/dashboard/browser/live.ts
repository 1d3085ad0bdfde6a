/** Word of what was just stored: the lists on the page are then asked for again, within a second.
 *
 * Why the rows themselves are not used: a list has filters, an order and pages of its own,
 * and asking for it again gets them right.
 * Why it is opened again: a browser reconnects by itself after a broken connection, but never after an error status,
 * such as a proxy's while the aggregator restarts.
 * Bound: one stream a topic and page; whatever number of rows come, `act` is called once in {@link nudgeMs}. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useApp } from "./app.ts";
import { addressOf } from "./call.ts";
import { every, nowMs } from "./edges.ts";
import { useEffect, useRef } from "./preact.ts";

const nudgeMs = 1_000;
const reopenMs = 5_000;

/** Calls `act` after rows of `topic` were stored. */
export function useLive(topic: "flows" | "threats", isOn: boolean, act: () => void): void {
  const { session } = useApp();
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    if (!isOn || session === null) return;
    let isDue = false;
    let openedMs = 0;
    const open = () => {
      openedMs = nowMs();
      const source = new EventSource(addressOf("/live", { of: topic }));
      for (const name of ["flow", "threat", "missed"]) source.addEventListener(name, () => isDue = true);
      return source;
    };
    let source = open();
    const stop = every(nudgeMs, () => {
      if (source.readyState === EventSource.CLOSED && Math.abs(nowMs() - openedMs) >= reopenMs) {
        source = open();
      }
      if (!isDue) return;
      isDue = false;
      latest.current();
    });
    return () => {
      stop();
      source.close();
    };
  }, [isOn, topic, session === null]);
}
