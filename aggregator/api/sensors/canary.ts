/** Asks a sensor for a canary: a marked flow on its own wire, to be found among the flows stored here.
 *
 * In: its id, or its name. Out: when it was asked; what became of it shows on the sensor's page.
 * Why it is asked in the answer to its check-in: no sensor has to be reachable from here.
 * Bound: one question a sensor, the newest, which waits for ten minutes. @module */

import { z } from "../../../shared/schema.ts";
import { ApiError } from "../errors.ts";
import { actorOf, resource } from "../route.ts";
import { theSensor } from "./change.ts";

export const askCanary = resource({
  summary: "Has a sensor send a canary at its next check-in; its page says whether the flow arrived here",
  answer: z.object({ sensor_id: z.string(), name: z.string(), asked_ms: z.number() }),
  errors: ["revoked", "quarantined"],
  needs: ["identityStore", "directory", "reporter"],
  async handle({ params, nowMs, caller }, { identityStore, directory, reporter }) {
    const { sensor_id, name, revoked_ms, quarantined_ms } = await theSensor(params.id, nowMs, { directory });
    if (revoked_ms !== null) throw new ApiError("revoked", "It is asked for nothing");
    if (quarantined_ms !== null) {
      throw new ApiError("quarantined", "Its flows are refused until it is released");
    }
    if (!await identityStore.askCanary(sensor_id, nowMs, actorOf(caller))) {
      throw new ApiError("not_found", "There is no sensor with this id or name");
    }
    directory.forget();
    reporter.count("canaries_total", { outcome: "asked" });
    return { json: { sensor_id, name, asked_ms: nowMs } };
  },
});
