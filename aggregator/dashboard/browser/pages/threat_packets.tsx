/** Packets of a threat: asked for at the sensors that still hold them, then downloaded as one pcapng.
 *
 * What is not offered by the aggregator is not shown. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { ThreatPackets } from "../api.ts";
import { ask, mayDecide, useApp } from "../app.ts";
import { useAction, useApi } from "../hooks.ts";
import { Button, Notice, When } from "../parts.tsx";
import type { VNode } from "../preact.ts";
import { bytes, plural } from "../text.ts";

const stateWords: Record<ThreatPackets["state"], string> = {
  none: "Nobody has asked for them yet. Sensors keep packets for a short time only.",
  asked: "The sensors have been asked; their packets come with the next check-ins.",
  arrived: "They are here.",
  gone: "The sensors no longer have them.",
  refused: "The sensors do not give them away.",
};

export function PacketsOfThreat({ id }: { id: string }): VNode | null {
  const app = useApp();
  const isOffered = app.offer.has("GET /api/v1/threats/{id}/packets");
  const path = `/threats/${encodeURIComponent(id)}/packets`;
  const { data, isMissing, problem, again } = useApi<ThreatPackets>(isOffered ? path : null, {
    as: "status",
  });
  const action = useAction();
  if (!isOffered || isMissing) return null;
  const want = () =>
    action.run(async () => {
      await ask("POST", `api/v1${path}`, {});
      again();
    });
  return (
    <section>
      <h3>Packets</h3>
      <Notice problem={problem ?? action.problem} />
      {data !== null && (
        <>
          <p>
            {stateWords[data.state] ?? data.state} {data.reason && <span class="soft">{data.reason}</span>}
          </p>
          <ul class="plain">
            {data.sensors.map((sensor) => (
              <li key={sensor.name}>
                <strong>{sensor.name}</strong> {sensor.state}
                <span class="soft end">
                  {sensor.packets > 0 && `${plural(sensor.packets, "packet")}, ${bytes(sensor.bytes)} · `}
                  <When at={sensor.at_ms / 1000} isAge />
                </span>
              </li>
            ))}
          </ul>
          <p class="acts">
            {data.state === "arrived" && (
              <a class="button main" href={`api/v1${path}`} download={`picket-${id}.pcapng`}>
                Download pcapng
              </a>
            )}
            {data.state !== "arrived" && data.state !== "asked" && mayDecide(app) && (
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
