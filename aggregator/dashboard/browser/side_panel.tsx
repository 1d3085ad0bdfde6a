/** What is open beside a list: reached from its row, left by Escape, which leads back to that row. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { Button } from "./parts.tsx";
import { go, linkHere } from "./place.ts";
import { type ComponentChildren, useEffect, useRef, type VNode } from "./preact.ts";

export function SidePanel(
  { id, title, children }: { id: string; title: string; children: ComponentChildren },
): VNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const { activeElement } = document;
    // Who goes through the rows by key stays in the table, unless the panel covers it.
    const isCovered = matchMedia("(max-width: 1099px)").matches;
    if (isCovered || activeElement?.closest("tr[data-id]") === null) heading.current?.focus();
  }, [id]);
  return (
    <aside class="side panel" aria-label={title}>
      <div class="side-top">
        <h2 ref={heading} tabIndex={-1}>{title}</h2>
        <Button onPress={() => shut(id)} title="Close panel (Esc)">
          <span aria-hidden="true">✕</span>
          <span class="unseen">Close panel</span>
        </Button>
      </div>
      {children}
    </aside>
  );
}

/** Shuts the open one and goes back to its row. */
export function shut(id: string): void {
  go(linkHere({ id: null }));
  requestAnimationFrame(() =>
    document.querySelector<HTMLElement>(`tr[data-id="${CSS.escape(id)}"] .row-link`)?.focus()
  );
}
