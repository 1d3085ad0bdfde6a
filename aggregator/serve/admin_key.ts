/** The first admin key: how somebody gets in without a default password.
 *
 * In: the state folder and the store. Out: `admin.key` (0600), whose key the store knows.
 * Invariant: a key is made only where the store has no live admin key at all; the file is never overwritten.
 * Why the file's key is added to a store that does not know it: the same folder may be started on another database.
 * @module */

import { ApiKeys, makeApiKey } from "../api/api_keys.ts";
import { sha256Hex } from "../../shared/batch.ts";
import type { Store } from "../store/store.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";

const name = "first-admin";

/** Returns the path of the key file. @throws {CommandError} when it cannot be read or written. */
export async function ensureAdminKey(
  folder: string,
  store: Pick<Store, "readApiKeys" | "addApiKey">,
  edges: Pick<Edges, "clock" | "reporter" | "randomBytes">,
): Promise<string> {
  const path = `${folder}/admin.key`;
  const nowMs = edges.clock.nowMs();
  const kept = await readKey(path);
  const rows = await store.readApiKeys();
  if (kept !== null) {
    const isKnown = rows.some((row) => row.key_hash === sha256Hex(kept));
    if (!isKnown && ApiKeys.isKey(kept)) {
      await store.addApiKey({
        key_hash: sha256Hex(kept),
        name,
        role: "admin",
        created_ms: nowMs,
        revoked_ms: null,
        expires_ms: null,
      });
    }
    return path;
  }
  if (rows.some((row) => row.role === "admin" && row.revoked_ms === null)) {
    edges.reporter.info(
      "the database has an admin key, its text is not here; make another with: picket-aggregator key",
    );
    return path;
  }
  const { key, row } = makeApiKey(edges.randomBytes(20), { name, role: "admin", nowMs });
  try {
    await Deno.writeTextFile(path, `${key}\n`, { createNew: true, mode: 0o600 });
  } catch (cause) {
    throw new CommandError(exitCodes.environment, `Cannot write "${path}": ${(cause as Error).message}`, {
      cause,
    });
  }
  await store.addApiKey(row);
  edges.reporter.info("admin API key written", { file: path });
  return path;
}

async function readKey(path: string): Promise<string | null> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw new CommandError(exitCodes.environment, `Cannot read "${path}": ${(cause as Error).message}`, {
      cause,
    });
  }
}
