/** Wires the keeper of upgrades: where its programs lie, how their parts are asked for.
 *
 * In: state folder, identity, client. Out: an {@link UpgradeKeeper} that has not started.
 * Each part is asked for by itself, signed, so that a download goes on where it stopped. @module */

import { signText } from "../../shared/batch.ts";
import type { Clock } from "../../shared/clock.ts";
import { partMessage, releaseLimits } from "../../shared/release.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { version } from "../../shared/version.ts";
import { type AggregatorClient, refusalOf, wordsOf } from "../aggregator_client.ts";
import type { Identity } from "../control/identity.ts";
import { folderSlots } from "../control/slots.ts";
import type { Part } from "../control/upgrade_download.ts";
import { UpgradeKeeper } from "../control/upgrade_keeper.ts";
import type { Disk } from "../disk.ts";

export interface UpgradeParts {
  folder: string;
  identity: Identity;
  client: AggregatorClient;
  disk: Disk;
  clock: Clock;
  reporter: Reporter;
  env: (name: string) => string | undefined;
  captureProblem: () => string | null;
  checkInProblem: () => string | null;
  /** Of the policy, 0 = no limit. */
  bytesPerS: () => number;
  restart: () => void;
}

/** Where no policy sets a limit: a Pi on a slow line still ships its batches meanwhile. */
const bytesPerSUsual = 2_000_000;
const partTimeoutMs = 60_000;

export function openUpgrades(trialMs: number, parts: UpgradeParts): UpgradeKeeper {
  const { folder, identity, client, env } = parts;
  const slot = env("PICKET_SLOT");
  return new UpgradeKeeper({
    trialMs,
    version,
    target: Deno.build.target,
    slot: slot === "a" || slot === "b" || slot === "installed" ? slot : null,
    key: identity.enrolment?.release_key ?? null,
  }, {
    ...parts,
    slots: folderSlots(`${folder}/slots`),
    bytesPerS: () => parts.bytesPerS() || bytesPerSUsual,
    fetchPart: (sha256, from, signal) => fetchPart({ client, identity }, { sha256, from }, signal),
  });
}

async function fetchPart(
  { client, identity }: { client: AggregatorClient; identity: Identity },
  { sha256, from }: { sha256: string; from: number },
  signal: AbortSignal,
): Promise<Part> {
  const sensor = identity.enrolment!.sensor_id;
  const headers = {
    "picket-sensor": sensor,
    "picket-signature": signText(partMessage(sensor, sha256, from), identity.privateKey),
  };
  const limits = { bytesMax: releaseLimits.partBytesMax, timeoutMs: partTimeoutMs, signal };
  const answer = await client.getBytes(`/api/v1/releases/${sha256}/part?from=${from}`, headers, limits);
  if (!answer.ok) return { ok: false, problem: wordsOf(answer), isFinal: false, retryAfterMs: null };
  if (answer.status === 200 && answer.bytes !== null) return { ok: true, bytes: answer.bytes };
  const { message } = refusalOf(answer.body);
  return {
    ok: false,
    problem: `the aggregator answered ${answer.status}: ${message}`,
    isFinal: answer.status >= 400 && answer.status < 500 && answer.status !== 429,
    retryAfterMs: answer.retryAfterMs,
  };
}
