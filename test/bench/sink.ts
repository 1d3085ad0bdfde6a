/** A receiver for the bench: acknowledges every batch at once, and counts what came over the wire.
 *
 * In: HTTP requests of a sensor. Out: octets of requests (line, headers with the signature, body), flows, batches.
 * Why not an aggregator: what is measured is the sensor; storing is measured elsewhere. @module */

import { serveOptions } from "../../aggregator/options/serve_options.ts";
import { createIdentity, saveEnrolment } from "../../sensor/control/identity.ts";
import { realDisk } from "../../sensor/disk.ts";

/** As many as an aggregator gives that was told nothing else. */
const buckets = serveOptions.buckets.default;

export class Sink {
  batches = 0;
  flows = 0;
  wireBytes = 0;
  #server: Deno.HttpServer | null = null;
  #url = "";
  readonly #onBatch: (headers: Headers, body: Uint8Array) => void;

  /** `onBatch` is told each batch. */
  constructor(onBatch: (headers: Headers, body: Uint8Array) => void = () => {}) {
    this.#onBatch = onBatch;
  }

  start(): void {
    const silent = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(silent, (request) => this.#answer(request));
    this.#url = `http://127.0.0.1:${(this.#server.addr as Deno.NetAddr).port}`;
  }

  async stop(): Promise<void> {
    await this.#server?.shutdown();
  }

  forget(): void {
    this.batches = this.flows = this.wireBytes = 0;
  }

  /** Makes `folder` the state of a sensor that is enrolled here. */
  async enrol(folder: string): Promise<void> {
    await createIdentity(realDisk, folder, crypto.getRandomValues(new Uint8Array(32)));
    const aggregator = this.#url;
    await saveEnrolment(realDisk, folder, {
      sensor_id: "s_bench",
      name: "bench",
      site: "bench",
      buckets,
      kafka: null,
      aggregator,
      aggregator_ca: null,
    });
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = await request.arrayBuffer();
    if (pathname === "/api/v1/batches") {
      this.batches++;
      this.#onBatch(request.headers, new Uint8Array(body));
      this.flows += Number(request.headers.get("picket-flows"));
      // Name, colon, blank, value, line end, for each; the request line too.
      const headers = [...request.headers].reduce(
        (sum, [name, value]) => sum + name.length + value.length + 4,
        0,
      );
      this.wireBytes += `POST ${pathname} HTTP/1.1\r\n\r\n`.length + headers + body.byteLength;
      return Response.json({ outcome: "stored" });
    }
    const nowMs = Date.now();
    return Response.json({ received_ms: nowMs, answered_ms: nowMs, config_version: 0, revoked: false });
  }
}
