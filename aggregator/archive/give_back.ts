/** Restores archived days to a store.
 *
 * In: a manifest and its file. Out: rows of the store. Invariant: nothing is restored from a file that does not match
 * its manifest; an import that stopped half way is repeated from its start,
 * and flows that are already there stay as they are. @module */

import { addToSums, type ArchivedFlow, type DaySums, noSums } from "../model/archived.ts";
import { readFlowId } from "../model/flow_id.ts";
import { dayS } from "../model/retention.ts";
import { parseIp } from "../../shared/ip.ts";
import { connStates, endReasons } from "../../shared/segment.ts";
import type { ArchiveStore } from "../store/store.ts";
import { archivedOf, archiveTable, archiveVersion } from "./flow_table.ts";
import { dayOf, type Manifest, problemOfFile } from "./manifest.ts";
import { readParquet } from "./parquet.ts";

const rowsPerTransaction = 2_000;

/** Thrown when an archive is not what its manifest says. */
export class DamagedArchive extends Error {
  override name = "DamagedArchive";
}

/** Returns how many flows were not in the store. @throws {DamagedArchive} */
export async function giveBack(
  store: ArchiveStore,
  folder: string,
  manifest: Manifest,
  options: { nowMs: number; onProgress?: (flows: number) => void; signal?: AbortSignal },
): Promise<{ flows: number; inserted: number }> {
  const problem = await problemOfFile(folder, manifest);
  if (problem !== null) throw new DamagedArchive(`Cannot give back "${manifest.file}": ${problem}`);
  const day = dayOf(manifest.day)!;
  let inserted = 0;
  const sums = await eachChunk(folder, manifest, async (flows, done) => {
    options.signal?.throwIfAborted();
    inserted += await store.restoreFlows(day, flows, options.nowMs);
    options.onProgress?.(done);
  });
  return { flows: sums.flows, inserted };
}

/** Why a row cannot be one that was kept: somebody else may have written the file. Null = it can. */
function problemOfFlow({ flow }: ArchivedFlow, { day }: Manifest): string | null {
  const id = readFlowId(flow.flow_id);
  if (id === null) return `"${flow.flow_id.slice(0, 40)}" is no id of a flow`;
  if (Math.floor(id.us / 1e6 / dayS) * dayS !== dayOf(day)) return `flow ${flow.flow_id} is of another day`;
  const isKnown = connStates.includes(flow.conn_state) && endReasons.includes(flow.end_reason);
  if (!isKnown || parseIp(flow.src_ip) === null || parseIp(flow.dst_ip) === null) {
    return `flow ${flow.flow_id} has a value that no flow has`;
  }
  return null;
}

/** Reads every row of a file; compares what they add up to with the manifest. @throws {DamagedArchive} */
export async function eachChunk(
  folder: string,
  manifest: Manifest,
  work: (flows: ArchivedFlow[], done: number) => Promise<void> | void,
): Promise<DaySums> {
  if (manifest.version > archiveVersion) {
    throw new DamagedArchive(
      `Cannot read "${manifest.file}" as its version must be <= ${archiveVersion}: current value is ${manifest.version}`,
    );
  }
  const sums = noSums();
  try {
    for await (const rows of readParquet(`${folder}/${manifest.file}`, archiveTable, rowsPerTransaction)) {
      const flows = rows.map(archivedOf);
      for (const one of flows) {
        const problem = problemOfFlow(one, manifest);
        if (problem !== null) throw new RangeError(problem);
        addToSums(sums, one);
      }
      await work(flows, sums.flows);
    }
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof SyntaxError)) throw cause;
    throw new DamagedArchive(`Cannot read "${manifest.file}": ${cause.message}`, { cause });
  }
  for (const name of Object.keys(sums) as (keyof DaySums)[]) {
    if (sums[name] === manifest.sums[name]) continue;
    throw new DamagedArchive(
      `Cannot trust "${manifest.file}": its ${name} must add up to ${manifest.sums[name]}: current value is ${
        sums[name]
      }`,
    );
  }
  return sums;
}
