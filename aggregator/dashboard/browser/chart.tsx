/** Traffic over time: areas stacked by group, drawn as SVG; dragging across it chooses the time between.
 *
 * In: series on one step. Out: a picture with its words, and the times a person dragged over.
 * Bound: what the API gives, 2,000 points; groups beyond {@link groupsMax} are summed as "the rest". @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useState, type VNode } from "./preact.ts";
import { useWidth } from "./hooks.ts";
import { axisRate, clockTime, dayTime, fullTime, minuteTime, rate, roundTimes } from "./text.ts";
import type { Severity } from "../../model/threat.ts";
import type { Series } from "./api.ts";

interface Layer {
  name: string;
  /** Octets of each step, from the first one on. */
  values: number[];
}

interface ChartData {
  start: number;
  step: number;
  steps: number;
  layers: Layer[];
}

interface Mark {
  id: string;
  at: number;
  severity: Severity;
  title: string;
  href: string;
}

const groupsMax = 6;
const stepsMax = 2_000;
const edge = { left: 68, right: 8, top: 8, bottom: 34 };

/** An answer of `/stats/series`: its stacks where it has some, else its rows, steps without traffic filled in. */
export function chartOf({ from, to, step, rows, first, stacks }: Series): ChartData {
  const start = first ?? Math.floor(from / step) * step;
  const steps = Math.min(stepsMax, Math.max(1, Math.floor((to - start) / step) + 1));
  if (stacks !== undefined && stacks.length > 0) {
    return { start, step, steps, layers: layersOf(stacks, steps) };
  }
  const values = new Array<number>(steps).fill(0);
  for (const { time, bytes } of rows) {
    const index = Math.floor((time - start) / step);
    if (index >= 0 && index < steps) values[index] += bytes;
  }
  return { start, step, steps, layers: [{ name: "all", values }] };
}

/** The largest first; what is beyond {@link groupsMax}, and what has no name, as one layer on top. */
function layersOf(stacks: NonNullable<Series["stacks"]>, steps: number): Layer[] {
  const sumOf = (values: readonly number[]) => values.reduce((sum, octets) => sum + octets, 0);
  const named = stacks.filter(({ name }) => name !== "").sort((a, b) => sumOf(b.bytes) - sumOf(a.bytes));
  const shown = named.slice(0, groupsMax);
  const rest = stacks.filter((stack) => !shown.includes(stack));
  const valuesOf = (some: typeof stacks) =>
    Array.from({ length: steps }, (_, i) => some.reduce((sum, { bytes }) => sum + (bytes[i] ?? 0), 0));
  const layers = shown.map((stack) => ({ name: stack.name, values: valuesOf([stack]) }));
  const others = valuesOf(rest);
  return sumOf(others) > 0 ? [...layers, { name: "the rest", values: others }] : layers;
}

interface ChartProps {
  data: ChartData;
  marks?: readonly Mark[];
  height?: number;
  onZoom?: (from: number, to: number) => void;
}

export function Chart({ data, marks = [], height: wanted = 200, onZoom }: ChartProps): VNode {
  const { ref, width } = useWidth(900);
  const height = Math.min(wanted, Math.max(200, width / 2));
  const { start, step, steps, layers } = data;
  const end = start + steps * step;
  const sums = Array.from(
    { length: steps },
    (_, i) => layers.reduce((sum, { values }) => sum + values[i], 0),
  );
  const peak = roundUp(Math.max(1, ...sums.map((octets) => octets * 8 / step)));
  const plot = width - edge.left - edge.right;
  const x = (time: number) => edge.left + plot * (time - start) / (end - start);
  const y = (bits: number) => edge.top + (height - edge.top - edge.bottom) * (1 - bits / peak);
  const { drag, hover, pointing } = useDrag({ start, end, plot, onZoom });
  const highest = rate(Math.max(0, ...sums), step);
  const words = `Traffic from ${fullTime(start)} to ${
    fullTime(end)
  }, highest ${highest}, a point every ${step} s`;
  const at = hover === null ? -1 : Math.min(steps - 1, Math.max(0, Math.floor((hover - start) / step)));
  return (
    <figure class="chart" ref={ref}>
      <Legend layers={layers} sums={sums} at={at} start={start} step={step} />
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="group"
        aria-label={words}
        class={onZoom ? "zoomable" : ""}
        {...pointing}
      >
        <Grid peak={peak} width={width} y={y} />
        <Areas layers={layers} start={start} step={step} x={x} y={y} />
        <Times start={start} end={end} x={x} y={height - 6} width={plot} />
        {at >= 0 && <line class="cursor" x1={x(hover!)} x2={x(hover!)} y1={edge.top} y2={y(0)} />}
        {drag && (
          <rect
            class="chosen-time"
            x={Math.min(x(drag.from), x(drag.to))}
            width={Math.abs(x(drag.to) - x(drag.from))}
            y={edge.top}
            height={y(0) - edge.top}
          />
        )}
        {marks.filter(({ at }) => at >= start && at <= end).map((mark) => (
          <a key={mark.id} href={mark.href} aria-label={`${mark.severity}: ${mark.title}`}>
            <path class={`mark tone-${mark.severity}`} d={`M${x(mark.at)} ${y(0) + 2}l5 9h-10z`}>
              <title>{`${mark.severity}: ${mark.title}`}</title>
            </path>
          </a>
        ))}
      </svg>
    </figure>
  );
}

interface Span {
  from: number;
  to: number;
}

/** Where the pointer is, and over which time it was dragged. */
function useDrag({ start, end, plot, onZoom }: {
  start: number;
  end: number;
  plot: number;
  onZoom: ChartProps["onZoom"];
}) {
  const [drag, setDrag] = useState<Span | null>(null);
  const [hover, setHover] = useState<number | null>(null);
  const timeAt = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const share = (event.clientX - box.left - edge.left) / Math.max(1, plot);
    return start + (end - start) * Math.min(1, Math.max(0, share));
  };
  const pointing = {
    onPointerDown: (event: PointerEvent) => {
      if (!onZoom || event.button !== 0 || (event.target as Element).closest("a")) return;
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
      const time = timeAt(event);
      setDrag({ from: time, to: time });
    },
    onPointerMove: (event: PointerEvent) => {
      const time = timeAt(event);
      setHover(time);
      if (drag) setDrag({ ...drag, to: time });
    },
    onPointerLeave: () => setHover(null),
    onPointerUp: () => {
      const [from, to] = drag ? [drag.from, drag.to].sort((a, b) => a - b) : [0, 0];
      setDrag(null);
      if (onZoom && to - from >= Math.max(1, (end - start) / 200)) onZoom(from, to);
    },
    onPointerCancel: () => setDrag(null),
  };
  return { drag, hover, pointing };
}

function Legend(
  { layers, sums, at, start, step }: {
    layers: Layer[];
    sums: number[];
    at: number;
    start: number;
    step: number;
  },
): VNode {
  const value = (values: number[]) =>
    at < 0
      ? rate(values.reduce((sum, n) => sum + n, 0), step * Math.max(1, values.length))
      : rate(values[at], step);
  return (
    <figcaption class="legend">
      <span class="number">{at < 0 ? "Mean" : fullTime(start + at * step)}</span>
      {layers.map(({ name, values }, index) => (
        <span key={name}>
          <i class={`swatch layer-${index}`} /> {name} <span class="number soft">{value(values)}</span>
        </span>
      ))}
      {layers.length > 1 && <span class="number soft">all {value(sums)}</span>}
    </figcaption>
  );
}

function Areas(
  { layers, start, step, x, y }: {
    layers: Layer[];
    start: number;
    step: number;
    x: (time: number) => number;
    y: (bits: number) => number;
  },
): VNode {
  const base = new Array<number>(layers[0]?.values.length ?? 0).fill(0);
  const paths = layers.map(({ name, values }, index) => {
    const upper: string[] = [];
    const lower: string[] = [];
    values.forEach((octets, i) => {
      const bits = octets * 8 / step;
      const [left, right] = [x(start + i * step).toFixed(1), x(start + (i + 1) * step).toFixed(1)];
      upper.push(`L${left} ${y(base[i] + bits).toFixed(1)}H${right}`);
      lower.push(`L${right} ${y(base[i]).toFixed(1)}H${left}`);
      base[i] += bits;
    });
    const d = `M${x(start).toFixed(1)} ${y(0).toFixed(1)}${upper.join("")}${lower.reverse().join("")}Z`;
    return <path key={name} class={`area layer-${index}`} d={d} />;
  });
  return <g>{paths}</g>;
}

function Grid({ peak, width, y }: { peak: number; width: number; y: (bits: number) => number }): VNode {
  return (
    <g>
      {[0, 0.5, 1].map((share) => (
        <g key={share}>
          <line
            class="rule"
            x1={edge.left}
            x2={width - edge.right}
            y1={y(peak * share)}
            y2={y(peak * share)}
          />
          <text x={edge.left - 8} y={y(peak * share) + 4} text-anchor="end">
            {share === 0 ? "0" : axisRate(peak * share / 8, 1)}
          </text>
        </g>
      ))}
    </g>
  );
}

function Times(
  { start, end, x, y, width }: {
    start: number;
    end: number;
    x: (time: number) => number;
    y: number;
    width: number;
  },
): VNode {
  const most = width < 420 ? 3 : width < 800 ? 4 : 7;
  const text = end - start > 86_400 ? dayTime : end - start > most * 60 ? minuteTime : clockTime;
  return (
    <g>
      {roundTimes(start, end, most).map((time) => (
        <text key={time} x={x(time)} y={y} text-anchor="middle">{text(time)}</text>
      ))}
    </g>
  );
}

/** The next round one: what is drawn fills the picture. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8].find((digit) => digit * power >= value) ?? 10) * power;
}
