/** All flows of a threat, page by page, and what tells in them. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Flow, Threat } from "../api.ts";
import { useList } from "../hooks.ts";
import { type Column, Fact, Facts, Loading, More, Notice, Table } from "../parts.tsx";
import { linkTo } from "../place.ts";
import { useState, type VNode } from "../preact.ts";
import { clockTime, count, fullTime, plural } from "../text.ts";
import { nameOf, tellingOf } from "./flow_parts.ts";
import { flowColumns } from "./flow_columns.tsx";

const pageRows = 500;
const shownFirst = 10;

export function FlowsOfThreat({ threat }: { threat: Threat }): VNode {
  const list = useList<Flow>(`/threats/${threat.id}/flows`, { limit: pageRows }, false);
  const [isAll, setIsAll] = useState(false);
  const rows = list.rows ?? [];
  const all = Math.max(Number(list.told.flows) || 0, threat.flows ?? 0, rows.length);
  const isWhole = !list.hasMore && !list.isFull && list.told.is_complete !== false;
  const of = isWhole
    ? plural(rows.length, "flow")
    : `the first ${count(rows.length)} of ${plural(all, "flow")}`;
  const hrefOf = ({ flow_id }: Flow) =>
    linkTo("flows", "", { id: flow_id, threat_id: threat.id, range: "all" });
  const columns = flowColumns(hrefOf).filter(({ name }) =>
    ["from", "to", "name", "state", "bytes"].includes(name)
  );
  const time: Column<Flow> = {
    name: "start",
    label: "Start",
    cell: (flow) => (
      <a class="row-link number" href={hrefOf(flow)} title={fullTime(flow.start)}>{clockTime(flow.start)}</a>
    ),
  };
  return (
    <>
      <TellingFacts flows={rows} of={of} isKnown={list.rows !== null} />
      <section>
        <h3>
          Flows {rows.length > 0 && <span class="soft">{of}</span>}
        </h3>
        <Notice problem={list.problem} />
        {list.rows === null && list.problem === null && <Loading />}
        {list.rows?.length === 0 && <p class="soft">Its flows are no longer stored.</p>}
        {rows.length > 0 && (
          <Table
            caption="Flows of this threat"
            look="flows small"
            columns={[time, ...columns].filter(({ name }) =>
              name !== "name" || rows.some((flow) => nameOf(flow) !== "")
            )}
            rows={isAll ? rows : rows.slice(0, shownFirst)}
            idOf={({ flow_id }) => flow_id}
          />
        )}
        {!isAll && rows.length > shownFirst
          ? (
            <p class="more">
              <button type="button" class="quiet" onClick={() => setIsAll(true)}>
                Show {count(rows.length)} flows
              </button>
            </p>
          )
          : <More list={list} word="flows" />}
        {rows.length > 0 && (
          <p>
            <a href={linkTo("flows", "", { threat_id: threat.id, range: "all" })}>
              Open them on the page of flows
            </a>
          </p>
        )}
      </section>
    </>
  );
}

function TellingFacts(
  { flows, of, isKnown }: { flows: readonly Flow[]; of: string; isKnown: boolean },
): VNode {
  const telling = tellingOf(flows);
  return (
    <section>
      <h3>
        Telling facts {flows.length > 0 && <span class="soft">in {of}</span>}
      </h3>
      <Facts>
        {telling.map(({ name, values, more }) => (
          <Fact key={name} name={name}>
            <span class="addresses">
              {values.map((value) => <span key={value} class="wire">{value}</span>)}
              {more > 0 && <span class="soft">and {count(more)} more</span>}
            </span>
          </Fact>
        ))}
      </Facts>
      {isKnown && telling.length === 0 && <p class="soft">Nothing beyond the evidence above.</p>}
    </section>
  );
}
