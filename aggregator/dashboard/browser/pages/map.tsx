/** Map: who talks to whom in the last minutes, by bytes, with the threats among them.
 *
 * In: the newest {@link flowsMax} flows of the chosen minutes. Out: bands from sources to destinations.
 * Bound: {@link endsMax} ends a side; the rest is one end, "others". @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Flow, Rows, Threat } from "../api.ts";
import { refresh, useApp } from "../app.ts";
import { useApi, useWidth } from "../hooks.ts";
import { Choice, FilterBar } from "../filter_bar.tsx";
import { useLive } from "../live.ts";
import { Empty, Loading, NothingYet, Notice, Section } from "../parts.tsx";
import { linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { bytes, plural } from "../text.ts";
import { type Band, countriesOf, type End, layOut, linksOf, networksOf } from "./map_layout.ts";

const flowsMax = 500;
const rowHeight = 36;
/** Room for "999 MB" beside a name. */
const sizeLength = 72;
const spans = [["5", "5 minutes"], ["60", "1 hour"], ["240", "4 hours"], ["1440", "1 day"]] as const;

export function MapPage(): VNode {
  const { totals } = useApp();
  const { query } = usePlace();
  // A plain connection has six streams for all tabs.
  useLive("flows", location.protocol === "https:", refresh);
  const minutes = Math.min(1_440, Math.max(1, Number(query.minutes) || 15));
  const to = totals?.last ?? null;
  const from = to === null ? null : to - minutes * 60;
  const flows = useApi<Rows<Flow>>(to === null ? null : "/flows", { from, to, limit: flowsMax });
  const threats = useApi<Rows<Threat>>(to === null ? null : "/threats", {
    from,
    to,
    status: "open",
    limit: 200,
  });
  const rows = flows.data?.rows ?? [];
  const nameOf = query.by === "network"
    ? networksOf(rows)
    : query.by === "country"
    ? countriesOf(rows)
    : asIs;
  const links = linksOf(rows, threats.data?.rows ?? [], nameOf);
  const isCut = flows.data?.next_cursor !== undefined;
  return (
    <>
      <FilterBar label="What the map shows" names={["minutes", "by"]} problem={null} isInstant>
        <Choice name="minutes" label="Up to the newest packet" none="15 minutes" values={spans} />
        <Choice name="by" label="By" none="host" values={[["network", "network"], ["country", "country"]]} />
      </FilterBar>
      <Section
        title="Who talks to whom"
        class="wide"
        note={flows.data
          ? `${isCut ? "the newest " : ""}${
            plural(flows.data.rows.length, "flow")
          } of these minutes, from left to right; a band is as wide as its bytes, a coloured one is in a threat`
          : undefined}
      >
        <Notice problem={flows.problem} />
        {totals?.last === null && <NothingYet />}
        {flows.isLoading && <Loading />}
        {flows.data?.rows.length === 0 && <Empty>No flow began in these minutes.</Empty>}
        {links.length > 0 && <Drawing links={links} isByHost={nameOf === asIs} />}
      </Section>
    </>
  );
}

const asIs = (ip: string) => ip;

function Drawing({ links, isByHost }: { links: Parameters<typeof layOut>[0]; isByHost: boolean }): VNode {
  const { ref, width } = useWidth(900);
  const { sources, targets, bands } = layOut(links);
  const height = Math.max(sources.length, targets.length) * rowHeight + 8;
  const label = width < 560 ? 118 : width < 900 ? 220 : 290;
  const [left, right] = [label, width - label];
  return (
    <div class="map" ref={ref}>
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="group"
        aria-label={`${bands.length} bands from ${sources.length} sources to ${targets.length} destinations`}
      >
        {bands.map((band) => (
          <Ribbon
            key={`${band.from}>${band.to}`}
            band={band}
            left={left + 8}
            right={right - 8}
            height={height}
          />
        ))}
        {sources.map((end) => (
          <Stop
            key={end.name}
            end={end}
            x={left}
            height={height}
            side="left"
            isByHost={isByHost}
            length={label}
          />
        ))}
        {targets.map((end) => (
          <Stop
            key={end.name}
            end={end}
            x={right - 8}
            height={height}
            side="right"
            isByHost={isByHost}
            length={label}
          />
        ))}
      </svg>
    </div>
  );
}

function Ribbon(
  { band, left, right, height }: { band: Band; left: number; right: number; height: number },
): VNode {
  const middle = (left + right) / 2;
  const [a, b] = [band.fromAt * height, band.toAt * height];
  const thick = Math.max(band.threat ? 2.5 : 1, band.share * height);
  const d = `M${left} ${a}C${middle} ${a} ${middle} ${b} ${right} ${b}v${thick}C${middle} ${
    b + thick
  } ${middle} ${a + thick} ${left} ${a + thick}Z`;
  const words = `${band.from} to ${band.to}: ${bytes(band.bytes)} in ${plural(band.flows, "flow")}${
    band.threat ? `; ${band.threat.title}` : ""
  }`;
  const path = (
    <path class={band.threat ? `band tone-${band.threat.severity}` : "band"} d={d}>
      <title>{words}</title>
    </path>
  );
  return band.threat
    ? <a href={linkTo("threats", "", { id: band.threat.id })} aria-label={words}>{path}</a>
    : path;
}

function Stop(
  { end, x, height, side, isByHost, length }: {
    end: End;
    x: number;
    height: number;
    side: "left" | "right";
    isByHost: boolean;
    length: number;
  },
): VNode {
  const at = (end.at + end.share / 2) * height;
  const isLeft = side === "left";
  const hasSize = length > sizeLength + 118;
  const letters = Math.floor((length - 14 - (hasSize ? sizeLength : 0)) / 7.4);
  const short = end.name.length > letters ? `${end.name.slice(0, letters - 1)}…` : end.name;
  const size = bytes(end.bytes);
  const text = (
    <text x={isLeft ? x - 8 : x + 16} y={at + 4} text-anchor={isLeft ? "end" : "start"}>
      {hasSize && isLeft && <tspan class="size">{`${size} `}</tspan>}
      <tspan class="name">{short}</tspan>
      {hasSize && !isLeft && <tspan class="size">{` ${size}`}</tspan>}
      <title>{`${end.name}: ${size}`}</title>
    </text>
  );
  return (
    <g class="stop">
      <rect x={x} y={end.at * height} width="8" height={Math.max(1, end.share * height)} rx="1.5" />
      {isByHost && !end.isRest ? <a href={linkTo("hosts", end.name)}>{text}</a> : text}
    </g>
  );
}
