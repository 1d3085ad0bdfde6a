/** What a model is told about a threat: asked for when somebody opens it. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Question as Asked } from "../../../triage/question.ts";
import { useApi } from "../hooks.ts";
import { Facts, Loading, Notice, Wire } from "../parts.tsx";
import { useState, type VNode } from "../preact.ts";

const faults = {
  leak: "The second check found something in it that identifies: nothing is sent.",
  content_too_long: "It would be too long: nothing is sent.",
} as const;

export function Question({ id }: { id: string }): VNode {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary>What a model is told</summary>
      {isOpen && <Content id={id} />}
    </details>
  );
}

function Content({ id }: { id: string }): VNode {
  const { data, problem } = useApi<Asked>(`/threats/${encodeURIComponent(id)}/question`);
  if (data === null) return problem === null ? <Loading /> : <Notice problem={problem} />;
  return (
    <>
      <p class="soft">
        As the threat stands now; each call that was made is in the audit file. Labels stand in place of
        addresses and names, which never leave. Below them: what each stands for here.
      </p>
      {data.fault !== null && <p>{faults[data.fault]}</p>}
      {data.content !== null && <pre tabIndex={0}><Wire>{JSON.stringify(data.content, null, 2)}</Wire></pre>}
      <Facts
        of={Object.fromEntries(
          Object.entries(data.labels).map((
            [label, original],
          ) => [label, <Wire key={label}>{original}</Wire>]),
        )}
      />
    </>
  );
}
