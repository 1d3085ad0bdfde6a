/** Packets of a threat or a flow: asked for at the sensors that still hold them, then downloaded as one pcapng.
 *
 * What the aggregator does not offer, or does not give to this role, is not shown. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { PacketStatus } from "../api.ts";
import { ask, mayDecide, useApp } from "../app.ts";
import { useAction, useApi } from "../hooks.ts";
import { Button, Notice, When } from "../parts.tsx";
import type { VNode } from "../preact.ts";
import { bytes, plural } from "../text.ts";

const stateWords: Record<PacketStatus["state"], string> = {
  none: "Nobody has asked for them yet. Sensors keep packets for a short time only.",
  asked: "The sensors have been asked; their packets come with the next check-ins.",
  arrived: "They are here.",
  gone: "The sensors no longer have them.",
  refused: "The sensors do not give them away.",
};

export function Packets({ of, id }: { of: "threats" | "flows"; id: string }): VNode | null {
  const app = useApp();
  const isOffered = app.offer.has(`GET /api/v1/${of}/{id}/packets`) && mayDecide(app);
  const path = `/${of}/${encodeURIComponent(id)}/packets`;
  const { data, isMissing, problem, again } = useApi<PacketStatus>(isOffered ? path : null, { as: "status" });
  const action = useAction();
  if (!isOffered || isMissing) return null;
  const want = () =>
    action.run(async () => {
      await ask("POST", `api/v1${path}`);
      again();
    });
  const mayAsk = data !== null && data.state !== "arrived" && data.state !== "asked";
  return (
    <section>
      <h3>Packets</h3>
      <Notice problem={problem ?? action.problem} />
      {data !== null && (
        <>
          <p>{data.reason || stateWords[data.state]}</p>
          <Answers sensors={data.sensors} />
          <p class="acts">
            {data.state === "arrived" && (
              <a class="button main" href={`api/v1${path}`} download={`picket-${of}-${id}.pcapng`}>
                Download pcapng
              </a>
            )}
            {mayAsk && (
              <Button kind="main" disabled={action.isBusy} onPress={want}>
                Ask the sensors for the packets
              </Button>
            )}
          </p>
        </>
      )}
    </section>
  );
}

function Answers({ sensors }: Pick<PacketStatus, "sensors">): VNode | null {
  if (sensors.length === 0) return null;
  return (
    <ul class="plain">
      {sensors.map(({ name, state, reason, packets, bytes: octets, at_ms }) => (
        <li key={name}>
          <strong>{name}</strong> <span>{state}</span>
          <span class="soft">{packets > 0 ? `${plural(packets, "packet")}, ${bytes(octets)}` : reason}</span>
          <span class="soft end">
            <When at={at_ms / 1000} isAge />
          </span>
        </li>
      ))}
    </ul>
  );
}
