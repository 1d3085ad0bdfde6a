/** Packets of a threat or of a flow: ask sensors for them, see what has arrived, and fetch them.
 *
 * Invariant: who asks and who fetches is in the audit before anything is handed out.
 * A GET without packets is a 404 that says in words why there are none.
 * Why analysts only: nowhere else does a viewer get to see payload. @module */

import { z } from "../../../shared/schema.ts";
import type { Capabilities } from "../capabilities.ts";
import { ApiError } from "../errors.ts";
import { packetStatusAnswer } from "../schemas.ts";
import { actorOf, type Answer, type Call, type Resource, resource } from "../route.ts";

const query = z.strictObject({
  as: z.enum(["file", "status"]).default("file").describe("status: how it stands, as JSON"),
});
const needs = ["evidence", "threatStore", "flowStore", "auditStore", "reporter"] as const;
type Needs = Pick<Capabilities, typeof needs[number]>;
const answerType = "application/vnd.tcpdump.pcap";

const kinds = {
  threat: {
    name: "a threat",
    form: /^[0-9a-f]{16}$/,
    /** Null = there is no such threat. */
    flowsOf: async (id: string, { threatStore }: Needs) =>
      (await threatStore.readThreat(id))?.flow_ids ?? null,
  },
  flow: {
    name: "a flow",
    form: /^[0-7][0-9a-f]{15}$/,
    flowsOf: async (id: string, { flowStore }: Needs) => (await flowStore.readFlow(id)) && [id],
  },
} as const;
type Kind = keyof typeof kinds;

export const threatPackets = fetchOf("threat");
export const askThreatPackets = askOf("threat");
export const flowPackets = fetchOf("flow");
export const askFlowPackets = askOf("flow");

function fetchOf(kind: Kind): Resource {
  return resource({
    summary: `Packets of ${kinds[kind].name} as one pcapng file of all sensors, or how it stands with them`,
    query,
    isQuery: true,
    answer: packetStatusAnswer,
    answerTypes: [answerType],
    needs,
    async handle(call, has): Promise<Answer> {
      const { evidence, auditStore, reporter } = has;
      const { subject } = await find(kind, call, has);
      if (call.query.as === "status") return { json: await evidence.status(subject) };
      const file = await evidence.download(subject, call.nowMs);
      if (file === null) throw new ApiError("not_found", (await evidence.status(subject)).reason);
      const detail = JSON.stringify({ octets: file.length });
      await auditStore.note(actorOf(call.caller), call.nowMs, "packets_fetched", subject, detail);
      reporter.count("packet_downloads_total");
      reporter.info("packets fetched", { subject, bytes: file.length, by: call.caller?.name });
      const name = `picket-${subject.replace("/", "-")}.pcapng`;
      return { file: { body: file, type: answerType, name } };
    },
  });
}

function askOf(kind: Kind): Resource {
  return resource({
    summary: `Asks the sensors that saw ${
      kinds[kind].name
    } for its packets; they answer with a next check-in`,
    status: 202,
    answer: packetStatusAnswer,
    needs,
    async handle(call, has) {
      const { subject, flowIds } = await find(kind, call, has);
      await has.auditStore.note(actorOf(call.caller), call.nowMs, "packets_asked", subject, "");
      return { json: await has.evidence.ask(subject, flowIds, call.caller?.name ?? "", call.nowMs) };
    },
  });
}

async function find(kind: Kind, { params }: Pick<Call, "params">, has: Needs) {
  const { form, flowsOf } = kinds[kind];
  const flowIds = form.test(params.id) ? await flowsOf(params.id, has) : null;
  if (flowIds === null) throw new ApiError("not_found", `There is no ${kind} with this id`);
  return { subject: `${kind}/${params.id}`, flowIds };
}
