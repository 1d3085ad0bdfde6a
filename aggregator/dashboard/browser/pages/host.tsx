/** One host: who it is, its threats, whom it talks to, and its flows.
 *
 * Of an address that is not kept as a host, what can be found in threats and flows is shown. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { placeText } from "../../../model/place.ts";
import type { Flow, HostDetails, Rows, Threat } from "../api.ts";
import { Chart, chartOf } from "../chart.tsx";
import { useApi, useBounds, useList } from "../hooks.ts";
import { LooseTable } from "../loose.tsx";
import { Badge, Bars, Empty, Facts, Loading, More, Notice, Section, Table, When, Wire } from "../parts.tsx";
import { linkHere, linkTo } from "../place.ts";
import type { VNode } from "../preact.ts";
import { rangeBetween } from "../range.ts";
import { setRange } from "../range_bar.tsx";
import { bytes, count, plural } from "../text.ts";
import { flowColumns } from "./flow_columns.tsx";

const peersMax = 10;
const hourS = 3_600;
const flowColumnNames = ["start", "from", "to", "protocol", "name", "bytes", "state"];

export function HostPage({ ip }: { ip: string }): VNode {
  const bounds = useBounds();
  const host = useApi<HostDetails>(`/hosts/${encodeURIComponent(ip)}`);
  const flows = useList<Flow>("/flows/search", { ip, ...bounds, limit: 50 });
  return (
    <div class="host">
      {host.isMissing && <p class="soft">No more is kept of this host than its threats and flows.</p>}
      {!host.isMissing && <Notice problem={host.problem} />}
      {host.isLoading && <Loading />}
      {host.data !== null && <Known host={host.data} />}
      <Threats ip={ip} />
      <Peers ip={ip} flows={flows.rows ?? []} known={host.data?.peers} />
      <Section
        title="Flows"
        class="wide"
        acts={<a class="button" href={linkTo("flows", "", { ip })}>Open in Flows</a>}
      >
        <Notice problem={flows.problem} />
        {flows.rows === null && flows.problem === null && <Loading />}
        {flows.rows?.length === 0 && (
          <Empty>
            No flow of this host in this time. <a href={linkHere({ range: "all" })}>Look at all times</a>
          </Empty>
        )}
        {flows.rows !== null && flows.rows.length > 0 && (
          <Table
            caption={`Flows of ${ip}`}
            look="flows"
            columns={flowColumns(({ flow_id }) => linkTo("flows", "", { ip, id: flow_id })).filter((
              { name },
            ) => flowColumnNames.includes(name))}
            rows={flows.rows}
            idOf={({ flow_id }) => flow_id}
          />
        )}
        <More list={flows} word="flows" />
      </Section>
    </div>
  );
}

function Known({ host }: { host: HostDetails }): VNode {
  const { series, names, macs, services, uses, sensors } = host;
  const rows = series.map(({ at_ms, bytes }) => ({ time: at_ms / 1000, bytes })).sort((a, b) =>
    a.time - b.time
  );
  const span = rows.length > 0 && { from: rows[0].time, to: rows.at(-1)!.time, step: hourS, rows };
  return (
    <>
      <Section title="Who it is">
        <Facts
          of={{
            "Names": names.length > 0 && <List values={names} />,
            "MAC": macs.length > 0 && <List values={macs} />,
            "Site": host.inside ? host.network : `${host.network}, outside`,
            "Place": host.place && placeText(host.place),
            "First seen": <When at={host.first_seen_ms / 1000} />,
            "Last seen": <When at={host.last_seen_ms / 1000} />,
            "Traffic": `${bytes(host.bytes)} in ${count(host.packets)} packets, ${
              plural(host.flows, "flow")
            }`,
            "Seen by": sensors.length > 0 && plural(sensors.length, "sensor"),
          }}
        />
      </Section>
      {services.length > 0 && (
        <Section title="Services it offers">
          <LooseTable caption="Services offered" rows={services} />
        </Section>
      )}
      {uses.length > 0 && (
        <Section title="Services it uses">
          <LooseTable caption="Services used" rows={uses} />
        </Section>
      )}
      {span && (
        <Section title="Traffic by the hour" class="wide">
          <Chart
            data={chartOf(span)}
            height={150}
            onZoom={(from, to) => setRange(rangeBetween(from, to))}
          />
        </Section>
      )}
    </>
  );
}

function List({ values }: { values: readonly string[] }): VNode {
  return <span class="addresses">{values.map((value) => <Wire key={value}>{value}</Wire>)}</span>;
}

function Threats({ ip }: { ip: string }): VNode {
  const { data, problem } = useApi<Rows<Threat>>("/threats", { ip, limit: 20 });
  return (
    <Section title="Threats" note="at all times">
      <Notice problem={problem} />
      {data?.rows.length === 0 && <Empty>No threat of this host is stored.</Empty>}
      <ul class="plain">
        {(data?.rows ?? []).map(({ id, severity, title, status, last_seen, src_ips }) => (
          <li key={id}>
            <Badge tone={severity}>{severity}</Badge>{" "}
            <a href={linkTo("threats", "", { id, ip, range: "all" })}>{title}</a>{" "}
            <span class="soft small">{src_ips.includes(ip) ? "by it" : "against it"} · {status}</span>
            <span class="soft small end">
              <When at={last_seen} isAge />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** Those the API knows, or else those in the flows that are listed. */
function Peers(
  { ip, flows, known }: { ip: string; flows: readonly Flow[]; known: HostDetails["peers"] | undefined },
): VNode {
  const sums = new Map((known ?? []).map((peer) => [peer.ip, peer.bytes]));
  if (sums.size === 0) {
    for (const { src_ip, dst_ip, total_bytes } of flows) {
      const peer = src_ip === ip ? dst_ip : src_ip;
      sums.set(peer, (sums.get(peer) ?? 0) + total_bytes);
    }
  }
  const rows = [...sums].sort(([, a], [, b]) => b - a).slice(0, peersMax);
  return (
    <Section title="Peers" note={known ? undefined : `of the ${count(flows.length)} flows below`}>
      {rows.length === 0 && <Empty>None in this time.</Empty>}
      <Bars
        rows={rows.map(([name, value]) => ({
          name,
          value,
          words: bytes(value),
          href: linkTo("hosts", name),
        }))}
      />
    </Section>
  );
}
