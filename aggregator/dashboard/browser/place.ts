/** Where the person is: page, what is open on it, and every choice, all in the address after `#`.
 *
 * In: "#/threats?severity_min=high&id=00ff". Out: `{page: "threats", item: "", query: {...}}`, and back.
 * Invariant: what is shown follows from the address alone, so that back, reload and sharing work. `range` goes from
 * page to page, the rest belongs to its page. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useEffect, useState } from "./preact.ts";

export interface Place {
  page: string;
  /** What the page is about: a host's address, a sensor's name; "" = nothing in particular. */
  item: string;
  query: Readonly<Record<string, string>>;
}

type Change = Readonly<Record<string, string | number | null | undefined>>;

const valueLengthMax = 2_000;

export function readPlace(hash: string): Place {
  const [path, text = ""] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const [page = "", item = ""] = path.split("/").map(decode);
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(text)) {
    if (/^[a-z][a-z_]{0,31}$/.test(name)) query[name] = value.slice(0, valueLengthMax);
  }
  return { page: page || "overview", item, query };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a place; empty values are left out. */
export function addressOfPlace(page: string, item = "", query: Change = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === null || value === undefined || value === "" ? [] : [[name, String(value)]]
  );
  const text = new URLSearchParams(given).toString();
  return `#/${page}${item ? `/${encodeURIComponent(item)}` : ""}${text ? `?${text}` : ""}`;
}

/** A link to another page: takes the time range along. */
export function linkTo(page: string, item = "", query: Change = {}): string {
  return addressOfPlace(page, item, { range: here().query.range, ...query });
}

/** This place with some of its choices changed; null takes one away. */
export function linkHere(change: Change): string {
  const { page, item, query } = here();
  return addressOfPlace(page, item, { ...query, ...change });
}

export function here(): Place {
  return readPlace(location.hash);
}

/** Goes there. `isStep` false = the way back does not lead here: for what changes with each key. */
export function go(address: string, isStep = true): void {
  if (location.hash === address) return;
  if (isStep) location.hash = address;
  else {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const follow = () => setPlace(here());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return place;
}
