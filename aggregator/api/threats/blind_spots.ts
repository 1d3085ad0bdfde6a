/** What could not be seen at the time of a threat, in words.
 *
 * In: a threat. Out: a sentence for each sensor of its network that was blind or out of contact meanwhile.
 * Invariant: it rests on the stored threats of sensors alone, so it can be looked up for as long as these are kept; a
 * gap between two threats is never called harmless. At most {@link spotsMax} are named.
 * Why: an attack may have gone further where nobody looked, and no detector can say that it did not. @module */

import { isOfSensor, type Threat } from "../../model/threat.ts";
import type { Capabilities } from "../capabilities.ts";

const spotsMax = 20;
const kinds = [
  ["sensor_blind", "was blind", ""],
  ["sensor_unreachable", "was out of contact", "; what it has in its spool comes later"],
] as const;

export async function blindSpotsOf(
  threat: Threat,
  { threatStore, directory }: Pick<Capabilities, "threatStore" | "directory">,
  nowMs: number,
): Promise<string[]> {
  if (isOfSensor(threat)) return [];
  const range = { from: threat.first_seen, to: threat.last_seen };
  const spots: string[] = [];
  for (const [detector, was, more] of kinds) {
    const { rows } = await threatStore.readThreats({ detector, ...range }, { limit: spotsMax });
    for (const { network, first_seen, last_seen, status, sensors: [sensor] } of rows) {
      const isOver = first_seen > threat.last_seen || last_seen < threat.first_seen;
      if (network !== threat.network || isOver || sensor === undefined) continue;
      const name = (await directory.find(sensor, nowMs))?.name ?? sensor;
      const until = status === "closed" ? timeText(last_seen) : "now";
      spots.push(
        `not evaluable: sensor ${name} ${was} from ${timeText(first_seen)} to ${until}${more}`,
      );
    }
  }
  return spots.slice(0, spotsMax);
}

function timeText(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().slice(0, 19).replace("T", " ") + " UTC";
}
