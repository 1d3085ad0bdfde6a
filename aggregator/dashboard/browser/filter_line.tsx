/** A line in the filter language, completed word by word from the columns that the API describes.
 *
 * In: `/filter/columns`. Out: what may stand next: a column, then an operator, then a value, then `and` or `or`.
 * @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useApi } from "./hooks.ts";
import { useState, type VNode } from "./preact.ts";
import { completionsOf, type FilterColumn } from "./completion.ts";

const examples: Readonly<Record<string, string>> = {
  flows: "src_ip in 10.0.0.0/8 and dst_port in (22, 3389)",
  threats: 'severity >= high and title ~ "scan"',
  hosts: "inside = yes and first_seen > now-1d",
};

export function FilterLine({ of }: { of: "flows" | "threats" | "hosts" }): VNode {
  const { data } = useApi<Record<string, FilterColumn[]>>("/filter/columns", {}, false);
  const [text, setText] = useState("");
  const id = `completions-${of}`;
  return (
    <label class="field wide">
      <span>Filter</span>
      <input
        name="filter"
        placeholder={examples[of]}
        spellcheck={false}
        autocapitalize="off"
        autocomplete="off"
        list={id}
        onInput={({ currentTarget: { value } }) => setText(value)}
      />
      <datalist id={id}>
        {completionsOf(text, data?.[of] ?? []).map((line) => <option key={line} value={line} />)}
      </datalist>
    </label>
  );
}
