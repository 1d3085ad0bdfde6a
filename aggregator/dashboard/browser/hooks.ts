/** How pages ask the API: one answer, or a list that grows page by page.
 *
 * Invariant: what is on the page stays until its successor is there; an answer to an older question is thrown away; a
 * list holds at most {@link rowsMax} rows, and says when there are more. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { ask, useApp } from "./app.ts";
import { addressOf, Problem, type Query } from "./call.ts";
import { useEffect, useRef, useState } from "./preact.ts";
import { type Bounds, boundsOf, readRange } from "./range.ts";
import { usePlace } from "./place.ts";

export interface Asked<Answer> {
  data: Answer | null;
  problem: Problem | null;
  /** The API has no such thing. */
  isMissing: boolean;
  /** The first answer is on its way. */
  isLoading: boolean;
  again: () => void;
}

/** `path` null = do not ask; `isLive` false = it does not change while the page is open. */
export function useApi<Answer>(path: string | null, query: Query = {}, isLive = true): Asked<Answer> {
  const { tick } = useApp();
  const [turn, setTurn] = useState(0);
  const address = path === null ? null : addressOf(path, query);
  const [answer, setAnswer] = useState<{ of: string | null; data: Answer | null; problem: Problem | null }>({
    of: null,
    data: null,
    problem: null,
  });
  const running = useRef<{ address: string; controller: AbortController } | null>(null);
  useEffect(() => {
    if (address === null || running.current?.address === address) return;
    running.current?.controller.abort();
    const mine = { address, controller: new AbortController() };
    running.current = mine;
    ask<Answer>("GET", address, undefined, mine.controller.signal).then(
      (data) => running.current === mine && setAnswer({ of: address, data, problem: null }),
      (error) => {
        if (mine.controller.signal.aborted) return;
        setAnswer((before) => ({ ...before, of: address, problem: asProblem(error) }));
      },
    ).finally(() => running.current === mine && (running.current = null));
  }, [address, isLive ? tick : 0, turn]);
  useEffect(() => () => running.current?.controller.abort(), []);
  return {
    data: answer.data,
    problem: answer.problem,
    isMissing: answer.problem?.status === 404,
    isLoading: address !== null && answer.data === null && answer.problem === null,
    again: () => setTurn((n) => n + 1),
  };
}

export const rowsMax = 1_000;

export interface List<Row> {
  rows: Row[] | null;
  problem: Problem | null;
  isMissing: boolean;
  hasMore: boolean;
  isFull: boolean;
  more: () => void;
  again: () => void;
  /** What the first page says beside its rows. */
  told: Readonly<Record<string, unknown>>;
}

interface Page<Row> {
  rows: Row[];
  next_cursor?: string;
}

interface Pages<Row> {
  /** The question they answer. */
  of: string | null;
  pages: Page<Row>[];
  problem: Problem | null;
}

/** A list whose first page follows what comes in;
 * once a person has asked for more, it stands still until the question changes. */
export function useList<Row>(path: string | null, query: Query, isLive = true): List<Row> {
  const { tick } = useApp();
  const { query: { range } } = usePlace();
  // The end of the range moves with the newest packet; that alone is no other question.
  const { to: _to, from: _from, ...rest } = query;
  const question = path === null ? null : `${addressOf(path, rest)} ${range ?? ""}`;
  const [list, setList] = useState<Pages<Row>>({ of: null, pages: [], problem: null });
  const running = useRef<AbortController | null>(null);
  const isOther = list.of !== question;

  function read(cursor?: string): void {
    if (path === null) return;
    running.current?.abort();
    const mine = running.current = new AbortController();
    ask<Page<Row>>("GET", addressOf(path, { ...query, cursor }), undefined, mine.signal).then(
      (page) =>
        setList(({ pages }) => ({
          of: question,
          pages: cursor === undefined ? [page] : [...pages, page],
          problem: null,
        })),
      (error) => {
        if (mine.signal.aborted) return;
        setList(({ of, pages }) => ({
          of: question,
          pages: of === question ? pages : [],
          problem: asProblem(error),
        }));
      },
    ).finally(() => running.current === mine && (running.current = null));
  }

  useEffect(() => {
    if (question !== null && (isOther || isLive && list.pages.length <= 1 && !running.current)) read();
  }, [question, tick]);
  useEffect(() => () => running.current?.abort(), []);

  const rows = list.pages.flatMap((page) => page.rows);
  const next = list.pages.at(-1)?.next_cursor;
  return {
    rows: list.of === null ? null : rows,
    problem: list.problem,
    isMissing: list.problem?.status === 404,
    hasMore: next !== undefined && rows.length < rowsMax,
    isFull: next !== undefined && rows.length >= rowsMax,
    more: () => next !== undefined && read(next),
    again: () => read(),
    told: { ...list.pages[0] },
  };
}

function asProblem(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, (error as Error).message);
}

/** The time range in the address, as the API wants it. */
export function useBounds(): Bounds {
  const { totals, asOfMs } = useApp();
  const { query } = usePlace();
  return boundsOf(readRange(query.range), totals?.last ?? null, Math.floor((asOfMs ?? 0) / 1000));
}

/** Runs an action of a person and keeps what went wrong. */
export function useAction(): {
  problem: Problem | null;
  isBusy: boolean;
  run: (act: () => Promise<unknown>) => void;
} {
  const [state, setState] = useState<{ problem: Problem | null; isBusy: boolean }>({
    problem: null,
    isBusy: false,
  });
  const run = (act: () => Promise<unknown>) => {
    setState({ problem: null, isBusy: true });
    act().then(
      () => setState({ problem: null, isBusy: false }),
      (error) => setState({ problem: asProblem(error), isBusy: false }),
    );
  };
  return { ...state, run };
}

/** Keys of the page; not while a person types in a field. */
export function useKeys(keys: Readonly<Record<string, () => void>>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { target } = event;
      const isTyping = target instanceof HTMLElement &&
        target.matches("input:not([type=checkbox]), select, textarea");
      if (isTyping && event.key !== "Escape") return;
      const act = latest.current[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** Width of an element in CSS pixels, as it changes. */
export function useWidth(standard: number): { ref: (element: Element | null) => void; width: number } {
  const [width, setWidth] = useState(standard);
  const observer = useRef<ResizeObserver | null>(null);
  const ref = useRef((element: Element | null) => {
    observer.current?.disconnect();
    if (element === null) return;
    observer.current = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    observer.current.observe(element);
  });
  return { ref: ref.current, width };
}
