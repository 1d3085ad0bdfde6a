/** Columns of flows, for the page of flows, a threat's flows and a host's. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { countriesText, placeText } from "../../../model/place.ts";
import type { Flow } from "../api.ts";
import type { Column } from "../parts.tsx";
import type { VNode } from "../preact.ts";
import { bytes, count, fullTime, plural, span } from "../text.ts";
import { endText, nameOf, protocolText, stateWords } from "./flow_parts.ts";

/** `linkOf` opens a flow. */
export function flowColumns(linkOf: (flow: Flow) => string): Column<Flow>[] {
  const start: Column<Flow> = {
    name: "start",
    label: "Start",
    cell: (flow) => <a class="row-link number" href={linkOf(flow)}>{fullTime(flow.start)}</a>,
  };
  return [start, ...others];
}

const others: readonly Column<Flow>[] = [
  {
    name: "from",
    label: "From",
    cell: ({ src_ip, src_port, protocol }) => <span class="wire">{endText(src_ip, src_port, protocol)}</span>,
  },
  {
    name: "to",
    label: "To",
    cell: ({ dst_ip, dst_port, protocol }) => <span class="wire">{endText(dst_ip, dst_port, protocol)}</span>,
  },
  { name: "protocol", label: "Protocol", cell: protocolText },
  { name: "name", label: "Name", cell: Name },
  {
    name: "country",
    label: "Country",
    title: "Country of the end outside",
    cell: ({ src_place, dst_place }) => (
      <span title={[src_place, dst_place].map(placeText).filter(Boolean).join(" → ") || undefined}>
        {countriesText([src_place, dst_place])}
      </span>
    ),
  },
  { name: "packets", label: "Packets", isNumber: true, cell: ({ total_packets }) => count(total_packets) },
  { name: "bytes", label: "Bytes", isNumber: true, cell: ({ total_bytes }) => bytes(total_bytes) },
  {
    name: "state",
    label: "State",
    cell: ({ conn_state }) => <abbr title={stateWords[conn_state] ?? conn_state}>{conn_state}</abbr>,
  },
  { name: "duration", label: "Duration", isNumber: true, cell: ({ start, end }) => span(end - start) },
  {
    name: "rtt",
    label: "RTT",
    isNumber: true,
    cell: ({ handshake_rtt_us: rtt }) => rtt ? span(rtt / 1e6) : "",
  },
  { name: "network", label: "Site", cell: ({ network }) => network },
  {
    name: "sensors",
    label: "Seen by",
    cell: ({ seen_by }) => plural(new Set(seen_by.map(({ sensor_id }) => sensor_id)).size, "sensor"),
  },
  {
    name: "community",
    label: "Community ID",
    cell: ({ community_id }) => <span class="wire">{community_id}</span>,
  },
];

/** On one line, whole where the pointer rests. */
function Name(flow: Flow): VNode {
  const name = nameOf(flow);
  return <span class="wire" title={name || undefined}>{name}</span>;
}

/** What is known of places comes with the GeoIP files. */
export function knowsCountries(rows: readonly Flow[]): boolean {
  return rows.some(({ src_place, dst_place }) => (src_place?.country ?? dst_place?.country) !== undefined);
}

export const standardColumns = [
  "start",
  "from",
  "to",
  "protocol",
  "name",
  "country",
  "packets",
  "bytes",
  "state",
  "sensors",
];
