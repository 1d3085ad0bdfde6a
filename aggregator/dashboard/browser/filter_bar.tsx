/** A line of filters whose state is the address.
 *
 * Invariant: a filter counts once it is sent (Enter, or leaving a list);
 * what the API says is wrong stands at its own field. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Problem } from "./call.ts";
import { go, linkHere, usePlace } from "./place.ts";
import type { ComponentChildren, VNode } from "./preact.ts";
import { useEffect, useRef, useState } from "./preact.ts";

export function FilterBar(
  { label, names, problem, isInstant = false, children }: {
    label: string;
    /** There are lists only, and each counts as soon as it is changed. */
    isInstant?: boolean;
    names: readonly string[];
    problem: Problem | null;
    children: ComponentChildren;
  },
): VNode {
  const { query } = usePlace();
  const form = useRef<HTMLFormElement>(null);
  const wrong = problem !== null && problem.field !== null ? problem : null;
  useFields(form, names, wrong);
  const send = () => {
    const given = new FormData(form.current!);
    go(
      linkHere(Object.fromEntries(names.map((name) => [name, String(given.get(name) ?? "").trim() || null]))),
    );
  };
  const isSet = names.some((name) => query[name]);
  // A small screen shows the line alone until somebody wants more, or one of the other fields says something.
  const hasLine = names.includes("filter");
  const [isUnfolded, setIsUnfolded] = useState(false);
  const isFolded = hasLine && !isUnfolded && wrong === null &&
    !names.some((name) => name !== "filter" && query[name]);
  return (
    <form
      ref={form}
      class={`filter ${isFolded ? "folded" : ""}`}
      role="search"
      aria-label={label}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onChange={({ target }) => target instanceof HTMLSelectElement && send()}
    >
      {children}
      {!isInstant && <button type="submit" class="main">Filter</button>}
      {isFolded && (
        <button type="button" class="quiet unfold" onClick={() => setIsUnfolded(true)}>More filters</button>
      )}
      {isSet && !isInstant && (
        <a class="button" href={linkHere(Object.fromEntries(names.map((name) => [name, null])))}>Clear</a>
      )}
      {wrong !== null && <p id="filter-problem" class="field-problem" role="alert">{wrong.message}</p>}
    </form>
  );
}

/** Fills the fields from the address, and marks the one that is wrong. */
function useFields(
  form: { current: HTMLFormElement | null },
  names: readonly string[],
  wrong: Problem | null,
): void {
  const { query } = usePlace();
  useEffect(() => {
    // The fields are the browser's own while a person types; the address fills them when it changes.
    for (const name of names) {
      const field = form.current?.elements.namedItem(name);
      if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) {
        field.value = query[name] ?? "";
      }
    }
  }, [names.map((name) => query[name] ?? "").join("\n")]);
  useEffect(() => {
    for (const field of form.current?.querySelectorAll<HTMLElement>("input, select") ?? []) {
      const isWrong = wrong?.field === field.getAttribute("name");
      field.toggleAttribute("aria-invalid", isWrong);
      if (isWrong) {
        field.setAttribute("aria-invalid", "true");
        field.setAttribute("aria-describedby", "filter-problem");
      } else field.removeAttribute("aria-describedby");
    }
    if (wrong !== null && wrong.column !== null) {
      const field = form.current?.elements.namedItem(wrong.field ?? "");
      if (field instanceof HTMLInputElement) {
        field.focus();
        field.setSelectionRange(Math.max(0, wrong.column - 1), field.value.length);
      }
    }
    // The same question is asked again while the list is live: the place is shown once.
  }, [wrong?.field, wrong?.message]);
}

export function Choice(
  { name, label, values, none = "any" }: {
    name: string;
    label: string;
    values: readonly (readonly [value: string, word: string])[];
    /** What it means when nothing is chosen. */
    none?: string;
  },
): VNode {
  return (
    <label class="field">
      <span>{label}</span>
      <select name={name}>
        <option value="">{none}</option>
        {values.map(([value, word]) => <option key={value} value={value}>{word}</option>)}
      </select>
    </label>
  );
}

export function Typed(
  { name, label, placeholder, list }: {
    name: string;
    label: string;
    placeholder?: string;
    /** Id of a `<datalist>` with what it could be. */
    list?: string;
  },
): VNode {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        name={name}
        placeholder={placeholder}
        list={list}
        spellcheck={false}
        autocapitalize="off"
        autocomplete="off"
      />
    </label>
  );
}
