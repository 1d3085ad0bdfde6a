/** One flow: its counts both ways, what was read in it, and what each sensor saw of it. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { placeText } from "../../../model/place.ts";
import type { Sighting } from "../../../model/flow.ts";
import type { Fleet, Flow } from "../api.ts";
import { useApi } from "../hooks.ts";
import { Facts, HostLink, Loading, Notice, Table, When, Wire } from "../parts.tsx";
import { linkHere, linkTo } from "../place.ts";
import type { VNode } from "../preact.ts";
import { SidePanel } from "../side_panel.tsx";
import { bytes, count, span } from "../text.ts";
import { Packets } from "./packets.tsx";
import { hasPorts, protocolText, stateWords } from "./flow_parts.ts";

const entriesMax = 50;

export function FlowPanel({ id }: { id: string }): VNode {
  const { data: flow, problem, isMissing } = useApi<Flow>(`/flows/${encodeURIComponent(id)}`);
  return (
    <SidePanel id={id} title={flow ? `${protocolText(flow)} flow` : "Flow"}>
      {isMissing
        ? (
          <p class="empty">
            This flow is no longer stored. <a href={linkHere({ id: null })}>Back to the list</a>
          </p>
        )
        : <Notice problem={problem} />}
      {flow === null && problem === null && <Loading />}
      {flow !== null && <Story flow={flow} />}
    </SidePanel>
  );
}

function Story({ flow }: { flow: Flow }): VNode {
  const { src_ip, src_port, dst_ip, dst_port, protocol, start, end, conn_state, end_reason } = flow;
  const port = (n: number) => hasPorts(protocol) ? <span class="number">:{n}</span> : null;
  return (
    <>
      <p class="lead">
        <HostLink ip={src_ip} />
        {port(src_port)} <span aria-label="to">→</span> <HostLink ip={dst_ip} />
        {port(dst_port)}
      </p>
      <Facts
        of={{
          "Start": <When at={start} />,
          "Duration": span(end - start),
          "State": `${stateWords[conn_state] ?? conn_state} (${conn_state})`,
          "Ended by": end_reason,
          "Site": flow.network,
          "From place": flow.src_place && placeText(flow.src_place),
          "To place": flow.dst_place && placeText(flow.dst_place),
          "Time": flow.time_suspect ? "not to be trusted: before 2000 or in the future" : null,
          "Sampled": flow.factor > 1 ? `kept as one of ${flow.factor}` : null,
          "Community ID": <Wire>{flow.community_id}</Wire>,
        }}
      />
      <Ways flow={flow} />
      <Read flow={flow} />
      <Seen flow={flow} />
      <Packets of="flows" id={flow.flow_id} />
      <p class="acts">
        <a class="button" href={linkTo("flows", "", { src_ip, dst_ip, range: "all" })}>
          Flows between the two
        </a>
        <a class="button" href={linkTo("threats", "", { ip: src_ip, range: "all" })}>Threats of {src_ip}</a>
      </p>
    </>
  );
}

function Ways({ flow }: { flow: Flow }): VNode {
  const rtt = flow.handshake_rtt_us;
  const rows = [
    {
      way: "there",
      packets: flow.fwd_packets,
      octets: flow.fwd_bytes,
      payload: flow.fwd_payload_bytes,
      ttl: flow.fwd_ttl,
      mac: flow.src_mac,
    },
    {
      way: "back",
      packets: flow.bwd_packets,
      octets: flow.bwd_bytes,
      payload: flow.bwd_payload_bytes,
      ttl: flow.bwd_ttl,
      mac: flow.dst_mac,
    },
  ];
  return (
    <section>
      <h3>Both ways</h3>
      <Table
        caption="Counts of each direction"
        look="small"
        idOf={({ way }) => way}
        rows={rows}
        columns={[
          { name: "way", label: "Way", cell: ({ way }) => way },
          { name: "packets", label: "Packets", isNumber: true, cell: ({ packets }) => count(packets) },
          { name: "bytes", label: "Bytes", isNumber: true, cell: ({ octets }) => bytes(octets) },
          { name: "payload", label: "Payload", isNumber: true, cell: ({ payload }) => bytes(payload) },
          { name: "ttl", label: "TTL", isNumber: true, cell: ({ ttl }) => ttl || "" },
          { name: "mac", label: "MAC", cell: ({ mac }) => <Wire>{mac}</Wire> },
        ]}
      />
      <Facts
        of={{
          "Round trip": rtt ? `${span(rtt / 1e6)}, by its handshake` : null,
          "Packet length": `${flow.packet_length_min} to ${flow.packet_length_max} octets, mean ${
            Math.round(flow.packet_length_mean)
          }`,
          "VLAN": flow.vlan ? `${flow.vlan}${flow.vlan_inner ? `, inner ${flow.vlan_inner}` : ""}` : null,
          "Tunnel": flow.tunnel,
        }}
      />
    </section>
  );
}

/** What was read in the payload, each entry as its fields. */
function Read({ flow: { facts } }: { flow: Flow }): VNode | null {
  const kinds = Object.entries(facts ?? {}).filter(([name]) => name !== "cut");
  if (kinds.length === 0) return null;
  return (
    <section>
      <h3>
        Read in its payload <span class="soft">chosen by whoever sent it</span>
      </h3>
      {kinds.map(([name, part]) => {
        const entries = Array.isArray(part) ? part : [part];
        return (
          <div key={name} class="read">
            <h4>{name}</h4>
            <ul class="plain">
              {entries.slice(0, entriesMax).map((entry, index) => (
                <li key={index}>
                  {Object.entries(entry as Record<string, unknown>).map(([field, value]) => (
                    <span key={field} class="pair">
                      <span class="soft">{field}</span>{" "}
                      <Wire>{Array.isArray(value) ? value.join(", ") : String(value)}</Wire>
                    </span>
                  ))}
                </li>
              ))}
            </ul>
            {entries.length > entriesMax && (
              <p class="soft small">and {count(entries.length - entriesMax)} more</p>
            )}
          </div>
        );
      })}
      {facts?.cut !== undefined && (
        <p class="soft small">{count(facts.cut)} entries or characters were left out.</p>
      )}
    </section>
  );
}

function Seen({ flow }: { flow: Flow }): VNode {
  const { data: fleet } = useApi<Fleet>("/fleet");
  const nameOf = (id: string) => fleet?.sensors.find(({ sensor_id }) => sensor_id === id)?.name ?? id;
  return (
    <section>
      <h3>Seen by</h3>
      <Table<Sighting>
        caption="What each sensor saw of this flow"
        look="small"
        idOf={({ sensor_id, vlan, ip_depth }) => `${sensor_id} ${vlan} ${ip_depth}`}
        rows={flow.seen_by}
        columns={[
          {
            name: "sensor",
            label: "Sensor",
            cell: ({ sensor_id }) => <a href={linkTo("fleet", nameOf(sensor_id))}>{nameOf(sensor_id)}</a>,
          },
          {
            name: "fwd",
            label: "There",
            isNumber: true,
            cell: (one) => `${count(one.fwd_packets)} · ${bytes(one.fwd_bytes)}`,
          },
          {
            name: "bwd",
            label: "Back",
            isNumber: true,
            cell: (one) => `${count(one.bwd_packets)} · ${bytes(one.bwd_bytes)}`,
          },
          { name: "vlan", label: "VLAN", isNumber: true, cell: ({ vlan }) => vlan || "" },
          {
            name: "offset",
            label: "Clock",
            isNumber: true,
            title: "Added to its times",
            cell: ({ clock_offset_ms: ms }) => `${ms >= 0 ? "+" : ""}${count(ms)} ms`,
          },
        ]}
      />
    </section>
  );
}
