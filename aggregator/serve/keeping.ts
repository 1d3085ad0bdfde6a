/** Starts what decides how long flows and packets stay.
 *
 * In: the options of `serve`. Out: running stages, each of which adds how to stop it to `stops`. @module */

import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { readAuthorities } from "../../shared/common_options.ts";
import { ArchiveThread } from "../archive/archive_thread.ts";
import { type PlaceSettings, readPlace } from "../archive/place.ts";
import { PacketEvidence } from "../evidence/evidence.ts";
import { PacketFiles } from "../evidence/packet_files.ts";
import type { SensorDirectory } from "../fleet/directory.ts";
import type { ServeOptions } from "../options/serve_options.ts";
import { makeFolder, stateFolder, storeUrl } from "../options/store_options.ts";
import { Retention } from "../retention/retention.ts";
import type { Store } from "../store/store.ts";
import type { Stop } from "./start.ts";

export async function startRetention(
  options: ServeOptions,
  edges: Edges,
  { store, evidence }: { store: Store; evidence: PacketEvidence },
  holder: string,
  stops: Stop[],
): Promise<Retention> {
  const { clock, reporter } = edges;
  const limits = { flowDays: options.retainDays, bytesMax: options.retainGigabytes * 1e9 };
  const archive = await archiveOf(options, edges);
  const onFlowsLeaving = (day: number) => evidence.dropDay(day);
  const deps = { store, holder, clock, reporter, onFlowsLeaving, ...archive && { archive } };
  const retention = new Retention(limits, deps);
  await retention.start();
  stops.push(() => retention.stop());
  return retention;
}

/** Null = days are dropped without an archive. @throws {CommandError} */
async function archiveOf(options: ServeOptions, edges: Edges): Promise<ArchiveThread | null> {
  const { archive: where, state, storePassword: password, storeCa } = options;
  if (where === "") return null;
  const url = storeUrl(options, edges);
  if (url === "sqlite::memory:") {
    throw new CommandError(
      exitCodes.usage,
      'Cannot use "archive" as the store must be on a disk: current value is "sqlite::memory:"',
    );
  }
  const place = archivePlace(where, state, edges.env);
  await makeFolder(place.folder);
  const ca = storeCa === "" ? null : await readAuthorities("--store-ca", storeCa);
  return new ArchiveThread({ url, password, ca, ...place });
}

/** Where archived days are. @throws {CommandError} */
export function archivePlace(where: string, state: string, env: Edges["env"]): PlaceSettings {
  try {
    return readPlace(where, stateFolder(state, env), env);
  } catch (cause) {
    throw new CommandError(exitCodes.usage, (cause as Error).message, { cause });
  }
}

export function startEvidence(
  { state, retainDays, retainPacketsMb }: ServeOptions,
  { clock, reporter, env, randomBytes }: Edges,
  store: Store,
  directory: SensorDirectory,
  stops: Stop[],
): PacketEvidence {
  const limits = { bytesMax: retainPacketsMb * 1024 * 1024, ageMs: retainDays * 86_400_000 };
  const files = new PacketFiles(`${stateFolder(state, env)}/packets`);
  const evidence = new PacketEvidence(limits, { store, files, directory, clock, reporter, randomBytes });
  evidence.start();
  stops.push(() => evidence.stop());
  return evidence;
}
