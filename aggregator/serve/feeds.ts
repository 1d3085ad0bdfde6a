/** Starts what detection is fed with besides flows: lists of threat intelligence, and Suricata's alerts.
 *
 * In: the options of `serve`, a detection that runs. Out: how to stop each, in `stops`. @module */

import type { Detection } from "../detect/detection.ts";
import type { FreshFinding } from "../detect/finding.ts";
import { RetroHunt } from "../detect/retro_hunt.ts";
import { SuricataFeed } from "../detect/suricata_feed.ts";
import type { DetectorChoice } from "../options/detection_options.ts";
import type { ServeOptions } from "../options/serve_options.ts";
import { stateFolder } from "../options/store_options.ts";
import type { Store } from "../store/store.ts";
import { memoryFile } from "../triage/memory.ts";
import type { Edges } from "../../shared/command.ts";

export async function startFeeds(
  { suricata: path, site: network, retroHuntDays, state }: ServeOptions,
  { clock, reporter, env }: Edges,
  { lists, settings, store, detection }: Pick<DetectorChoice, "lists" | "settings"> & {
    store: Store;
    detection: Detection;
  },
  stops: (() => Promise<void>)[],
): Promise<void> {
  const onFound = (findings: readonly FreshFinding[]) => detection.adopt(findings);
  const deps = { store, clock, reporter, onFound };
  if (lists !== null) {
    if (retroHuntDays > 0 && !settings.off.has("intelligence")) {
      const hunt = new RetroHunt({ days: retroHuntDays }, deps);
      lists.onFresh((fresh) => hunt.take(fresh));
      stops.push(() => hunt.stop());
    }
    await lists.start();
    stops.push(() => lists.stop());
  }
  if (path === "") return;
  const memory = memoryFile(`${stateFolder(state, env)}/suricata.json`);
  const feed = new SuricataFeed({ path, network }, { ...deps, memory });
  feed.start();
  stops.push(() => feed.stop());
}
