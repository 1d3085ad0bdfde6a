/** `picket-aggregator serve`: the aggregator itself, until SIGTERM or Ctrl-C. @module */

import { type Command, command, type Edges, exitCodes, noOperands } from "../../shared/command.ts";
import type { Running } from "../serve/start.ts";
import { type ServeOptions, serveOptions } from "../options/serve_options.ts";

const aliveEveryMs = 5_000;

/** `start` wires the stages; serve/start.ts holds it, where the data path can be read. */
export function serveCommand(start: (options: ServeOptions, edges: Edges) => Promise<Running>): Command {
  return command({
    name: "serve",
    summary: "run the aggregator: ingest, store, detection, API, dashboard",
    operands: "",
    about:
      `Takes batches from sensors over HTTP, and over Kafka when brokers are given; merges, stores, detects, explains; serves API
and dashboard. The first start writes an admin key into admin.key of the state folder. Prints one JSON line when it listens:
{"listening", "dashboard", "key_file"}. Ends on SIGTERM or Ctrl-C after storing what it has taken in.`,
    examples: [
      "serve",
      "serve --state /var/lib/picket-aggregator --listen 0.0.0.0:8600 --tls-cert chain.pem --tls-key key.pem",
      "serve --store mariadb://picket@db.example:3306/picket --kafka-brokers kafka.example:9092",
    ],
    options: serveOptions,
    async run(options, operands, edges) {
      noOperands(operands);
      const running = await start(options, edges);
      edges.print(
        JSON.stringify({ listening: running.url, dashboard: `${running.url}/`, key_file: running.keyFile }),
      );
      edges.supervisor?.ready();
      const watched = new AbortController();
      const watching = tellAlive(edges, watched.signal);
      await new Promise<void>((resolve) => {
        if (edges.signal.aborted) return resolve();
        edges.signal.addEventListener("abort", () => resolve(), { once: true });
      });
      watched.abort();
      await watching;
      edges.supervisor?.stopping();
      edges.reporter.info("stopping");
      await running.stop();
      return exitCodes.ok;
    },
  });
}

/** A program whose thread is blocked for a minute serves nobody; what is only slow says so in /readyz. */
async function tellAlive({ clock, supervisor }: Edges, signal: AbortSignal): Promise<void> {
  while (supervisor && !signal.aborted) {
    supervisor.alive();
    await clock.sleep(aliveEveryMs, signal);
  }
}
