/** Packets of a threat or a flow: asked for at the sensors that still hold them, then downloaded as one pcapng.
 *
 * To a role that may not have them nothing is shown. @module */

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

export function Packets({ of, id }: { of: "threats" | "flows"; id: string }): VNode | null {
  const mayHave = mayDecide(useApp());
  const path = `/${of}/${encodeURIComponent(id)}/packets`;
  const { data, isMissing, problem, again } = useApi<PacketStatus>(mayHave ? path : null, { as: "status" });
  const action = useAction();
  if (!mayHave || isMissing) return null;
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
          <p>{data.reason}</p>
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
