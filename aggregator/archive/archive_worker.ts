/** Archives a day on a thread of its own: packing a flow takes some 40 us,
 * and ingest must not wait for five million of them.
 *
 * In: one request. Out: one answer. The thread opens the store itself, so that nothing is shared with the main thread.
 * @module */

import { createReporter } from "../../shared/reporter.ts";
import { openStore } from "../store/open.ts";
import { keepDay } from "./keep.ts";
import type { Manifest } from "./manifest.ts";
import type { PlaceSettings } from "./place.ts";

export interface ArchiveRequest extends PlaceSettings {
  url: string;
  password: string;
  /** Of a store that is reached with TLS; null = it is not. */
  ca: string | null;
  day: number;
  stored_ms: number;
  isFinal: boolean;
}

export type ArchiveAnswer =
  | { ok: true; manifest: Manifest; wasThere: boolean }
  | { ok: false; reason: string };

interface Port {
  onmessage: ((event: MessageEvent<ArchiveRequest>) => void) | null;
  postMessage(answer: ArchiveAnswer): void;
}

function serveArchive(port: Port): void {
  port.onmessage = async ({ data }) => {
    const reporter = createReporter({ component: "archive" });
    const env = (name: string) => name === "PICKET_STORE_PASSWORD" ? data.password : undefined;
    try {
      const { ca } = data;
      const store = openStore(data.url, { reporter, env, ...ca !== null && { ca } });
      await store.start();
      try {
        const { day, stored_ms, folder, bucket, isFinal } = data;
        const kept = await keepDay(store, { folder, bucket, day: { day, stored_ms }, isFinal });
        port.postMessage({ ok: true, ...kept });
      } finally {
        await store.stop();
      }
    } catch (error) {
      port.postMessage({ ok: false, reason: (error as Error).message });
    }
  };
}

// In a worker only: the same module names the messages for the main thread.
if ("WorkerGlobalScope" in globalThis) serveArchive(globalThis as unknown as Port);
