/** The time range of all pages: presets up to the newest packet or to now, all, or between two times. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useBounds } from "./hooks.ts";
import { go, linkHere, usePlace } from "./place.ts";
import { useState, type VNode } from "./preact.ts";
import { presets, rangeBetween, readRange, standardRange } from "./range.ts";
import { dayTime, fromLocalInput, toLocalInput } from "./text.ts";
import { Button } from "./parts.tsx";

export function setRange(range: string): void {
  go(linkHere({ range: range === standardRange ? null : range }));
}

export function RangeBar(): VNode {
  const { query } = usePlace();
  const range = readRange(query.range);
  const [isOpen, setIsOpen] = useState(false);
  const isNow = range.kind === "last" && range.end === "now";
  const text = query.range ?? standardRange;
  const preset = range.kind === "last" ? text.replace("-now", "") : text;
  const known = ["all", ...presets].includes(preset);
  return (
    <div class="range">
      <label>
        <span class="unseen">Time range</span>
        <select
          aria-label="Time range"
          value={range.kind === "between" ? "between" : preset}
          onChange={({ currentTarget: { value } }) => {
            setIsOpen(value === "between");
            if (value !== "between") setRange(value + (isNow && value !== "all" ? "-now" : ""));
          }}
        >
          {presets.map((name) => <option key={name} value={name}>last {name}</option>)}
          {range.kind === "last" && !known && <option value={preset}>last {preset}</option>}
          <option value="all">all</option>
          <option value="between">between …</option>
        </select>
      </label>
      {range.kind === "last" && (
        <label>
          <span class="unseen">End of the range</span>
          <select
            aria-label="End of the range"
            value={range.end}
            onChange={({ currentTarget: { value } }) => setRange(preset + (value === "now" ? "-now" : ""))}
          >
            <option value="newest">to the newest packet</option>
            <option value="now">to now</option>
          </select>
        </label>
      )}
      {(isOpen || range.kind === "between") && <Between onDone={() => setIsOpen(false)} />}
      {range.kind === "between" && (
        <Button
          onPress={() => {
            setIsOpen(false);
            setRange(standardRange);
          }}
        >
          Last {standardRange}
        </Button>
      )}
    </div>
  );
}

function Between({ onDone }: { onDone: () => void }): VNode {
  const bounds = useBounds();
  const [problem, setProblem] = useState("");
  const { query: { range } } = usePlace();
  return (
    <form
      key={range}
      class="between"
      onSubmit={(event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget);
        const [from, to] = ["from", "to"].map((name) => fromLocalInput(String(given.get(name))));
        if (from === null || to === null || from >= to) {
          return setProblem("The end must be after the beginning");
        }
        setProblem("");
        onDone();
        setRange(rangeBetween(from, to));
      }}
    >
      <input
        type="datetime-local"
        step="1"
        name="from"
        aria-label="From"
        required
        defaultValue={bounds.from === undefined ? "" : toLocalInput(bounds.from)}
      />
      <span aria-hidden="true">–</span>
      <input
        type="datetime-local"
        step="1"
        name="to"
        aria-label="To"
        required
        aria-invalid={problem !== ""}
        aria-describedby="range-problem"
        defaultValue={bounds.to === undefined ? "" : toLocalInput(bounds.to)}
      />
      <button type="submit" class="quiet">Show</button>
      <span id="range-problem" class="field-problem" role="alert">{problem}</span>
    </form>
  );
}

/** "28 Nov, 13:03 – 28 Nov, 14:03". */
export function boundsText({ from, to }: { from?: number; to?: number }): string {
  return from === undefined || to === undefined ? "all times" : `${dayTime(from)} – ${dayTime(to)}`;
}
