/** Counters and gauges in Prometheus' text format: the aggregator's own, and each sensor's health.
 *
 * In: `reporter.snapshot()` and the fleet. Out: text, format 0.0.4.
 * Invariant: every name begins with `picket_`; names that end in `_total` are counters, those in `_lag_seconds` and
 * `_duration_seconds` histograms; label values are escaped; each family has its HELP and its TYPE line. @module */

import type { FleetHealth } from "../../fleet/fleet.ts";
import { sensorStatuses } from "../../fleet/reasons.ts";
import { readFleet } from "../sensors/fleet.ts";
import { resource } from "../route.ts";
import { metricHelp } from "./metric_help.ts";

export const metrics = resource({
  summary: "Metrics for Prometheus",
  isQuery: true,
  answerTypes: ["text/plain; version=0.0.4; charset=utf-8"],
  needs: ["reporter", "directory", "ingestStore", "identityStore"],
  async handle({ nowMs }, { reporter, ...has }) {
    const body = renderMetrics(reporter.snapshot(), await readFleet(has, nowMs));
    return { text: { body, type: "text/plain; version=0.0.4; charset=utf-8" } };
  },
});

/** How histograms are called, and the series of one. */
const histogram = /_(?:lag|duration)_seconds$/;
const histogramPart = /^(.*_(?:lag|duration)_seconds)_(?:bucket|sum|count)$/;

/** The text of `/metrics`. */
export function renderMetrics(own: ReadonlyMap<string, number>, fleet: FleetHealth): string {
  const families = new Map<string, string[]>();
  const add = (name: string, labels: string, value: number) => {
    const family = histogramPart.exec(name)?.[1] ?? name;
    const lines = families.get(family) ?? [];
    lines.push(`picket_${name}${labels} ${value}\n`);
    families.set(family, lines);
  };
  for (const [key, value] of own) {
    const [, name, labels] = /^([^{]*)(.*)$/s.exec(key)!;
    add(name, labels, value);
  }
  for (const [status, sensors] of Object.entries(fleet.summary)) {
    add("fleet_sensors", `{status="${status}"}`, sensors);
  }
  for (const sensor of fleet.sensors) {
    const labels = `sensor="${escape(sensor.name)}",site="${escape(sensor.site)}"`;
    for (const status of sensorStatuses) {
      add("sensor_status", `{${labels},status="${status}"}`, sensor.status === status ? 1 : 0);
    }
    for (const [name, value] of sensorValues(sensor)) if (value !== null) add(name, `{${labels}}`, value);
    for (const [cause, packets] of Object.entries(sensor.conservation?.left_out ?? {})) {
      add("sensor_left_out_packets", `{${labels},cause="${escape(cause)}"}`, packets);
    }
  }
  return [...families].map(([name, lines]) => describe(name) + lines.join("")).join("");
}

function describe(name: string): string {
  const [sentence] = metricHelp[name] ?? ["Not described."];
  return `# HELP picket_${name} ${sentence}\n# TYPE picket_${name} ${metricType(name)}\n`;
}

export function metricType(name: string): "counter" | "gauge" | "histogram" {
  if (histogram.test(name)) return "histogram";
  return name.endsWith("_total") ? "counter" : "gauge";
}

/** Totals of a sensor's epoch are gauges here: they start again when it restarts. */
function sensorValues(sensor: FleetHealth["sensors"][number]): [name: string, value: number | null][] {
  const { check_in: checkIn, conservation, delivery } = sensor;
  return [
    ["sensor_last_check_in_seconds", seconds(sensor.last_check_in_ms)],
    ["sensor_clock_offset_seconds", seconds(sensor.clock_offset_ms)],
    ["sensor_canary_arrived_seconds", seconds(sensor.canary_state?.arrived_ms)],
    ["sensor_canaries_missed", sensor.canary_state?.missed ?? null],
    ["sensor_missing_batches", sensor.missing_batches],
    ["sensor_packets", conservation?.packets ?? null],
    ["sensor_in_flows_packets", conservation?.in_flows ?? null],
    ["sensor_dropped_packets", conservation?.dropped ?? null],
    ["sensor_card_dropped_packets", checkIn?.capture.interfaces ? conservation?.card_dropped ?? null : null],
    ["sensor_unaccounted_packets", conservation?.unaccounted ?? null],
    ["sensor_open_flows", checkIn?.flows.open ?? null],
    ["sensor_spool_batches", checkIn?.spool.batches ?? null],
    ["sensor_spool_bytes", checkIn?.spool.bytes ?? null],
    ["sensor_spool_oldest_seconds", checkIn?.spool.oldest_s ?? null],
    ["sensor_facts_refused", checkIn?.facts.refused ?? null],
    ["sensor_batches_in_flight", delivery?.in_flight ?? null],
  ];
}

function seconds(ms: number | null | undefined): number | null {
  return ms === null || ms === undefined ? null : ms / 1_000;
}

function escape(text: string): string {
  return text.replace(/[\\"]/g, (character) => `\\${character}`).replaceAll("\n", "\\n");
}
