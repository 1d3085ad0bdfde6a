/** Small parts that all pages are made of.
 *
 * Invariant: what comes from the API stands between tags as text; no part takes markup. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Problem } from "./call.ts";
import { useWidth } from "./hooks.ts";
import { type ComponentChildren, useEffect, useRef, type VNode } from "./preact.ts";
import { allOf, count, fullTime, someOf, span } from "./text.ts";
import { nowS, useApp } from "./app.ts";
import { linkTo } from "./place.ts";

export function Badge({ tone, children }: { tone: string; children: ComponentChildren }): VNode {
  return <span class={`badge tone-${tone}`}>{children}</span>;
}

/** A string that somebody else chose, or an address. */
export function Wire({ children }: { children: ComponentChildren }): VNode {
  return <span class="wire">{children}</span>;
}

/** The first of a list and how many more there are; they are named where the pointer rests. */
export function Some({ list, none }: { list: readonly string[]; none?: string }): VNode {
  return <span class="wire" title={allOf(list) || undefined}>{someOf(list, none)}</span>;
}

export function HostLink({ ip }: { ip: string }): VNode {
  return <a class="wire quiet-link" href={linkTo("hosts", ip)}>{ip}</a>;
}

/** When, in full or as an age; the other of the two stands in its title. */
export function When({ at, isAge = false }: { at: number; isAge?: boolean }): VNode {
  const app = useApp();
  const age = `${span(nowS(app) - at)} ago`;
  const full = fullTime(at);
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={isAge ? full : age}>{isAge ? age : full}</time>
  );
}

export function Notice({ problem }: { problem: { message: string } | null }): VNode | null {
  return problem === null ? null : <p class="notice" role="alert">{problem.message}</p>;
}

export function Empty({ children }: { children: ComponentChildren }): VNode {
  return <p class="empty">{children}</p>;
}

/** Where nothing has come in so far: a wider range or another filter would find nothing either. */
export function NothingYet(): VNode {
  return (
    <Empty>
      Nothing is stored yet. It appears with the first batch of a sensor.{" "}
      <a href={linkTo("fleet")}>Sensors</a>
    </Empty>
  );
}

export function Loading(): VNode {
  return <p class="empty" role="status">Loading …</p>;
}

export function Section(
  { title, note, acts, children, class: name = "" }: {
    title: string;
    note?: ComponentChildren;
    acts?: ComponentChildren;
    children: ComponentChildren;
    class?: string;
  },
): VNode {
  return (
    <section class={`panel ${name}`} aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        {note !== undefined && <p class="soft">{note}</p>}
        {acts}
      </header>
      {children}
    </section>
  );
}

/** The parts of a page as links, the open one marked. */
export function Tabs({ label, tabs }: {
  label: string;
  tabs: readonly { title: string; href: string; isOpen: boolean }[];
}): VNode {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(({ title, href, isOpen }) => (
        <a key={title} href={href} aria-current={isOpen ? "page" : undefined}>{title}</a>
      ))}
    </nav>
  );
}

export function Button(
  { onPress, children, kind = "quiet", disabled = false, title }: {
    onPress: () => void;
    children: ComponentChildren;
    kind?: "quiet" | "main" | "danger";
    disabled?: boolean;
    title?: string;
  },
): VNode {
  return (
    <button type="button" class={kind} disabled={disabled} title={title} onClick={onPress}>{children}</button>
  );
}

/** A field with its label, and what the API says is wrong with it beneath. */
export function Field(
  { label, name, problem, hint, class: look = "", children }: {
    label: string;
    name: string;
    class?: string;
    problem?: Problem | null;
    hint?: string;
    /** Gets what ties the input to the words beneath it. */
    children: (ties: FieldTies) => VNode;
  },
): VNode {
  const isWrong = problem !== null && problem !== undefined && problem.field?.split(".")[0] === name;
  const id = `about-${name}`;
  const isTied = isWrong || hint !== undefined;
  const ties: FieldTies = { name, "aria-invalid": isWrong, ...isTied && { "aria-describedby": id } };
  return (
    <label class={`field ${look}`}>
      <span>{label}</span>
      {children(ties)}
      {isWrong
        ? <span id={id} class="field-problem" role="alert">{problem.message}</span>
        : hint !== undefined && <span id={id} class="soft small">{hint}</span>}
    </label>
  );
}

/** A list to choose one of; `chosen` = what it begins with. */
export function Select(
  { ties, values, chosen }: {
    ties: FieldTies;
    values: readonly (readonly [value: string, words: string])[];
    chosen: string;
  },
): VNode {
  return (
    <select {...ties}>
      {values.map(([value, words]) => (
        <option key={value} value={value} selected={value === chosen}>{words}</option>
      ))}
    </select>
  );
}

interface FieldTies {
  name: string;
  "aria-invalid": boolean;
  "aria-describedby"?: string;
}

/** Problems that belong to none of these fields. */
export function OtherProblem(
  { problem, fields }: { problem: Problem | null; fields: readonly string[] },
): VNode | null {
  if (problem === null) return null;
  return fields.includes(problem.field?.split(".")[0] ?? "") ? null : <Notice problem={problem} />;
}

export interface Column<Row> {
  name: string;
  label: string;
  /** Numbers stand at the right. */
  isNumber?: boolean;
  /** Words for a small screen or a screen reader, where `label` is too short. */
  title?: string;
  cell: (row: Row) => ComponentChildren;
}

export function Table<Row>(
  { caption, columns, rows, idOf, chosen, look = "" }: {
    caption: string;
    columns: readonly Column<Row>[];
    rows: readonly Row[];
    idOf: (row: Row) => string;
    /** Id of the row that is open. */
    chosen?: string | undefined;
    look?: string;
  },
): VNode {
  const box = useRef<HTMLDivElement>(null);
  const { ref, width } = useWidth(0);
  useEffect(() => {
    // What can be scrolled must be reachable by key.
    const isScrolled = box.current !== null && box.current.scrollWidth > box.current.clientWidth;
    if (isScrolled) box.current?.setAttribute("tabindex", "0");
    else box.current?.removeAttribute("tabindex");
  }, [width, rows]);
  return (
    <div
      class="table"
      ref={(element) => {
        if (element !== box.current) ref(element);
        box.current = element;
      }}
    >
      <table class={look}>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" class={classOf(column)} title={column.title}>
                {column.label || <span class="unseen">{column.title}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={idOf(row)} data-id={idOf(row)} class={chosen === idOf(row) ? "chosen" : ""}>
              {columns.map((column) => (
                <td key={column.name} class={classOf(column)} data-label={column.title ?? column.label}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function classOf({ name, isNumber }: { name: string; isNumber?: boolean }): string {
  return `col-${name}${isNumber ? " number" : ""}`;
}

/** What stands beneath a list: the next page, or that no more is shown. */
export function More({ list, word }: {
  list: { rows: readonly unknown[] | null; hasMore: boolean; isFull: boolean; more: () => void };
  word: string;
}): VNode | null {
  if (list.rows === null || list.rows.length === 0) return null;
  if (list.isFull) {
    return (
      <p class="soft more">The first {count(list.rows.length)} are shown: narrow the filter to see others.</p>
    );
  }
  const { length } = list.rows;
  if (!list.hasMore) {
    const words = length === 1
      ? `1 ${word.replace(/s$/, "")}, and no more.`
      : `${count(length)} ${word}, all of them.`;
    return <p class="soft more">{words}</p>;
  }
  return (
    <p class="more">
      <Button onPress={list.more}>Show more {word}</Button>{" "}
      <span class="soft">{count(list.rows.length)} shown</span>
    </p>
  );
}

interface Share {
  name: string;
  href?: string;
  value: number;
  words: string;
}

/** Values beside each other as bars. */
export function Bars({ rows }: { rows: readonly Share[] }): VNode {
  const most = Math.max(1, ...rows.map(({ value }) => value));
  return (
    <ul class="bars">
      {rows.map(({ name, href, value, words }) => (
        <li key={name}>
          {href === undefined ? <Wire>{name}</Wire> : <a class="wire" href={href}>{name}</a>}
          <span class="soft number">{words}</span>
          <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
            <rect class="track" width="100" height="4" />
            <rect class="fill" width={Math.max(0.5, 100 * value / most)} height="4" />
          </svg>
        </li>
      ))}
    </ul>
  );
}

/** Names with their values. Empty values are left out. */
export function Facts(
  { of = {}, children }: { of?: Readonly<Record<string, ComponentChildren>>; children?: ComponentChildren },
): VNode {
  return (
    <dl class="facts">
      {Object.entries(of).map(([name, value]) => <Fact key={name} name={name}>{value}</Fact>)}
      {children}
    </dl>
  );
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }): VNode | null {
  if (children === null || children === undefined || children === "" || children === false) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
